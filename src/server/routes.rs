//! Which path leads where.

use super::{
    app::{App, ReloadError},
    embeddings,
    error::{ApiError, ErrorAnswer},
    generate, guard, models,
    openapi::{self, Route},
    text,
    wire::{ChatAnswer, ChatRequest, EmbeddingAnswer, EmbeddingBody, TemplateRequest, TextAnswer, TextRequest},
};
use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware,
    response::{Html, IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use std::sync::{Arc, LazyLock};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

/// The page at `/`.
const PAGE: &str = include_str!("page.html");
/// The description of the API.
static OPENAPI: LazyLock<Value> =
    LazyLock::new(|| openapi::describe(&routes(), |path| guard::OPEN_PATHS.contains(&path)));

/// What the page may load and talk to: nothing but this server.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
                           img-src data:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'";

/// All paths.
pub(super) fn router(app: Arc<App>) -> Router {
    let cors = cors(&app.settings.origins);
    let router = routes().into_iter().fold(Router::new(), |router, route| router.route(route.path, route.handler));
    let router = router
        .fallback(no_such_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(Arc::clone(&app), guard::guard))
        .with_state(app);
    match cors {
        Some(cors) => router.layer(cors),
        None => router,
    }
}

fn routes() -> Vec<Route> {
    vec![
        Route::post("/v1/chat/completions", generate::chat, "Answer a conversation")
            .takes::<ChatRequest>()
            .gives::<ChatAnswer>()
            .gives_text("text/event-stream"),
        Route::post("/v1/completions", generate::completion, "Continue texts")
            .takes::<TextRequest>()
            .gives::<TextAnswer>()
            .gives_text("text/event-stream"),
        Route::post("/v1/embeddings", embeddings::embeddings, "Make vectors of texts")
            .takes::<EmbeddingBody>()
            .gives::<EmbeddingAnswer>(),
        Route::get("/v1/models", models::list, "The models that there are").gives::<models::List>(),
        Route::get("/v1/models/{*name}", models::one, "One of them").gives::<models::Entry>(),
        Route::post("/tokenize", text::tokenize, "Cut a text into tokens")
            .takes::<text::Tokenize>()
            .gives::<text::Tokens>(),
        Route::post("/detokenize", text::detokenize, "Make a text of tokens")
            .takes::<text::Detokenize>()
            .gives::<text::Text>(),
        Route::post("/apply-template", text::apply_template, "The prompt of a conversation")
            .takes::<TemplateRequest>()
            .gives::<text::Rendered>(),
        Route::post("/admin/reload", reload, "Load the model anew").gives::<Status>().gives_with::<ErrorAnswer>(404),
        Route::get("/livez", livez, "Whether the process lives").gives::<Status>(),
        Route::get("/readyz", readyz, "Whether a request would be taken").gives::<Status>().gives_with::<Status>(503),
        Route::get("/health", readyz, "The same").gives::<Status>().gives_with::<Status>(503),
        Route::get("/metrics", metrics, "Counters for Prometheus").gives_text("text/plain"),
        Route::get("/openapi.json", openapi, "This description").gives::<Map<String, Value>>(),
        Route::get("/", page, "A page to chat on").gives_text("text/html"),
    ]
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

/// How the server is.
#[derive(Serialize, JsonSchema)]
struct Status {
    status: &'static str,
    /// The name of the model that is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
}

async fn livez() -> Json<Status> {
    Json(Status { status: "ok", model: None })
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
    (code, Json(Status { status, model: Some(model.name.clone()) })).into_response()
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    super::metrics::report_load(&app.model().name, &app.busy.load());
    let text = app.metrics.as_ref().map(|handle| handle.render()).unwrap_or_default();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

async fn openapi() -> Json<&'static Value> {
    Json(&OPENAPI)
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

async fn reload(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Json<Status>, ApiError> {
    let Some(keys) = &app.admin_keys else {
        return Err(ApiError::not_found("there is no key for this", "unknown_url"));
    };
    guard::bearer(&headers).and_then(|key| keys.find(key)).ok_or_else(ApiError::unauthorized)?;
    let again = Arc::clone(&app);
    generate::blocking(move || again.reload()).await?.map_err(|error| match error {
        ReloadError::UnderWay => ApiError::of_status(StatusCode::CONFLICT, error.to_string()),
        ReloadError::Failed(_) => ApiError::internal(error.to_string()),
    })?;
    Ok(Json(Status { status: "ok", model: Some(app.model().name.clone()) }))
}

async fn no_such_path(method: Method, uri: axum::http::Uri) -> ApiError {
    ApiError::not_found(format!("there is no `{method} {}`", uri.path()), "unknown_url")
}

async fn wrong_method(method: Method, uri: axum::http::Uri) -> ApiError {
    ApiError::of_status(StatusCode::METHOD_NOT_ALLOWED, format!("`{}` does not take {method}", uri.path()))
}
