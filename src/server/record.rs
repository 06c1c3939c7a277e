//! What became of a request: one line in the log, one count, one trace, when its last byte is sent or its client has left.

use super::{
    metrics::{Phases, count_request},
    spans::Spans,
};
use crate::engine::{Completion, Request};
use axum::{
    body::{Body, Bytes, HttpBody},
    http::StatusCode,
};
use hyper::body::{Frame, SizeHint};
use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

/// Paths that balancers and collectors ask all the time; nobody wants a line for each.
const PROBES: [&str; 4] = ["/livez", "/readyz", "/health", "/metrics"];
/// The status of a request whose client left before there was a response, as nginx has it.
const CLIENT_LEFT: u16 = 499;

/// What a request is, from its first line.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) id: String,
    pub(super) method: String,
    /// The pattern of the path, which strangers cannot invent.
    pub(super) route: String,
    pub(super) path: String,
}

/// One of the answers to a request, as the engine has given it.
#[derive(Clone, Debug)]
pub(super) struct Answered {
    pub(super) model: Arc<str>,
    pub(super) started: Instant,
    pub(super) phases: Phases,
    pub(super) n_prompt: usize,
    /// Of the prompt, what the cache had.
    pub(super) n_reused: usize,
    pub(super) n_tokens: usize,
    pub(super) finish_reason: &'static str,
    pub(super) max_tokens: Option<usize>,
    pub(super) temperature: f32,
    pub(super) top_p: f32,
    /// Only if texts are to be logged.
    pub(super) text: Option<String>,
}

impl Answered {
    /// An answer to come.
    pub(super) fn of(model: &Arc<str>, request: &Request) -> Answered {
        Answered {
            model: Arc::clone(model),
            started: Instant::now(),
            phases: Phases::default(),
            n_prompt: request.prompt.len(),
            n_reused: 0,
            n_tokens: 0,
            finish_reason: "",
            max_tokens: request.max_tokens,
            temperature: request.sampling.temperature,
            top_p: request.sampling.top_p,
            text: None,
        }
    }

    /// The answer that has come.
    pub(super) fn done(self, phases: Phases, completion: &Completion) -> Answered {
        Answered {
            phases,
            n_reused: completion.n_reused,
            n_tokens: completion.tokens.len(),
            finish_reason: completion.finish_reason.name(),
            text: Some(completion.text.clone()),
            ..self
        }
    }
}

/// A request under way, shared by all that work on it. The last to let it go writes it down.
pub(super) struct Record {
    asked: Asked,
    started: Instant,
    /// If traces are wanted.
    spans: Option<Spans>,
    logs_text: bool,
    so_far: Mutex<SoFar>,
}

#[derive(Default)]
struct SoFar {
    status: Option<u16>,
    /// Whether the client has got all of it.
    is_sent: bool,
    /// The body of the request, if texts are to be logged.
    question: Option<String>,
    answers: Vec<Answered>,
}

impl Record {
    pub(super) fn begin(asked: Asked, spans: Option<Spans>, logs_text: bool) -> Record {
        Record { asked, started: Instant::now(), spans, logs_text, so_far: Mutex::default() }
    }

    /// The pattern of its path.
    pub(super) fn route(&self) -> &str {
        &self.asked.route
    }

    /// Takes the body of the request down, if it is to be logged.
    pub(super) fn question(&self, body: &[u8]) {
        if self.logs_text && !body.is_empty() {
            self.with(|so_far| so_far.question = Some(String::from_utf8_lossy(body).into_owned()));
        }
    }

    /// Takes an answer down.
    pub(super) fn answer(&self, mut answer: Answered) {
        answer.text = answer.text.filter(|_| self.logs_text);
        self.with(|so_far| so_far.answers.push(answer));
    }

    /// Takes the status down.
    pub(super) fn respond(&self, status: StatusCode) {
        self.with(|so_far| so_far.status = Some(status.as_u16()));
    }

    fn with(&self, change: impl FnOnce(&mut SoFar)) {
        change(&mut self.so_far.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let so_far = std::mem::take(self.so_far.get_mut().unwrap_or_else(PoisonError::into_inner));
        let status = so_far.status.unwrap_or(CLIENT_LEFT);
        count_request(&self.asked.route, status);
        let trace_id = self.spans.as_ref().and_then(Spans::trace_id);
        self.log(status, &so_far, trace_id.as_deref());
        if let Some(spans) = self.spans.take() {
            spans.end(&self.asked, status, self.started, &so_far.answers);
        }
    }
}

impl Record {
    fn log(&self, status: u16, so_far: &SoFar, trace_id: Option<&str>) {
        let Asked { id, method, route, path } = &self.asked;
        let ms = in_ms(self.started.elapsed());
        if PROBES.contains(&route.as_str()) {
            tracing::debug!(request_id = id, method, path, status, ms, "probe");
            return;
        }
        let answers = &so_far.answers;
        let sum = |of: fn(&Answered) -> usize| (!answers.is_empty()).then(|| answers.iter().map(of).sum::<usize>());
        let texts: Vec<&str> = answers.iter().filter_map(|answer| answer.text.as_deref()).collect();
        tracing::info!(
            request_id = id,
            trace_id,
            method,
            path,
            status,
            ms,
            outcome = if so_far.is_sent { "sent" } else { "client left" },
            model = answers.first().map(|answer| &*answer.model),
            finish_reason = answers.first().map(|answer| answer.finish_reason),
            prompt_tokens = sum(|answer| answer.n_prompt),
            cached_tokens = sum(|answer| answer.n_reused),
            completion_tokens = sum(|answer| answer.n_tokens),
            queue_ms = answers.first().map(|answer| in_ms(answer.phases.queue)),
            first_token_ms = answers.first().map(|answer| in_ms(answer.phases.to_first_token())),
            request = so_far.question.as_deref(),
            answer = (!texts.is_empty()).then(|| texts.join("\n")),
            "request"
        );
    }
}

/// Milliseconds to the microsecond.
fn in_ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// The body of a response, which notices whether the client gets all of it.
pub(super) struct Watched {
    body: Body,
    record: Arc<Record>,
}

impl Watched {
    pub(super) fn body(body: Body, record: Arc<Record>) -> Body {
        Body::new(Watched { body, record })
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if frame.is_none() {
            self.record.with(|so_far| so_far.is_sent = true);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // A body of known length is not asked again after its last byte.
        if self.body.is_end_stream() {
            self.record.with(|so_far| so_far.is_sent = true);
        }
    }
}
