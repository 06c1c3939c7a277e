//! How many tokens of prompts go along with the tokens of answers under way, so that these do not falter.

use std::time::Duration;

/// Tokens of prompts in a pass at most: enough to keep the model busy, few enough to hear an interruption.
pub(crate) const MOST: usize = 512;
/// And at least, so that prompts get on.
const FEWEST: usize = 8;
/// How much longer than without prompts a pass may take.
const FACTOR: f64 = 2.0;

/// What passes have taken so far, in seconds. It decides when tokens are computed and never which.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// Of a pass with nothing but the next tokens of answers.
    answers: Option<f64>,
    /// Of each token of a prompt beside them.
    prompt_token: Option<f64>,
}

impl Pace {
    /// Tokens of prompts for the next pass, beside `n_answers` answers.
    pub(super) fn n_prompt_tokens(&self, n_answers: usize) -> usize {
        match (n_answers, self.answers, self.prompt_token) {
            (0, _, _) => MOST,
            (_, Some(answers), Some(token)) => {
                ((FACTOR - 1.0) * answers / token).clamp(FEWEST as f64, MOST as f64) as usize
            }
            _ => FEWEST,
        }
    }

    /// Learns from a pass with the next tokens of `n_answers` answers and `n_prompt` tokens of prompts.
    pub(super) fn learn(&mut self, n_answers: usize, n_prompt: usize, took: Duration) {
        let took = took.as_secs_f64();
        match (n_answers, n_prompt) {
            (0, _) => {}
            (_, 0) => mix(&mut self.answers, took),
            _ => {
                let beside = took - self.answers.unwrap_or(0.0);
                mix(&mut self.prompt_token, (beside / n_prompt as f64).max(1e-9));
            }
        }
    }
}

/// Moves an average towards a new value.
fn mix(average: &mut Option<f64>, value: f64) {
    *average = Some(average.map_or(value, |old| 0.75 * old + 0.25 * value));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_get_what_answers_leave() {
        let mut pace = Pace::default();
        assert_eq!((pace.n_prompt_tokens(0), pace.n_prompt_tokens(3)), (MOST, FEWEST));
        for _ in 0..50 {
            pace.learn(3, 0, Duration::from_millis(20));
            pace.learn(3, 16, Duration::from_millis(28));
        }
        // A token takes half a millisecond, so that 40 double the 20.
        assert_eq!((pace.n_prompt_tokens(0), pace.n_prompt_tokens(3)), (MOST, 40));
        pace.learn(3, 1, Duration::ZERO);
        assert!(pace.n_prompt_tokens(3) >= 40);
    }
}
