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
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A text to cut into tokens; both llama.cpp's name of it and vLLM's are understood.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "TokenizeRequest")]
pub(super) struct Tokenize {
    model: Option<String>,
    #[serde(alias = "prompt")]
    content: String,
    /// Whether to put before and after what the model's rules put there.
    add_special: Option<bool>,
    /// Whether text that reads like a control token is one.
    parse_special: Option<bool>,
}

/// Tokens to make a text of.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "DetokenizeRequest")]
pub(super) struct Detokenize {
    model: Option<String>,
    tokens: Vec<TokenId>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Tokens {
    count: usize,
    tokens: Vec<TokenId>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Text {
    content: String,
}

/// A conversation as the model reads it.
#[derive(Serialize, JsonSchema)]
pub(super) struct Rendered {
    prompt: String,
    count: usize,
    tokens: Vec<TokenId>,
}

pub(super) async fn tokenize(State(app): State<Arc<App>>, body: Bytes) -> Result<Json<Tokens>, ApiError> {
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
    Ok(Json(Tokens { count: tokens.len(), tokens }))
}

pub(super) async fn detokenize(State(app): State<Arc<App>>, body: Bytes) -> Result<Json<Text>, ApiError> {
    let body: Detokenize = parse(&body)?;
    let model = app.model_named(body.model.as_deref())?;
    if let Some(token) = body.tokens.iter().find(|token| **token as usize >= model.n_vocab) {
        let message = format!("`tokens` has {token}, the vocabulary has {}", model.n_vocab);
        return Err(ApiError::invalid("tokens", message));
    }
    Ok(Json(Text { content: model.prompter.tokenizer().decode(&body.tokens, Controls::Show) }))
}

pub(super) async fn apply_template(State(app): State<Arc<App>>, body: Bytes) -> Result<Json<Rendered>, ApiError> {
    let body: Body = parse(&body)?;
    let model = app.model_named(body.model.as_deref())?;
    let prompt = blocking(move || -> Result<_, ApiError> {
        let tools = Tools::of(&body, model.call_format)?;
        Ok(model.prompter.chat(&conversation(&body, tools.as_ref())?)?)
    });
    let prompt = prompt.await??;
    Ok(Json(Rendered { prompt: prompt.text, count: prompt.tokens.len(), tokens: prompt.tokens }))
}
