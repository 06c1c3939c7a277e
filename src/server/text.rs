//! Text to tokens and back, and conversations to prompts, without any answer.

use super::{
    app::App,
    error::ApiError,
    generate::{blocking, conversation},
    tools::Tools,
    wire::{Body, parse},
};
use crate::{
    TokenId,
    text::{Controls, Special},
};
use axum::{Json, body::Bytes, extract::State};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Both llama.cpp's name of the text and vLLM's are understood.
#[derive(Deserialize)]
struct Tokenize {
    model: Option<String>,
    #[serde(alias = "prompt")]
    content: String,
    /// Whether to put before and after what the model's rules put there.
    add_special: Option<bool>,
    /// Whether text that reads like a control token is one.
    parse_special: Option<bool>,
}

#[derive(Deserialize)]
struct Detokenize {
    model: Option<String>,
    tokens: Vec<TokenId>,
}

pub(super) async fn tokenize(State(app): State<Arc<App>>, body: Bytes) -> Result<Json<Value>, ApiError> {
    let body: Tokenize = parse(&body)?;
    let model = app.model_named(body.model.as_deref())?;
    let special = if body.parse_special.unwrap_or(false) { Special::Parse } else { Special::AsText };
    let tokens = blocking(move || {
        let tokenizer = model.prompter.tokenizer();
        match body.add_special.unwrap_or(false) {
            true => tokenizer.encode_framed(&body.content, special),
            false => tokenizer.encode(&body.content, special),
        }
    });
    let tokens = tokens.await?.map_err(|error| ApiError::invalid("content", error.to_string()))?;
    Ok(Json(json!({ "count": tokens.len(), "tokens": tokens })))
}

pub(super) async fn detokenize(State(app): State<Arc<App>>, body: Bytes) -> Result<Json<Value>, ApiError> {
    let body: Detokenize = parse(&body)?;
    let model = app.model_named(body.model.as_deref())?;
    if let Some(token) = body.tokens.iter().find(|token| **token as usize >= model.n_vocab) {
        let message = format!("`tokens` has {token}, the vocabulary has {}", model.n_vocab);
        return Err(ApiError::invalid("tokens", message));
    }
    Ok(Json(json!({ "content": model.prompter.tokenizer().decode(&body.tokens, Controls::Show) })))
}

pub(super) async fn apply_template(State(app): State<Arc<App>>, body: Bytes) -> Result<Json<Value>, ApiError> {
    let body: Body = parse(&body)?;
    let model = app.model_named(body.model.as_deref())?;
    let prompt = blocking(move || -> Result<_, ApiError> {
        let tools = Tools::of(&body, model.call_format)?;
        Ok(model.prompter.chat(&conversation(&body, tools.as_ref())?)?)
    });
    let prompt = prompt.await??;
    Ok(Json(json!({ "prompt": prompt.text, "count": prompt.tokens.len(), "tokens": prompt.tokens })))
}
