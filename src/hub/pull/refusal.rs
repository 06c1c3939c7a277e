//! What the Hub means when it refuses.

use super::client::{Answer, Client, shown};
use super::error::PullError;
use super::retry::Failure;
use crate::hub::error::quote;
use ureq::http::StatusCode;

/// What was asked for.
pub(super) struct Asked<'a> {
    pub(super) repo: &'a str,
    pub(super) revision: &'a str,
    /// `None` for the listing.
    pub(super) file: Option<&'a str>,
}

/// Passes a success on.
///
/// Source: the headers that `huggingface_hub.utils.hf_raise_for_status` reads.
pub(super) fn accept(client: &Client, answer: Answer, asked: &Asked<'_>) -> Result<Answer, Failure> {
    if answer.status.is_success() {
        return Ok(answer);
    }
    // A mirror may redirect to the Hub itself, whose refusals have a code.
    if !client.is_endpoint(&answer.uri) && answer.header("x-error-code").is_none() {
        return Err(of_elsewhere(&answer));
    }
    let repo = asked.repo.to_owned();
    let (code, anonymous) = (answer.header("x-error-code").unwrap_or_default(), client.is_anonymous());
    let no_repository = || PullError::NoRepository { repo: repo.clone(), host: client.host().into(), anonymous };
    Err(Failure::Final(match (answer.status, code) {
        (_, "GatedRepo") | (StatusCode::FORBIDDEN | StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS, _) => {
            denied(client, &answer, asked)
        }
        (StatusCode::UNAUTHORIZED, _) if anonymous => no_repository(),
        (StatusCode::UNAUTHORIZED, _) => denied(client, &answer, asked),
        (_, "RevisionNotFound") => PullError::NoRevision { repo, revision: asked.revision.into() },
        (StatusCode::NOT_FOUND, code) => match asked.file {
            Some(name) if code != "RepoNotFound" => PullError::NoFile { repo, name: name.into() },
            _ => no_repository(),
        },
        _ => return Err(answer.failure()),
    }))
}

fn denied(client: &Client, answer: &Answer, asked: &Asked<'_>) -> PullError {
    let page = client.address(&format!("/{}", asked.repo)).map(|page| page.to_string()).unwrap_or_default();
    let said = answer.header("x-error-message").map(|text| format!("{} says {}", client.host(), quote(text)));
    let gated = answer.header("x-error-code") == Some("GatedRepo");
    let reason = said.unwrap_or_else(|| format!("{} answers {}", client.host(), answer.status));
    let hint = match (gated, client.is_anonymous()) {
        (true, true) => format!("ask for access at {page}, then set HF_TOKEN to a token of yours"),
        (true, false) => format!("ask for access at {page} with the account of your token"),
        (false, true) => format!("see {page}, and set HF_TOKEN to a token of yours"),
        (false, false) => format!("check the token, and whether its account may see {page}"),
    };
    PullError::Denied { repo: asked.repo.into(), reason, hint }
}

/// Storage refuses addresses that the Hub has signed when their time is over; a new one may do.
fn of_elsewhere(answer: &Answer) -> Failure {
    match answer.status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::GONE => {
            Failure::again(format!("{} answers {}", shown(&answer.uri), answer.status))
        }
        _ => answer.failure(),
    }
}
