//! Log-probabilities of tokens under a model's logits.

use super::{Candidate, filters::top_k, greatest};
use crate::TokenId;

/// A token and the natural logarithm of its probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Logprob {
    /// The token.
    pub token: TokenId,
    /// Natural logarithm of its probability.
    pub logprob: f32,
}

/// The logarithm of the sum of the exponentials, in f64 so that a large vocabulary costs no digits.
fn log_sum_exp(logits: &[f32]) -> f64 {
    let most = f64::from(greatest(logits));
    most + logits.iter().map(|&logit| (f64::from(logit) - most).exp()).sum::<f64>().ln()
}

/// The log-probability of `token` under `logits` (n_vocab).
pub fn logprob_of(logits: &[f32], token: TokenId) -> f32 {
    (f64::from(logits[token as usize]) - log_sum_exp(logits)) as f32
}

/// [`logprob_of`] and [`top_logprobs`] at once, which costs half of both.
pub fn logprobs_of(logits: &[f32], token: TokenId, n: usize) -> (Logprob, Vec<Logprob>) {
    let norm = log_sum_exp(logits);
    let logprob = (f64::from(logits[token as usize]) - norm) as f32;
    (Logprob { token, logprob }, top(logits, n, norm))
}

/// The `n` likeliest tokens under `logits` (n_vocab), likeliest first.
pub fn top_logprobs(logits: &[f32], n: usize) -> Vec<Logprob> {
    top(logits, n, log_sum_exp(logits))
}

fn top(logits: &[f32], n: usize, norm: f64) -> Vec<Logprob> {
    // To `top_k`, 0 means all.
    if n == 0 {
        return Vec::new();
    }
    let mut likeliest = Vec::new();
    top_k(logits, n, &mut likeliest);
    let logprob = |logit: f32| (f64::from(logit) - norm) as f32;
    likeliest.into_iter().map(|Candidate { token, logit }| Logprob { token, logprob: logprob(logit) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_add_up_to_one() {
        let logits: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.37).sin() * 9.0 + 300.0).collect();
        let all = top_logprobs(&logits, 1000);
        let sum: f64 = all.iter().map(|entry| f64::from(entry.logprob).exp()).sum();
        assert!((sum - 1.0).abs() < 1e-4, "{sum}");
        assert!(all.windows(2).all(|pair| pair[0].logprob >= pair[1].logprob));
        assert_eq!(all[3].logprob, logprob_of(&logits, all[3].token));
        assert_eq!(logprobs_of(&logits, all[3].token, 7), (all[3], all[..7].to_vec()));
        assert_eq!(logprobs_of(&logits, 5, 0), (Logprob { token: 5, logprob: logprob_of(&logits, 5) }, Vec::new()));
    }

    #[test]
    fn the_likeliest_come_first_and_no_more_than_asked_for() {
        let top = top_logprobs(&[0.0, 5.0, 5.0, 1.0], 3);
        assert_eq!(top.iter().map(|entry| entry.token).collect::<Vec<_>>(), [1, 2, 3]);
    }
}
