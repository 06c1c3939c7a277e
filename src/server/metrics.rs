//! Counters and times in Prometheus' form, under the names that dashboards for vLLM read, and our own.

use crate::engine::{Completion, FinishReason, Load};
use metrics::{
    Counter, Histogram, Label, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Bounds of the histograms, in seconds; those of vLLM and finer ones below.
const SECONDS: [f64; 20] = [
    0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 60.0,
    300.0,
];
/// Bounds of the histograms of tokens.
const TOKENS: [f64; 15] =
    [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0, 20_000.0, 50_000.0];

/// How requests end, as vLLM calls it.
const REASONS: [&str; 4] = ["stop", "length", "abort", "error"];

/// Starts recording; once in a process, later ones record nowhere.
pub(super) fn recorder() -> Option<PrometheusHandle> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)
        .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_tokens".into()), &TOKENS));
    let recorder = builder.ok()?.build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).ok()?;
    describe();
    Some(handle)
}

fn describe() {
    describe_gauge!("vllm:num_requests_running", "Requests that are worked on");
    describe_gauge!("vllm:num_requests_waiting", "Requests that wait for a place");
    describe_gauge!("vllm:kv_cache_usage_perc", "Share of the cache that is in use, 0 to 1");
    describe_gauge!("vllm:gpu_cache_usage_perc", "The same under its older name");
    describe_histogram!("vllm:time_to_first_token_seconds", "From the request to its first text");
    describe_histogram!("vllm:inter_token_latency_seconds", "Between one text and the next of an answer");
    describe_histogram!("vllm:time_per_output_token_seconds", "The same under its older name");
    describe_histogram!("vllm:request_time_per_output_token_seconds", "The mean of that over an answer");
    describe_histogram!("vllm:e2e_request_latency_seconds", "From the request to the end of its answer");
    describe_histogram!("vllm:request_queue_time_seconds", "From the request to the beginning of work on it");
    describe_histogram!("vllm:request_prefill_time_seconds", "From there to the first token");
    describe_histogram!("vllm:request_decode_time_seconds", "From there to the end");
    describe_histogram!("vllm:request_inference_time_seconds", "Both together");
    describe_histogram!("vllm:request_prompt_tokens", "Tokens of a prompt");
    describe_histogram!("vllm:request_generation_tokens", "Tokens of an answer");
    describe_counter!("vllm:prompt_tokens_total", "Tokens of prompts");
    describe_counter!("vllm:generation_tokens_total", "Tokens of answers");
    describe_counter!("vllm:request_success_total", "Answers by the reason of their end");
    describe_counter!("vllm:prefix_cache_queries_total", "Tokens of prompts that were looked for in the cache");
    describe_counter!("vllm:prefix_cache_hits_total", "Tokens of prompts that the cache had already");
    describe_counter!("taper:requests_total", "HTTP requests by path and status; 499 where the client left");
    describe_gauge!("taper:cache_positions_held", "Positions of the cache that running requests hold");
    describe_gauge!(
        "taper:cache_positions_free",
        "Positions that hold nothing, not even what finished requests have left"
    );
    describe_gauge!("taper:cache_positions", "Positions of the cache");
}

/// The labels that vLLM's metrics have: of a model, and of the engine that works with it.
fn labels(model: &str) -> Vec<Label> {
    vec![Label::new("model_name", model.to_owned()), Label::from_static_parts("engine", "0")]
}

/// Tells how busy the engine is.
pub(super) fn report_load(model: &str, load: &Load) {
    let usage = load.n_held as f64 / load.n_positions.max(1) as f64;
    for (name, value) in [
        ("vllm:num_requests_running", load.n_running as f64),
        ("vllm:num_requests_waiting", load.n_waiting as f64),
        ("vllm:kv_cache_usage_perc", usage),
        ("vllm:gpu_cache_usage_perc", usage),
        ("taper:cache_positions_held", load.n_held as f64),
        ("taper:cache_positions_free", load.n_free as f64),
        ("taper:cache_positions", load.n_positions as f64),
    ] {
        gauge!(name, labels(model)).set(value);
    }
}

/// Counts a request that has been answered, in whatever way.
pub(super) fn count_request(path: &str, status: u16) {
    counter!("taper:requests_total", "path" => path.to_owned(), "status" => status.to_string()).increment(1);
}

/// The instruments of a model, made once: nothing is looked up while it works. They are there, at zero, from the start, so
/// that autoscalers have something to read.
pub(super) struct Instruments {
    first_token: Histogram,
    inter_token: [Histogram; 2],
    per_output_token: Histogram,
    end_to_end: Histogram,
    queue: Histogram,
    prefill: Histogram,
    decode: Histogram,
    inference: Histogram,
    prompt: Histogram,
    generation: Histogram,
    prompt_tokens: Counter,
    generation_tokens: Counter,
    cache_queries: Counter,
    cache_hits: Counter,
    reasons: [Counter; REASONS.len()],
}

impl Instruments {
    pub(super) fn of(model: &str) -> Instruments {
        let times = |name: &'static str| histogram!(name, labels(model));
        let count = |name: &'static str| {
            let counter = counter!(name, labels(model));
            counter.increment(0);
            counter
        };
        Instruments {
            first_token: times("vllm:time_to_first_token_seconds"),
            inter_token: [times("vllm:inter_token_latency_seconds"), times("vllm:time_per_output_token_seconds")],
            per_output_token: times("vllm:request_time_per_output_token_seconds"),
            end_to_end: times("vllm:e2e_request_latency_seconds"),
            queue: times("vllm:request_queue_time_seconds"),
            prefill: times("vllm:request_prefill_time_seconds"),
            decode: times("vllm:request_decode_time_seconds"),
            inference: times("vllm:request_inference_time_seconds"),
            prompt: times("vllm:request_prompt_tokens"),
            generation: times("vllm:request_generation_tokens"),
            prompt_tokens: count("vllm:prompt_tokens_total"),
            generation_tokens: count("vllm:generation_tokens_total"),
            cache_queries: count("vllm:prefix_cache_queries_total"),
            cache_hits: count("vllm:prefix_cache_hits_total"),
            reasons: REASONS.map(|reason| {
                let mut labels = labels(model);
                labels.push(Label::from_static_parts("finished_reason", reason));
                let counter = counter!("vllm:request_success_total", labels);
                counter.increment(0);
                counter
            }),
        }
    }
}

/// How long the parts of a request took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Phases {
    /// Until work on it began.
    pub(super) queue: Duration,
    /// From there to the first token.
    pub(super) prefill: Duration,
    /// From there to the end.
    pub(super) decode: Duration,
}

impl Phases {
    /// From the request to its first token.
    pub(super) fn to_first_token(self) -> Duration {
        self.queue + self.prefill
    }
}

/// The times of one answer.
pub(super) struct Meter {
    instruments: Arc<Instruments>,
    n_prompt: usize,
    pub(super) started: Instant,
    /// When the engine took the request.
    taken: Instant,
    last: Option<Instant>,
}

impl Meter {
    pub(super) fn start(instruments: Arc<Instruments>, n_prompt: usize) -> Meter {
        let now = Instant::now();
        Meter { instruments, n_prompt, started: now, taken: now, last: None }
    }

    /// The engine has the request.
    pub(super) fn take(&mut self) {
        self.taken = Instant::now();
    }

    /// Text has come.
    pub(super) fn text(&mut self) {
        let now = Instant::now();
        match self.last.replace(now) {
            None => self.instruments.first_token.record(now - self.started),
            Some(last) => self.instruments.inter_token.iter().for_each(|times| times.record(now - last)),
        }
    }

    /// The answer has ended.
    pub(super) fn finish(&self, completion: &Completion) -> Phases {
        let (all, n_tokens) = (&self.instruments, completion.tokens.len());
        let reason = match completion.finish_reason {
            FinishReason::Stop => "stop",
            FinishReason::Length => "length",
            FinishReason::Cancelled => "abort",
        };
        self.count(reason);
        all.prompt_tokens.increment(self.n_prompt as u64);
        all.cache_queries.increment(self.n_prompt as u64);
        all.cache_hits.increment(completion.n_reused as u64);
        all.generation_tokens.increment(n_tokens as u64);
        all.prompt.record(self.n_prompt as f64);
        all.generation.record(n_tokens as f64);
        let phases = self.phases(completion);
        all.end_to_end.record(self.started.elapsed());
        all.queue.record(phases.queue);
        all.prefill.record(phases.prefill);
        all.decode.record(phases.decode);
        all.inference.record(phases.prefill + phases.decode);
        if n_tokens > 1 {
            all.per_output_token.record(phases.decode / (n_tokens - 1) as u32);
        }
        phases
    }

    /// There is no answer.
    pub(super) fn fail(&self) {
        self.count("error");
    }

    fn count(&self, reason: &str) {
        let counters = REASONS.iter().zip(&self.instruments.reasons);
        counters.filter(|(name, _)| **name == reason).for_each(|(_, counter)| counter.increment(1));
    }

    /// The request waits for the engine to look up from a step, and then for a place.
    fn phases(&self, completion: &Completion) -> Phases {
        let times = completion.timings;
        Phases {
            queue: self.taken - self.started + times.queue,
            prefill: times.first_token.saturating_sub(times.queue),
            decode: times.generation,
        }
    }
}
