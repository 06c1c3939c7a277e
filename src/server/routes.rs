//! Which path leads where.

use super::{
    app::{App, ReloadError},
    error::ApiError,
    generate, guard, models, text,
};
use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware,
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use std::sync::Arc;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

/// The page at `/`.
const PAGE: &str = include_str!("page.html");
/// The description of the API.
const OPENAPI: &str = include_str!("openapi.json");

/// What the page may load and talk to: nothing but this server.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
                           img-src data:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'";

/// All paths.
pub(super) fn router(app: Arc<App>) -> Router {
    let cors = cors(&app.settings.origins);
    let router = Router::new()
        .route("/v1/chat/completions", post(generate::chat))
        .route("/v1/completions", post(generate::completion))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{*name}", get(models::one))
        .route("/tokenize", post(text::tokenize))
        .route("/detokenize", post(text::detokenize))
        .route("/apply-template", post(text::apply_template))
        .route("/admin/reload", post(reload))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/health", get(readyz))
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(openapi))
        .route("/", get(page))
        .fallback(no_such_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(Arc::clone(&app), guard::guard))
        .with_state(app);
    match cors {
        Some(cors) => router.layer(cors),
        None => router,
    }
}

fn cors(origins: &[String]) -> Option<CorsLayer> {
    let origins: Vec<HeaderValue> = origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
    if origins.is_empty() {
        return None;
    }
    let any = origins.iter().any(|origin| origin == "*");
    // Credentials of the browser are never allowed; a key in a header is the page's own.
    let layer = CorsLayer::new()
        .allow_methods([Method::GET, Method::POST])
        // OpenAI's client has some of its own.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([guard::REQUEST_ID, header::RETRY_AFTER]);
    Some(layer.allow_origin(if any { AllowOrigin::any() } else { AllowOrigin::list(origins) }))
}

async fn livez() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// Whether a request would be taken now.
async fn readyz(State(app): State<Arc<App>>) -> Response {
    let model = app.model();
    let status = match () {
        () if app.is_draining() => "draining",
        () if model.worker.is_full() => "full",
        () => "ok",
    };
    let code = if status == "ok" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(json!({ "status": status, "model": model.name }))).into_response()
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    super::metrics::report_load(&app.model().name, &app.busy.load());
    let text = app.metrics.as_ref().map(|handle| handle.render()).unwrap_or_default();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

async fn page() -> Response {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, PAGE_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, Html(PAGE)).into_response()
}

async fn reload(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Json<Value>, ApiError> {
    let Some(keys) = &app.admin_keys else {
        return Err(ApiError::not_found("there is no key for this", "unknown_url"));
    };
    guard::bearer(&headers).and_then(|key| keys.find(key)).ok_or_else(ApiError::unauthorized)?;
    let again = Arc::clone(&app);
    generate::blocking(move || again.reload()).await?.map_err(|error| match error {
        ReloadError::UnderWay => ApiError::of_status(StatusCode::CONFLICT, error.to_string()),
        ReloadError::Failed(_) => ApiError::internal(error.to_string()),
    })?;
    Ok(Json(json!({ "status": "ok", "model": app.model().name })))
}

async fn no_such_path(method: Method, uri: axum::http::Uri) -> ApiError {
    ApiError::not_found(format!("there is no `{method} {}`", uri.path()), "unknown_url")
}

async fn wrong_method(method: Method, uri: axum::http::Uri) -> ApiError {
    ApiError::of_status(StatusCode::METHOD_NOT_ALLOWED, format!("`{}` does not take {method}", uri.path()))
}
