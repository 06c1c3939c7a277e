//! `taper completions`: a completion script for a shell.

use super::{definition, exit::Exit, output::Output};
use clap_complete::Shell;

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

pub(crate) fn execute(args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut definition(), "taper", &mut script);
    output.bytes(&script)?;
    Ok(Exit::Done)
}
