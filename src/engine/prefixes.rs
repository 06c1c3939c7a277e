//! What finished requests have left in the cache, for requests that begin alike.

use crate::{
    TokenId,
    model::{Forward, SequenceId},
};

/// Sequences that nobody works on, in the order of their last use.
#[derive(Debug, Default)]
pub(super) struct Prefixes {
    kept: Vec<Kept>,
}

#[derive(Debug)]
struct Kept {
    sequence: SequenceId,
    /// What the cache holds of it.
    tokens: Vec<TokenId>,
}

impl Prefixes {
    /// Keeps `sequence`, whose cache holds `tokens`.
    pub(super) fn keep(&mut self, sequence: SequenceId, tokens: Vec<TokenId>) {
        if !tokens.is_empty() {
            self.kept.push(Kept { sequence, tokens });
        }
    }

    /// The sequence that shares the longest beginning with `tokens`, and how long that is; `None` if none shares any.
    pub(super) fn longest(&self, tokens: &[TokenId]) -> Option<(SequenceId, usize)> {
        let lengths = self.kept.iter().map(|kept| (kept.sequence, common(&kept.tokens, tokens)));
        lengths.filter(|(_, len)| *len > 0).max_by_key(|(_, len)| *len)
    }

    /// Gives `sequence` away if it holds fewer than `len` tokens.
    pub(super) fn take(&mut self, sequence: SequenceId, len: usize) -> bool {
        let at = self.kept.iter().position(|kept| kept.sequence == sequence && kept.tokens.len() < len);
        at.map(|at| self.kept.remove(at)).is_some()
    }

    /// Marks `sequence` as used last.
    pub(super) fn touch(&mut self, sequence: SequenceId) {
        if let Some(at) = self.kept.iter().position(|kept| kept.sequence == sequence) {
            self.kept[at..].rotate_left(1);
        }
    }

    /// Frees the cells of all but the `n` sequences that were used last.
    pub(super) fn limit(&mut self, n: usize, model: &mut dyn Forward) {
        while self.kept.len() > n {
            self.evict(model);
        }
    }

    /// Frees the cells of the sequence whose last use is longest ago; `false` if there is none.
    pub(super) fn evict(&mut self, model: &mut dyn Forward) -> bool {
        if self.kept.is_empty() {
            return false;
        }
        model.truncate(self.kept.remove(0).sequence, 0);
        true
    }
}

/// How many tokens `a` and `b` have in common at their beginnings.
pub(super) fn common(a: &[TokenId], b: &[TokenId]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
