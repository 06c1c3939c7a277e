//! Chats and completions: from the body of a request to its answer.

use super::{
    MOST_CHOICES, MOST_LOGPROBS,
    app::{App, Model, now},
    choice::{Choice, whole},
    error::ApiError,
    placed::{Echo, PlacedTokens},
    record::Record,
    stream::stream,
    tools::{CallParser, Tools},
    wire::{Body, Ids, Kind, LogprobsField, PromptField, ResponseFormat, parse},
};
use crate::{
    engine::{Grammar, Prompt, Request},
    text::{Content, Controls, Conversation, Message},
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// Prompts of one request at most.
const MOST_PROMPTS: usize = 64;
/// Texts that end an answer at most.
const MOST_STOPS: usize = 16;
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
    let (requests, choices): (Vec<Request>, _) = prepared.into_iter().unzip();
    let places = worker.places(requests.len()).ok_or_else(busy)?;
    let updates = worker.submit(requests.into_iter().zip(places), record);
    if is_stream {
        return Ok(stream(ids, choices, updates, options.include_usage.unwrap_or(false), app.settings.ping));
    }
    let answer = whole(&ids, choices, updates).await?;
    Ok(Json(answer).into_response())
}

/// Why a request is turned away that would be one too many.
pub(super) fn busy() -> ApiError {
    ApiError::busy("all places are taken and the queue is full", Duration::from_secs(1))
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
    prompts.iter().try_for_each(|prompt| model.check_prompt(&prompt.tokens, kind.prompt_field()))?;
    let (template, grammar_field) = template(model, kind, body, tools.as_ref())?;
    let echoes = body.echo.unwrap_or(false);
    let controls = body.prompt.as_ref().map_or(Controls::Show, PromptField::controls);
    let mut prepared = Vec::new();
    for prompt in prompts {
        let echo = echoes.then(|| Echo::new(&prompt, model.prompter.tokenizer(), controls));
        for i in 0..n {
            let mut request = Request { prompt: prompt.tokens.clone(), ..template.clone() };
            // The choices of one prompt differ.
            request.sampling.seed = request.sampling.seed.wrapping_add(i as u64);
            let index = prepared.len();
            let parser = tools.as_ref().map(|_| CallParser::new(model.call_format, &format!("{id}_{index}")));
            let tokens = template
                .n_logprobs
                .map(|_| PlacedTokens::after(&prompt.tokens, echo.as_ref(), model.prompter.shared_tokenizer()));
            prepared.push((request, Choice::new(i == 0, parser, tokens, (echo.as_ref(), grammar_field))));
        }
    }
    Ok(prepared)
}

/// The request without its prompt, and the field that says what the answer must fit.
fn template(
    model: &Model,
    kind: Kind,
    body: &Body,
    tools: Option<&Tools>,
) -> Result<(Request, Option<&'static str>), ApiError> {
    let stop = body.stop.clone().map(|stop| stop.into_vec()).unwrap_or_default();
    if stop.len() > MOST_STOPS {
        return Err(ApiError::invalid(
            "stop",
            format!("`stop` has {} texts, expected at most {MOST_STOPS}", stop.len()),
        ));
    }
    let default = (kind == Kind::Text).then_some(COMPLETION_TOKENS);
    let grammar = match tools.and_then(|tools| tools.grammar.clone()) {
        Some(grammar) => Some(("tools", grammar)),
        None => grammar(body)?,
    };
    let grammar_field = grammar.as_ref().map(|(field, _)| *field);
    let constraint = |(param, grammar)| model.constraint(&grammar).map_err(|error| ApiError::of_grammar(&error, param));
    let n_logprobs = n_logprobs(kind, body)?;
    let request = Request {
        prompt: Vec::new(),
        max_tokens: body.max_completion_tokens.or(body.max_tokens).or(default),
        sampling: body.sampling(&model.sampling)?,
        stop,
        n_logprobs,
        n_prompt_logprobs: n_logprobs.filter(|_| kind == Kind::Text && body.echo.unwrap_or(false)),
        ignore_end: body.ignore_eos.unwrap_or(false),
        split_reasoning: kind == Kind::Chat,
        constraint: grammar.map(constraint).transpose()?,
        pooling: None,
    };
    Ok((request, grammar_field))
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
    if wanted.is_none() && body.top_logprobs.is_some_and(|n| n > 0) {
        return Err(ApiError::invalid("top_logprobs", "`top_logprobs` is only for requests with `logprobs`"));
    }
    if wanted.is_some_and(|n| n > MOST_LOGPROBS) {
        let name = if kind == Kind::Chat { "top_logprobs" } else { "logprobs" };
        return Err(ApiError::invalid(name, format!("`{name}` is more than {MOST_LOGPROBS}")));
    }
    Ok(wanted)
}

/// What the answer must fit, and the field that says so.
fn grammar(body: &Body) -> Result<Option<(&'static str, Grammar)>, ApiError> {
    let any = || json!({ "type": "object" });
    match &body.response_format {
        None | Some(ResponseFormat::Text) => {}
        Some(ResponseFormat::JsonObject) => return Ok(Some(("response_format", Grammar::JsonSchema(any())))),
        Some(ResponseFormat::JsonSchema { json_schema }) => {
            let schema = json_schema.schema.clone().unwrap_or_else(any);
            return Ok(Some(("response_format", Grammar::JsonSchema(schema))));
        }
    }
    if let Some(text) = &body.grammar {
        let grammar = Grammar::from_text(text).map_err(|error| ApiError::of_grammar(&error, "grammar"))?;
        return Ok(Some(("grammar", grammar)));
    }
    Ok(body.regex.clone().map(|regex| ("regex", Grammar::Regex(regex))))
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

/// The message as most templates can read it: with its parts as one text, and from the role that they know.
fn with_plain_text(i: usize, mut message: Message) -> Result<Message, ApiError> {
    // OpenAI's newer name.
    if message.role == "developer" {
        message.role = "system".into();
    }
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
    let of_tokens = |tokens: &Vec<u32>| -> Result<Prompt, ApiError> {
        model.check_prompt(tokens, "prompt")?;
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
