//! `taper list`: the models in the cache.

use super::{exit::Exit, output::Output};
use crate::hub::{Cache, CachedFile, CachedModel, CachedRevision};
use serde::Serialize;
use std::time::UNIX_EPOCH;

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
    revisions: Vec<Revision>,
}

#[derive(Serialize)]
struct Revision {
    commit: String,
    refs: Vec<String>,
    files: Vec<File>,
}

#[derive(Serialize)]
struct File {
    name: String,
    size_bytes: Option<u64>,
    quantization: Option<String>,
}

pub(crate) fn execute(args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let listing = Cache::of_process()?.list();
    for problem in &listing.problems {
        output.note(problem);
    }
    let models: Vec<Model> = listing.models.into_iter().map(Model::from).collect();
    if args.json {
        output.json(&models)?;
        return Ok(Exit::Done);
    }
    output.answer(&models.iter().flat_map(Model::lines).collect::<String>())?;
    if models.is_empty() {
        output.note("no models in the cache");
    }
    Ok(Exit::Done)
}

impl From<CachedModel> for Model {
    fn from(model: CachedModel) -> Model {
        let seconds = model.last_used.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Model {
            repo: model.repo,
            size_bytes: model.size_bytes,
            last_used: seconds.map(|time| time.as_secs()),
            revisions: model.revisions.into_iter().map(Revision::from).collect(),
        }
    }
}

impl From<CachedRevision> for Revision {
    fn from(revision: CachedRevision) -> Revision {
        let files = revision.files.into_iter().map(File::from).collect();
        Revision { commit: revision.commit, refs: revision.refs, files }
    }
}

impl From<CachedFile> for File {
    fn from(file: CachedFile) -> File {
        File { name: file.name, size_bytes: file.size_bytes, quantization: file.quantization }
    }
}

impl Model {
    /// A line for each thing that `run -m` can take.
    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for revision in &self.revisions {
            let at = match revision.refs.first() {
                Some(name) if name == "main" => String::new(),
                Some(name) => format!("@{name}"),
                None => format!("@{}", revision.commit),
            };
            let n_before = lines.len();
            for file in &revision.files {
                if let Some(quantization) = &file.quantization {
                    lines.push(row(&format!("{}:{quantization}{at}", self.repo), file.size_bytes));
                }
            }
            if lines.len() == n_before {
                let sizes = revision.files.iter().filter_map(|file| file.size_bytes);
                lines.push(row(&format!("{}{at}", self.repo), Some(sizes.sum())));
            }
        }
        lines
    }
}

fn row(reference: &str, size_bytes: Option<u64>) -> String {
    let size = size_bytes.map_or("incomplete".into(), |n| indicatif::BinaryBytes(n).to_string());
    format!("{size:>12}  {reference}\n")
}
