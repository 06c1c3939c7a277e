//! Which tokens of which requests go through the model next.

use super::{
    Completion, Engine, EngineError, Event, FinishReason, JobId, Request, job::Job, prefixes::common,
    prompt_scores::MOST_SCORED,
};
use crate::{
    backend::BLOCK_LEN,
    model::{ModelError, SequenceId},
};
use std::{ops::ControlFlow, time::Instant};

/// Finished requests for each place of which the cache keeps what they left. More would fill it, however large it may be,
/// with what is hardly ever asked for again.
const KEPT_PER_PLACE: usize = 4;

/// A request that has ended, and how.
pub type Finished = (JobId, Result<Completion, EngineError>);

/// Hears what happens to which request, and says whether that request goes on.
pub type StepSink<'a> = dyn FnMut(JobId, Event<'_>) -> ControlFlow<()> + 'a;

/// How busy an engine is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Requests that wait for a place.
    pub n_waiting: usize,
    /// Requests that are worked on.
    pub n_running: usize,
    /// Positions of the cache that running requests hold; what they share counts for each.
    pub n_held: usize,
    /// Positions of the cache in which there is nothing, not even what finished requests have left.
    pub n_free: usize,
    /// Positions of the cache.
    pub n_positions: usize,
}

impl Engine {
    /// Takes a request, which [`Engine::step`] answers in the course of time.
    ///
    /// # Errors
    /// [`EngineError::PromptTooLong`] or [`EngineError::EmptyPrompt`].
    pub fn submit(&mut self, request: Request) -> Result<JobId, EngineError> {
        let (n_prompt, n_ctx) = (request.prompt.len(), self.n_ctx);
        if n_prompt == 0 {
            return Err(EngineError::EmptyPrompt);
        }
        if n_prompt > n_ctx {
            return Err(EngineError::PromptTooLong { n_prompt, n_ctx });
        }
        let (id, sequence) = (JobId(self.new_name()), self.new_sequence());
        self.waiting.push(Job::new(id, request, sequence, &self.tokenizer));
        Ok(id)
    }

    /// Ends a request with what it has; the next step reports it. One that has ended already is left alone.
    pub fn cancel(&mut self, id: JobId) {
        for job in self.waiting.iter_mut().chain(&mut self.running).filter(|job| job.id == id) {
            job.end.get_or_insert(Ok(FinishReason::Cancelled));
        }
    }

    /// How busy it is.
    pub fn load(&self) -> Load {
        let (n_waiting, n_running) = (self.waiting.len(), self.running.len());
        let n_held = self.running.iter().map(|job| job.n_cached.next_multiple_of(BLOCK_LEN)).sum();
        Load { n_waiting, n_running, n_held, n_free: self.model.n_free(), n_positions: self.model.n_positions() }
    }

    /// Takes the running requests one forward pass further, and gives those that have ended. Without any request it does
    /// nothing.
    ///
    /// # Errors
    /// [`EngineError::Model`] when the model fails: all requests are lost then.
    pub fn step(&mut self, sink: &mut StepSink<'_>) -> Result<Vec<Finished>, EngineError> {
        self.admit();
        self.plan(sink);
        let n_answers = self.running.iter().filter(|job| job.is_answering()).count();
        let started = Instant::now();
        match self.model.forward(&self.batch, &mut self.logits).and_then(|()| self.pool()) {
            Ok(()) => {
                self.pace.learn(n_answers, self.batch.rows.len().saturating_sub(n_answers), started.elapsed());
                self.advance(sink);
            }
            // Nothing was appended; the next step tries again with who is left then.
            Err(ModelError::ContextFull { .. }) if self.make_room() => {}
            Err(error) => {
                self.forget_all();
                return Err(error.into());
            }
        }
        Ok(self.sweep(sink))
    }

    /// Starts requests in the order of their coming, as long as there are a place and room in the cache.
    fn admit(&mut self) {
        while self.running.len() < self.n_parallel && !self.waiting.is_empty() {
            let mut job = self.waiting.remove(0);
            if !self.place(&mut job) {
                self.waiting.insert(0, job);
                return;
            }
            job.begin();
            self.running.push(job);
        }
    }

    /// Lets the job begin with what the cache has of it; `false` if it is better to wait.
    fn place(&mut self, job: &mut Job) -> bool {
        if let Some(other) = self.running.iter().find(|other| job.is_scored_by(other)) {
            if other.is_scoring() {
                return false;
            }
            job.take_scores(other);
        }
        let (best, n_soon) = self.beginning(job);
        let n_blocks = best.map_or(0, |(_, len)| len / BLOCK_LEN);
        // Another job computes more of the same beginning right now.
        if n_soon / BLOCK_LEN > n_blocks {
            return false;
        }
        // The first tokens are alike in many prompts, and do not make any of them useful.
        if let (Some((sequence, _)), true) = (best, n_blocks > 0) {
            self.prefixes.touch(sequence);
        }
        let n_new = (job.tokens.len() - n_blocks * BLOCK_LEN).next_multiple_of(BLOCK_LEN);
        // What the others have not come to yet is theirs.
        let n_promised: usize = self.running.iter().map(|other| other.n_pending().next_multiple_of(BLOCK_LEN)).sum();
        let fits = |engine: &Engine| engine.model.n_free() >= n_promised + n_new;
        while !fits(self) && self.prefixes.evict(self.model.as_mut()) {}
        if !fits(self) && !self.running.is_empty() {
            return false;
        }
        if let Some((sequence, len)) = best {
            self.share(job, sequence, len);
        }
        true
    }

    /// The sequence that has the longest beginning of the job's tokens, and how long that is; and how long it will be
    /// when the running jobs are computed.
    fn beginning(&self, job: &Job) -> (Option<(SequenceId, usize)>, usize) {
        if job.is_embedding() || job.is_scoring() {
            return (None, 0);
        }
        // The last token is computed in any case: its logits are wanted.
        let wanted = &job.tokens[..job.tokens.len() - 1];
        let (mut best, mut n_soon) = (self.prefixes.longest(wanted), 0);
        for other in &self.running {
            let n_common = common(&other.tokens, wanted);
            n_soon = n_soon.max(n_common);
            let n_now = n_common.min(other.n_cached);
            if n_now > best.map_or(0, |(_, len)| len) {
                best = Some((other.sequence, n_now));
            }
        }
        (best, n_soon)
    }

    /// Lets the job begin with the first `len` tokens of `from`.
    fn share(&mut self, job: &mut Job, from: SequenceId, len: usize) {
        job.n_cached = match self.prefixes.take(from, len + BLOCK_LEN) {
            // Nothing is lost if the sequence itself goes on as the job's.
            true => {
                job.sequence = from;
                self.model.truncate(from, len)
            }
            false => self.model.fork(from, job.sequence, len),
        };
        job.n_reused = job.n_cached;
    }

    /// Fills the batch: the next token of every answer, and as much of the prompts as the pace allows, oldest first.
    fn plan(&mut self, sink: &mut StepSink<'_>) {
        let n_answers = self.running.iter().filter(|job| job.is_answering()).count();
        let (mut n_left, mut n_left_to_score) = (self.pace.n_prompt_tokens(n_answers), MOST_SCORED);
        self.batch.rows.clear();
        for job in &mut self.running {
            let (id, is_answering) = (job.id, job.is_answering());
            if !is_answering {
                job.report_prompt(&mut |event| sink(id, event));
            }
            job.n_planned = match is_answering {
                _ if job.end.is_some() => 0,
                true => 1,
                false if job.is_scoring() => job.n_pending().min(n_left).min(n_left_to_score),
                false => job.n_pending().min(n_left),
            };
            n_left_to_score -= job.n_to_score();
            n_left -= if is_answering { 0 } else { job.n_planned };
            self.batch.rows.extend(job.rows());
        }
    }

    /// Hands what the last layer has made of texts to the jobs that make vectors of it.
    fn pool(&mut self) -> Result<(), ModelError> {
        self.pooled.clear();
        let mut first = 0;
        for job in &self.running {
            self.pooled.extend(job.rows_to_pool().map(|row| first + row));
            first += job.n_planned;
        }
        if self.pooled.is_empty() {
            return Ok(());
        }
        self.model.hidden(&self.pooled, &mut self.hidden)?;
        let mut rows = self.hidden.chunks_exact(self.model.config().d_model);
        for job in &mut self.running {
            let n = job.rows_to_pool().len();
            rows.by_ref().take(n).for_each(|row| job.pool(row));
        }
        Ok(())
    }

    /// Hands the logits out.
    fn advance(&mut self, sink: &mut StepSink<'_>) {
        let mut logits = self.logits.chunks_exact(self.model.n_vocab());
        for job in self.running.iter_mut().filter(|job| job.n_planned > 0) {
            let n_to_score = job.n_to_score();
            logits.by_ref().take(n_to_score).for_each(|logits| job.score(logits));
            if n_to_score > 0 && !job.is_scoring() {
                self.waiting.iter_mut().for_each(|other| other.take_scores(job));
            }
            job.n_cached += job.n_planned;
            if job.n_pending() > 0 {
                continue;
            }
            let id = job.id;
            let mut sink = |event: Event<'_>| sink(id, event);
            if job.is_embedding() {
                job.end_embedding(&mut sink);
            } else {
                let logits = logits.next().expect("logits were wanted after the last token");
                job.advance(logits, self.n_ctx, &self.tokenizer, &mut sink);
            }
        }
    }

    /// Frees cells of the cache; `false` if one job has all of it.
    fn make_room(&mut self) -> bool {
        if self.prefixes.evict(self.model.as_mut()) {
            return true;
        }
        if self.running.len() < 2 {
            return false;
        }
        // The last to come computes its tokens anew later, and chooses the same ones.
        if let Some(mut job) = self.running.pop() {
            self.model.truncate(job.sequence, 0);
            job.restart();
            self.waiting.insert(0, job);
        }
        true
    }

    /// Takes the jobs out that have ended; what the cache holds of them is kept for others.
    fn sweep(&mut self, sink: &mut StepSink<'_>) -> Vec<Finished> {
        let mut finished = Vec::new();
        let ended = |job: &mut Job| job.end.is_some();
        for job in self.running.extract_if(.., ended).chain(self.waiting.extract_if(.., ended)) {
            let (id, sequence, is_embedding) = (job.id, job.sequence, job.is_embedding());
            let (outcome, tokens) = job.finish(&mut |event| sink(id, event));
            match is_embedding {
                true => _ = self.model.truncate(sequence, 0),
                false => self.prefixes.keep(sequence, tokens),
            }
            finished.push((id, outcome));
        }
        self.prefixes.limit(KEPT_PER_PLACE * self.n_parallel, self.model.as_mut());
        finished
    }

    fn forget_all(&mut self) {
        self.waiting.clear();
        for job in self.running.drain(..) {
            self.model.truncate(job.sequence, 0);
        }
        self.forget();
    }

    /// Empties the cache of all that nobody works on.
    pub fn forget(&mut self) {
        while self.prefixes.evict(self.model.as_mut()) {}
    }
}
