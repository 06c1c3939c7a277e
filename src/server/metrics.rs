//! Counters and times in Prometheus' form, under the names that dashboards for vLLM read, and our own.

use crate::engine::{Completion, FinishReason, Load};
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::time::Instant;

/// Bounds of the histograms, in seconds; those of vLLM and finer ones below.
const SECONDS: [f64; 20] = [
    0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 60.0,
    300.0,
];

/// Starts recording; once in a process, later ones record nowhere.
pub(super) fn recorder() -> Option<PrometheusHandle> {
    let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS).ok()?;
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).ok()?;
    describe();
    Some(handle)
}

fn describe() {
    describe_gauge!("vllm:num_requests_running", "Requests that are worked on");
    describe_gauge!("vllm:num_requests_waiting", "Requests that wait for a place");
    describe_gauge!("vllm:kv_cache_usage_perc", "Share of the cache that is in use, 0 to 1");
    describe_histogram!("vllm:time_to_first_token_seconds", "From the request to its first text");
    describe_histogram!("vllm:time_per_output_token_seconds", "Between one text and the next of an answer");
    describe_histogram!("vllm:e2e_request_latency_seconds", "From the request to the end of its answer");
    describe_counter!("vllm:prompt_tokens_total", "Tokens of prompts");
    describe_counter!("vllm:generation_tokens_total", "Tokens of answers");
    describe_counter!("vllm:request_success_total", "Answers by the reason of their end");
    describe_counter!("taper:prompt_tokens_reused_total", "Tokens of prompts that the cache had already");
    describe_counter!("taper:requests_total", "HTTP requests by path and status");
    describe_gauge!("taper:cache_positions_held", "Positions of the cache that running requests hold");
    describe_gauge!("taper:cache_positions", "Positions of the cache");
}

/// Tells how busy the engine is.
pub(super) fn report_load(load: &Load) {
    gauge!("vllm:num_requests_running").set(load.n_running as f64);
    gauge!("vllm:num_requests_waiting").set(load.n_waiting as f64);
    gauge!("vllm:kv_cache_usage_perc").set(load.n_held as f64 / load.n_positions.max(1) as f64);
    gauge!("taper:cache_positions_held").set(load.n_held as f64);
    gauge!("taper:cache_positions").set(load.n_positions as f64);
}

/// Counts a request that has been answered, in whatever way.
pub(super) fn count_request(path: &str, status: u16) {
    counter!("taper:requests_total", "path" => path.to_owned(), "status" => status.to_string()).increment(1);
}

/// The times of one request.
pub(super) struct Meter {
    n_prompt: usize,
    started: Instant,
    last: Option<Instant>,
}

impl Meter {
    pub(super) fn start(n_prompt: usize) -> Meter {
        Meter { n_prompt, started: Instant::now(), last: None }
    }

    /// Text has come.
    pub(super) fn text(&mut self) {
        let now = Instant::now();
        match self.last.replace(now) {
            None => histogram!("vllm:time_to_first_token_seconds").record(now - self.started),
            Some(last) => histogram!("vllm:time_per_output_token_seconds").record(now - last),
        }
    }

    /// The answer has ended.
    pub(super) fn finish(&self, completion: &Completion) {
        let reason = match completion.finish_reason {
            FinishReason::Stop => "stop",
            FinishReason::Length => "length",
            FinishReason::Cancelled => "abort",
        };
        counter!("vllm:request_success_total", "finished_reason" => reason).increment(1);
        counter!("vllm:prompt_tokens_total").increment(self.n_prompt as u64);
        counter!("taper:prompt_tokens_reused_total").increment(completion.n_reused as u64);
        counter!("vllm:generation_tokens_total").increment(completion.tokens.len() as u64);
        histogram!("vllm:e2e_request_latency_seconds").record(self.started.elapsed());
    }
}
