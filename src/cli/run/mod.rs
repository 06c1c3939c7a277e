//! `taper run`: answers a prompt, or chats.

mod fit;
mod report;
mod stream;

use super::{
    args::{ComputeArgs, ModelArgs, SamplingArgs, positive},
    assemble,
    exit::{Exit, UsageError},
    grammar::GrammarArgs,
    interrupt,
    output::Output,
    repl,
};
use crate::{
    TokenId,
    engine::{Completion, Engine, FinishReason, ModelFiles, Prompt, Prompter, Request},
    text::{Conversation, Message},
};
use fit::Fitted;
use std::{
    io::{self, IsTerminal},
    path::PathBuf,
    time::Instant,
};

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// The prompt; files and standard input follow it, a blank line between
    prompt: Vec<String>,
    /// Add a file to the prompt (repeatable)
    #[arg(short, long, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// System prompt
    #[arg(short = 'S', long, value_name = "TEXT", conflicts_with = "raw")]
    system: Option<String>,
    /// No chat template: the text is the prompt
    #[arg(long)]
    raw: bool,
    /// The most tokens to generate [default: to the end of the context]
    #[arg(short = 'n', long, value_name = "N")]
    max_tokens: Option<usize>,
    /// End the answer before this text (repeatable)
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    /// Whether a model that can think should
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    think: Think,
    /// Print one JSON object at the end instead of text
    #[arg(long)]
    json: bool,
    /// Report the N likeliest tokens beside each, with --json
    #[arg(long, value_name = "N", value_parser = positive)]
    logprobs: Option<usize>,
    /// Exit with 9 if the answer was cut off
    #[arg(long)]
    require_stop: bool,
    /// Go on where the model would end, up to --max-tokens
    #[arg(long, requires = "max_tokens")]
    ignore_eos: bool,
    /// Print the exact prompt and its token count; load no weights
    #[arg(long)]
    dry_run: bool,
    /// Which part of a prompt that does not fit to leave out
    #[arg(long, value_name = "PART")]
    truncate: Option<fit::Truncate>,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    compute: ComputeArgs,
    #[command(flatten)]
    sampling: SamplingArgs,
    #[command(flatten)]
    grammar: GrammarArgs,
}

/// Whether a model should think before it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Think {
    /// Think
    On,
    /// Answer at once
    Off,
    /// What the model's template does by itself
    Auto,
}

pub(crate) fn execute(args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let started = Instant::now();
    if args.logprobs.is_some() && !args.json {
        return Err(UsageError("`--logprobs` needs `--json`".into()).into());
    }
    let given = !args.prompt.is_empty() || !args.file.is_empty() || !io::stdin().is_terminal();
    if !(given || args.json || args.dry_run || args.raw) {
        return Session::open(args, output)?.chat();
    }
    let text = assemble::prompt(&args.prompt, &args.file)?
        .ok_or_else(|| UsageError("no prompt\nhint: give it as words, with `-f FILE` or on standard input".into()))?;
    let session = Session::open(args, output)?;
    if args.dry_run { session.dry_run(&text) } else { session.answer(&text, started) }
}

/// An opened model and what is wanted of it.
struct Session<'a> {
    args: &'a Args,
    output: &'a Output,
    files: ModelFiles,
    prompter: Prompter,
    /// Positions of the context; `None` where the file does not say, as one with a vocabulary only.
    n_ctx: Option<usize>,
}

impl<'a> Session<'a> {
    fn open(args: &'a Args, output: &'a Output) -> anyhow::Result<Session<'a>> {
        let files = args.model.open(output)?;
        let tokenizer = files.tokenizer()?;
        let template = if args.raw { None } else { files.template(&tokenizer)? };
        if template.is_none() && !args.raw {
            output.note("the model has no chat template, so it continues the prompt as it is");
        }
        let trained = files.source().config().map(|config| config.n_ctx_train);
        let n_ctx = match (args.compute.ctx_size, trained) {
            (Some(n_ctx), trained) => {
                if let Some(trained) = trained.ok().filter(|&trained| n_ctx > trained) {
                    output.note(&format!(
                        "the model was trained for {trained} tokens; beyond, its answers may make no sense"
                    ));
                }
                Some(n_ctx)
            }
            (None, Ok(trained)) => Some(trained),
            (None, Err(_)) if args.dry_run => None,
            (None, Err(error)) => return Err(error.into()),
        };
        Ok(Session { args, output, files, prompter: Prompter::new(tokenizer, template), n_ctx })
    }

    /// Prints the prompt as the model would read it; loads no weights.
    fn dry_run(&self, text: &str) -> anyhow::Result<Exit> {
        let fitted = self.fit(text)?;
        if self.args.json {
            self.output.json(&report::DryRun::new(&fitted))?;
        } else {
            self.output.answer(&fitted.prompt.text)?;
            self.output.note(&format!("{} tokens", fitted.prompt.tokens.len()));
        }
        Ok(Exit::Done)
    }

    /// Answers one prompt.
    fn answer(&self, text: &str, started: Instant) -> anyhow::Result<Exit> {
        let fitted = self.fit(text)?;
        let mut engine = self.load()?;
        let load = started.elapsed();
        let request = self.request(fitted.prompt.tokens.clone())?;
        let completion = stream::generate(&mut engine, &request, !self.args.json, self.output)?;
        if self.args.json {
            let context = report::Context {
                files: &self.files,
                tokenizer: engine.tokenizer(),
                fitted: &fitted,
                request: &request,
                device: engine.model().device(),
                times: report::Times { load, total: started.elapsed() },
            };
            self.output.json(&report::Answer::new(&completion, context)?)?;
        }
        Ok(self.judge(&completion))
    }

    /// Answers prompt after prompt.
    fn chat(&self) -> anyhow::Result<Exit> {
        let mut engine = self.load()?;
        let mut repl = repl::Repl::new(self.files.reference(), self.conversation(), self.output)?;
        while let Some((conversation, n_retries)) = repl.next_turn()? {
            let prompt = self.prompter.chat(conversation)?;
            let mut request = self.request(prompt.tokens)?;
            request.sampling.seed = request.sampling.seed.wrapping_add(n_retries);
            interrupt::reset();
            match stream::generate(&mut engine, &request, true, self.output) {
                Ok(completion) => repl.answered(&completion),
                // The conversation has outgrown the context: the user can clear it and go on.
                Err(error) if Exit::of(&error) == Exit::ContextFull => repl.failed(&error),
                Err(error) => return Err(error),
            }
        }
        Ok(Exit::Done)
    }

    fn load(&self) -> anyhow::Result<Engine> {
        let progress = self.output.spinner("loading the model");
        let engine = self.files.load(self.args.compute.compute(), self.n_ctx, self.prompter.shared_tokenizer())?;
        progress.finish_and_clear();
        // Until here there is nothing to lose: Ctrl-C ends the process as it does any other.
        interrupt::listen();
        let device = engine.model().device().device;
        if device != "cpu" && self.args.compute.is_auto() {
            self.output.note(&format!("computing on {device}"));
        }
        Ok(engine)
    }

    /// The prompt that is made of `text`, with a part left out if that was asked for and must be.
    fn fit(&self, text: &str) -> anyhow::Result<Fitted> {
        let make = |text: &str| self.prompt(text);
        let Some(n_ctx) = self.n_ctx else { return Ok(Fitted::whole(make(text)?)) };
        fit::fit(
            text,
            self.prompter.tokenizer(),
            make,
            &fit::Limits::new(n_ctx, self.args.max_tokens, self.args.truncate),
        )
    }

    fn prompt(&self, text: &str) -> anyhow::Result<Prompt> {
        if self.args.raw {
            return Ok(self.prompter.raw(text)?);
        }
        let mut conversation = self.conversation();
        // A newline at the end belongs to the file or the echo that it came from.
        conversation.messages.push(Message::new("user", text.trim_end_matches(['\r', '\n'])));
        Ok(self.prompter.chat(&conversation)?)
    }

    /// A conversation with nothing but the system prompt.
    fn conversation(&self) -> Conversation {
        let system = self.args.system.iter().map(|text| Message::new("system", text));
        let mut conversation =
            Conversation { messages: system.collect(), add_generation_prompt: true, ..Conversation::default() };
        let think = match self.args.think {
            Think::On => Some(true),
            Think::Off => Some(false),
            Think::Auto => None,
        };
        conversation.extra.extend(think.map(|think| ("enable_thinking".to_owned(), think.into())));
        conversation
    }

    fn request(&self, prompt: Vec<TokenId>) -> anyhow::Result<Request> {
        Ok(Request {
            prompt,
            max_tokens: self.args.max_tokens,
            sampling: self.args.sampling.params(self.files.sampling()?),
            stop: self.args.stop.clone(),
            n_logprobs: self.args.logprobs,
            n_prompt_logprobs: None,
            ignore_end: self.args.ignore_eos,
            split_reasoning: !self.args.raw,
            constraint: self.args.grammar.constraint(self.prompter.tokenizer())?,
            pooling: None,
        })
    }

    /// Whether the answer is what was wanted.
    fn judge(&self, completion: &Completion) -> Exit {
        match completion.finish_reason {
            FinishReason::Cancelled => Exit::Interrupted,
            _ if completion.fits == Some(false) => {
                self.output.note("the answer was cut off before it had the form that was demanded");
                Exit::Demand
            }
            FinishReason::Length if self.args.require_stop => {
                self.output.note("the answer was cut off, which --require-stop does not allow");
                Exit::Demand
            }
            FinishReason::Length if self.args.max_tokens != Some(completion.tokens.len()) => {
                self.output.note("the answer was cut off at the end of the context");
                Exit::Done
            }
            FinishReason::Length | FinishReason::Stop => Exit::Done,
        }
    }
}
