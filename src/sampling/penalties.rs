//! Penalties on tokens that were there lately.

use crate::TokenId;
use std::collections::HashSet;

/// Makes each token in `recent` less likely by `penalty`, once however often it is there.
pub(super) fn repeat(logits: &mut [f32], recent: &[TokenId], penalty: f32) {
    for token in recent.iter().collect::<HashSet<_>>() {
        if let Some(logit) = logits.get_mut(*token as usize) {
            *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recent_token_is_penalized_once_on_either_side_of_zero() {
        let mut logits = [2.0, -2.0, 1.0];
        repeat(&mut logits, &[0, 1, 0, 99], 2.0);
        assert_eq!(logits, [1.0, -4.0, 1.0]);
    }
}
