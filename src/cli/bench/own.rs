//! A server of ours that lives as long as it is asked.

use super::{
    super::{interrupt, output::Output},
    Args,
};
use crate::{
    bench::{Subject, Traffic},
    engine::{ModelFiles, OpenError},
};
use anyhow::Context;
use std::{
    ffi::OsString,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

/// Sequences that it works on at once, at most; more clients wait.
const MAX_PARALLEL: usize = 64;
/// How often to look whether to stop.
const TICK: Duration = Duration::from_millis(50);

/// A server of ours, which ends with this value.
pub(super) struct Own {
    process: Child,
    /// Where it listens.
    pub(super) url: String,
    /// Its model.
    pub(super) files: ModelFiles,
    /// The model, without its hash.
    pub(super) subject: Subject,
    /// Sequences that it works on at once.
    pub(super) n_parallel: usize,
}

impl Own {
    /// Starts one for so many clients; `None` if the user wants no more before it is ready.
    pub(super) fn start(args: &Args, n_clients: usize, output: &Output) -> anyhow::Result<Option<Own>> {
        // What is wrong with the model is found, and what is missing is fetched, as for any other command.
        let files = args.model.open(output)?;
        let traffic = Traffic::of(files.source(), args.cache_type.unwrap_or_default()).map_err(OpenError::from)?;
        let subject = super::tests::subject(&files, &traffic);
        let n_parallel = n_clients.clamp(1, MAX_PARALLEL);
        let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
        command.args(arguments(args, n_parallel));
        // Ctrl-C on the terminal is for us alone: answers under way are still to be measured or dropped here.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut own = Own { process, url: String::new(), files, subject, n_parallel };
        let stdout = own.process.stdout.take().context("it was asked for above")?;
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut url = String::new();
            let _ = sender.send(BufReader::new(stdout).read_line(&mut url).map(|_| url));
        });
        let url = loop {
            match receiver.recv_timeout(TICK) {
                Ok(url) => break url?,
                Err(RecvTimeoutError::Timeout) if !interrupt::asked() => {}
                Err(_) => return Ok(None),
            }
        };
        own.url = url.trim().to_owned();
        anyhow::ensure!(!own.url.is_empty(), "our own server did not start");
        Ok(Some(own))
    }
}

/// The command line of the server: the same model, computed alike.
fn arguments(args: &Args, n_parallel: usize) -> Vec<OsString> {
    let fixed = ["serve", "--quiet", "--port=0", "--queue=4096", "--max-connections=8192"].map(str::to_owned);
    let mut arguments: Vec<OsString> = fixed.into_iter().map(OsString::from).collect();
    arguments.push(format!("--parallel={n_parallel}").into());
    arguments.extend(args.model.flags());
    arguments.extend(args.compute_flags(args.thread_counts()[0]).into_iter().map(OsString::from));
    arguments
}

impl Drop for Own {
    fn drop(&mut self) {
        // Nobody has anything to lose with it any more.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Args as _, FromArgMatches};

    #[test]
    fn the_server_has_the_model_and_computes_as_it_was_asked_for() {
        let flags = "--serve -m a/b:Q8_0 --offline --locked pins.lock -t 3,4 --device cpu --cache-type q8_0";
        let command = Args::augment_args(clap::Command::new("bench").no_binary_name(true));
        let matches = command.try_get_matches_from(flags.split(' ')).expect("flags of the benchmark");
        let args = Args::from_arg_matches(&matches).expect("flags of the benchmark");
        let found = arguments(&args, 5);
        let expected = ["--model=a/b:Q8_0", "--offline", "--locked", "pins.lock", "--threads=3", "--device=cpu"];
        for flag in expected.into_iter().chain(["--cache-type=q8_0", "--parallel=5"]) {
            assert!(found.iter().any(|found| found == flag), "{flag} is not in {found:?}");
        }
        let server = crate::cli::definition().no_binary_name(true).try_get_matches_from(&found);
        assert!(server.is_ok_and(|server| server.subcommand_name() == Some("serve")), "{found:?}");
    }
}
