//! Which models there are: one, the one that is served.

use super::{
    app::{App, Model},
    error::ApiError,
};
use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
};
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

/// All models.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Models")]
pub(super) struct List {
    object: &'static str,
    data: Vec<Entry>,
}

/// A model.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Model")]
pub(super) struct Entry {
    id: String,
    object: &'static str,
    /// When it was loaded, in seconds since 1970.
    created: u64,
    owned_by: &'static str,
    /// The most tokens of a prompt and its answer.
    max_model_len: usize,
}

pub(super) async fn list(State(app): State<Arc<App>>) -> Json<List> {
    Json(List { object: "list", data: vec![Entry::of(&app.model())] })
}

pub(super) async fn one(
    State(app): State<Arc<App>>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<Entry>, ApiError> {
    let Path(name) = name.map_err(|error| ApiError::invalid("model", error.body_text()))?;
    Ok(Json(Entry::of(&*app.model_named(Some(&name))?)))
}

impl Entry {
    fn of(model: &Model) -> Entry {
        Entry {
            id: model.name.clone(),
            object: "model",
            created: model.created,
            owned_by: "taper",
            max_model_len: model.n_ctx,
        }
    }
}
