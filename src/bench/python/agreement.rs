//! Whether two engines generated the same tokens, as far as their arithmetic lets them.
//!
//! Greedy generation takes the likeliest token. Where the two likeliest are nearly tied, engines with different rounding
//! (int8 activations, bf16, f32) may choose differently without either being wrong, and from there on their texts have
//! nothing in common. So a side does two things: it generates freely, and it goes through *our* tokens, saying at each
//! step what it would have chosen and by how much. It agrees if at every step either the choices are the same, or both
//! engines hold the two choices for tied within [`NEAR_TIE_NATS`].

use super::answer::Step;
use crate::{TokenId, engine::TokenLogprobs};
use serde::Serialize;

/// Two tokens count as tied if their log-probabilities differ by no more: the less likely of them then still has 82 % of
/// the probability of the other. Logits between 16 and 32, as trained models have them, are 0.125 apart in bf16.
pub const NEAR_TIE_NATS: f32 = 0.2;

/// How the tokens of a side compare with ours.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Agreement {
    /// All the same.
    Same,
    /// Different only where both engines hold the choices for tied.
    NearTies {
        /// The first such step, counted from 0.
        first: usize,
        /// How many there are.
        n_steps: usize,
        /// The widest gap that either engine sees between two choices, in nats.
        widest_nats: f32,
    },
    /// Different: the side does not compute what we do.
    Differ {
        /// The first step where it shows, counted from 0.
        at: usize,
        /// Our token there.
        ours: TokenId,
        /// Its token there.
        theirs: TokenId,
        /// How much likelier it finds its own, in nats.
        their_gap_nats: f32,
        /// How much likelier we find ours, in nats; `None` if its token is not among our likeliest.
        our_gap_nats: Option<f32>,
    },
}

impl Agreement {
    /// Whether speeds may be compared.
    pub fn holds(&self) -> bool {
        !matches!(self, Agreement::Differ { .. })
    }

    /// In a few words.
    pub fn describe(&self) -> String {
        match self {
            Agreement::Same => "same".into(),
            Agreement::NearTies { n_steps: 1, .. } => "same, 1 near tie".into(),
            Agreement::NearTies { n_steps, .. } => format!("same, {n_steps} near ties"),
            Agreement::Differ { at, .. } => format!("differ at {at}"),
        }
    }
}

/// Compares our tokens with those that a side generated, and with what it says of each of ours. All of one length.
pub(super) fn compare(ours: &[TokenLogprobs], theirs: &[TokenId], steps: &[Step]) -> Agreement {
    // Up to the first difference the free run has the same tokens before it as the check, so it must choose as that does.
    let parted = ours.iter().zip(theirs).position(|(our, their)| our.chosen.token != *their);
    let mut near = Vec::new();
    for (at, (our, step)) in ours.iter().zip(steps).enumerate() {
        let token = our.chosen.token;
        let theirs = if parted == Some(at) { theirs[at] } else { step.best };
        if theirs == token && step.best == token {
            continue;
        }
        let our_gap_nats = gap(our, theirs);
        let widest = our_gap_nats.map_or(f32::INFINITY, |gap| gap.max(step.gap));
        if theirs != step.best || widest > NEAR_TIE_NATS {
            return Agreement::Differ { at, ours: token, theirs, their_gap_nats: step.gap, our_gap_nats };
        }
        near.push((at, widest));
    }
    match near.first() {
        None => Agreement::Same,
        Some(&(first, _)) => Agreement::NearTies {
            first,
            n_steps: near.len(),
            widest_nats: near.iter().map(|(_, gap)| *gap).fold(0.0, f32::max),
        },
    }
}

/// How much likelier our choice is to us than `token`; `None` if that is not among our likeliest.
fn gap(our: &TokenLogprobs, token: TokenId) -> Option<f32> {
    let other = our.top.iter().find(|other| other.token == token)?;
    Some((our.chosen.logprob - other.logprob).max(0.0))
}

/// The mean difference of the two engines' log-probabilities of our tokens, in nats.
pub(super) fn mean_difference(ours: &[TokenLogprobs], steps: &[Step]) -> f64 {
    let differences = ours.iter().zip(steps).map(|(our, step)| f64::from((our.chosen.logprob - step.logprob).abs()));
    differences.sum::<f64>() / ours.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::{Agreement, Step, compare};
    use crate::{engine::TokenLogprobs, sampling::Logprob};

    /// Token 1 is ours, token 2 is 0.05 nats behind it, token 3 far behind.
    fn ours(n: usize) -> Vec<TokenLogprobs> {
        let [chosen, second, third] =
            [(1, -1.0), (2, -1.05), (3, -4.0)].map(|(token, logprob)| Logprob { token, logprob });
        vec![TokenLogprobs { chosen, top: vec![chosen, second, third] }; n]
    }

    fn steps(choices: &[(u32, f32)]) -> Vec<Step> {
        choices.iter().map(|&(best, gap)| Step { best, gap, logprob: -1.0 }).collect()
    }

    #[test]
    fn equal_tokens_are_the_same() {
        assert_eq!(compare(&ours(2), &[1, 1], &steps(&[(1, 0.0), (1, 0.0)])), Agreement::Same);
    }

    #[test]
    fn a_choice_that_both_find_tied_is_forgiven_and_what_follows_it_is_checked() {
        let agreement = compare(&ours(3), &[1, 2, 9], &steps(&[(1, 0.0), (2, 0.1), (1, 0.0)]));
        assert_eq!(agreement, Agreement::NearTies { first: 1, n_steps: 1, widest_nats: 0.1 });
        let agreement = compare(&ours(3), &[1, 2, 9], &steps(&[(1, 0.0), (2, 0.1), (3, 0.1)]));
        assert!(matches!(agreement, Agreement::Differ { at: 2, theirs: 3, .. }), "{agreement:?}");
    }

    #[test]
    fn a_tie_that_only_the_side_sees_is_a_difference() {
        let agreement = compare(&ours(1), &[3], &steps(&[(3, 0.0)]));
        assert!(matches!(agreement, Agreement::Differ { at: 0, our_gap_nats: Some(_), .. }), "{agreement:?}");
        let unlisted = compare(&ours(1), &[7], &steps(&[(7, 0.0)]));
        assert!(matches!(unlisted, Agreement::Differ { our_gap_nats: None, .. }), "{unlisted:?}");
    }

    #[test]
    fn a_clear_choice_of_the_side_is_a_difference_though_we_see_a_tie() {
        assert!(!compare(&ours(1), &[2], &steps(&[(2, 0.5)])).holds());
    }

    #[test]
    fn a_free_run_that_contradicts_the_check_is_a_difference() {
        let agreement = compare(&ours(2), &[1, 2], &steps(&[(1, 0.0), (1, 0.0)]));
        assert!(matches!(agreement, Agreement::Differ { at: 1, ours: 1, theirs: 2, .. }), "{agreement:?}");
    }
}
