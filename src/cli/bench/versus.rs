//! The same work elsewhere: in Python, and by a server.

use super::{super::exit::UsageError, super::interrupt, super::output::Output, Args};
use crate::{
    backend::Compute,
    bench::{
        Section,
        load::{Endpoint, alone},
        python::{self, Job, Setting, Side},
    },
    engine::{ModelFiles, Prompter},
};
use anyhow::Context;
use serde_json::json;
use std::{str::FromStr, time::Duration};

/// What the prompt is made of.
const TEXT: &str = include_str!("../../../README.md");

/// What to compare with.
#[derive(Clone, Debug)]
pub(super) enum Versus {
    Python(&'static [Side]),
    Server(Endpoint),
}

impl FromStr for Versus {
    type Err = String;

    fn from_str(text: &str) -> Result<Versus, String> {
        let (name, package) = text.split_once('=').map_or((text, None), |(name, package)| (name, Some(package)));
        if name != "python" {
            return Endpoint::new(text).map(Versus::Server).map_err(|error| error.to_string());
        }
        let sides = Side::of_package(package).map(Versus::Python);
        sides.ok_or_else(|| "expected python, python=transformers, python=llama-cpp-python or a URL".into())
    }
}

/// Measures and gives a section for each comparison.
pub(super) fn sections(args: &Args, files: &ModelFiles, output: &Output) -> anyhow::Result<Vec<Section>> {
    let mut sections = Vec::new();
    for versus in &args.vs {
        let progress = output.spinner("measuring what is compared with");
        let section = match versus {
            Versus::Python(sides) => python(args, files, sides)?,
            Versus::Server(endpoint) => server(args, files, endpoint)?,
        };
        progress.finish_and_clear();
        sections.push(section);
        if interrupt::asked() {
            break;
        }
    }
    Ok(sections)
}

fn python(args: &Args, files: &ModelFiles, sides: &[Side]) -> anyhow::Result<Section> {
    let gguf = files.path().filter(|path| path.is_file());
    let model = gguf.ok_or_else(|| UsageError("`--vs python` needs a GGUF file, expected one with `-m`".into()))?;
    let n_gen = args.first(&args.n_gen);
    let threads = args.thread_counts()[0];
    let job = Job {
        python: args.python.clone(),
        model: std::path::absolute(model)?,
        prompt: prompt(args, files)?.0,
        threads,
        repetitions: args.repetitions,
        timeout: Duration::from_secs(args.vs_timeout),
    };
    let exe = std::env::current_exe().context("cannot find this program")?;
    let flags = [format!("--threads={threads}"), format!("--device={}", args.device)];
    let compute = Compute { device: args.device, n_threads: Some(threads), cache_type: args.cache_type };
    let ours = python::ours(&job, &Setting { files, compute, n_gen, exe: &exe, flags: &flags })?;
    let mut outcomes = Vec::new();
    for side in sides {
        if !interrupt::asked() {
            outcomes.push(python::measure(*side, &job, &ours, &interrupt::asked));
        }
    }
    let mut records = vec![json!({ "vs": "python", "engine": "taper", "n_prompt": job.prompt.len(), "n_gen": n_gen })];
    if let (Some(record), serde_json::Value::Object(fields)) =
        (records[0].as_object_mut(), serde_json::to_value(&ours)?)
    {
        record.extend(fields);
    }
    for outcome in &outcomes {
        let mut record = serde_json::to_value(outcome)?;
        record["vs"] = "python".into();
        records.push(record);
    }
    Ok(Section {
        title: format!("Beside Python: {} tokens of prompt, {n_gen} generated, {threads} threads", job.prompt.len()),
        table: python::table(&ours, &outcomes),
        records,
        notes: python::notes(&ours, &outcomes),
    })
}

fn server(args: &Args, files: &ModelFiles, endpoint: &Endpoint) -> anyhow::Result<Section> {
    let (_, text) = prompt(args, files)?;
    let endpoint = endpoint.clone().with_key(args.load.key()?);
    let alone = alone(&endpoint, &text, args.first(&args.n_gen), args.repetitions, &interrupt::asked)?;
    let mut record = serde_json::to_value(&alone)?;
    record["vs"] = "server".into();
    Ok(Section { title: "A server".into(), table: alone.table(), records: vec![record], notes: alone.notes() })
}

/// Tokens of a prompt of the first length that is asked for, and their text.
fn prompt(args: &Args, files: &ModelFiles) -> anyhow::Result<(Vec<u32>, String)> {
    let tokenizer = files.tokenizer()?;
    let prompter = Prompter::new(tokenizer.clone(), None);
    let n = args.first(&args.n_prompt);
    let mut text = TEXT.to_owned();
    while prompter.raw(&text)?.tokens.len() < n {
        text += TEXT;
    }
    let mut tokens = prompter.raw(&text)?.tokens;
    tokens.truncate(n);
    let text = tokenizer.decode(&tokens[tokenizer.before().len().min(n)..], crate::text::Controls::Show);
    Ok((tokens, text))
}
