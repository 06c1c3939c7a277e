//! A server under load: a given one, or our own.

use super::{
    super::args::read_text,
    super::exit::{Exit, UsageError},
    super::interrupt,
    super::output::Output,
    Args, sequences,
};
use crate::bench::{
    Report, Section,
    load::{Arrivals, Endpoint, Level, LoadError, Plan, Route, notes, parse_prompts, run, synthetic_prompts, table},
};
use anyhow::Context;
use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

/// How to ask a server.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct LoadArgs {
    /// Ask a server with OpenAI's API from many sides at once, instead of measuring a model; without a URL our own, started
    /// for this
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = "", help_heading = "Load")]
    pub(super) serve: Option<String>,
    /// Clients at once
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "1,4,16", value_parser = sequences)]
    #[arg(help_heading = "Load")]
    concurrency: Vec<usize>,
    /// Requests of each level
    #[arg(long, value_name = "N", default_value = "64", value_parser = sequences, help_heading = "Load")]
    requests: usize,
    /// Requests a second at random times, instead of clients that wait for their answers
    #[arg(long, value_name = "N", conflicts_with = "concurrency", help_heading = "Load")]
    rate: Option<f64>,
    /// Prompts, one a line or as JSON lines [default: made-up texts of -p words]
    #[arg(long, value_name = "FILE", help_heading = "Load")]
    prompts: Option<PathBuf>,
    /// A file with the key of the server [default: OPENAI_API_KEY]
    #[arg(long, value_name = "FILE", help_heading = "Load")]
    api_key_file: Option<PathBuf>,
}

impl LoadArgs {
    /// The key of the server, if it has one.
    pub(super) fn key(&self) -> anyhow::Result<Option<String>> {
        match &self.api_key_file {
            Some(file) => Ok(read_text(file)?.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)),
            None => Ok(std::env::var("OPENAI_API_KEY").ok().filter(|key| !key.is_empty())),
        }
    }

    fn levels(&self) -> Vec<Level> {
        match self.rate {
            Some(per_sec) => vec![Level::Rate { per_sec, arrivals: Arrivals::Poisson }],
            None => self.concurrency.iter().map(|&n| Level::Concurrency { n }).collect(),
        }
    }
}

/// Measures and puts a section into `report`.
pub(super) fn section(args: &Args, output: &Output, report: &mut Report) -> anyhow::Result<Exit> {
    let load = &args.load;
    let own = match load.serve.as_deref() {
        None | Some("") => Some(Own::start(args)?),
        Some(_) => None,
    };
    let url = own.as_ref().map_or(load.serve.as_deref().unwrap_or_default(), |own| &own.url);
    let prompts = match &load.prompts {
        Some(file) => parse_prompts(&read_text(file)?).map_err(|error| UsageError(error.to_string()))?,
        None => synthetic_prompts(&args.n_prompt, load.requests, 0),
    };
    let plan = Plan {
        endpoint: Endpoint::new(url)?.with_key(load.key()?),
        route: Route::Completions,
        levels: load.levels(),
        n_requests: load.requests,
        prompts,
        max_tokens: args.first(&args.n_gen),
        max_in_flight: 1024,
        seed: 0,
    };
    let progress = output.progress("requests", plan.levels.len() * plan.n_requests);
    let summaries = run(&plan, &interrupt::asked, &|n| progress.set_position(n as u64));
    progress.finish_and_clear();
    let summaries = match summaries {
        Err(LoadError::Interrupted) => return Ok(Exit::Interrupted),
        summaries => summaries?,
    };
    report.sections.push(Section {
        title: format!("{url} under load: {} requests of {} tokens each level", plan.n_requests, plan.max_tokens),
        table: table(&summaries),
        records: summaries.iter().map(serde_json::to_value).collect::<Result<_, _>>()?,
        notes: notes(&summaries),
    });
    Ok(if interrupt::asked() { Exit::Interrupted } else { Exit::Done })
}

/// A server of ours, for as long as this lives.
struct Own {
    process: Child,
    url: String,
}

impl Own {
    fn start(args: &Args) -> anyhow::Result<Own> {
        let exe = std::env::current_exe().context("cannot find this program")?;
        let most = args.load.concurrency.iter().max().copied().unwrap_or(1);
        let mut command = Command::new(exe);
        command.args(["serve", "--quiet", "--port", "0", "--queue", "4096"]);
        command.arg(format!("--model={}", args.model.model)).arg(format!("--threads={}", args.thread_counts()[0]));
        command.arg(format!("--parallel={}", most.min(64))).arg(format!("--device={}", args.device));
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut url = String::new();
        let stdout = process.stdout.take().context("it was asked for above")?;
        BufReader::new(stdout).read_line(&mut url)?;
        let url = url.trim().to_owned();
        let own = Own { process, url };
        anyhow::ensure!(!own.url.is_empty(), "our own server did not start");
        Ok(own)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // Nobody has anything to lose with it any more.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
