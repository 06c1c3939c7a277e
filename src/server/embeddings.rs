//! Vectors of texts.

use super::{
    app::{App, Model},
    busy::InFlight,
    error::ApiError,
    generate::{blocking, busy},
    record::Record,
    wire::{EmbeddingAnswer, EmbeddingBody, PromptField, parse},
    worker::{Update, Worker},
};
use crate::{TokenId, engine::Request, text::Special};
use axum::{Extension, Json, body::Bytes, extract::State};
use futures_util::{StreamExt, TryStreamExt, stream};
use std::sync::Arc;

/// Texts of one request at most, as in OpenAI's API.
const MOST_INPUTS: usize = 2048;

pub(super) async fn embeddings(
    State(app): State<Arc<App>>,
    Extension(record): Extension<Arc<Record>>,
    body: Bytes,
) -> Result<Json<EmbeddingAnswer>, ApiError> {
    let body: EmbeddingBody = parse(&body)?;
    let model = app.model_named(body.model.as_deref())?;
    let n_dimensions = n_dimensions(&model, &body)?;
    let pooling = body.pooling.map_or(model.pooling, Into::into);
    let encoding = body.encoding_format.unwrap_or_default();
    let of_model = Arc::clone(&model);
    let inputs = blocking(move || inputs(&of_model, body.input)).await??;
    let n_tokens: usize = inputs.iter().map(Vec::len).sum();

    // One place for all of them: they come to the engine one after another, so that others come in between. A few more
    // than it works on at once are under way, so that it need not wait for the next.
    let place = model.worker.places(1).and_then(|mut places| places.pop()).ok_or_else(busy)?;
    let n_at_once = 2 * app.settings.n_parallel;
    let requests = inputs.into_iter().map(|prompt| Request { prompt, pooling: Some(pooling), ..Request::default() });
    let vectors = stream::iter(requests).map(|request| embed(&model.worker, request, Arc::clone(&place), &record));
    let vectors: Vec<Vec<f32>> = vectors.buffered(n_at_once).try_collect().await?;

    let vectors = vectors.into_iter().map(|vector| encoding.write(shortened(vector, n_dimensions)));
    Ok(Json(EmbeddingAnswer::new(model.name.clone(), vectors, n_tokens)))
}

/// The vector of one text.
async fn embed(
    worker: &Worker,
    request: Request,
    place: Arc<InFlight>,
    record: &Arc<Record>,
) -> Result<Vec<f32>, ApiError> {
    let mut updates = worker.submit([(request, place)], record);
    while let Some((_, update)) = updates.recv().await {
        match update {
            Update::Done(completion) => return Ok(completion.embedding),
            Update::Failed(error) => return Err(ApiError::of_engine(error, "input")),
            Update::Prompt(_) | Update::Token(_) | Update::Text(..) => {}
        }
    }
    Err(ApiError::internal("the engine has ended"))
}

fn n_dimensions(model: &Model, body: &EmbeddingBody) -> Result<usize, ApiError> {
    let n = body.dimensions.unwrap_or(model.d_model);
    if !(1..=model.d_model).contains(&n) {
        let message = format!("`dimensions` is {n}, expected 1 to {}", model.d_model);
        return Err(ApiError::invalid("dimensions", message));
    }
    Ok(n)
}

/// The tokens of each text.
fn inputs(model: &Model, field: Option<PromptField>) -> Result<Vec<Vec<TokenId>>, ApiError> {
    let field = field.ok_or_else(|| ApiError::invalid("input", "`input` is missing"))?;
    let of_text = |text: String| match text.is_empty() {
        true => Err(ApiError::invalid("input", "`input` has an empty text")),
        false => {
            let tokens = model.prompter.tokenizer().encode_framed(&text, Special::AsText);
            tokens.map_err(|error| ApiError::invalid("input", error.to_string()))
        }
    };
    let inputs: Vec<Vec<TokenId>> = match field {
        PromptField::Text(text) => vec![of_text(text)?],
        PromptField::Texts(texts) => texts.into_iter().map(of_text).collect::<Result<_, _>>()?,
        PromptField::Tokens(tokens) => vec![tokens],
        PromptField::TokenLists(lists) => lists,
    };
    if !(1..=MOST_INPUTS).contains(&inputs.len()) {
        let message = format!("`input` has {} texts, expected 1 to {MOST_INPUTS}", inputs.len());
        return Err(ApiError::invalid("input", message));
    }
    inputs.iter().try_for_each(|tokens| model.check_prompt(tokens, "input"))?;
    Ok(inputs)
}

/// The first `n` elements, again of length 1: what OpenAI's API does for models that are trained for it.
fn shortened(mut vector: Vec<f32>, n: usize) -> Vec<f32> {
    if n < vector.len() {
        vector.truncate(n);
        let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        // All that is left may be zero.
        vector.iter_mut().for_each(|x| *x /= norm.max(f32::MIN_POSITIVE));
    }
    vector
}
