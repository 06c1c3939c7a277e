//! Reading a [`Config`] from GGUF metadata.

use super::{Config, RopeConfig, RopeScaling, yarn_magnitude};
use crate::{
    gguf::{Metadata, Value},
    model::{Architecture, ModelError},
};

/// Metadata whose keys begin with the architecture's name.
struct Keys<'a> {
    metadata: &'a Metadata,
    prefix: &'static str,
}

impl Config {
    /// The configuration that a GGUF file carries.
    ///
    /// # Errors
    /// [`ModelError`] when the architecture is not supported or a number is missing or makes no sense.
    pub fn from_gguf(metadata: &Metadata) -> Result<Config, ModelError> {
        let name = metadata.str("general.architecture")?;
        let name = name.ok_or_else(|| ModelError::Config("`general.architecture` is missing".into()))?;
        let architecture =
            Architecture::by_name(name).ok_or_else(|| ModelError::UnsupportedArchitecture(name.to_owned()))?;
        let keys = Keys { metadata, prefix: architecture.name };
        if keys.number("expert_count")?.unwrap_or(0) > 0 {
            return Err(ModelError::UnsupportedArchitecture(format!("{name} with a mixture of experts")));
        }
        let n_heads = keys.per_layer("attention.head_count")?;
        let d_model = keys.required("embedding_length")?;
        let head_dim = match keys.number("attention.key_length")? {
            Some(head_dim) => head_dim,
            None => d_model.checked_div(n_heads).unwrap_or(0),
        };
        for key in ["attention.value_length", "rope.dimension_count"] {
            if keys.number(key)?.is_some_and(|n| n != head_dim) {
                let key = keys.name(key);
                return Err(ModelError::Config(format!("`{key}` differs from the size of a head, `{head_dim}`")));
            }
        }
        Config {
            architecture,
            n_layers: keys.required("block_count")?,
            n_heads,
            n_kv_heads: match keys.metadata.get(&keys.name("attention.head_count_kv")) {
                Some(_) => keys.per_layer("attention.head_count_kv")?,
                None => n_heads,
            },
            head_dim,
            d_model,
            d_ff: keys.per_layer("feed_forward_length")?,
            n_ctx_train: keys.required("context_length")?,
            norm_eps: keys.float("attention.layer_norm_rms_epsilon")?.unwrap_or(1e-5) as f32,
            rope: RopeConfig {
                pairing: architecture.pairing,
                base: keys.float("rope.freq_base")?.unwrap_or(10_000.0),
                scaling: keys.rope_scaling()?,
            },
            // llama.cpp reads no window for these architectures, and writes none: a mistral with one, converted, sees
            // everything.
            windows: Vec::new(),
        }
        .checked()
    }
}

impl Keys<'_> {
    fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.prefix)
    }

    fn number(&self, key: &str) -> Result<Option<usize>, ModelError> {
        Ok(self.metadata.usize(&self.name(key))?)
    }

    fn required(&self, key: &str) -> Result<usize, ModelError> {
        self.number(key)?.ok_or_else(|| ModelError::Config(format!("`{}` is missing", self.name(key))))
    }

    fn float(&self, key: &str) -> Result<Option<f64>, ModelError> {
        Ok(self.metadata.f32(&self.name(key))?.map(f64::from))
    }

    /// A number that a file may also give for each layer; all layers must agree.
    fn per_layer(&self, key: &str) -> Result<usize, ModelError> {
        let name = self.name(key);
        if !self.metadata.get(&name).is_some_and(|value| matches!(value, Value::Array(_))) {
            return self.required(key);
        }
        let values = self.metadata.u32s(&name)?.unwrap_or_default();
        match values.first() {
            Some(&first) if values.iter().all(|&value| value == first) => Ok(first as usize),
            _ => Err(ModelError::Config(format!("`{name}` differs between layers, which is not supported"))),
        }
    }

    fn rope_scaling(&self) -> Result<RopeScaling, ModelError> {
        let factor = self.float("rope.scaling.factor")?.or(self.float("rope.scale_linear")?);
        let kind = self.metadata.str(&self.name("rope.scaling.type"))?;
        // A file of before the types were named has a factor alone.
        let kind = kind.unwrap_or(if factor.is_some() { "linear" } else { "none" });
        let factor = match factor.unwrap_or(1.0) {
            // Writers put 0 where they mean none.
            0.0 => 1.0,
            factor if factor.is_finite() && factor > 0.0 => factor,
            factor => return Err(ModelError::Config(format!("the rope scaling factor is `{factor}`"))),
        };
        match kind {
            "none" => Ok(RopeScaling::None),
            "linear" => Ok(RopeScaling::Linear { factor }),
            "yarn" => {
                let n_ctx = match self.number("rope.scaling.original_context_length")? {
                    Some(n_ctx) => n_ctx,
                    None => self.required("context_length")?,
                };
                let attention = self.float("rope.scaling.attn_factor")?.unwrap_or(1.0);
                Ok(RopeScaling::Yarn {
                    factor,
                    n_ctx_original: n_ctx as f64,
                    beta_fast: self.float("rope.scaling.yarn_beta_fast")?.unwrap_or(32.0),
                    beta_slow: self.float("rope.scaling.yarn_beta_slow")?.unwrap_or(1.0),
                    magnitude: attention * yarn_magnitude(factor),
                })
            }
            other => Err(ModelError::Config(format!(
                "rope scaling `{other}` is not supported, expected none, linear or yarn"
            ))),
        }
    }
}
