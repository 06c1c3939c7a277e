//! Which models there are: one, the one that is served.

use super::{
    app::{App, Model},
    error::ApiError,
};
use axum::{
    Json,
    extract::{Path, State},
};
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) async fn list(State(app): State<Arc<App>>) -> Json<Value> {
    Json(json!({ "object": "list", "data": [entry(&app.model())] }))
}

pub(super) async fn one(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Json<Value>, ApiError> {
    Ok(Json(entry(&*app.model_named(Some(&name))?)))
}

fn entry(model: &Model) -> Value {
    json!({
        "id": model.name,
        "object": "model",
        "created": model.created,
        "owned_by": "taper",
        "max_model_len": model.n_ctx,
    })
}
