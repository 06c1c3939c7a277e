//! The command line: a file per subcommand, each `Args` and `execute`.

mod args;
mod assemble;
mod bench;
mod completions;
mod deletion;
mod doctor;
mod exit;
mod fetch;
mod grammar;
mod interrupt;
mod list;
mod man;
mod output;
mod perplexity;
mod pins;
mod progress;
mod prune;
mod pull;
mod repl;
mod rm;
mod run;
mod serve;
mod show;
mod tokenize;
mod verify;

use clap::{ArgAction, CommandFactory, Parser, Subcommand};
use output::{LogFormat, Logs, Output};
use std::process::ExitCode;

/// Run language models on your own machine.
#[derive(Debug, Parser)]
#[command(name = "taper", version, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = "Try: taper run \"How do I run a model from the Hub?\"")]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: Global,
}

/// Flags that every subcommand takes.
#[derive(Clone, Debug, clap::Args)]
struct Global {
    /// Say nothing but the answer and errors
    #[arg(short, long, global = true, help_heading = "Output")]
    quiet: bool,
    /// Log what happens to stderr; twice for more
    #[arg(short, long, action = ArgAction::Count, global = true, help_heading = "Output")]
    verbose: u8,
    /// Whether to color what a terminal shows
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true, help_heading = "Output")]
    color: output::ColorChoice,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer a prompt; without one on a terminal, chat
    Run(run::Args),
    /// Fetch models from the Hub into the cache
    Pull(pull::Args),
    /// Serve a model over OpenAI's API
    Serve(serve::Args),
    /// Show what a model file says of itself
    Show(show::Args),
    /// List the models in the cache
    List(list::Args),
    /// Remove models from the cache
    Rm(rm::Args),
    /// Hash the models in the cache again
    Verify(verify::Args),
    /// Delete what no model in the cache needs
    Prune(prune::Args),
    /// Turn text into token ids
    Tokenize(tokenize::Args),
    /// Measure how likely a model finds a text
    Perplexity(perplexity::Args),
    /// Measure how fast a model runs here
    Bench(bench::Args),
    /// Report devices, instruction sets, threads, cache and versions
    Doctor(doctor::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
    /// Print the manual page
    Man(man::Args),
}

impl Cli {
    /// The logs that are wanted: with -v what happens, with -vv every step. A server has its own.
    fn logs(&self) -> Option<Logs> {
        let Global { quiet, verbose, .. } = self.global;
        if let Command::Serve(args) = &self.command {
            return Some(args.logs(quiet, verbose));
        }
        let filter = ["", "taper=info", "taper=debug"][usize::from(verbose.min(2))];
        (verbose > 0).then_some(Logs { filter, format: LogFormat::Text, with_time: false })
    }
}

/// Parses the command line, runs it, and reports what went wrong.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return output::report_usage(&error).into(),
    };
    let output = Output::new(cli.global.quiet, cli.global.color);
    if let Some(logs) = cli.logs() {
        output::start_logging(logs);
    }
    let result = match cli.command {
        Command::Run(args) => run::execute(&args, &output),
        Command::Pull(args) => pull::execute(&args, &output),
        Command::Serve(args) => serve::execute(&args, &output),
        Command::Show(args) => show::execute(&args, &output),
        Command::List(args) => list::execute(&args, &output),
        Command::Rm(args) => rm::execute(&args, &output),
        Command::Verify(args) => verify::execute(&args, &output),
        Command::Prune(args) => prune::execute(&args, &output),
        Command::Tokenize(args) => tokenize::execute(&args, &output),
        Command::Perplexity(args) => perplexity::execute(&args, &output),
        Command::Bench(args) => bench::execute(&args, &output),
        Command::Doctor(args) => doctor::execute(&args, &output),
        Command::Completions(args) => completions::execute(&args, &output),
        Command::Man(args) => man::execute(&args, &output),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(error) => output.report(&error).into(),
    }
}

/// The command line's definition, for completions and the manual page.
fn definition() -> clap::Command {
    Cli::command()
}
