//! Answers as server-sent events, as they come.

use super::{
    choice::Choice,
    error::ApiError,
    wire::{Answer, Ids, Usage},
    worker::{Update, Updates},
};
use axum::{
    http::{HeaderName, HeaderValue, header},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::{StreamExt, stream};
use std::time::Duration;

/// Tells proxies such as nginx not to collect a response before they pass it on.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

struct Streaming {
    ids: Ids,
    choices: Vec<(Choice, bool)>,
    updates: Updates,
    usage: Usage,
    includes_usage: bool,
}

/// The response to a request for a stream. When the client leaves, it is dropped, and the work stops.
pub(super) fn stream(
    ids: Ids,
    choices: Vec<Choice>,
    updates: Updates,
    includes_usage: bool,
    ping: Duration,
) -> Response {
    let choices = choices.into_iter().map(|choice| (choice, true)).collect();
    let streaming = Streaming { ids, choices, updates, usage: Usage::default(), includes_usage };
    let events = stream::unfold(Some(streaming), |streaming| async {
        let mut streaming = streaming?;
        let Some((index, update)) = streaming.updates.recv().await else {
            return Some((stream::iter(streaming.end()), None));
        };
        Some(match streaming.hear(index, update) {
            Ok(events) => (stream::iter(events), Some(streaming)),
            Err(error) => (stream::iter(vec![Event::default().json_data(error.to_answer())]), None),
        })
    });
    let keep_alive = KeepAlive::new().interval(ping).text("ping");
    let mut response = Sse::new(events.flatten()).keep_alive(keep_alive).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response.headers_mut().insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}

type Events = Vec<Result<Event, axum::Error>>;

impl Streaming {
    fn hear(&mut self, index: usize, update: Update) -> Result<Events, ApiError> {
        let (choice, is_first) = &mut self.choices[index];
        if let Update::Done(completion) = &update {
            self.usage.add(completion, choice.is_first_of_prompt);
        }
        let heard = choice.hear(update).map_err(|error| choice.refusal(error, self.ids.kind));
        let Some(piece) = heard? else { return Ok(Vec::new()) };
        let is_first = std::mem::take(is_first);
        Ok(vec![data(self.ids.chunk(index, piece, is_first, self.includes_usage))])
    }

    fn end(&self) -> Events {
        let usage = self.includes_usage.then(|| data(self.ids.usage_chunk(self.usage)));
        usage.into_iter().chain([Ok(Event::default().data("[DONE]"))]).collect()
    }
}

fn data(answer: Answer) -> Result<Event, axum::Error> {
    Event::default().json_data(answer)
}
