//! From the fields of a request to settings of the engine.

use super::request::Body;
use crate::{TokenId, sampling::SamplingParams, server::error::ApiError};

impl Body {
    /// How tokens are chosen: the fields over what the model recommends.
    pub(in crate::server) fn sampling(&self, recommended: &SamplingParams) -> Result<SamplingParams, ApiError> {
        let penalty = |name, value: Option<f32>| within(name, value, -2.0, 2.0, 0.0);
        let top_k = match self.top_k {
            None => recommended.top_k,
            // Both 0 and -1 are used for all.
            Some(k) => usize::try_from(k.max(0)).unwrap_or(usize::MAX),
        };
        Ok(SamplingParams {
            temperature: within("temperature", self.temperature, 0.0, 100.0, recommended.temperature)?,
            top_k,
            top_p: within("top_p", self.top_p, 0.0, 1.0, recommended.top_p)?,
            min_p: within("min_p", self.min_p, 0.0, 1.0, recommended.min_p)?,
            repeat_penalty: within(
                "repetition_penalty",
                self.repetition_penalty,
                0.01,
                100.0,
                recommended.repeat_penalty,
            )?,
            presence_penalty: penalty("presence_penalty", self.presence_penalty)?,
            frequency_penalty: penalty("frequency_penalty", self.frequency_penalty)?,
            logit_bias: self.logit_bias()?,
            seed: self.seed.unwrap_or(0) as u64,
            repeat_last_n: recommended.repeat_last_n,
        })
    }

    fn logit_bias(&self) -> Result<Vec<(TokenId, f32)>, ApiError> {
        let entries = self.logit_bias.iter().flatten().map(|(token, bias)| {
            let token = token.parse().map_err(|_| {
                ApiError::invalid(
                    "logit_bias",
                    format!("`logit_bias` has the key `{token}`, expected the number of a token"),
                )
            })?;
            Ok((token, within("logit_bias", Some(*bias), -100.0, 100.0, 0.0)?))
        });
        entries.collect()
    }
}

/// `value` if it lies between two bounds, `default` if there is none.
fn within(name: &str, value: Option<f32>, least: f32, most: f32, default: f32) -> Result<f32, ApiError> {
    let value = value.unwrap_or(default);
    if !(least..=most).contains(&value) {
        return Err(ApiError::invalid(name, format!("`{name}` is {value}, expected {least} to {most}")));
    }
    Ok(value)
}
