//! Showing an answer while it comes.

use crate::{
    cli::{interrupt, output::Output},
    engine::{Completion, Engine, Event, Part, Request},
};
use std::{io, ops::ControlFlow};

/// Answers `request`. The thinking goes to stderr; the answer, if `shown`, to stdout as it comes, with a newline at its
/// end.
pub(super) fn generate(
    engine: &mut Engine,
    request: &Request,
    shown: bool,
    output: &Output,
) -> anyhow::Result<Completion> {
    let progress = output.progress("reading the prompt", request.prompt.len());
    let mut broken: Option<io::Error> = None;
    let mut thinking = false;
    let completion = engine.generate(request, &mut |event| {
        match event {
            Event::Prompt { n_done, n_total } if n_done == n_total => progress.finish_and_clear(),
            Event::Prompt { n_done, .. } => progress.set_position(n_done as u64),
            Event::PromptLogprobs(_) | Event::Token(_) => {}
            Event::Text(Part::Reasoning, text) => {
                thinking = true;
                output.thinking(text);
            }
            Event::Text(Part::Answer, text) => {
                if std::mem::take(&mut thinking) {
                    output.thinking("\n\n");
                }
                broken = if shown { output.answer(text).err() } else { None };
            }
        }
        if broken.is_some() || interrupt::asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    progress.finish_and_clear();
    if thinking {
        output.thinking("\n");
    }
    if let Some(error) = broken {
        return Err(error.into());
    }
    if shown && !completion.text.ends_with('\n') {
        output.answer("\n")?;
    }
    Ok(completion)
}
