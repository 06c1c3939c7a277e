//! One vector for a whole text, of what the last layer makes of its tokens.

use super::EngineError;

/// Which tokens of a text its vector is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The mean of all.
    Mean,
    /// The last, which alone has seen all the others.
    Last,
}

/// A vector under way.
#[derive(Clone, Debug)]
pub(super) struct Pooled {
    pooling: Pooling,
    /// The sum so far, (d_model). Tokens come in the order of the text, so that the chunks they come in change no bit.
    sum: Vec<f64>,
}

impl Pooled {
    pub(super) fn new(pooling: Pooling) -> Pooled {
        Pooled { pooling, sum: Vec::new() }
    }

    /// Begins again.
    pub(super) fn clear(&mut self) {
        self.sum.clear();
    }

    /// Of `n` tokens that are computed now, those that are needed: `is_end` if the last of them is the last of the text.
    pub(super) fn wanted(&self, n: usize, is_end: bool) -> std::ops::Range<usize> {
        match self.pooling {
            Pooling::Mean => 0..n,
            Pooling::Last => n.saturating_sub(usize::from(is_end))..n,
        }
    }

    /// Adds one of those, (d_model).
    pub(super) fn push(&mut self, hidden: &[f32]) {
        self.sum.resize(hidden.len(), 0.0);
        self.sum.iter_mut().zip(hidden).for_each(|(sum, &x)| *sum += f64::from(x));
    }

    /// The vector, of length 1; a mean and a sum point the same way.
    pub(super) fn finish(&self) -> Result<Vec<f32>, EngineError> {
        let norm = self.sum.iter().map(|x| x * x).sum::<f64>().sqrt();
        if !norm.is_normal() {
            return Err(EngineError::NotANumber);
        }
        Ok(self.sum.iter().map(|x| (x / norm) as f32).collect())
    }
}
