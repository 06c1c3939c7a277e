//! What came of a level: pure numbers from the samples of its requests.

use super::{Failure, Level, Percentiles, failure::Failed, stream::Answered};
use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};

/// A request that has ended.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) result: Result<Answered, Failed>,
    /// When it ended, after the start of its level.
    pub(super) ended: Duration,
}

/// Who counted the tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// The server, in its `usage`.
    Usage,
    /// The chunks of the streams were counted, which may hold several tokens each.
    Chunks,
    /// The server for some answers, chunks for the others.
    Both,
}

/// Requests that failed in one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failures {
    /// How many.
    pub n: usize,
    /// What was found the first time.
    pub example: String,
}

/// A level of a load test. Times and rates are of the requests that got a whole answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// What the level was.
    #[serde(flatten)]
    pub level: Level,
    /// Requests that ended, well or not.
    pub n_requests: usize,
    /// Requests that got a whole answer.
    pub n_answered: usize,
    /// From the start of the level to the end of its last request.
    pub seconds: f64,
    /// Whole answers per second.
    pub requests_per_sec: f64,
    /// Generated tokens per second, of all requests together.
    pub tokens_per_sec: f64,
    /// Generated tokens.
    pub n_tokens: u64,
    /// Who counted them; `None` without answers.
    pub counted: Option<Counted>,
    /// Tokens of the prompts, where the server says.
    pub n_prompt_tokens: Option<u64>,
    /// Tokens in a chunk of the stream, on average; times between tokens are between chunks. `None` without answers.
    pub tokens_per_chunk: Option<f64>,
    /// From when a request was due to its first token, in ms.
    pub first_token_ms: Option<Percentiles>,
    /// From each chunk of an answer to the next, over all answers, in ms.
    pub between_tokens_ms: Option<Percentiles>,
    /// From when a request was due to the end of its answer, in ms.
    pub end_to_end_ms: Option<Percentiles>,
    /// Requests that got no whole answer, by [`Failure`].
    pub failures: BTreeMap<String, Failures>,
    /// Whether the user wanted no more before all requests had ended.
    pub interrupted: bool,
}

impl Summary {
    pub(super) fn of(level: Level, samples: &[Sample], interrupted: bool) -> Summary {
        let answers: Vec<&Answered> = samples.iter().filter_map(|sample| sample.result.as_ref().ok()).collect();
        let seconds = samples.iter().map(|sample| sample.ended).max().unwrap_or_default().as_secs_f64();
        let per_sec = |count: f64| if seconds > 0.0 { count / seconds } else { 0.0 };
        let total = |count: fn(&Answered) -> u64| answers.iter().fold(0, |sum: u64, a| sum.saturating_add(count(a)));
        let n_tokens = total(Answered::n_tokens);
        let any = !answers.is_empty();
        let prompts: Option<Vec<u64>> = answers.iter().map(|answer| answer.usage.n_prompt).collect();
        Summary {
            level,
            n_requests: samples.len(),
            n_answered: answers.len(),
            seconds,
            requests_per_sec: per_sec(answers.len() as f64),
            tokens_per_sec: per_sec(n_tokens as f64),
            n_tokens,
            counted: any.then(|| counted(&answers)),
            n_prompt_tokens: prompts
                .filter(|_| any)
                .map(|counts| counts.iter().fold(0, |sum, n| n.saturating_add(sum))),
            tokens_per_chunk: any.then(|| n_tokens as f64 / total(Answered::n_chunks) as f64),
            first_token_ms: Percentiles::of(answers.iter().map(|answer| ms(answer.first)).collect()),
            between_tokens_ms: Percentiles::of(
                answers.iter().flat_map(|a| a.gaps.iter().map(|gap| ms(*gap))).collect(),
            ),
            end_to_end_ms: Percentiles::of(answers.iter().map(|answer| ms(answer.end)).collect()),
            failures: failures(samples),
            interrupted,
        }
    }

    /// How many requests failed so.
    pub fn n_failed(&self, kind: &Failure) -> usize {
        self.failures.get(&kind.to_string()).map_or(0, |failures| failures.n)
    }
}

pub(super) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn counted(answers: &[&Answered]) -> Counted {
    match answers.iter().filter(|answer| answer.usage.n_completion.is_some()).count() {
        0 => Counted::Chunks,
        n if n == answers.len() => Counted::Usage,
        _ => Counted::Both,
    }
}

fn failures(samples: &[Sample]) -> BTreeMap<String, Failures> {
    let mut kinds: BTreeMap<String, Failures> = BTreeMap::new();
    for failed in samples.iter().filter_map(|sample| sample.result.as_ref().err()) {
        let first = || Failures { n: 0, example: failed.found.clone() };
        kinds.entry(failed.kind.to_string()).or_insert_with(first).n += 1;
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::{Answered, Counted, Failed, Failure, Level, Percentiles, Sample, Summary};
    use crate::bench::load::stream::Usage;
    use std::time::Duration;

    const LEVEL: Level = Level::Concurrency { n: 2 };

    /// Answer number `i` of 11: its first token after i·100 ms, then two more, 10 ms apart.
    fn sample(i: u64) -> Sample {
        let first = Duration::from_millis(i * 100);
        let gaps = vec![Duration::from_millis(10); 2];
        let usage = Usage { n_prompt: Some(4), n_completion: Some(6) };
        let end = first + Duration::from_millis(30);
        Sample { result: Ok(Answered { first, end, gaps, usage }), ended: Duration::from_secs(i + 1) }
    }

    fn close(found: Option<Percentiles>, expected: [f64; 3]) -> bool {
        found.is_some_and(|p| [p.p50, p.p90, p.p99].iter().zip(expected).all(|(p, e)| (p - e).abs() < 1e-9))
    }

    #[test]
    fn rates_and_percentiles_are_those_of_the_answers() {
        let samples: Vec<Sample> = (0..11).map(sample).collect();
        let summary = Summary::of(LEVEL, &samples, false);
        assert_eq!((summary.requests_per_sec, summary.tokens_per_sec), (1.0, 6.0));
        assert_eq!((summary.n_tokens, summary.n_prompt_tokens, summary.tokens_per_chunk), (66, Some(44), Some(2.0)));
        assert_eq!(summary.counted, Some(Counted::Usage));
        assert!(close(summary.first_token_ms, [500.0, 900.0, 990.0]), "{summary:?}");
        assert!(close(summary.between_tokens_ms, [10.0; 3]), "{summary:?}");
        assert!(close(summary.end_to_end_ms, [530.0, 930.0, 1020.0]), "{summary:?}");
    }

    #[test]
    fn failures_are_counted_by_kind_and_take_time_but_give_no_rate() {
        let failed =
            |kind, found: &str| Sample { result: Err(Failed::new(kind, found)), ended: Duration::from_secs(4) };
        let samples = [
            sample(0),
            failed(Failure::Status(503), "busy"),
            failed(Failure::Status(503), "still busy"),
            failed(Failure::Timeout, "late"),
        ];
        let summary = Summary::of(LEVEL, &samples, false);
        assert_eq!((summary.n_requests, summary.n_answered, summary.requests_per_sec), (4, 1, 0.25));
        assert_eq!((summary.n_failed(&Failure::Status(503)), summary.n_failed(&Failure::Timeout)), (2, 1));
        assert_eq!(summary.failures["status 503"].example, "busy");
    }

    #[test]
    fn nothing_answered_has_no_percentiles() {
        let summary = Summary::of(LEVEL, &[], true);
        assert_eq!((summary.first_token_ms, summary.counted, summary.tokens_per_sec), (None, None, 0.0));
    }

    #[test]
    fn it_says_when_the_server_counts_only_some() {
        let mut samples = [sample(0), sample(1)];
        samples[1].result.as_mut().unwrap().usage = Usage::default();
        let summary = Summary::of(LEVEL, &samples, false);
        assert_eq!((summary.counted, summary.n_tokens, summary.n_prompt_tokens), (Some(Counted::Both), 9, None));
    }
}
