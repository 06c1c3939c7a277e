//! An answer under way: tokens become text, thinking is told apart, stop strings end it.

use super::{Event, Part, Request, TokenLogprobs, generate::Sink, reasoning::ReasoningSplitter, stop::StopStrings};
use crate::{
    TokenId,
    text::{Controls, Decoder, Tokenizer},
};
use std::{
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

/// What has been generated so far.
pub(super) struct Answer {
    pub(super) tokens: Vec<TokenId>,
    pub(super) logprobs: Vec<TokenLogprobs>,
    pub(super) text: String,
    pub(super) reasoning: String,
    /// Whether a stop string has come.
    pub(super) stopped: bool,
    first_token: Option<Instant>,
    decoder: Decoder,
    /// `None` where thinking is not told from the answer.
    splitter: Option<ReasoningSplitter>,
    stop: StopStrings,
}

impl Answer {
    pub(super) fn new(request: &Request, tokenizer: &Arc<Tokenizer>) -> Answer {
        let tail = &request.prompt[request.prompt.len().saturating_sub(8)..];
        let tail: String = tail.iter().map(|&token| tokenizer.token_text(token)).collect();
        Answer {
            tokens: Vec::new(),
            logprobs: Vec::new(),
            text: String::new(),
            reasoning: String::new(),
            stopped: false,
            first_token: None,
            decoder: Decoder::after(Arc::clone(tokenizer), Controls::Skip, &request.prompt),
            splitter: request.split_reasoning.then(|| ReasoningSplitter::after(&tail)),
            stop: StopStrings::new(&request.stop),
        }
    }

    /// Adds a token and reports what text it completes.
    pub(super) fn push(&mut self, token: TokenId, sink: &mut Sink<'_>) -> ControlFlow<()> {
        self.first_token.get_or_insert_with(Instant::now);
        self.tokens.push(token);
        let text = self.decoder.push(token);
        self.add(&text, sink)
    }

    /// Reports what is held back, when the answer ends for another reason than a stop string.
    pub(super) fn finish(&mut self, sink: &mut Sink<'_>) -> ControlFlow<()> {
        if self.stopped {
            return ControlFlow::Continue(());
        }
        let text = self.decoder.finish();
        self.add(&text, sink)?;
        if let Some((part, text)) = self.splitter.as_mut().and_then(ReasoningSplitter::finish) {
            self.show(part, &text, sink)?;
        }
        let held = self.stop.finish();
        self.emit(Part::Answer, &held, sink)
    }

    /// From the first token to now; zero if there is none.
    pub(super) fn since_first_token(&self) -> Duration {
        self.first_token.map(|first| first.elapsed()).unwrap_or_default()
    }

    fn add(&mut self, text: &str, sink: &mut Sink<'_>) -> ControlFlow<()> {
        let parts = match &mut self.splitter {
            Some(splitter) => splitter.push(text),
            None => vec![(Part::Answer, text.to_owned())],
        };
        parts.iter().try_for_each(|(part, text)| self.show(*part, text, sink))
    }

    fn show(&mut self, part: Part, text: &str, sink: &mut Sink<'_>) -> ControlFlow<()> {
        if part == Part::Reasoning {
            return self.emit(part, text, sink);
        }
        if self.stopped {
            return ControlFlow::Continue(());
        }
        let (text, stopped) = self.stop.push(text);
        self.stopped = stopped;
        self.emit(part, &text, sink)
    }

    fn emit(&mut self, part: Part, text: &str, sink: &mut Sink<'_>) -> ControlFlow<()> {
        if text.is_empty() {
            return ControlFlow::Continue(());
        }
        match part {
            Part::Reasoning => self.reasoning.push_str(text),
            Part::Answer => self.text.push_str(text),
        }
        sink(Event::Text(part, text))
    }
}
