//! The loop that answers a request.

use super::{
    Completion, Engine, EngineError, Event, FinishReason, Request, SEQUENCE, Timings, TokenLogprobs, answer::Answer,
};
use crate::{
    TokenId,
    model::Batch,
    sampling::{Logprob, Sampler, logprob_of, top_logprobs},
};
use std::{ops::ControlFlow, time::Instant};

/// Hears what happens, and says whether to go on.
pub type Sink<'a> = dyn FnMut(Event<'_>) -> ControlFlow<()> + 'a;

impl Engine {
    /// Continues the prompt of `request`. What the cache holds of it already is not computed again.
    ///
    /// # Errors
    /// [`EngineError::PromptTooLong`] or [`EngineError::EmptyPrompt`] before anything is computed;
    /// [`EngineError::NotANumber`] or [`EngineError::Model`] when the model fails.
    pub fn generate(&mut self, request: &Request, sink: &mut Sink<'_>) -> Result<Completion, EngineError> {
        let started = Instant::now();
        let (n_reused, flow) = self.prefill(&request.prompt, sink)?;
        let prompt = started.elapsed();

        let mut answer = Answer::new(request, &self.tokenizer);
        let finish_reason = match flow {
            ControlFlow::Continue(()) => self.decode(request, &mut answer, sink)?,
            ControlFlow::Break(()) => FinishReason::Cancelled,
        };
        let generation = answer.since_first_token();
        let first_token = started.elapsed() - generation;
        let finish_reason = match answer.finish(sink) {
            ControlFlow::Continue(()) => finish_reason,
            ControlFlow::Break(()) => FinishReason::Cancelled,
        };
        let (n_prompt, n_tokens) = (request.prompt.len(), answer.tokens.len());
        tracing::info!(n_prompt, n_reused, n_tokens, ?prompt, ?generation, reason = finish_reason.name(), "answered");
        Ok(Completion {
            text: answer.text,
            reasoning: answer.reasoning,
            tokens: answer.tokens,
            logprobs: answer.logprobs,
            finish_reason,
            n_prompt,
            n_reused,
            timings: Timings { prompt, first_token, generation },
        })
    }

    /// Brings the cache to `prompt` and leaves the logits after it; gives how many tokens were there already.
    fn prefill(&mut self, prompt: &[TokenId], sink: &mut Sink<'_>) -> Result<(usize, ControlFlow<()>), EngineError> {
        let n_total = prompt.len();
        if n_total == 0 {
            return Err(EngineError::EmptyPrompt);
        }
        if n_total > self.n_ctx {
            return Err(EngineError::PromptTooLong { n_prompt: n_total, n_ctx: self.n_ctx });
        }
        // The last token is computed in any case: its logits are wanted.
        let shared = self.cached.iter().zip(prompt).take_while(|(a, b)| a == b).count();
        let n_reused = shared.min(n_total - 1);
        self.forget_from(n_reused);
        for chunk in prompt[n_reused..].chunks(PREFILL_CHUNK) {
            let n_done = self.cached.len();
            if sink(Event::Prompt { n_done, n_total }).is_break() {
                return Ok((n_reused, ControlFlow::Break(())));
            }
            let mut batch = Batch::last(SEQUENCE, chunk);
            if let Some(last) = batch.rows.last_mut() {
                last.wants_logits = n_done + chunk.len() == n_total;
            }
            self.append(&batch)?;
        }
        Ok((n_reused, sink(Event::Prompt { n_done: n_total, n_total })))
    }

    /// Chooses token after token, until the answer ends.
    fn decode(
        &mut self,
        request: &Request,
        answer: &mut Answer,
        sink: &mut Sink<'_>,
    ) -> Result<FinishReason, EngineError> {
        let mut sampler = Sampler::new(request.sampling.clone());
        loop {
            if request.max_tokens.is_some_and(|most| answer.tokens.len() >= most) {
                return Ok(FinishReason::Length);
            }
            // The last token of an answer is never appended: nobody asks what comes after it.
            if let Some(&token) = answer.tokens.last() {
                if self.cached.len() == self.n_ctx {
                    return Ok(FinishReason::Length);
                }
                self.append(&Batch::last(SEQUENCE, &[token]))?;
            }
            let token = sampler.sample(&self.logits, &self.cached).ok_or(EngineError::NotANumber)?;
            if self.tokenizer.is_end(token) && !request.ignore_end {
                return Ok(FinishReason::Stop);
            }
            if let Some(n) = request.n_logprobs {
                let chosen = Logprob { token, logprob: logprob_of(&self.logits, token) };
                answer.logprobs.push(TokenLogprobs { chosen, top: top_logprobs(&self.logits, n) });
            }
            if answer.push(token, sink).is_break() {
                return Ok(FinishReason::Cancelled);
            }
            if answer.stopped {
                return Ok(FinishReason::Stop);
            }
        }
    }
}

/// Tokens of a prompt that go through the model at once: enough to keep it busy, few enough to hear an interruption.
const PREFILL_CHUNK: usize = 512;
