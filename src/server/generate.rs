//! Chats and completions: from the body of a request to its answer.

use super::{
    app::{App, Model, now},
    choice::{Choice, whole},
    error::ApiError,
    record::Record,
    stream::stream,
    tools::{CallParser, Tools},
    wire::{Body, Ids, Kind, LogprobsField, PromptField, ResponseFormat, parse},
};
use crate::{
    engine::{Grammar, Prompt, Request},
    text::{Content, Conversation, Message},
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// Answers to one prompt at most.
const MOST_CHOICES: usize = 32;
/// Prompts of one request at most.
const MOST_PROMPTS: usize = 64;
/// Texts that end an answer at most.
const MOST_STOPS: usize = 16;
/// Likeliest tokens beside each at most.
const MOST_LOGPROBS: usize = 20;
/// The length of a completion whose request does not say it, as in OpenAI's API.
const COMPLETION_TOKENS: usize = 16;

type Recorded = Extension<Arc<Record>>;

pub(super) async fn chat(State(app): State<Arc<App>>, record: Recorded, body: Bytes) -> Result<Response, ApiError> {
    answer(app, &record, Kind::Chat, body).await
}

pub(super) async fn completion(
    State(app): State<Arc<App>>,
    record: Recorded,
    body: Bytes,
) -> Result<Response, ApiError> {
    answer(app, &record, Kind::Text, body).await
}

async fn answer(app: Arc<App>, record: &Arc<Record>, kind: Kind, body: Bytes) -> Result<Response, ApiError> {
    let body: Body = parse(&body)?;
    let model = app.model_named(body.model.as_deref())?;
    let ids = Ids {
        kind,
        id: format!("{}-{}", if kind == Kind::Chat { "chatcmpl" } else { "cmpl" }, app.new_id()),
        created: now(),
        model: model.name.clone(),
        tokenizer: model.prompter.shared_tokenizer(),
    };
    let (is_stream, options) = (body.stream.unwrap_or(false), body.stream_options.unwrap_or_default());
    let (worker, id) = (model.worker.clone(), ids.id.clone());
    // Templates, tokenizers and grammars take their time.
    let prepared = blocking(move || prepare(&model, kind, &id, &body)).await??;
    let (requests, choices) = prepared.into_iter().unzip();
    let updates = worker
        .submit(requests, record)
        .ok_or_else(|| ApiError::busy("all places are taken and the queue is full", Duration::from_secs(1)))?;
    if is_stream {
        return Ok(stream(ids, choices, updates, options.include_usage.unwrap_or(false), app.settings.ping));
    }
    let answer = whole(&ids, choices, updates).await?;
    Ok(Json(answer).into_response())
}

/// Runs what would keep other requests from being heard.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| ApiError::internal(error.to_string()))
}

/// A request for each choice that is wanted.
fn prepare(model: &Model, kind: Kind, id: &str, body: &Body) -> Result<Vec<(Request, Choice)>, ApiError> {
    let n = body.n.unwrap_or(1);
    if !(1..=MOST_CHOICES).contains(&n) {
        return Err(ApiError::invalid("n", format!("`n` is {n}, expected 1 to {MOST_CHOICES}")));
    }
    let tools = if kind == Kind::Chat { Tools::of(body, model.call_format)? } else { None };
    let prompts = match kind {
        Kind::Chat => vec![model.prompter.chat(&conversation(body, tools.as_ref())?)?],
        Kind::Text => prompts(model, body)?,
    };
    let template = template(model, kind, body, tools.as_ref())?;
    let mut prepared = Vec::new();
    for prompt in prompts {
        for i in 0..n {
            let mut request = Request { prompt: prompt.tokens.clone(), ..template.clone() };
            // The choices of one prompt differ.
            request.sampling.seed = request.sampling.seed.wrapping_add(i as u64);
            let index = prepared.len();
            let parser = tools.as_ref().map(|_| CallParser::new(model.call_format, &format!("{id}_{index}")));
            let echoed = if body.echo.unwrap_or(false) { prompt.text.clone() } else { String::new() };
            prepared.push((request, Choice::new(i == 0, parser, template.n_logprobs.is_some(), echoed)));
        }
    }
    Ok(prepared)
}

/// The request without its prompt.
fn template(model: &Model, kind: Kind, body: &Body, tools: Option<&Tools>) -> Result<Request, ApiError> {
    let stop = body.stop.clone().map(|stop| stop.into_vec()).unwrap_or_default();
    if stop.len() > MOST_STOPS {
        return Err(ApiError::invalid(
            "stop",
            format!("`stop` has {} texts, expected at most {MOST_STOPS}", stop.len()),
        ));
    }
    let default = (kind == Kind::Text).then_some(COMPLETION_TOKENS);
    let grammar = match tools.and_then(|tools| tools.grammar.clone()) {
        Some(grammar) => Some(grammar),
        None => grammar(body)?,
    };
    Ok(Request {
        prompt: Vec::new(),
        max_tokens: body.max_completion_tokens.or(body.max_tokens).or(default),
        sampling: body.sampling(&model.sampling)?,
        stop,
        n_logprobs: n_logprobs(kind, body)?,
        ignore_end: body.ignore_eos.unwrap_or(false),
        split_reasoning: kind == Kind::Chat,
        constraint: grammar
            .map(|grammar| model.constraint(&grammar))
            .transpose()
            .map_err(crate::engine::EngineError::from)?,
    })
}

fn n_logprobs(kind: Kind, body: &Body) -> Result<Option<usize>, ApiError> {
    let wanted = match (kind, body.logprobs) {
        (_, None | Some(LogprobsField::Wanted(false))) => None,
        (Kind::Chat, Some(LogprobsField::Wanted(true))) => Some(body.top_logprobs.unwrap_or(0)),
        (Kind::Text, Some(LogprobsField::Count(n))) => Some(n),
        (Kind::Chat, Some(LogprobsField::Count(_))) => {
            return Err(ApiError::invalid("logprobs", "`logprobs` is a number, expected true or false"));
        }
        (Kind::Text, Some(LogprobsField::Wanted(true))) => {
            return Err(ApiError::invalid("logprobs", "`logprobs` is true, expected a number"));
        }
    };
    if wanted.is_some_and(|n| n > MOST_LOGPROBS) {
        let name = if kind == Kind::Chat { "top_logprobs" } else { "logprobs" };
        return Err(ApiError::invalid(name, format!("`{name}` is more than {MOST_LOGPROBS}")));
    }
    Ok(wanted)
}

/// What the answer must fit.
fn grammar(body: &Body) -> Result<Option<Grammar>, ApiError> {
    match &body.response_format {
        None | Some(ResponseFormat::Text) => {}
        Some(ResponseFormat::JsonObject) => return Ok(Some(Grammar::JsonSchema(json!({ "type": "object" })))),
        Some(ResponseFormat::JsonSchema { json_schema }) => {
            let schema = json_schema.schema.clone().unwrap_or_else(|| json!({ "type": "object" }));
            return Ok(Some(Grammar::JsonSchema(schema)));
        }
    }
    if let Some(text) = &body.grammar {
        return Ok(Some(Grammar::from_text(text).map_err(|error| ApiError::invalid("grammar", error.to_string()))?));
    }
    Ok(body.regex.clone().map(Grammar::Regex))
}

/// The conversation of a chat.
pub(super) fn conversation(body: &Body, tools: Option<&Tools>) -> Result<Conversation, ApiError> {
    let messages = body.messages.clone().unwrap_or_default();
    if messages.is_empty() {
        return Err(ApiError::invalid("messages", "`messages` is missing or empty"));
    }
    let messages = messages.into_iter().enumerate().map(|(i, message)| with_plain_text(i, message));
    Ok(Conversation {
        messages: messages.collect::<Result<_, _>>()?,
        tools: tools.map(|tools| tools.values.clone()),
        add_generation_prompt: true,
        extra: body.chat_template_kwargs.clone().unwrap_or_default(),
        now: None,
    })
}

/// The message with its parts as one text, which is what most templates can read.
fn with_plain_text(i: usize, mut message: Message) -> Result<Message, ApiError> {
    if let Some(Content::Parts(parts)) = &message.content {
        let text = |part: &Value| part.get("text").and_then(Value::as_str).map(str::to_owned);
        let texts: Option<Vec<String>> = parts.iter().map(text).collect();
        let field = format!("messages[{i}].content");
        let texts = texts.ok_or_else(|| ApiError::invalid(&field, format!("`{field}` has a part that is not text")))?;
        message.content = Some(Content::Text(texts.concat()));
    }
    Ok(message.with_parsed_arguments())
}

/// The prompts of a completion.
fn prompts(model: &Model, body: &Body) -> Result<Vec<Prompt>, ApiError> {
    let field = body.prompt.clone().ok_or_else(|| ApiError::invalid("prompt", "`prompt` is missing"))?;
    let of_text =
        |text: &String| model.prompter.raw(text).map_err(|error| ApiError::invalid("prompt", error.to_string()));
    let of_tokens = |tokens: &Vec<u32>| {
        if let Some(token) = tokens.iter().find(|token| **token as usize >= model.n_vocab) {
            let message = format!("`prompt` has the token {token}, the vocabulary has {}", model.n_vocab);
            return Err(ApiError::invalid("prompt", message));
        }
        let tokenizer = model.prompter.tokenizer();
        Ok(Prompt { text: tokenizer.decode(tokens, crate::text::Controls::Show), tokens: tokens.clone() })
    };
    let prompts: Vec<Prompt> = match &field {
        PromptField::Text(text) => vec![of_text(text)?],
        PromptField::Tokens(tokens) => vec![of_tokens(tokens)?],
        PromptField::Texts(texts) => texts.iter().map(of_text).collect::<Result<_, _>>()?,
        PromptField::TokenLists(lists) => lists.iter().map(of_tokens).collect::<Result<_, _>>()?,
    };
    if !(1..=MOST_PROMPTS).contains(&prompts.len()) {
        let message = format!("`prompt` has {} prompts, expected 1 to {MOST_PROMPTS}", prompts.len());
        return Err(ApiError::invalid("prompt", message));
    }
    Ok(prompts)
}
