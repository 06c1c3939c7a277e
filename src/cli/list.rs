//! `taper list`: the models in the cache.

use super::{
    exit::Exit,
    output::{Output, age, escaped},
};
use crate::hub::{Cache, CachedChoice, CachedFile, CachedModel, CachedRevision};
use indicatif::DecimalBytes;
use jiff::Timestamp;
use serde::Serialize;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Model {
    repo: String,
    size_bytes: u64,
    /// Seconds since 1970.
    last_used: Option<u64>,
    /// The same in ISO 8601.
    last_used_at: Option<String>,
    revisions: Vec<Revision>,
}

#[derive(Serialize)]
struct Revision {
    commit: String,
    refs: Vec<String>,
    files: Vec<File>,
    /// What `-m` takes, each with its files as one.
    models: Vec<Choice>,
}

#[derive(Serialize)]
struct File {
    name: String,
    size_bytes: Option<u64>,
    quantization: Option<String>,
    last_used_at: Option<String>,
}

#[derive(Serialize)]
struct Choice {
    reference: String,
    size_bytes: Option<u64>,
    quantization: Option<String>,
    last_used_at: Option<String>,
    #[serde(skip)]
    last_used: Option<SystemTime>,
}

pub(crate) fn execute(args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let listing = Cache::of_process()?.list();
    for problem in &listing.problems {
        output.note(&escaped(problem));
    }
    let models: Vec<Model> = listing.models.into_iter().map(Model::from).collect();
    if args.json {
        output.json(&models)?;
        return Ok(Exit::Done);
    }
    if models.is_empty() {
        output.note("no models in the cache");
    } else {
        output.answer(&table(&models, output.shows_ages()))?;
    }
    Ok(Exit::Done)
}

/// A line for each thing that `run -m` can take.
fn table(models: &[Model], ages: bool) -> String {
    let now = SystemTime::now();
    let mut rows = vec![["SIZE", "LAST USED", "REVISION", "QUANTIZATION", "MODEL"].map(str::to_owned)];
    for revision in models.iter().flat_map(|model| &model.revisions) {
        for choice in &revision.models {
            let used = if ages { choice.last_used.map(|time| age(time, now)) } else { choice.last_used_at.clone() };
            rows.push([
                choice.size_bytes.map_or("incomplete".into(), |n| DecimalBytes(n).to_string()),
                used.unwrap_or_else(|| "-".into()),
                revision.commit.chars().take(12).collect(),
                choice.quantization.clone().unwrap_or_else(|| "-".into()),
                choice.reference.clone(),
            ]);
        }
    }
    let rows: Vec<_> = rows.iter().map(|row| row.each_ref().map(|cell| escaped(cell))).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let [size, used, commit, quantization] = [0, 1, 2, 3].map(width);
    let line =
        |[a, b, c, d, e]: &[String; 5]| format!("{a:>size$}  {b:<used$}  {c:<commit$}  {d:<quantization$}  {e}\n");
    rows.iter().map(line).collect()
}

impl From<CachedModel> for Model {
    fn from(model: CachedModel) -> Model {
        let revisions = model.revisions.into_iter().map(|revision| Revision::new(&model.repo, revision)).collect();
        Model {
            size_bytes: model.size_bytes,
            last_used: model.last_used.and_then(seconds),
            last_used_at: model.last_used.and_then(iso),
            revisions,
            repo: model.repo,
        }
    }
}

impl Revision {
    fn new(repo: &str, revision: CachedRevision) -> Revision {
        let at = match revision.refs.iter().find(|name| *name == "main").or(revision.refs.first()) {
            Some(name) if name == "main" => String::new(),
            Some(name) => format!("@{name}"),
            None => format!("@{}", revision.commit),
        };
        let models = revision.choices().into_iter().map(|choice| Choice::new(repo, &at, choice)).collect();
        let files = revision.files.into_iter().map(File::from).collect();
        Revision { commit: revision.commit, refs: revision.refs, files, models }
    }
}

impl From<CachedFile> for File {
    fn from(file: CachedFile) -> File {
        let last_used_at = file.last_used.and_then(iso);
        File { name: file.name, size_bytes: file.size_bytes, quantization: file.quantization, last_used_at }
    }
}

impl Choice {
    fn new(repo: &str, at: &str, choice: CachedChoice) -> Choice {
        let selector = choice.selector.map(|selector| format!(":{selector}")).unwrap_or_default();
        Choice {
            reference: format!("{repo}{selector}{at}"),
            size_bytes: choice.size_bytes,
            quantization: choice.quantization,
            last_used_at: choice.last_used.and_then(iso),
            last_used: choice.last_used,
        }
    }
}

fn seconds(time: SystemTime) -> Option<u64> {
    Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

fn iso(time: SystemTime) -> Option<String> {
    let seconds = i64::try_from(seconds(time)?).ok()?;
    Some(Timestamp::from_second(seconds).ok()?.to_string())
}
