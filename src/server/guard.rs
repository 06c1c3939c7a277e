//! What every request passes: whether it comes from where it may, with a key, and not too large, too slow or too often.

use super::{
    app::App,
    error::ApiError,
    keys::KeyHash,
    record::{Asked, Record, Watched},
};
use axum::{
    body::{Body, to_bytes},
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::{net::IpAddr, sync::Arc};

/// Names a request in logs and traces.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Paths that need no key: what balancers and people look at first. None of them tells what others ask.
pub(super) const OPEN_PATHS: [&str; 6] = ["/", "/livez", "/readyz", "/health", "/metrics", "/openapi.json"];

/// Lets a request through, and has it written down.
pub(super) async fn guard(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let id = request_id(&app, request.headers());
    let record = Arc::new(record(&app, &request, &id));
    request.extensions_mut().insert(Arc::clone(&record));
    let mut response = match admit(&app, request, &record).await {
        Ok(request) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    record.respond(response.status());
    response.headers_mut().insert(REQUEST_ID, id);
    if app.is_draining() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response.map(|body| Watched::body(body, record))
}

fn record(app: &App, request: &Request, id: &HeaderValue) -> Record {
    // The pattern and not what the client wrote: metrics must not grow with strangers' fancies.
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str);
    let asked = Asked {
        id: String::from_utf8_lossy(id.as_bytes()).into_owned(),
        method: request.method().to_string(),
        route: route.to_owned(),
        path: request.uri().path().to_owned(),
    };
    let spans = app.traces.as_ref().map(|traces| traces.request(&asked.method, route, request.headers()));
    Record::begin(asked, spans, app.settings.log_text)
}

/// The id that the client gave the request, if it looks like one, else a new one.
fn request_id(app: &App, headers: &HeaderMap) -> HeaderValue {
    const LONGEST: usize = 128;
    let given = headers
        .get(REQUEST_ID)
        .filter(|id| id.len() <= LONGEST && !id.is_empty() && id.as_bytes().iter().all(|byte| byte.is_ascii_graphic()));
    let new = || HeaderValue::from_str(&app.new_id()).unwrap_or(HeaderValue::from_static("none"));
    given.cloned().unwrap_or_else(new)
}

async fn admit(app: &App, request: Request, record: &Record) -> Result<Request, ApiError> {
    check_host(app, request.headers())?;
    check_origin(app, &request)?;
    if !OPEN_PATHS.contains(&record.route()) && !record.route().starts_with("/admin/") {
        let key = check_key(app, request.headers())?;
        app.keys.count(key).map_err(|after| ApiError::busy("too many requests with this key", after))?;
        if app.is_draining() {
            return Err(ApiError::unavailable("the server is about to end"));
        }
    }
    read_body(app, request, record).await
}

/// Refuses names that are not ours. A page of a stranger can have its name lead here, and would then be let in as if it were
/// our own; where keys are asked for it would not get in, and names count only if some are given.
fn check_host(app: &App, headers: &HeaderMap) -> Result<(), ApiError> {
    if app.keys.are_wanted() && app.settings.hosts.is_empty() {
        return Ok(());
    }
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else { return Ok(()) };
    let name = host_name(host);
    let is_ours = name == "localhost" || name.parse::<IpAddr>().is_ok() || name.is_empty();
    if is_ours || app.settings.hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    Err(ApiError::forbidden(format!("the host `{name}` is not allowed; --allow-host adds it")))
}

/// The host without its port and brackets.
fn host_name(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    }
}

/// Refuses what pages of other origins do here. They could not read the answer, but would keep the machine busy.
fn check_origin(app: &App, request: &Request) -> Result<(), ApiError> {
    let headers = request.headers();
    let Some(origin) = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()) else { return Ok(()) };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let own = origin.split_once("://").is_some_and(|(_, authority)| authority == host);
    let allowed = app.settings.origins.iter().any(|allowed| allowed == "*" || allowed == origin);
    if own || allowed || matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(());
    }
    Err(ApiError::forbidden(format!("pages of `{}` may not use this server; --cors adds them", origin.escape_debug())))
}

/// The client's key; `None` where none is wanted.
fn check_key(app: &App, headers: &HeaderMap) -> Result<Option<KeyHash>, ApiError> {
    if !app.keys.are_wanted() {
        return Ok(None);
    }
    let key = bearer(headers).ok_or_else(ApiError::unauthorized)?;
    app.keys.find(key).map(Some).ok_or_else(ApiError::unauthorized)
}

/// The key that a request brings.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// The request with all of its body read.
async fn read_body(app: &App, request: Request, record: &Record) -> Result<Request, ApiError> {
    let most = app.settings.max_body_bytes;
    let (parts, body) = request.into_parts();
    let too_large =
        || ApiError::of_status(StatusCode::PAYLOAD_TOO_LARGE, format!("the body has more than {most} bytes"));
    let says = parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if says.is_some_and(|length| length > most) {
        return Err(too_large());
    }
    let bytes = match tokio::time::timeout(app.settings.idle, to_bytes(body, most)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) if is_too_large(&error) => return Err(too_large()),
        Ok(Err(error)) => return Err(ApiError::invalid("", format!("the body cannot be read: {error}"))),
        Err(_) => return Err(ApiError::of_status(StatusCode::REQUEST_TIMEOUT, "the body took too long to arrive")),
    };
    record.question(&bytes);
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

fn is_too_large(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<http_body_util::LengthLimitError>())
}

#[cfg(test)]
mod tests {
    use super::host_name;

    #[test]
    fn a_host_has_its_port_taken_away() {
        let names = ["localhost:8080", "localhost", "[::1]:80", "127.0.0.1:1", "evil.example:80"].map(host_name);
        assert_eq!(names, ["localhost", "localhost", "::1", "127.0.0.1", "evil.example"]);
    }
}
