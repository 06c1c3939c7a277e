//! `taper verify`: hashes the models in the cache again.

use super::{
    exit::{DamagedError, Exit},
    output::{Output, escaped},
};
use crate::hub::{Cache, Check, KeepError, State, Target, shell_word};
use indicatif::DecimalBytes;
use serde::Serialize;
use std::{collections::BTreeSet, path::Path};

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Which models: `owner/repo[:QUANT|:FILE][@REVISION]` [default: all]
    #[arg(value_name = "MODEL")]
    models: Vec<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize, Default)]
struct Report {
    files: Vec<File>,
    checked_bytes: u64,
    /// Files of each state.
    ok: usize,
    damaged: usize,
    missing: usize,
    unreadable: usize,
    unknown: usize,
}

#[derive(Serialize)]
struct File {
    repo: String,
    name: String,
    revision: Option<String>,
    path: String,
    size_bytes: Option<u64>,
    status: &'static str,
    algorithm: Option<&'static str>,
    expected: Option<String>,
    /// What the content hashes to, where that is not what was expected.
    found: Option<String>,
    /// Why it could not be read.
    reason: Option<String>,
}

pub(crate) fn execute(args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let cache = Cache::of_process()?;
    let targets = args.models.iter().map(|model| Target::parse(model)).collect::<Result<Vec<_>, KeepError>>()?;
    let mut checks = Vec::new();
    for target in &targets {
        checks.extend(cache.checks(Some(target))?);
    }
    if targets.is_empty() {
        checks = cache.checks(None)?;
    }
    let size = |check: &Check| check.expected.as_ref().and(check.size_bytes).unwrap_or(0);
    let progress = output.progress_bytes("verifying", checks.iter().map(size).sum());
    let mut report = Report::default();
    for check in checks {
        let state = check.run(&mut |n| progress.inc(n));
        if state == State::Sound || matches!(state, State::Damaged { .. }) {
            report.checked_bytes += size(&check);
        }
        let file = report.add(check, state);
        if !args.json {
            let line = file.line();
            progress.suspend(|| output.answer(&line))?;
        }
    }
    progress.finish_and_clear();
    if args.json {
        output.json(&report)?;
    } else {
        output.answer(&report.summary())?;
    }
    report.judge()
}

impl Report {
    fn add(&mut self, check: Check, state: State) -> &File {
        let (status, found, reason, n) = match state {
            State::Sound => ("ok", None, None, &mut self.ok),
            State::Damaged { found } => ("damaged", Some(found), None, &mut self.damaged),
            State::Missing => ("missing", None, None, &mut self.missing),
            State::Unreadable { reason } => ("unreadable", None, Some(reason), &mut self.unreadable),
            State::Unknown => ("unknown", None, None, &mut self.unknown),
        };
        *n += 1;
        let (algorithm, expected) = check.expected.map(|(algorithm, hash)| (algorithm.name(), hash)).unzip();
        let path = check.path.display().to_string();
        let Check { repo, name, revision, size_bytes, .. } = check;
        let file = File { repo, name, revision, path, size_bytes, status, algorithm, expected, found, reason };
        let at = self.files.len();
        self.files.push(file);
        &self.files[at]
    }

    fn n_wrong(&self) -> usize {
        self.damaged + self.missing + self.unreadable
    }

    fn summary(&self) -> String {
        let mut text = format!("{} of {} files are as their names say", self.ok, self.files.len());
        let counts = [(self.damaged, "damaged"), (self.missing, "missing"), (self.unreadable, "unreadable")];
        for (n, what) in counts.into_iter().chain([(self.unknown, "without a hash to compare with")]) {
            if n > 0 {
                text += &format!(", {n} {what}");
            }
        }
        format!("{text}; {} read\n", DecimalBytes(self.checked_bytes))
    }

    /// The error for a cache that is not as it should be, with the way to repair it.
    fn judge(&self) -> anyhow::Result<Exit> {
        const MOST: usize = 5;
        if self.n_wrong() == 0 {
            return Ok(Exit::Done);
        }
        let wrong = self.files.iter().filter(|file| !matches!(file.status, "ok" | "unknown"));
        let mut repairs = BTreeSet::new();
        for file in wrong {
            repairs.insert(match &file.revision {
                Some(_) => {
                    format!("repair it with `taper rm {0} && taper pull {0}`", shell_word(&escaped(&file.reference())))
                }
                None => "remove blobs that no model uses with `taper prune`".into(),
            });
        }
        let hints: String = repairs.iter().take(MOST).map(|repair| format!("\nhint: {repair}")).collect();
        let text = format!("{} of {} files are damaged or missing{hints}", self.n_wrong(), self.files.len());
        Err(DamagedError(text).into())
    }
}

impl File {
    fn line(&self) -> String {
        let size = self.size_bytes.map_or("-".into(), |n| DecimalBytes(n).to_string());
        let mut line = format!("{:<10}  {size:>12}  {}  {}", self.status, self.repo, self.name);
        if let (Some(expected), Some(found)) = (&self.expected, &self.found) {
            line += &format!(": expected {expected}, found {found}");
        }
        line.extend(self.reason.iter().map(|reason| format!(": {reason}")));
        escaped(&line) + "\n"
    }

    /// What names this file, or the files that it belongs to.
    fn reference(&self) -> String {
        let gguf = Path::new(&self.name).extension().is_some_and(|it| it.eq_ignore_ascii_case("gguf"));
        if gguf { format!("{}:{}", self.repo, self.name) } else { self.repo.clone() }
    }
}
