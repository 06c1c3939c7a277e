//! Every number and switch of a model, from GGUF metadata or config.json.

mod gguf;
mod json;

use super::{Architecture, ModelError};
use crate::backend::{AttentionShape, CacheShape, Pairing, Rope};

/// The sizes and switches of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// What the file's architecture name stands for.
    pub architecture: &'static Architecture,
    /// Transformer layers.
    pub n_layers: usize,
    /// Query heads.
    pub n_heads: usize,
    /// Key and value heads.
    pub n_kv_heads: usize,
    /// Elements of a head.
    pub head_dim: usize,
    /// Width of the residual stream.
    pub d_model: usize,
    /// Width of the feed-forward network.
    pub d_ff: usize,
    /// Positions that the model was trained for.
    pub n_ctx_train: usize,
    /// What keeps the norms away from a division by zero.
    pub norm_eps: f32,
    /// How positions are encoded.
    pub rope: RopeConfig,
    /// Of each layer, the positions that a token sees, its own included; `None` if all before it, as in layers beyond
    /// the end of the list.
    pub windows: Vec<Option<usize>>,
}

/// How positions are encoded.
#[derive(Clone, Debug, PartialEq)]
pub struct RopeConfig {
    /// Which elements of a head turn together.
    pub pairing: Pairing,
    /// The base of the geometric series of frequencies.
    pub base: f64,
    /// How the frequencies are stretched beyond the context of the training.
    pub scaling: RopeScaling,
}

/// A way to stretch rope.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RopeScaling {
    /// Not stretched.
    None,
    /// Every frequency divided by `factor`.
    ///
    /// Source: Chen et al., Extending Context Window of Large Language Models via Positional Interpolation, 2023.
    Linear {
        /// The divisor.
        factor: f64,
    },
    /// Low frequencies divided by `factor`, high ones kept, those between mixed.
    ///
    /// Source: Peng et al., YaRN: Efficient Context Window Extension of Large Language Models, 2023.
    Yarn {
        /// The divisor.
        factor: f64,
        /// Context length before stretching.
        n_ctx_original: f64,
        /// Turns within that context above which a frequency is kept.
        beta_fast: f64,
        /// Turns within that context below which a frequency is divided.
        beta_slow: f64,
        /// Factor on cosine and sine.
        magnitude: f64,
    },
    /// As YaRN, mixed linearly in the frequency: Llama 3.1 and later, where a config.json says so (GGUF files carry the
    /// result as the tensor `rope_freqs.weight`).
    Llama3 {
        /// The divisor.
        factor: f64,
        /// Turns within the original context below which a frequency is divided.
        low: f64,
        /// Turns within the original context above which a frequency is kept.
        high: f64,
        /// Context length before stretching.
        n_ctx_original: f64,
    },
}

/// More layers than any model has.
const MAX_LAYERS: usize = 1 << 12;

impl Config {
    /// Sizes that attention needs in layer `layer`.
    pub fn attention(&self, layer: usize) -> AttentionShape {
        AttentionShape {
            n_heads: self.n_heads,
            n_kv_heads: self.n_kv_heads,
            head_dim: self.head_dim,
            window: self.windows.get(layer).copied().flatten(),
            scale: (self.head_dim as f32).sqrt().recip(),
        }
    }

    /// Sizes of the cache.
    pub fn cache(&self) -> CacheShape {
        CacheShape { n_layers: self.n_layers, n_kv_heads: self.n_kv_heads, head_dim: self.head_dim }
    }

    /// Refuses numbers that no model has, before anything is computed from them.
    fn checked(self) -> Result<Config, ModelError> {
        let narrowest = self.windows.iter().flatten().min();
        let sizes = [
            ("layers", self.n_layers, MAX_LAYERS),
            ("heads", self.n_heads, 1 << 14),
            ("key and value heads", self.n_kv_heads, self.n_heads),
            ("elements of a head", self.head_dim, 1 << 14),
            ("width", self.d_model, 1 << 20),
            ("feed-forward width", self.d_ff, 1 << 24),
            ("context length", self.n_ctx_train, 1 << 30),
            ("positions in a window", *narrowest.unwrap_or(&1), usize::MAX),
        ];
        for (what, value, most) in sizes {
            if value == 0 || value > most {
                return Err(ModelError::Config(format!("the number of {what} is `{value}`, expected 1 to {most}")));
            }
        }
        if !self.n_heads.is_multiple_of(self.n_kv_heads) {
            let (q, kv) = (self.n_heads, self.n_kv_heads);
            return Err(ModelError::Config(format!("`{q}` heads cannot share `{kv}` key and value heads evenly")));
        }
        if !self.head_dim.is_multiple_of(2) {
            return Err(ModelError::Config(format!(
                "a head has `{}` elements, expected an even number",
                self.head_dim
            )));
        }
        if !(self.norm_eps >= 0.0 && self.norm_eps < 1.0) {
            return Err(ModelError::Config(format!("the norm epsilon is `{}`, expected 0 to 1", self.norm_eps)));
        }
        if !(self.rope.base.is_finite() && self.rope.base > 0.0) {
            return Err(ModelError::Config(format!("the rope base is `{}`, expected above 0", self.rope.base)));
        }
        Ok(self)
    }
}

impl RopeConfig {
    /// The frequencies of heads of `head_dim` elements. `factors` (head_dim / 2) divide them, where the file has some.
    pub fn table(&self, head_dim: usize, factors: Option<&[f32]>) -> Rope {
        let frequencies = (0..head_dim / 2).map(|i| {
            let frequency = self.base.powf(-2.0 * i as f64 / head_dim as f64);
            let factor = factors.map_or(1.0, |factors| f64::from(factors[i]));
            (self.stretched(frequency / factor, i, head_dim)) as f32
        });
        let magnitude = match self.scaling {
            RopeScaling::Yarn { magnitude, .. } => magnitude as f32,
            _ => 1.0,
        };
        Rope { pairing: self.pairing, frequencies: frequencies.collect(), magnitude }
    }

    /// The frequency of pair `i` after scaling, in radians per position.
    fn stretched(&self, frequency: f64, i: usize, head_dim: usize) -> f64 {
        use std::f64::consts::TAU;
        match self.scaling {
            RopeScaling::None => frequency,
            RopeScaling::Linear { factor } => frequency / factor,
            RopeScaling::Yarn { factor, n_ctx_original, beta_fast, beta_slow, .. } => {
                // The pair that turns `turns` times within the original context.
                let pair =
                    |turns: f64| head_dim as f64 * (n_ctx_original / (turns * TAU)).ln() / (2.0 * self.base.ln());
                let low = pair(beta_fast).floor().max(0.0);
                let high = pair(beta_slow).ceil().min(head_dim as f64 - 1.0);
                let divided = ((i as f64 - low) / (high - low).max(1e-3)).clamp(0.0, 1.0);
                frequency / factor * divided + frequency * (1.0 - divided)
            }
            RopeScaling::Llama3 { factor, low, high, n_ctx_original } => {
                let turns = n_ctx_original * frequency / TAU;
                let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                frequency / factor * (1.0 - kept) + frequency * kept
            }
        }
    }
}

/// YaRN's factor on cosine and sine for a stretch by `factor`.
fn yarn_magnitude(factor: f64) -> f64 {
    if factor <= 1.0 { 1.0 } else { 1.0 + 0.1 * factor.ln() }
}
