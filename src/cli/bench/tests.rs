//! The tests of a model.

use super::{super::exit::Exit, super::interrupt, super::output::Output, Args};
use crate::{
    TokenId,
    bench::{
        Ceilings, Clock, Loaded, Origin, Plan, Report, Row, SHORT_PROMPT, Subject, Test, Traffic, Wall, Watch,
        first_token, gate::Gate, run, sha256, stats, threads,
    },
    engine::{ModelFiles, OpenError},
    kernels::{Isa, Probe},
    text::{Special, TokenKind, Tokenizer},
};
use indicatif::ProgressBar;
use std::{path::Path, sync::Arc, time::Instant};

/// Fresh processes that are timed up to their first token.
const N_FIRST_TOKENS: usize = 3;

/// Bytes of weights that a measurement of the bandwidth reads at most: more than caches hold, and read in a moment.
const CEILING_BYTES: usize = 512 << 20;

/// What the time of a token's tokenization is measured on.
const TEXT: &str = include_str!("../../../README.md");

/// An opened model and what is to be measured of it.
pub(super) struct Tests<'a> {
    args: &'a Args,
    plan: &'a Plan,
    files: ModelFiles,
    traffic: Traffic,
    /// `None` where the model has none that can be used: any token will do then.
    tokenizer: Option<Arc<Tokenizer>>,
    subject: Subject,
}

impl<'a> Tests<'a> {
    /// Opens the model.
    pub(super) fn open(args: &'a Args, plan: &'a Plan, output: &Output) -> anyhow::Result<Tests<'a>> {
        let files = args.model.open(output)?;
        let traffic = Traffic::of(files.source(), args.cache_type.unwrap_or_default()).map_err(OpenError::from)?;
        let tokenizer = files.tokenizer().ok();
        let subject = subject(&files, &traffic);
        Ok(Tests { args, plan, files, traffic, tokenizer, subject })
    }

    /// The opened model.
    pub(super) fn files(&self) -> &ModelFiles {
        &self.files
    }

    /// The model, without its hash.
    pub(super) fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Carries out the tests and puts their rows into `report`, as far as they get.
    pub(super) fn run(&self, gate: &mut Option<Gate>, output: &Output, report: &mut Report) -> anyhow::Result<Exit> {
        let tests = self.plan.tests();
        let n_ctx = tests.iter().map(Test::n_ctx).max().unwrap_or(0);
        let longest = tests.iter().map(Test::longest).max().unwrap_or(0);
        if longest > self.traffic.n_ctx_train() {
            let n = self.traffic.n_ctx_train();
            report.notes.push(format!("sequences of {longest} tokens, but the model was trained for {n}"));
        }
        let progress = output.progress("", tests.len() * self.plan.n_samples);
        let clock = Wall::new();
        let weights = self.weights();
        let mut watch = Watch {
            clock: &clock,
            stop: &interrupt::asked,
            more: &mut |measured| gate.as_mut().is_some_and(|gate| gate.wants_more(measured, clock.now())),
            progress: &mut |test, sample| tell(&progress, test, sample),
            ceilings: &|n_threads| ceilings(&weights, n_threads),
        };
        let mut done = Vec::new();
        let result = run(self.plan, &mut |n_threads| self.load(n_threads, n_ctx), &mut watch, &mut done);
        progress.finish_and_clear();
        let origin = report.origin.clone().unwrap_or_else(Origin::now);
        report.rows = done.iter().map(|measured| Row::new(measured, &self.traffic, &origin, &self.subject)).collect();
        if let Some(gate) = gate {
            for (row, measured) in report.rows.iter_mut().zip(&done) {
                row.baseline = gate.compare(measured);
            }
        }
        if result?.is_break() {
            return Ok(Exit::Interrupted);
        }
        self.around(report);
        Ok(if interrupt::asked() { Exit::Interrupted } else { Exit::Done })
    }

    fn load(&self, n_threads: usize, n_ctx: usize) -> Result<Loaded, OpenError> {
        let start = Instant::now();
        let model = self.files.source().load(self.args.compute(n_threads), n_ctx)?;
        let load = start.elapsed();
        Ok(Loaded { tokens: ordinary_tokens(self.tokenizer.as_deref(), model.n_vocab()), model, load })
    }

    /// Measures what is not part of the tests: the first token of fresh processes, and tokenization; then the hash, when
    /// nothing is measured any more.
    fn around(&self, report: &mut Report) {
        let model = self.files.path().map_or("demo".into(), |path| path.to_string_lossy());
        for rows in report.rows.chunk_by_mut(|a, b| a.n_threads == b.n_threads) {
            if interrupt::asked() {
                return;
            }
            let flags = self.args.compute_flags(rows[0].n_threads);
            let exe = std::env::current_exe();
            let times = exe
                .and_then(|exe| (0..N_FIRST_TOKENS).map(|_| first_token(&exe, &model, SHORT_PROMPT, &flags)).collect());
            match times.map(|times: Vec<_>| times.iter().map(|time| time.as_secs_f64() * 1e3).collect::<Vec<f64>>()) {
                Ok(ms) => rows.iter_mut().for_each(|row| row.first_token_from_exec_ms = Some(stats::median(&ms))),
                Err(error) => report.notes.push(format!("no time to the first token of a fresh process: {error}")),
            }
        }
        let us_per_token = self.tokenizer.as_deref().and_then(tokenization);
        let sha256 = sha256(self.files.source(), &interrupt::asked);
        for row in &mut report.rows {
            row.tokenization_us_per_token = us_per_token;
            row.subject.model_sha256.clone_from(&sha256);
        }
    }

    /// As much of the weights as a measurement of the bandwidth reads.
    fn weights(&self) -> Vec<&[u8]> {
        let mut left = CEILING_BYTES;
        let mut taken = Vec::new();
        for part in self.traffic.weights() {
            let part = &part[..part.len().min(left)];
            left -= part.len();
            taken.push(part);
        }
        taken
    }
}

/// Shows which sample of which test is about to be taken.
fn tell(progress: &ProgressBar, test: &Test, sample: usize) {
    match sample {
        0 => progress.set_message(format!("{test}, {}, warm-up", threads(test.n_threads))),
        1 => progress.set_message(format!("{test}, {}", threads(test.n_threads))),
        _ => {}
    }
    progress.inc(u64::from(sample > 0));
}

/// The model, without its hash.
pub(super) fn subject(files: &ModelFiles, traffic: &Traffic) -> Subject {
    let name = files.path().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let quantization = files.quantization().map(|name| format!(" {name}")).unwrap_or_default();
    Subject {
        model_filename: name.unwrap_or_else(|| files.reference().to_owned()),
        model_type: format!("{}{quantization}", traffic.architecture()),
        model_size: traffic.model_bytes(),
        model_n_params: traffic.n_params(),
        model_sha256: None,
    }
}

/// Tokens that stand for text; all where there is no tokenizer.
fn ordinary_tokens(tokenizer: Option<&Tokenizer>, n_vocab: usize) -> Vec<TokenId> {
    let all = (0..n_vocab).filter_map(|id| TokenId::try_from(id).ok());
    let is_text = |id: &TokenId| tokenizer.is_some_and(|tokenizer| tokenizer.kind(*id) == Some(TokenKind::Normal));
    let ordinary: Vec<TokenId> = all.clone().filter(is_text).collect();
    if ordinary.is_empty() { all.collect() } else { ordinary }
}

/// Microseconds that a token of a text takes.
fn tokenization(tokenizer: &Tokenizer) -> Option<f64> {
    // The first time builds what is built lazily.
    tokenizer.encode(TEXT, Special::AsText).ok()?;
    let start = Instant::now();
    let n = tokenizer.encode(TEXT, Special::AsText).ok()?.len();
    Some(start.elapsed().as_secs_f64() * 1e6 / n.max(1) as f64)
}

/// What the machine can do now; `None` if it gives no threads.
fn ceilings(weights: &[&[u8]], n_threads: usize) -> Option<Ceilings> {
    let mut probe = Probe::new(n_threads).ok()?;
    Some(Ceilings {
        read_bytes_per_sec: probe.read_bytes_per_sec(weights),
        int8_operations_per_sec: probe.int8_operations_per_sec(Isa::detect()),
    })
}
