//! `taper rm`: removes models from the cache.

use super::{deletion::report, exit::Exit, output::Output};
use crate::hub::{Cache, KeepError, Target};

#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Without @REVISION every revision is meant, without :QUANT every file: `taper rm owner/repo` \
                        removes all of it. Blobs that another revision needs stay.")]
pub(crate) struct Args {
    /// What to remove: `owner/repo[:QUANT|:FILE][@REVISION]`, as `taper list` shows it
    #[arg(required = true, value_name = "MODEL")]
    models: Vec<String>,
    /// Only list what would be deleted
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn execute(args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let targets = args.models.iter().map(|model| Target::parse(model)).collect::<Result<Vec<_>, KeepError>>()?;
    let mut deletion = Cache::of_process()?.removal(&targets)?;
    if !args.dry_run {
        deletion = deletion.execute()?;
    }
    report(&deletion, args.dry_run, args.json, output)?;
    Ok(Exit::Done)
}
