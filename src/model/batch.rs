//! What one forward pass is asked to compute.

use crate::TokenId;

/// A sequence of tokens that the cache knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SequenceId(pub usize);

/// A token to append to a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The token.
    pub token: TokenId,
    /// The sequence that it continues; its position is the length of that sequence so far.
    pub sequence: SequenceId,
    /// Whether the logits of the token after it are wanted.
    pub wants_logits: bool,
}

/// Tokens that go through the model together. Rows of one sequence that follow one another are cheapest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The tokens, in order.
    pub rows: Vec<Row>,
}

impl Batch {
    /// The tokens of one sequence, with logits wanted for the last only.
    pub fn last(sequence: SequenceId, tokens: &[TokenId]) -> Batch {
        let mut batch = Batch::every(sequence, tokens);
        let n_silent = batch.rows.len().saturating_sub(1);
        batch.rows[..n_silent].iter_mut().for_each(|row| row.wants_logits = false);
        batch
    }

    /// The tokens of one sequence, with logits wanted for each.
    pub fn every(sequence: SequenceId, tokens: &[TokenId]) -> Batch {
        Batch { rows: tokens.iter().map(|&token| Row { token, sequence, wants_logits: true }).collect() }
    }
}
