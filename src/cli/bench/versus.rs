//! The same work elsewhere: in Python, and by a server.

use super::{
    super::{
        exit::{Exit, UsageError},
        interrupt,
        output::Output,
    },
    Args, joined,
};
use crate::{
    TokenId,
    bench::{
        Report, Section, Subject,
        load::{Endpoint, LoadError, Prompt, alone},
        python::{self, Job, Ours, Setting, Side, SideError},
        threads,
    },
    engine::{ModelFiles, Prompter},
    text::Controls,
};
use anyhow::Context;
use serde_json::json;
use std::{ffi::OsString, path::PathBuf, str::FromStr, time::Duration};

/// What prompts are made of.
const TEXT: &str = include_str!("../../../README.md");

/// What to compare with.
#[derive(Clone, Debug)]
pub(super) enum Versus {
    Python(&'static [Side]),
    Server(Endpoint),
}

impl FromStr for Versus {
    type Err = String;

    fn from_str(text: &str) -> Result<Versus, String> {
        let (name, package) = text.split_once('=').map_or((text, None), |(name, package)| (name, Some(package)));
        if name != "python" {
            return Endpoint::new(text).map(Versus::Server).map_err(|error| error.to_string());
        }
        let sides = Side::of_package(package).map(Versus::Python);
        sides.ok_or_else(|| "expected python, python=transformers, python=llama-cpp-python or a URL".into())
    }
}

/// What is to be compared with, known to be possible as far as that can be told.
pub(super) struct Comparisons<'a> {
    args: &'a Args,
    files: &'a ModelFiles,
    all: Vec<Comparison<'a>>,
}

enum Comparison<'a> {
    /// With the GGUF file.
    Python(&'a [Side], PathBuf),
    Server(Endpoint),
}

impl<'a> Comparisons<'a> {
    /// Those that `args` ask for.
    ///
    /// # Errors
    /// What can be said before minutes of measurements: there is no file for Python, or no key for a server.
    pub(super) fn of(args: &'a Args, files: &'a ModelFiles) -> anyhow::Result<Comparisons<'a>> {
        let comparison = |versus: &'a Versus| match versus {
            Versus::Server(endpoint) => Ok(Comparison::Server(args.load.ask(endpoint.clone())?)),
            Versus::Python(sides) => {
                let file = files.path().filter(|path| path.is_file()).ok_or_else(|| {
                    let message = "`--vs python` needs a file that Python can read\nhint: name a GGUF file with `-m`";
                    UsageError(message.into())
                })?;
                Ok(Comparison::Python(sides, std::path::absolute(file)?))
            }
        };
        let all = args.vs.iter().map(comparison).collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Comparisons { args, files, all })
    }

    /// Makes them and puts a section for each into `report`; one that fails has a section that says so.
    ///
    /// # Errors
    /// The first failure, when all has been measured that can be.
    pub(super) fn measure(&self, output: &Output, report: &mut Report) -> anyhow::Result<Exit> {
        let subject = report.rows.first().map(|row| row.subject.clone());
        let mut failure = None;
        for comparison in &self.all {
            if interrupt::asked() {
                break;
            }
            let section = match comparison {
                Comparison::Python(sides, model) => self.python(sides, model.clone(), subject.clone(), output),
                Comparison::Server(endpoint) => self.server(endpoint, output),
            };
            match section {
                Ok(section) => report.sections.push(section),
                Err(error) => {
                    report.sections.push(comparison.failed(&error));
                    failure = failure.or(Some(error));
                }
            }
        }
        match failure {
            _ if interrupt::asked() => Ok(Exit::Interrupted),
            Some(error) => Err(error),
            None => Ok(Exit::Done),
        }
    }

    fn python(
        &self,
        sides: &[Side],
        model: PathBuf,
        subject: Option<Subject>,
        output: &Output,
    ) -> anyhow::Result<Section> {
        let args = self.args;
        let n_threads = args.thread_counts()[0];
        let (prompt, _) = self.prompt(0)?;
        let job = Job {
            python: args.python.clone(),
            model,
            prompt,
            threads: n_threads,
            repetitions: args.repetitions,
            timeout: Duration::from_secs(args.vs_timeout),
        };
        let spinner = output.spinner("taper in a process of its own");
        let ours = self.ours(&job);
        spinner.finish_and_clear();
        let ours = ours?;
        let mut outcomes = Vec::new();
        for side in sides.iter().take_while(|_| !interrupt::asked()) {
            let spinner = output.spinner(side.name());
            outcomes.push(python::measure(*side, &job, &ours, &interrupt::asked));
            spinner.finish_and_clear();
        }
        let (n_prompt, n_gen) = (job.prompt.len(), ours.tokens.len());
        let common = json!({"vs": "python", "n_prompt": n_prompt, "n_gen": n_gen, "n_threads": n_threads});
        let mut records = vec![joined(&joined(&common, &json!({"engine": "taper"}))?, &ours)?];
        for outcome in &outcomes {
            records.push(joined(&common, outcome)?);
        }
        Ok(Section {
            title: format!("Beside Python: {n_prompt} tokens of prompt, {n_gen} generated, {}", threads(n_threads)),
            subject,
            table: python::table(&ours, &outcomes),
            records,
            notes: python::notes(&ours, &outcomes),
        })
    }

    fn ours(&self, job: &Job) -> anyhow::Result<Ours> {
        let exe = std::env::current_exe().context("cannot find this program")?;
        let mut model = OsString::from("--model=");
        model.push(&job.model);
        let mut arguments = vec!["bench".into(), "--side".into(), model];
        arguments.extend(self.args.compute_flags(job.threads).into_iter().map(OsString::from));
        let weights = self.files.quantization().unwrap_or_else(|| "as the file has them".into());
        let setting = Setting {
            exe: &exe,
            arguments: &arguments,
            precision: format!("weights {weights}, activations in 8 bits where the weights are quantized"),
            n_gen: self.args.first(&self.args.n_gen),
        };
        python::ours(job, &setting, &interrupt::asked).map_err(|error| match error {
            SideError::Interrupted => error.into(),
            error => anyhow::Error::from(error).context("taper itself was not measured"),
        })
    }

    fn server(&self, endpoint: &Endpoint, output: &Output) -> anyhow::Result<Section> {
        let args = self.args;
        let seed = args.load.seed();
        // A server may have kept what it has seen, in an earlier run too: each prompt begins elsewhere in the text.
        let step = TEXT.len() / args.repetitions;
        let first = usize::try_from(seed).unwrap_or_default();
        let prompts = (0..args.repetitions).map(|i| Ok(Prompt::Text(self.prompt(first.wrapping_add(i * step))?.1)));
        let prompts = prompts.collect::<anyhow::Result<Vec<_>>>()?;
        let wish = args.load.wish(args.first(&args.n_gen));
        let spinner = output.spinner("asking the server");
        let alone = alone(endpoint, &prompts, wish, &interrupt::asked);
        spinner.finish_and_clear();
        let alone = alone?;
        let record = joined(&json!({"vs": "server", "seed": seed}), &alone)?;
        let n_prompt = args.first(&args.n_prompt);
        Ok(Section {
            title: format!(
                "A server: prompts of {n_prompt} tokens as counted here, at most {} generated",
                wish.max_tokens
            ),
            table: alone.table(),
            records: vec![record],
            notes: alone.notes(),
            ..Section::default()
        })
    }

    /// Tokens of a prompt of the first length that is asked for, which begins somewhere in the text, and their text.
    fn prompt(&self, start: usize) -> anyhow::Result<(Vec<TokenId>, String)> {
        let tokenizer = self.files.tokenizer()?;
        let prompter = Prompter::new(tokenizer.clone(), None);
        let n = self.args.first(&self.args.n_prompt);
        let (end, begin) = TEXT.split_at(TEXT.ceil_char_boundary(start % TEXT.len()));
        let whole = format!("{begin}{end}");
        let mut text = whole.clone();
        while prompter.raw(&text)?.tokens.len() < n {
            text += &whole;
        }
        let mut tokens = prompter.raw(&text)?.tokens;
        tokens.truncate(n);
        let text = tokenizer.decode(&tokens[tokenizer.before().len().min(n)..], Controls::Show);
        Ok((tokens, text))
    }
}

impl Comparison<'_> {
    /// What stands in the place of its section.
    fn failed(&self, error: &anyhow::Error) -> Section {
        let (title, mut record) = match self {
            Comparison::Python(..) => ("Beside Python".to_owned(), json!({"vs": "python"})),
            Comparison::Server(endpoint) => {
                let url = endpoint.base();
                (format!("A server: {url}"), json!({"vs": "server", "url": url}))
            }
        };
        let said = match error.downcast_ref() {
            Some(LoadError::Interrupted) => "interrupted".into(),
            _ => format!("{error:#}"),
        };
        let said = said.lines().next().unwrap_or_default().to_owned();
        record["error"] = said.clone().into();
        Section { title, records: vec![record], notes: vec![format!("not measured: {said}")], ..Section::default() }
    }
}
