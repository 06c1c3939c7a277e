//! A server under load: a given one, or our own.

use super::{
    super::args::read_text,
    super::exit::{Exit, UsageError},
    super::interrupt,
    super::output::Output,
    Args, joined,
    own::Own,
    sequences,
};
use crate::{
    bench::{
        Report, Section, Subject,
        load::{
            Arrivals, Endpoint, Level, LoadError, Outcome, Plan, Prompt, Route, Wish, notes, parse_prompts, run,
            synthetic_prompts, table,
        },
        sha256, threads,
    },
    kernels::Isa,
};
use clap::{ValueEnum, builder::PossibleValue};
use serde_json::json;
use std::{path::PathBuf, time::SystemTime};

/// How to ask a server.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct LoadArgs {
    /// Ask a server with OpenAI's API from many sides at once, instead of measuring a model; without a URL our own, started
    /// for this
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = "", help_heading = "Load")]
    #[arg(conflicts_with_all = ["kernels", "vs", "save", "baseline", "plot", "ceilings"])]
    pub(super) serve: Option<String>,
    /// Clients at once
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "1,4,16", value_parser = sequences)]
    #[arg(help_heading = "Load")]
    concurrency: Vec<usize>,
    /// Requests of each level
    #[arg(long, value_name = "N", default_value = "64", value_parser = sequences, help_heading = "Load")]
    requests: usize,
    /// Requests a second at random times, instead of clients that wait for their answers
    #[arg(long, value_name = "N,...", value_delimiter = ',', conflicts_with = "concurrency", help_heading = "Load")]
    rate: Vec<f64>,
    /// Prompts, one a line or as JSON lines with `prompt` or `messages` [default: made-up texts of -p words]
    #[arg(long, value_name = "FILE", help_heading = "Load")]
    prompts: Option<PathBuf>,
    /// Where to send texts [default: completions, or chat if the server has only that; messages always go to the chat]
    #[arg(long, value_name = "ROUTE", help_heading = "Load")]
    endpoint: Option<Route>,
    /// The model to ask a server for [default: the first that it lists]
    #[arg(long, value_name = "NAME", help_heading = "Load")]
    served_model_name: Option<String>,
    /// Ask for answers that go on where the model would end them; not all servers know how
    #[arg(long, help_heading = "Load")]
    ignore_eos: bool,
    /// Seed of prompts and of random times [default: another one each time, so that no server knows the prompts]
    #[arg(long, value_name = "N", help_heading = "Load")]
    seed: Option<u64>,
    /// A file with the key of the server [default: OPENAI_API_KEY]
    #[arg(long, value_name = "FILE", help_heading = "Load")]
    api_key_file: Option<PathBuf>,
}

impl LoadArgs {
    /// How to ask the server at `endpoint`.
    ///
    /// # Errors
    /// When the file of the key has none.
    pub(super) fn ask(&self, mut endpoint: Endpoint) -> anyhow::Result<Endpoint> {
        let api_key = match &self.api_key_file {
            None => std::env::var("OPENAI_API_KEY").ok().filter(|key| !key.is_empty()),
            Some(file) => {
                let text = read_text(file)?;
                let key = text.lines().map(str::trim).find(|line| !line.is_empty());
                Some(key.ok_or_else(|| UsageError(format!("`{}` has no key", file.display())))?.to_owned())
            }
        };
        endpoint.route = self.endpoint.or(endpoint.route);
        endpoint.model = self.served_model_name.clone();
        endpoint.api_key = api_key;
        Ok(endpoint)
    }

    /// What to ask for beside the prompt.
    pub(super) fn wish(&self, max_tokens: usize) -> Wish {
        Wish { max_tokens, ignore_end: self.ignore_eos }
    }

    /// The seed that was given, or one that nobody has had.
    pub(super) fn seed(&self) -> u64 {
        let time = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_millis());
        // As many digits as every reader of JSON can have.
        self.seed.unwrap_or_else(|| u64::from(time() as u32))
    }

    fn levels(&self) -> Vec<Level> {
        match self.rate.is_empty() {
            false => self.rate.iter().map(|&per_sec| Level::Rate { per_sec, arrivals: Arrivals::Poisson }).collect(),
            true => self.concurrency.iter().map(|&n| Level::Concurrency { n }).collect(),
        }
    }

    fn prompts(&self, n_words: &[usize], seed: u64) -> anyhow::Result<Vec<Prompt>> {
        if let Some(file) = &self.prompts {
            let named = |error| UsageError(format!("`{}`: {error}", file.display()));
            return Ok(parse_prompts(&read_text(file)?).map_err(named)?);
        }
        let n_words: Vec<usize> = n_words.iter().copied().filter(|&n| n > 0).collect();
        match n_words.is_empty() {
            true => Err(UsageError("nothing to send: `-p` is 0".into()).into()),
            false => Ok(synthetic_prompts(&n_words, self.levels().len() * self.requests, seed)),
        }
    }
}

/// Measures and puts a section into `report`.
pub(super) fn section(args: &Args, output: &Output, report: &mut Report) -> anyhow::Result<Exit> {
    let url = args.load.serve.as_deref().filter(|url| !url.is_empty());
    let mut plan = plan(args, url)?;
    let mut own = None;
    if url.is_none() {
        let spinner = output.spinner("starting our own server");
        let started = Own::start(args, args.load.concurrency.iter().copied().max().unwrap_or(1), output)?;
        spinner.finish_and_clear();
        let Some(started) = started else { return Ok(Exit::Interrupted) };
        let route = plan.endpoint.route;
        plan.endpoint = Endpoint::new(&started.url)?;
        plan.endpoint.route = route;
        own = Some(started);
    }
    let progress = output.progress("requests", plan.levels.len() * plan.n_requests);
    let outcome = run(&plan, &interrupt::asked, &|n| progress.set_position(n as u64));
    progress.finish_and_clear();
    let outcome = match outcome {
        Err(LoadError::Interrupted) => return Ok(Exit::Interrupted),
        outcome => outcome?,
    };
    report.sections.push(described(args, &plan, &outcome, own.as_ref())?);
    if interrupt::asked() {
        return Ok(Exit::Interrupted);
    }
    outcome.verdict()?;
    Ok(Exit::Done)
}

/// What to send to the server at `url`, or to one whose address is not known yet.
fn plan(args: &Args, url: Option<&str>) -> anyhow::Result<Plan> {
    let load = &args.load;
    let seed = load.seed();
    let plan = Plan {
        endpoint: load.ask(Endpoint::new(url.unwrap_or("http://127.0.0.1"))?)?,
        levels: load.levels(),
        n_requests: load.requests,
        prompts: load.prompts(&args.n_prompt, seed)?,
        wish: load.wish(args.first(&args.n_gen)),
        max_in_flight: 1024,
        seed,
    };
    plan.check()?;
    Ok(plan)
}

fn described(args: &Args, plan: &Plan, outcome: &Outcome, own: Option<&Own>) -> anyhow::Result<Section> {
    let urls: Vec<String> = outcome.routes.iter().map(|&route| outcome.endpoint.url(route)).collect();
    let mut facts = json!({
        "url": urls.join(" "), "model": outcome.model, "routes": outcome.routes,
        "max_tokens": plan.wish.max_tokens, "ignore_eos": plan.wish.ignore_end, "seed": plan.seed,
    });
    let mut whose = format!("{} at {}", outcome.model, urls.join(" and "));
    if let (Some(own), Some(facts)) = (own, facts.as_object_mut()) {
        let n_threads = args.thread_counts()[0];
        facts.extend([
            ("isa".to_owned(), Isa::detect().name().into()),
            ("n_threads".to_owned(), n_threads.into()),
            ("n_parallel".to_owned(), own.n_parallel.into()),
        ]);
        whose += &format!(", our own server on {}, {} sequences at once", threads(n_threads), own.n_parallel);
    }
    let mut notes = notes(&outcome.levels);
    notes.extend(repeated(plan));
    let n_left = plan.levels.len() - outcome.levels.len();
    if n_left > 0 && !outcome.is_interrupted() {
        notes.push(format!("nobody was answered any more, so {n_left} levels were left out"));
    }
    let subject = own.map(|own| {
        let model_sha256 = sha256(own.files.source(), &interrupt::asked);
        Subject { model_sha256, ..own.subject.clone() }
    });
    Ok(Section {
        title: format!(
            "{whose}: {} requests a level, answers of at most {} tokens",
            plan.n_requests, plan.wish.max_tokens
        ),
        subject,
        table: table(&outcome.levels),
        records: outcome.levels.iter().map(|level| joined(&facts, level)).collect::<serde_json::Result<_>>()?,
        notes,
    })
}

/// What is to be said of prompts that a server knows already.
fn repeated(plan: &Plan) -> Option<String> {
    let n = plan.n_repeated();
    (n > 0).then(|| {
        let n_all = plan.levels.len() * plan.n_requests;
        format!("{n} of the {n_all} prompts have been sent before, which a server that keeps prompts answers sooner")
    })
}

impl ValueEnum for Route {
    fn value_variants<'a>() -> &'a [Route] {
        &[Route::Completions, Route::Chat]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            Route::Completions => PossibleValue::new("completions")
                .aliases(["/v1/completions", "openai"])
                .help("/completions: the prompt as it is"),
            Route::Chat => PossibleValue::new("chat")
                .aliases(["/v1/chat/completions", "openai-chat"])
                .help("/chat/completions: the message of a user"),
        })
    }
}
