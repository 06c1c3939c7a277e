//! What `taper rm` and `taper prune` report.

use super::output::{Output, escaped};
use crate::hub::{Deletion, Item, ItemKind};
use indicatif::DecimalBytes;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
struct Report {
    dry_run: bool,
    freed_bytes: u64,
    removed: Vec<Removed>,
    kept: Vec<Kept>,
}

#[derive(Serialize)]
struct Removed {
    kind: &'static str,
    repo: Option<String>,
    path: String,
    size_bytes: u64,
}

#[derive(Serialize)]
struct Kept {
    path: String,
    reason: String,
}

/// Prints what was deleted, or with `dry_run` every path of what would be.
pub(crate) fn report(deletion: &Deletion, dry_run: bool, json: bool, output: &Output) -> anyhow::Result<()> {
    if json {
        output.json(&Report::new(deletion, dry_run))?;
    } else {
        output.answer(&text(deletion, dry_run))?;
    }
    for kept in &deletion.kept {
        output.note(&escaped(&format!("kept `{}`: {}", kept.path.display(), kept.reason)));
    }
    Ok(())
}

impl Report {
    fn new(deletion: &Deletion, dry_run: bool) -> Report {
        let removed = |item: &Item| Removed {
            kind: word(item.kind),
            repo: item.repo.clone(),
            path: item.path.display().to_string(),
            size_bytes: item.size_bytes,
        };
        let kept =
            |kept: &crate::hub::Kept| Kept { path: kept.path.display().to_string(), reason: kept.reason.clone() };
        Report {
            dry_run,
            freed_bytes: deletion.freed_bytes(),
            removed: deletion.items.iter().map(removed).collect(),
            kept: deletion.kept.iter().map(kept).collect(),
        }
    }
}

/// What scripts call it.
fn word(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::Ref => "ref",
        ItemKind::Absence => "absence",
        ItemKind::Entry => "file",
        ItemKind::Partial => "partial",
        ItemKind::Blob => "blob",
        ItemKind::Shared => "shared",
        ItemKind::Other => "other",
        ItemKind::Lock => "lock",
    }
}

fn text(deletion: &Deletion, dry_run: bool) -> String {
    let mut text = String::new();
    let mut bytes_of: BTreeMap<String, u64> = BTreeMap::new();
    for item in &deletion.items {
        let repo = item.repo.as_deref().unwrap_or("(shared files)");
        *bytes_of.entry(repo.into()).or_default() += item.size_bytes;
        if dry_run {
            let (size, path) = (DecimalBytes(item.size_bytes).to_string(), item.path.display().to_string());
            text += &format!("{size:>12}  {:<7}  {}\n", word(item.kind), escaped(&path));
        }
    }
    if dry_run {
        return text + &format!("would free {}\n", DecimalBytes(deletion.freed_bytes()));
    }
    for (repo, bytes) in bytes_of {
        text += &format!("{:>12}  {}\n", DecimalBytes(bytes).to_string(), escaped(&repo));
    }
    text + &format!("freed {}\n", DecimalBytes(deletion.freed_bytes()))
}
