//! Carries out one test and takes its time.

use super::{Test, Work};
use crate::{
    TokenId,
    engine::{EngineError, PREFILL_CHUNK},
    model::{Batch, Forward, Row, SequenceId},
    sampling::{Sampler, SamplingParams},
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{
    ops::ControlFlow,
    time::{Duration, Instant},
};

/// Tells the time.
pub trait Clock {
    /// Time since some moment in the past.
    fn now(&self) -> Duration;
}

/// The clock on the wall, which never goes back.
#[derive(Clone, Copy, Debug)]
pub struct Wall(Instant);

impl Wall {
    /// A clock that starts now.
    pub fn new() -> Wall {
        Wall(Instant::now())
    }
}

impl Default for Wall {
    fn default() -> Wall {
        Wall::new()
    }
}

impl Clock for Wall {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// How long one repetition of a test took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// In the model's forward passes: what throughput is made of.
    pub forward: Duration,
    /// Choosing tokens between the passes of a generation.
    pub sampling: Duration,
}

/// Positions of a sequence that warm the model up, where a test has so many.
const WARM_UP: usize = 16;

/// A model and what it takes to measure it.
pub struct Lab<'a> {
    model: &'a mut dyn Forward,
    clock: &'a dyn Clock,
    /// Whether the user wants no more; asked between forward passes.
    stop: &'a dyn Fn() -> bool,
    /// What prompts are made of.
    tokens: &'a [TokenId],
    sampler: Sampler,
    /// Of the last forward pass, (n_wanted, n_vocab).
    logits: Vec<f32>,
}

/// A test that is ready to be repeated.
pub struct Ready {
    test: Test,
    /// What fills each sequence before the test.
    depth: Vec<TokenId>,
    /// The passes of a prompt; of a generation, the one that is done again and again.
    passes: Vec<Batch>,
}

impl<'a> Lab<'a> {
    /// A lab for `model`; prompts are drawn from `tokens`, which may not be empty.
    pub fn new(
        model: &'a mut dyn Forward,
        tokens: &'a [TokenId],
        clock: &'a dyn Clock,
        stop: &'a dyn Fn() -> bool,
    ) -> Lab<'a> {
        let sampler = Sampler::new(SamplingParams { temperature: 0.0, ..SamplingParams::default() });
        Lab { model, clock, stop, tokens, sampler, logits: Vec::new() }
    }

    /// The model.
    pub fn model(&self) -> &dyn Forward {
        self.model
    }

    /// Fills the cache to the depth of `test` and warms the model up; breaks off if the user wants no more.
    ///
    /// # Errors
    /// [`EngineError`] when the model fails.
    pub fn prepare(&mut self, test: Test) -> Result<ControlFlow<(), Ready>, EngineError> {
        // The same tokens for every test and in every run: some other ones would be another test.
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut draw = |n: usize| -> Vec<TokenId> {
            (0..n).map(|_| self.tokens[rng.random_range(0..self.tokens.len())]).collect()
        };
        let depth = draw(test.n_depth);
        let passes = match test.work {
            Work::Prompt(n) => prompts(&draw(n), test.n_batch),
            Work::Generation(_) => vec![tokens_at_once(&draw(test.n_batch))],
        };
        let mut ready = Ready { test, depth, passes };
        for sequence in sequences(test) {
            self.model.truncate(sequence, 0);
        }
        if self.restore(&ready)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let n_warm_up = match test.work {
            Work::Prompt(_) => ready.passes.len(),
            Work::Generation(n) => n.min(WARM_UP),
        };
        Ok(match self.passes(&mut ready, n_warm_up)? {
            ControlFlow::Continue(_) => ControlFlow::Continue(ready),
            ControlFlow::Break(()) => ControlFlow::Break(()),
        })
    }

    /// Does the test once; breaks off if the user wants no more.
    ///
    /// # Errors
    /// [`EngineError`] when the model fails.
    pub fn sample(&mut self, ready: &mut Ready) -> Result<ControlFlow<(), Sample>, EngineError> {
        if self.restore(ready)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let n_passes = match ready.test.work {
            Work::Prompt(_) => ready.passes.len(),
            Work::Generation(n) => n,
        };
        self.passes(ready, n_passes)
    }

    /// Does `n` passes and takes their time. Allocates nothing once the buffers have their size.
    fn passes(&mut self, ready: &mut Ready, n: usize) -> Result<ControlFlow<(), Sample>, EngineError> {
        let mut sample = Sample::default();
        for pass in 0..n {
            if (self.stop)() {
                return Ok(ControlFlow::Break(()));
            }
            let is_prompt = matches!(ready.test.work, Work::Prompt(_));
            let batch = &mut ready.passes[if is_prompt { pass } else { 0 }];
            let start = self.clock.now();
            self.model.forward(batch, &mut self.logits)?;
            let done = self.clock.now();
            sample.forward += done.saturating_sub(start);
            if !is_prompt {
                let logits = self.logits.chunks_exact(self.model.n_vocab());
                for (row, logits) in batch.rows.iter_mut().zip(logits) {
                    row.token = self.sampler.sample(logits, &[]).ok_or(EngineError::NotANumber)?;
                }
                sample.sampling += self.clock.now().saturating_sub(done);
            }
        }
        Ok(ControlFlow::Continue(sample))
    }

    /// Brings every sequence to the depth of the test, with as little work as the model allows.
    fn restore(&mut self, ready: &Ready) -> Result<ControlFlow<()>, EngineError> {
        for sequence in sequences(ready.test) {
            let n_there = self.model.truncate(sequence, ready.depth.len());
            for chunk in ready.depth[n_there..].chunks(PREFILL_CHUNK) {
                if (self.stop)() {
                    return Ok(ControlFlow::Break(()));
                }
                self.model.forward(&silent(sequence, chunk), &mut self.logits)?;
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Forgets the sequences of `test`.
    pub fn clear(&mut self, test: Test) {
        sequences(test).for_each(|sequence| _ = self.model.truncate(sequence, 0));
    }
}

fn sequences(test: Test) -> impl Iterator<Item = SequenceId> {
    (0..test.n_batch).map(SequenceId)
}

/// The same prompt in each of `n` sequences, cut into the passes that the engine would do.
fn prompts(tokens: &[TokenId], n: usize) -> Vec<Batch> {
    let rows: Vec<Row> = (0..n).flat_map(|i| Batch::last(SequenceId(i), tokens).rows).collect();
    rows.chunks(PREFILL_CHUNK).map(|rows| Batch { rows: rows.to_vec() }).collect()
}

/// One token of each sequence.
fn tokens_at_once(tokens: &[TokenId]) -> Batch {
    let row = |(i, &token)| Row { token, sequence: SequenceId(i), wants_logits: true };
    Batch { rows: tokens.iter().enumerate().map(row).collect() }
}

/// Tokens after which nothing is asked.
fn silent(sequence: SequenceId, tokens: &[TokenId]) -> Batch {
    Batch { rows: tokens.iter().map(|&token| Row { token, sequence, wants_logits: false }).collect() }
}
