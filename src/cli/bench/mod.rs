//! `taper bench`: how fast a model runs here.

mod gate;
mod kernels;
mod load;
mod own;
mod side;
mod tests;
mod versus;

use super::{
    args::ModelArgs,
    exit::{Exit, UsageError},
    interrupt,
    output::Output,
};
use crate::{
    backend::{CacheType, Compute, DeviceChoice, default_threads},
    bench::{Format, Origin, Plan, PlotError, Report, gate::Regression, plot},
};
use anyhow::Context;
use clap::{ValueEnum, builder::PossibleValue};
use serde::Serialize;
use serde_json::Value;
use std::{fs, path::PathBuf, str::FromStr};

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Lengths of prompts to read; 0 for none
    #[arg(short = 'p', long, value_name = "N,...", value_delimiter = ',', default_value = "512", value_parser = length)]
    #[arg(help_heading = "Tests")]
    n_prompt: Vec<usize>,
    /// Numbers of tokens to generate; 0 for none
    #[arg(short, long, value_name = "N,...", value_delimiter = ',', default_value = "128", value_parser = length)]
    #[arg(help_heading = "Tests")]
    n_gen: Vec<usize>,
    /// Tokens that the cache holds before
    #[arg(short = 'd', long, value_name = "N,...", value_delimiter = ',', default_value = "0", value_parser = length)]
    #[arg(help_heading = "Tests")]
    n_depth: Vec<usize>,
    /// Sequences at once
    #[arg(short = 'b', long, value_name = "N,...", value_delimiter = ',', default_value = "1", value_parser = sequences)]
    #[arg(help_heading = "Tests")]
    batch: Vec<usize>,
    /// Threads on the CPU [default: physical cores]
    #[arg(short, long, value_name = "N,...", value_delimiter = ',', value_parser = sequences, help_heading = "Tests")]
    threads: Vec<usize>,
    /// Samples of each test, after a warm-up
    #[arg(short, long, value_name = "N", default_value = "5", value_parser = sequences, help_heading = "Tests")]
    repetitions: usize,
    /// How to write the results
    #[arg(short, long, value_name = "FORMAT", default_value = "table", help_heading = "Results")]
    output: Format,
    /// Draw throughput against depth, batch or threads, whichever has a list, as SVG
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    plot: Option<PathBuf>,
    /// Show what the machine can do beside each test
    #[arg(long, help_heading = "Results")]
    ceilings: bool,
    #[command(flatten)]
    gate: gate::GateArgs,
    /// Measure each kernel beside what the machine can do, and a matrix product beside numpy, instead of a model
    #[arg(long, help_heading = "Tests", conflicts_with_all = ["vs", "save", "baseline", "plot"])]
    kernels: bool,
    /// Do the job on standard input, for another taper that compares itself with Python
    #[arg(long, hide = true)]
    side: bool,
    /// Compare with `python`, `python=transformers` or `python=llama-cpp-python`, which do the same work, or with a server
    /// at a URL (repeatable)
    #[arg(long, value_name = "WHAT", value_parser = versus::Versus::from_str, help_heading = "Comparison")]
    vs: Vec<versus::Versus>,
    /// The Python that has the packages, also numpy for --kernels
    #[arg(long, value_name = "PATH", default_value = "python3", help_heading = "Comparison")]
    python: PathBuf,
    /// Seconds that each of them may take
    #[arg(long, value_name = "SECONDS", default_value = "900", help_heading = "Comparison")]
    vs_timeout: u64,
    #[command(flatten)]
    load: load::LoadArgs,
    #[command(flatten)]
    model: ModelArgs,
    /// Where to compute: auto, cpu, cuda, cuda:N or metal
    #[arg(long, value_name = "DEVICE", default_value = "auto", value_parser = DeviceChoice::from_str)]
    #[arg(help_heading = "Compute")]
    device: DeviceChoice,
    /// How the CPU stores keys and values: f16, f32 or q8_0, half as large as f16 [default: f16]
    #[arg(long, value_name = "TYPE", value_parser = CacheType::from_str, help_heading = "Compute")]
    cache_type: Option<CacheType>,
}

/// Measures, prints what was measured even if something went wrong on the way, and judges it.
pub(crate) fn execute(args: &Args, output: &Output) -> anyhow::Result<Exit> {
    if args.side {
        return side::execute(args, output);
    }
    interrupt::listen();
    let origin = Some(Origin::now());
    let mut report = Report { origin, with_ceilings: args.ceilings, ..Report::default() };
    let measured = if args.kernels {
        kernels::sections(args, output, &mut report).into()
    } else if args.load.serve.is_some() {
        load::section(args, output, &mut report).into()
    } else {
        args.measure(output, &mut report)?
    };
    if !report.is_empty() {
        output.answer(&args.output.render(&report).map_err(anyhow::Error::from_boxed)?)?;
    }
    if measured.is_complete {
        args.write(&report)?;
        measured.verdict?;
    }
    let exit = measured.exit?;
    if exit == Exit::Interrupted {
        output.note("interrupted: these are the results so far");
    }
    Ok(exit)
}

/// How a measurement ended.
struct Measured {
    exit: anyhow::Result<Exit>,
    /// Whether all tests were carried out, so that they can be kept and judged.
    is_complete: bool,
    verdict: Result<(), Regression>,
}

impl From<anyhow::Result<Exit>> for Measured {
    /// What has no tests.
    fn from(exit: anyhow::Result<Exit>) -> Measured {
        Measured { exit, is_complete: false, verdict: Ok(()) }
    }
}

impl ValueEnum for Format {
    fn value_variants<'a>() -> &'a [Format] {
        &[Format::Table, Format::Md, Format::Csv, Format::Json, Format::Jsonl]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (name, help) = match self {
            Format::Table => ("table", "A table for people"),
            Format::Md => ("md", "A table in Markdown"),
            Format::Csv => ("csv", "Comma-separated values with a heading"),
            Format::Json => ("json", "A JSON array with an object for each test"),
            Format::Jsonl => ("jsonl", "The same objects, each on a line of its own"),
        };
        Some(PossibleValue::new(name).help(help))
    }
}

impl Args {
    /// What to measure.
    fn plan(&self) -> Result<Plan, UsageError> {
        let plan = Plan {
            n_prompt: self.n_prompt.clone(),
            n_gen: self.n_gen.clone(),
            n_depth: self.n_depth.clone(),
            n_batch: self.batch.clone(),
            n_threads: self.thread_counts(),
            n_samples: self.repetitions,
        };
        if plan.tests().is_empty() {
            return Err(UsageError("nothing to measure: `-p` and `-n` are both 0".into()));
        }
        if self.plot.is_some() && !plan.varies() {
            return Err(UsageError(PlotError::NothingVaries.to_string()));
        }
        Ok(plan)
    }

    /// Measures a model, and compares it with whatever it is to be compared with.
    fn measure(&self, output: &Output, report: &mut Report) -> anyhow::Result<Measured> {
        let plan = self.plan()?;
        let tests = tests::Tests::open(self, &plan, output)?;
        let mut gate = self.gate.open(&plan, tests.subject())?;
        let comparisons = versus::Comparisons::of(self, tests.files())?;
        let tested = tests.run(&mut gate, output, report);
        let is_complete = matches!(tested, Ok(Exit::Done));
        let exit = if is_complete { comparisons.measure(output, report) } else { tested };
        Ok(Measured { exit, is_complete, verdict: self.gate.close(gate, report) })
    }

    /// The first of a list that is more than nothing: what comparisons are made with.
    fn first(&self, list: &[usize]) -> usize {
        list.iter().copied().find(|&n| n > 0).unwrap_or(1)
    }

    /// Writes the files that are to be written.
    fn write(&self, report: &Report) -> anyhow::Result<()> {
        if let Some(path) = &self.plot {
            fs::write(path, plot(&report.rows)?).with_context(|| format!("cannot write `{}`", path.display()))?;
        }
        self.gate.write(report)
    }

    /// Where to compute.
    fn compute(&self, n_threads: usize) -> Compute {
        Compute { device: self.device, n_threads: Some(n_threads), cache_type: self.cache_type }
    }

    /// The flags of other commands that compute there.
    fn compute_flags(&self, n_threads: usize) -> Vec<String> {
        let mut flags = vec![format!("--threads={n_threads}"), format!("--device={}", self.device)];
        flags.extend(self.cache_type.map(|kind| format!("--cache-type={kind}")));
        flags
    }

    fn thread_counts(&self) -> Vec<usize> {
        if self.threads.is_empty() { vec![default_threads()] } else { self.threads.clone() }
    }
}

/// A record with the fields of `value` after those of `record`.
fn joined(record: &Value, value: &impl Serialize) -> serde_json::Result<Value> {
    let mut joined = record.clone();
    if let (Some(fields), Value::Object(more)) = (joined.as_object_mut(), serde_json::to_value(value)?) {
        fields.extend(more);
    }
    Ok(joined)
}

/// A number of tokens.
fn length(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&n| n <= 1 << 24).ok_or_else(|| "expected whole numbers from 0 to 16777216".into())
}

/// A number of sequences, threads or samples.
fn sequences(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| (1..=4096).contains(n)).ok_or_else(|| "expected whole numbers from 1 to 4096".into())
}
