//! A test as reports have it: one flat record with all that it takes to repeat it.

use super::{Measured, Origin, Test, Traffic, Work, gate::Comparison, stats};
use crate::backend::CacheType;
use serde::Serialize;

/// Confidence of the intervals in reports.
const CONFIDENCE: f64 = 0.95;

/// The model that was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Subject {
    /// Its file, as it was asked for.
    pub model_filename: String,
    /// Architecture and quantization.
    pub model_type: String,
    /// Bytes of its tensors.
    pub model_size: usize,
    /// Numbers that it has learned.
    pub model_n_params: usize,
    /// Of its files one after the other; `None` if it was not computed.
    pub model_sha256: Option<String>,
}

/// One test. Where llama-bench has the same thing the name is llama-bench's.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What measured it.
    #[serde(flatten)]
    pub origin: Origin,
    /// What computed: `CPU`, `CUDA`, `Metal`.
    pub backends: String,
    /// The device.
    pub device: String,
    /// The instruction set that the kernels used.
    pub isa: Option<&'static str>,
    /// How keys are stored.
    pub type_k: String,
    /// How values are stored.
    pub type_v: String,
    /// The model.
    #[serde(flatten)]
    pub subject: Subject,
    /// The name of the test.
    pub test: String,
    /// Tokens of the prompt of each sequence; 0 in a generation.
    pub n_prompt: usize,
    /// Tokens generated in each sequence; 0 for a prompt.
    pub n_gen: usize,
    /// Tokens that each sequence had in the cache before.
    pub n_depth: usize,
    /// Sequences at once.
    pub n_batch: usize,
    /// Threads.
    pub n_threads: usize,
    /// Mean time of a repetition.
    pub avg_ns: f64,
    /// Its standard deviation.
    pub stddev_ns: f64,
    /// Mean of the tokens per second.
    pub avg_ts: f64,
    /// Their standard deviation.
    pub stddev_ts: f64,
    /// Their median.
    pub median_ts: f64,
    /// Where the 95 % interval of the median begins; `None` of a single sample.
    pub median_ts_low: Option<f64>,
    /// Where it ends.
    pub median_ts_high: Option<f64>,
    /// Time of each repetition.
    pub samples_ns: Vec<u64>,
    /// Tokens per second of each repetition.
    pub samples_ts: Vec<f64>,
    /// The places of samples that are unlike the others, from 0.
    pub outliers: Vec<usize>,
    /// Loading the model, when its file is in the page cache.
    pub load_ms: f64,
    /// From the start of a fresh process to its first token; `None` if not measured.
    pub first_token_from_exec_ms: Option<f64>,
    /// The most memory that the process had during the test.
    pub peak_rss_bytes: Option<u64>,
    /// Bytes that a token has to read.
    pub bytes_per_token: Option<f64>,
    /// Multiplications and additions that a token takes.
    pub operations_per_token: f64,
    /// What plain reading of the same memory with as many threads took in around each sample.
    pub read_bytes_per_sec: Vec<f64>,
    /// What 8-bit integer products in registers did around each sample.
    pub int8_operations_per_sec: Vec<f64>,
    /// What was read of what plain reading takes in, as a share.
    pub bandwidth_fraction: Option<f64>,
    /// What was computed of what 8-bit integer products do, as a share; attention, which is in floats, counts as well.
    pub compute_fraction: Option<f64>,
    /// Energy of the processor for a token.
    pub joules_per_token: Option<f64>,
    /// Choosing a token, which is not part of the throughput.
    pub sampling_us_per_token: Option<f64>,
    /// Turning text into a token, which is not part of the throughput; `None` if the model has no tokenizer.
    pub tokenization_us_per_token: Option<f64>,
    /// How it compares with an earlier report, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Comparison>,
}

impl Row {
    /// The record of what was measured.
    pub fn new(measured: &Measured, traffic: &Traffic, origin: &Origin, subject: &Subject) -> Row {
        let test = measured.test;
        let speeds = speeds(measured);
        let seconds: Vec<f64> = measured.samples.iter().map(|sample| sample.forward.as_secs_f64()).collect();
        let interval = stats::median_interval(&speeds, CONFIDENCE);
        let (n_prompt, n_gen) = match test.work {
            Work::Prompt(n) => (n, 0),
            Work::Generation(n) => (0, n),
        };
        let bytes_per_token = traffic.bytes_per_token(&test);
        let operations_per_token = traffic.operations_per_token(&test);
        let read: Vec<f64> = measured.ceilings.iter().map(|ceilings| ceilings.read_bytes_per_sec).collect();
        let int8: Vec<f64> = measured.ceilings.iter().map(|ceilings| ceilings.int8_operations_per_sec).collect();
        let n_sampled = (test.n_tokens() * measured.samples.len()) as f64;
        let sampling: f64 = measured.samples.iter().map(|sample| sample.sampling.as_secs_f64()).sum();
        // Other devices store floats.
        let on_cpu = measured.device.device == "cpu";
        let cache_type = if on_cpu { traffic.cache_type() } else { CacheType::F32 }.to_string();
        Row {
            origin: origin.clone(),
            backends: backend(&measured.device.device),
            device: measured.device.device.clone(),
            isa: measured.device.isa,
            type_k: cache_type.clone(),
            type_v: cache_type,
            subject: subject.clone(),
            test: test.to_string(),
            n_prompt,
            n_gen,
            n_depth: test.n_depth,
            n_batch: test.n_batch,
            n_threads: test.n_threads,
            avg_ns: stats::mean(&seconds) * 1e9,
            stddev_ns: stats::standard_deviation(&seconds) * 1e9,
            avg_ts: stats::mean(&speeds),
            stddev_ts: stats::standard_deviation(&speeds),
            median_ts: stats::median(&speeds),
            median_ts_low: interval.map(|interval| interval.low),
            median_ts_high: interval.map(|interval| interval.high),
            samples_ns: measured.samples.iter().map(|sample| sample.forward.as_nanos() as u64).collect(),
            outliers: stats::outliers(&speeds),
            load_ms: measured.load.as_secs_f64() * 1e3,
            first_token_from_exec_ms: None,
            peak_rss_bytes: measured.peak_rss_bytes,
            bytes_per_token,
            operations_per_token,
            bandwidth_fraction: bytes_per_token.and_then(|bytes| fraction(&speeds, bytes, &read)),
            compute_fraction: fraction(&speeds, operations_per_token, &int8),
            read_bytes_per_sec: read,
            int8_operations_per_sec: int8,
            joules_per_token: measured.joules.map(|joules| joules / n_sampled),
            sampling_us_per_token: (n_gen > 0).then(|| sampling / n_sampled * 1e6),
            tokenization_us_per_token: None,
            samples_ts: speeds,
            baseline: None,
        }
    }
}

/// Tokens per second of each repetition.
pub(super) fn speeds(measured: &Measured) -> Vec<f64> {
    let n = measured.test.n_tokens() as f64;
    // A clock may be too coarse for a tiny model.
    measured.samples.iter().map(|sample| n / sample.forward.as_secs_f64().max(1e-9)).collect()
}

/// The median share that `speeds`, at `per_token` each, have of the ceilings beside them.
fn fraction(speeds: &[f64], per_token: f64, ceilings: &[f64]) -> Option<f64> {
    let shares: Vec<f64> = speeds.iter().zip(ceilings).map(|(speed, ceiling)| speed * per_token / ceiling).collect();
    (!shares.is_empty()).then(|| stats::median(&shares))
}

fn backend(device: &str) -> String {
    match device.split(':').next() {
        Some("cuda") => "CUDA".into(),
        Some("metal") => "Metal".into(),
        _ => "CPU".into(),
    }
}

impl From<&Row> for Test {
    fn from(row: &Row) -> Test {
        let work = if row.n_prompt > 0 { Work::Prompt(row.n_prompt) } else { Work::Generation(row.n_gen) };
        Test { work, n_depth: row.n_depth, n_batch: row.n_batch, n_threads: row.n_threads }
    }
}
