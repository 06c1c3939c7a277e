//! What is done to logits before the filters.

use crate::TokenId;
use std::collections::{HashMap, HashSet};

/// Makes each token in `recent` less likely by `penalty`, once however often it is there.
pub(super) fn repeat(logits: &mut [f32], recent: &[TokenId], penalty: f32) {
    for token in recent.iter().collect::<HashSet<_>>() {
        if let Some(logit) = logits.get_mut(*token as usize) {
            *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
        }
    }
}

/// Makes each token that was drawn before less likely: by `presence`, and by `frequency` as often as it was drawn.
pub(super) fn drawn(logits: &mut [f32], counts: &HashMap<TokenId, u32>, presence: f32, frequency: f32) {
    for (token, count) in counts {
        if let Some(logit) = logits.get_mut(*token as usize) {
            *logit -= presence + frequency * *count as f32;
        }
    }
}

/// Adds what was asked for to the logits of tokens.
pub(super) fn bias(logits: &mut [f32], biases: &[(TokenId, f32)]) {
    for (token, bias) in biases {
        if let Some(logit) = logits.get_mut(*token as usize) {
            *logit += bias;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_drawn_and_what_is_biased_moves_by_the_sum() {
        let mut logits = [0.0; 3];
        drawn(&mut logits, &HashMap::from([(0, 3), (1, 1), (7, 1)]), 0.5, 0.25);
        bias(&mut logits, &[(1, 1.0), (2, -100.0), (9, 1.0)]);
        assert_eq!(logits, [-1.25, 0.25, -100.0]);
    }

    #[test]
    fn a_recent_token_is_penalized_once_on_either_side_of_zero() {
        let mut logits = [2.0, -2.0, 1.0];
        repeat(&mut logits, &[0, 1, 0, 99], 2.0);
        assert_eq!(logits, [1.0, -4.0, 1.0]);
    }
}
