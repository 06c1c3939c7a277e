//! A request on its way through the engine.

use super::{
    Completion, Constraint, EngineError, Event, FinishReason, Request, Timings, TokenLogprobs, answer::Answer,
    embedding::Pooled, generate::Sink, prompt_scores::PromptScores,
};
use crate::{
    TokenId,
    model::{Row, SequenceId},
    sampling::{Sampler, logprobs_of},
    text::Tokenizer,
};
use std::{
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

/// Names a request that an engine has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(pub(super) usize);

pub(super) struct Job {
    pub(super) id: JobId,
    /// The prompt and what was generated.
    pub(super) tokens: Vec<TokenId>,
    /// Where the cache holds them.
    pub(super) sequence: SequenceId,
    /// How many of them it holds.
    pub(super) n_cached: usize,
    /// How many of them it held before anything was computed.
    pub(super) n_reused: usize,
    /// Tokens in the forward pass under way.
    pub(super) n_planned: usize,
    /// Why it ended, from when that is known to when it is reported.
    pub(super) end: Option<Result<FinishReason, EngineError>>,
    request: Request,
    answer: Answer,
    sampler: Sampler,
    /// Of a request for a vector.
    pooled: Option<Pooled>,
    /// The vector, once it is whole.
    embedding: Vec<f32>,
    /// Of a request for the log-probabilities of its prompt.
    scores: Option<PromptScores>,
    /// Logits of the tokens that the constraint allows.
    allowed: Vec<f32>,
    started: Instant,
    /// From the request to when work on it began.
    queue: Option<Duration>,
    /// From the request to the logits after the prompt.
    prompt: Option<Duration>,
}

impl Job {
    pub(super) fn new(id: JobId, request: Request, sequence: SequenceId, tokenizer: &Arc<Tokenizer>) -> Job {
        Job {
            id,
            tokens: request.prompt.clone(),
            sequence,
            n_cached: 0,
            n_reused: 0,
            n_planned: 0,
            end: None,
            answer: Answer::new(&request, tokenizer),
            sampler: Sampler::new(request.sampling.clone()),
            pooled: request.pooling.map(Pooled::new),
            embedding: Vec::new(),
            scores: PromptScores::of(&request),
            request,
            allowed: Vec::new(),
            started: Instant::now(),
            queue: None,
            prompt: None,
        }
    }

    /// Work on it begins, for the first time or again.
    pub(super) fn begin(&mut self) {
        self.queue.get_or_insert_with(|| self.started.elapsed());
    }

    /// Tokens that are to be computed before the next can be chosen.
    pub(super) fn n_pending(&self) -> usize {
        self.tokens.len() - self.n_cached
    }

    /// Whether it waits for its next token only, and not for the prompt.
    pub(super) fn is_answering(&self) -> bool {
        self.n_pending() == 1 && !self.answer.tokens.is_empty()
    }

    /// The rows of the tokens that are planned; logits are wanted after the last of all, and after those of a prompt that
    /// have to be scored.
    pub(super) fn rows(&self) -> impl Iterator<Item = Row> {
        let planned = self.n_cached..self.n_cached + self.n_planned;
        let n_silent = if self.is_embedding() { self.tokens.len() } else { self.tokens.len() - 1 };
        let n_scored = self.n_cached + self.n_to_score();
        let wants_logits = move |at| at >= n_silent || at < n_scored;
        planned.map(move |at| Row { token: self.tokens[at], sequence: self.sequence, wants_logits: wants_logits(at) })
    }

    /// Whether there are tokens of the prompt whose log-probabilities are wanted and not there yet. All of the prompt goes
    /// through the model then.
    pub(super) fn is_scoring(&self) -> bool {
        self.scores.as_ref().is_some_and(|scores| !scores.is_whole())
    }

    /// Of the planned tokens, the first so many are those after which logits are wanted for that.
    pub(super) fn n_to_score(&self) -> usize {
        self.scores.as_ref().map_or(0, |scores| scores.n_needed(self.n_planned))
    }

    /// Takes in the logits after the next of those.
    pub(super) fn score(&mut self, logits: &[f32]) {
        let Some(scores) = self.scores.as_mut().filter(|_| self.end.is_none()) else { return };
        if let Err(error) = scores.push(logits, &self.request.prompt) {
            self.end = Some(Err(error));
        }
    }

    /// Whether what `other` scores is just what this request waits for.
    pub(super) fn is_scored_by(&self, other: &Job) -> bool {
        let alike = |(own, others): (&PromptScores, &PromptScores)| !own.is_whole() && own.is_like(others);
        self.scores.as_ref().zip(other.scores.as_ref()).is_some_and(alike)
            && self.request.prompt == other.request.prompt
    }

    /// Takes over what `other` has scored, if it [is so](Self::is_scored_by). Nothing of it may be computed yet.
    pub(super) fn take_scores(&mut self, other: &Job) {
        if self.is_scored_by(other) {
            self.scores.clone_from(&other.scores);
        }
    }

    /// Whether a vector is wanted and no answer. What the cache has of its tokens is of no use then, neither before, since
    /// the last layer's part of them is not in it, nor after.
    pub(super) fn is_embedding(&self) -> bool {
        self.pooled.is_some()
    }

    /// Of the planned rows, those that go into a vector.
    pub(super) fn rows_to_pool(&self) -> Range<usize> {
        let is_end = self.n_planned == self.n_pending();
        self.pooled.as_ref().map_or(0..0, |pooled| pooled.wanted(self.n_planned, is_end))
    }

    /// Takes one of those in.
    pub(super) fn pool(&mut self, hidden: &[f32]) {
        if let Some(pooled) = &mut self.pooled {
            pooled.push(hidden);
        }
    }

    /// Gives up what the cache held of the tokens.
    pub(super) fn restart(&mut self) {
        self.n_cached = 0;
        if let Some(pooled) = &mut self.pooled {
            pooled.clear();
        }
        if let Some(scores) = &mut self.scores {
            scores.restart();
        }
    }

    /// Tells how much of the prompt is done.
    pub(super) fn report_prompt(&mut self, sink: &mut Sink<'_>) {
        let event = Event::Prompt { n_done: self.n_cached, n_total: self.request.prompt.len() };
        if self.answer.tokens.is_empty() && sink(event).is_break() {
            self.end = Some(Ok(FinishReason::Cancelled));
        }
    }

    /// Notes that the prompt is done.
    pub(super) fn end_prompt(&mut self, sink: &mut Sink<'_>) {
        if self.prompt.is_some() {
            return;
        }
        self.prompt = Some(self.started.elapsed());
        self.report_prompt(sink);
        if let Some(scores) = self.scores.as_ref().filter(|_| self.end.is_none())
            && sink(Event::PromptLogprobs(scores.scores())).is_break()
        {
            self.end = Some(Ok(FinishReason::Cancelled));
        }
    }

    /// Ends a request for a vector, all of which is computed.
    pub(super) fn end_embedding(&mut self, sink: &mut Sink<'_>) {
        self.end_prompt(sink);
        let Some(pooled) = &self.pooled else { return };
        let vector = pooled.finish();
        let end = vector.map(|vector| {
            self.embedding = vector;
            FinishReason::Stop
        });
        self.end.get_or_insert(end);
    }

    /// Chooses the next token by the `logits` after all there are.
    pub(super) fn advance(&mut self, logits: &[f32], n_ctx: usize, tokenizer: &Tokenizer, sink: &mut Sink<'_>) {
        self.end_prompt(sink);
        if self.end.is_none() {
            self.end = self.choose(logits, n_ctx, tokenizer, sink).transpose();
        }
    }

    /// Those of `token` under `logits`, if they were asked for.
    fn logprobs(&self, logits: &[f32], token: TokenId) -> Option<TokenLogprobs> {
        let (chosen, top) = logprobs_of(logits, token, self.request.n_logprobs?);
        Some(TokenLogprobs { chosen, top })
    }

    fn choose(
        &mut self,
        logits: &[f32],
        n_ctx: usize,
        tokenizer: &Tokenizer,
        sink: &mut Sink<'_>,
    ) -> Result<Option<FinishReason>, EngineError> {
        let n_most = self.request.max_tokens.unwrap_or(usize::MAX);
        if n_most == 0 {
            return Ok(Some(FinishReason::Length));
        }
        let mut candidates = logits;
        if let Some(constraint) = &mut self.request.constraint {
            constraint.mask(logits, &mut self.allowed)?;
            candidates = &self.allowed;
        }
        let token = self.sampler.sample(candidates, &self.tokens).ok_or(EngineError::NotANumber)?;
        if tokenizer.is_end(token) && (!self.request.ignore_end || self.request.constraint.is_some()) {
            // Who has a prompt scored with one token to follow takes the last as that, whatever it is.
            if let Some(logprobs) = self.logprobs(logits, token).filter(|_| self.scores.is_some())
                && sink(Event::Token(&logprobs)).is_break()
            {
                return Ok(Some(FinishReason::Cancelled));
            }
            return Ok(Some(FinishReason::Stop));
        }
        let over = match &mut self.request.constraint {
            Some(constraint) => constraint.accept(token).map(|()| constraint.is_over())?,
            None => false,
        };
        if let Some(logprobs) = self.logprobs(logits, token) {
            if sink(Event::Token(&logprobs)).is_break() {
                return Ok(Some(FinishReason::Cancelled));
            }
            self.answer.logprobs.push(logprobs);
        }
        self.tokens.push(token);
        let flow = self.answer.push(token, sink);
        // The last token of an answer is never computed: nobody asks what comes after it.
        let full = self.answer.tokens.len() >= n_most || self.tokens.len() > n_ctx;
        Ok(match flow.is_break() {
            true => Some(FinishReason::Cancelled),
            false if over || self.answer.stopped => Some(FinishReason::Stop),
            false => full.then_some(FinishReason::Length),
        })
    }

    /// The answer, after what was held back is reported; and what the cache holds of the tokens.
    pub(super) fn finish(mut self, sink: &mut Sink<'_>) -> (Result<Completion, EngineError>, Vec<TokenId>) {
        let generation = self.answer.since_first_token();
        let first_token = self.started.elapsed() - generation;
        self.tokens.truncate(self.n_cached);
        let finish_reason = match self.end {
            Some(Err(error)) => return (Err(error), self.tokens),
            Some(Ok(reason)) if self.answer.finish(sink).is_continue() => reason,
            _ => FinishReason::Cancelled,
        };
        let queue = self.queue.unwrap_or_else(|| self.started.elapsed());
        let prompt = self.prompt.unwrap_or_else(|| self.started.elapsed());
        let (n_prompt, n_reused, n_tokens) = (self.request.prompt.len(), self.n_reused, self.answer.tokens.len());
        tracing::info!(n_prompt, n_reused, n_tokens, ?prompt, ?generation, reason = finish_reason.name(), "answered");
        let completion = Completion {
            text: self.answer.text,
            reasoning: self.answer.reasoning,
            tokens: self.answer.tokens,
            logprobs: self.answer.logprobs,
            prompt_logprobs: self.scores.map(PromptScores::into_scores).unwrap_or_default(),
            embedding: self.embedding,
            finish_reason,
            fits: self.request.constraint.as_mut().map(Constraint::fits),
            n_prompt,
            n_reused,
            timings: Timings { queue, prompt, first_token, generation },
        };
        (Ok(completion), self.tokens)
    }
}
