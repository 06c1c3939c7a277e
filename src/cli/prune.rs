//! `taper prune`: deletes what no model of the cache needs.

use super::{deletion::report, exit::Exit, output::Output};
use crate::hub::{Cache, Prune};

#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Deleted are unfinished downloads, blobs and links that lead nowhere, locks that nobody holds, \
                        and revisions that no branch or tag stands for any more; among them is what was fetched by \
                        its commit. A repository in which a download runs is left alone."
)]
pub(crate) struct Args {
    /// Keep revisions that no branch or tag stands for
    #[arg(long)]
    keep_revisions: bool,
    /// Only list what would be deleted
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn execute(args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let mut deletion = Cache::of_process()?.pruning(Prune { keep_revisions: args.keep_revisions })?;
    if !args.dry_run {
        deletion = deletion.execute()?;
    }
    report(&deletion, args.dry_run, args.json, output)?;
    Ok(Exit::Done)
}
