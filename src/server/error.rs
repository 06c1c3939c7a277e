//! What goes wrong with a request, as OpenAI's API reports it.

use crate::engine::{EngineError, GrammarError, OpenError};
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;
use std::time::Duration;

/// An error as it goes over the wire.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub(super) struct ErrorAnswer {
    error: ErrorBody,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
struct ErrorBody {
    message: String,
    /// OpenAI's class of the error.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The field of the request that is wrong.
    param: Option<String>,
    code: Option<&'static str>,
}

/// A request that is not answered.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    /// OpenAI's class of the error.
    kind: &'static str,
    message: String,
    /// The field of the request that is wrong.
    param: Option<String>,
    code: Option<&'static str>,
    retry_after: Option<Duration>,
}

impl ApiError {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> ApiError {
        ApiError { status, kind, message: message.into(), param: None, code: None, retry_after: None }
    }

    /// The field `param` of the request is wrong.
    pub(super) fn invalid(param: &str, message: impl Into<String>) -> ApiError {
        let param = (!param.is_empty()).then(|| param.to_owned());
        ApiError { param, ..ApiError::new(StatusCode::BAD_REQUEST, "invalid_request_error", message) }
    }

    /// The request asks for what is not there.
    pub(super) fn not_found(message: impl Into<String>, code: &'static str) -> ApiError {
        let error = ApiError::new(StatusCode::NOT_FOUND, "invalid_request_error", message);
        ApiError { code: Some(code), ..error }
    }

    /// The request names a model that is not there.
    pub(super) fn no_model(message: impl Into<String>) -> ApiError {
        ApiError { param: Some("model".into()), ..ApiError::not_found(message, "model_not_found") }
    }

    /// There is no key, or a wrong one.
    pub(super) fn unauthorized() -> ApiError {
        let error = ApiError::new(StatusCode::UNAUTHORIZED, "invalid_request_error", "no API key that is known");
        ApiError { code: Some("invalid_api_key"), ..error }
    }

    /// The client may not do this, whatever its key.
    pub(super) fn forbidden(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::FORBIDDEN, "invalid_request_error", message)
    }

    /// There is no room for the request now, but there will be.
    pub(super) fn busy(message: impl Into<String>, retry_after: Duration) -> ApiError {
        let error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", message);
        ApiError { code: Some("rate_limit_exceeded"), retry_after: Some(retry_after), ..error }
    }

    /// The server does not take requests now.
    pub(super) fn unavailable(message: impl Into<String>) -> ApiError {
        let error = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", message);
        ApiError { retry_after: Some(Duration::from_secs(1)), ..error }
    }

    /// The engine has refused or lost a request whose prompt is the field `prompt`.
    pub(super) fn of_engine(error: EngineError, prompt: &str) -> ApiError {
        let message = first_line(&error);
        match error {
            EngineError::EmptyPrompt => ApiError::invalid(prompt, message),
            EngineError::PromptTooLong { .. } => {
                ApiError { code: Some("context_length_exceeded"), ..ApiError::invalid(prompt, message) }
            }
            // It leads where nothing can follow, or costs too much.
            EngineError::Grammar(_) => ApiError::invalid("", message),
            EngineError::NotANumber | EngineError::Lost(_) | EngineError::Model(_) => ApiError::internal(message),
        }
    }

    /// The field `param` has a grammar that cannot be used.
    pub(super) fn of_grammar(error: &GrammarError, param: &str) -> ApiError {
        ApiError::invalid(param, first_line(error))
    }

    /// The server failed.
    pub(super) fn internal(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", message)
    }

    /// The request failed with a status that a layer below has chosen.
    pub(super) fn of_status(status: StatusCode, message: impl Into<String>) -> ApiError {
        let kind = if status.is_server_error() { "server_error" } else { "invalid_request_error" };
        ApiError::new(status, kind, message)
    }

    /// As it goes over the wire.
    pub(super) fn to_answer(&self) -> ErrorAnswer {
        let (message, kind, param, code) = (self.message.clone(), self.kind, self.param.clone(), self.code);
        ErrorAnswer { error: ErrorBody { message, kind, param, code } }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.to_answer())).into_response();
        if let Some(after) = self.retry_after {
            let seconds = HeaderValue::from(after.as_secs().max(1));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}

impl From<OpenError> for ApiError {
    fn from(error: OpenError) -> ApiError {
        // A prompt is made of what the client sent: what fails is that.
        ApiError::invalid("messages", first_line(&error))
    }
}

/// The error without the hint, which speaks of flags.
fn first_line(error: &impl ToString) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
