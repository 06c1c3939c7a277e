//! Choosing the next token: penalties, filters, draw. Seeded, so that a request gives the same tokens every time.

mod filters;
mod logprobs;
mod penalties;

pub use logprobs::{Logprob, logprob_of, logprobs_of, top_logprobs};

use crate::TokenId;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::HashMap;

/// How the next token is chosen. The filters come in this order, each on the distribution that the one before leaves,
/// and the temperature last, as in llama.cpp.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplingParams {
    /// Divides the logits of what the filters have left; 0 takes the likeliest token and ignores filters and seed.
    pub temperature: f32,
    /// Keeps this many of the likeliest tokens; 0 keeps all.
    pub top_k: usize,
    /// Keeps the likeliest tokens whose probabilities add up to this; 1 keeps all.
    ///
    /// Source: Holtzman et al., The Curious Case of Neural Text Degeneration, 2019.
    pub top_p: f32,
    /// Keeps tokens at least this share as likely as the likeliest; 0 keeps all.
    pub min_p: f32,
    /// Divides the logits above 0 of recent tokens, and multiplies those below; 1 leaves them.
    ///
    /// Source: Keskar et al., CTRL, 2019.
    pub repeat_penalty: f32,
    /// How many of the last tokens count as recent.
    pub repeat_last_n: usize,
    /// Taken from the logit of each token that was drawn before.
    ///
    /// Source: OpenAI, API reference, `presence_penalty`.
    pub presence_penalty: f32,
    /// Taken from the logit of a token as often as it was drawn before.
    ///
    /// Source: OpenAI, API reference, `frequency_penalty`.
    pub frequency_penalty: f32,
    /// Added to the logits of tokens.
    pub logit_bias: Vec<(TokenId, f32)>,
    /// Seeds the draws.
    pub seed: u64,
}

impl Default for SamplingParams {
    fn default() -> SamplingParams {
        SamplingParams {
            temperature: 0.8,
            top_k: 40,
            top_p: 0.95,
            min_p: 0.05,
            repeat_penalty: 1.0,
            repeat_last_n: 64,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            logit_bias: Vec::new(),
            seed: 0,
        }
    }
}

impl SamplingParams {
    /// Whether any logit is changed before the filters.
    fn penalizes(&self) -> bool {
        let neutral = (self.repeat_penalty, self.presence_penalty, self.frequency_penalty) == (1.0, 0.0, 0.0);
        !(neutral && self.logit_bias.is_empty())
    }
}

/// Draws tokens for one request.
#[derive(Clone, Debug)]
pub struct Sampler {
    params: SamplingParams,
    /// ChaCha8 is specified, so that a seed keeps its meaning across versions of the library.
    rng: ChaCha8Rng,
    candidates: Vec<Candidate>,
    /// Logits after the penalties.
    penalized: Vec<f32>,
    /// How often each token was drawn, where a penalty asks for it.
    drawn: HashMap<TokenId, u32>,
}

/// A token that may be drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Candidate {
    token: TokenId,
    logit: f32,
}

impl Sampler {
    /// A sampler at the start of its random numbers.
    pub fn new(params: SamplingParams) -> Sampler {
        let rng = ChaCha8Rng::seed_from_u64(params.seed);
        Sampler { params, rng, candidates: Vec::new(), penalized: Vec::new(), drawn: HashMap::new() }
    }

    /// Chooses the token after `history` under `logits` (n_vocab). `None` if no logit is a number: the weights are
    /// damaged then.
    pub fn sample(&mut self, logits: &[f32], history: &[TokenId]) -> Option<TokenId> {
        if !self.params.penalizes() {
            return self.choose(logits);
        }
        let mut penalized = std::mem::take(&mut self.penalized);
        penalized.clear();
        penalized.extend_from_slice(logits);
        let recent = &history[history.len().saturating_sub(self.params.repeat_last_n)..];
        penalties::repeat(&mut penalized, recent, self.params.repeat_penalty);
        penalties::drawn(&mut penalized, &self.drawn, self.params.presence_penalty, self.params.frequency_penalty);
        penalties::bias(&mut penalized, &self.params.logit_bias);
        let token = self.choose(&penalized);
        self.penalized = penalized;
        if let Some(token) = token {
            *self.drawn.entry(token).or_default() += 1;
        }
        token
    }

    fn choose(&mut self, logits: &[f32]) -> Option<TokenId> {
        if self.params.temperature <= 0.0 {
            return likeliest(logits);
        }
        filters::top_k(logits, self.params.top_k, &mut self.candidates);
        filters::top_p(&mut self.candidates, self.params.top_p);
        filters::min_p(&mut self.candidates, self.params.min_p);
        self.draw()
    }

    fn draw(&mut self) -> Option<TokenId> {
        let best = self.candidates.first()?.logit;
        let weight = |candidate: &Candidate| f64::from((candidate.logit - best) / self.params.temperature).exp();
        let total: f64 = self.candidates.iter().map(weight).sum();
        let mut left = self.rng.random::<f64>() * total;
        for candidate in &self.candidates {
            left -= weight(candidate);
            if left < 0.0 {
                return Some(candidate.token);
            }
        }
        // Rounding can leave a crumb.
        self.candidates.last().map(|candidate| candidate.token)
    }
}

/// The token with the highest logit, the lowest of them where several share it; `None` if no logit is a number.
fn likeliest(logits: &[f32]) -> Option<TokenId> {
    let most = greatest(logits);
    let at = logits.iter().position(|&logit| logit == most)?;
    Some(at as TokenId)
}

/// The greatest of `logits`, those left out that are no numbers; without any it is less than all numbers.
fn greatest(logits: &[f32]) -> f32 {
    let greater = |most: f32, logit: f32| if logit > most { logit } else { most };
    // Side by side, so that it goes in vectors.
    let (parts, rest) = logits.as_chunks::<16>();
    let mut lanes = [f32::NEG_INFINITY; 16];
    for part in parts {
        lanes.iter_mut().zip(part).for_each(|(most, &logit)| *most = greater(*most, logit));
    }
    lanes.into_iter().chain(rest.iter().copied()).fold(f32::NEG_INFINITY, greater)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(params: SamplingParams, logits: &[f32], n: usize) -> Vec<TokenId> {
        let mut sampler = Sampler::new(params);
        (0..n).map(|_| sampler.sample(logits, &[]).expect("numbers")).collect()
    }

    #[test]
    fn without_temperature_the_first_of_the_likeliest_wins() {
        let params = SamplingParams { temperature: 0.0, ..Default::default() };
        assert_eq!(draws(params, &[1.0, f32::NAN, 3.0, 3.0], 3), [2, 2, 2]);
    }

    #[test]
    fn nothing_is_drawn_from_what_is_no_number() {
        for temperature in [0.0, 1.0] {
            let mut sampler = Sampler::new(SamplingParams { temperature, ..Default::default() });
            assert_eq!(sampler.sample(&[f32::NAN, f32::NAN], &[]), None);
        }
    }

    #[test]
    fn a_seed_gives_the_same_draws_and_another_seed_others() {
        let params = |seed| SamplingParams { seed, temperature: 1.0, ..Default::default() };
        let logits: Vec<f32> = (0..50).map(|i| (i % 7) as f32 * 0.3).collect();
        assert_eq!(draws(params(1), &logits, 40), draws(params(1), &logits, 40));
        assert_ne!(draws(params(1), &logits, 40), draws(params(2), &logits, 40));
    }

    #[test]
    fn a_seed_keeps_its_meaning_across_versions() {
        let params =
            SamplingParams { seed: 7, temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, ..Default::default() };
        assert_eq!(draws(params, &[0.0; 1000], 6), SEED_7);
    }

    /// Drawn once from 1000 equal logits; a change here breaks every user's seeds.
    const SEED_7: [TokenId; 6] = [157, 167, 704, 726, 601, 359];

    #[test]
    fn draws_follow_the_distribution() {
        let params = SamplingParams { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, ..Default::default() };
        let logits = [0.6_f32.ln(), 0.3_f32.ln(), 0.1_f32.ln()];
        let drawn = draws(params, &logits, 20_000);
        for (token, share) in [(0, 0.6), (1, 0.3), (2, 0.1)] {
            let found = drawn.iter().filter(|&&t| t == token).count() as f64 / 20_000.0;
            // Four standard deviations of the share of 20,000 draws.
            assert!((found - share).abs() < 4.0 * (share * (1.0 - share) / 20_000.0_f64).sqrt(), "{token}: {found}");
        }
    }
}
