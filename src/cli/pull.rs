//! `taper pull`: models from the Hub into the cache.

use super::{
    exit::{Exit, UsageError},
    fetch::fetch,
    output::Output,
    pins::{Locked, lock},
    progress::Progress,
};
use crate::hub::{
    Cache, HubReference, Reference, Resolved,
    pull::{Digest, Hub, Plan, PlannedFile, PullError, Settings, is_offline},
};
use indicatif::DecimalBytes;
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// `owner/repo[:QUANT|:FILE][@REVISION]`
    #[arg(required = true)]
    model: Vec<String>,
    /// Tell what would be fetched, and fetch nothing
    #[arg(long)]
    dry_run: bool,
    /// Print events as they happen, a JSON object a line; the last of a model has its path
    #[arg(long)]
    json: bool,
    /// Read the token of the Hub from this file [default: HF_TOKEN, else the file of `hf auth login`]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Never open a socket: tell where in the cache the model is
    #[arg(long)]
    offline: bool,
    /// Pin in this lock file what the models stand for: commit, files, sizes and sha256
    #[arg(long, value_name = "FILE", conflicts_with_all = ["locked", "dry_run"])]
    lock: Option<PathBuf>,
    /// Only what this lock file pins
    #[arg(long, value_name = "FILE")]
    locked: Option<PathBuf>,
}

/// The last event of a model.
#[derive(Serialize)]
struct Done<'a> {
    event: &'static str,
    model: String,
    commit: &'a str,
    path: &'a Path,
}

/// What `--dry-run` tells of a model.
#[derive(Serialize)]
struct DryRun<'a> {
    model: String,
    commit: &'a str,
    path: &'a Path,
    size_bytes: u64,
    missing_bytes: u64,
    files: Vec<DryFile<'a>>,
}

#[derive(Serialize)]
struct DryFile<'a> {
    name: &'a str,
    size_bytes: u64,
    cached_bytes: u64,
    /// Small files are known by another hash.
    sha256: Option<&'a str>,
}

pub(crate) fn execute(args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let references = args.model.iter().map(|name| reference(name)).collect::<anyhow::Result<Vec<_>>>()?;
    let locked = args.locked.as_deref().map(Locked::read).transpose()?;
    let cache = Cache::of_process()?;
    let offline = args.offline || is_offline(|name| std::env::var_os(name));
    let connect = || Ok::<_, PullError>(Hub::new(Settings::of_process(args.token_file.as_deref())?, cache.clone()));
    let hub = (!offline).then(connect).transpose()?;
    let progress = if args.json { Progress::as_events(output) } else { Progress::on_stderr(output) };
    let mut found = Vec::new();
    for reference in references {
        let wanted = locked.as_ref().map_or(Ok(reference.clone()), |locked| locked.at_commit(&reference))?;
        let resolved = match &hub {
            Some(hub) if args.dry_run => {
                args.tell_plan(&reference, &hub.plan(&wanted, &progress)?, output)?;
                continue;
            }
            Some(hub) => fetch(hub, &wanted, &progress)?,
            None => cache.resolve(&wanted)?,
        };
        locked.as_ref().map_or(Ok(()), |locked| locked.check(&reference, &resolved, output))?;
        args.tell(&reference, &resolved, output)?;
        found.push((reference, resolved));
    }
    if let Some(path) = &args.lock {
        lock(path, &found, output)?;
    }
    Ok(Exit::Done)
}

fn reference(name: &str) -> anyhow::Result<HubReference> {
    match Reference::parse(name, Path::exists)? {
        Reference::Hub(reference) => Ok(reference),
        Reference::Demo => Err(UsageError("`demo` is inside the binary: there is nothing to fetch".into()).into()),
        Reference::Path(path) => {
            let path = path.display();
            Err(UsageError(format!("`{path}` is a path, expected `owner/repo`\nhint: `hf.co/owner/repo` never is one"))
                .into())
        }
    }
}

impl Args {
    fn tell(&self, reference: &HubReference, found: &Resolved, output: &Output) -> anyhow::Result<()> {
        let Resolved { path, revision: commit, .. } = found;
        if self.json {
            return output.json(&Done { event: "done", model: reference.to_string(), commit, path });
        }
        Ok(output.answer(&format!("{}\n", path.display()))?)
    }

    fn tell_plan(&self, reference: &HubReference, plan: &Plan, output: &Output) -> anyhow::Result<()> {
        if self.json {
            return output.json(&DryRun {
                model: reference.to_string(),
                commit: plan.commit(),
                path: plan.path(),
                size_bytes: plan.size_bytes(),
                missing_bytes: plan.missing_bytes(),
                files: plan.files().iter().map(DryFile::from).collect(),
            });
        }
        let row = |name: &str, size, cached| {
            let state = match cached {
                0 => String::new(),
                _ if cached == size => "in the cache".into(),
                _ => format!("{} in the cache", DecimalBytes(cached)),
            };
            format!("{:>10}  {name}  {state}", DecimalBytes(size).to_string()).trim_end().to_owned() + "\n"
        };
        let rows: String =
            plan.files().iter().map(|file| row(&file.name, file.size_bytes, file.cached_bytes)).collect();
        let (repo, commit, missing) = (plan.repo(), plan.commit(), DecimalBytes(plan.missing_bytes()));
        let total = DecimalBytes(plan.size_bytes()).to_string();
        let text = format!("{repo} at {commit}\n{rows}{total:>10}  in all, {missing} to fetch\n");
        Ok(output.answer(&text)?)
    }
}

impl<'a> From<&'a PlannedFile> for DryFile<'a> {
    fn from(file: &'a PlannedFile) -> DryFile<'a> {
        let sha256 = match &file.digest {
            Digest::Sha256(text) => Some(text.as_str()),
            Digest::Git(_) => None,
        };
        DryFile { name: &file.name, size_bytes: file.size_bytes, cached_bytes: file.cached_bytes, sha256 }
    }
}
