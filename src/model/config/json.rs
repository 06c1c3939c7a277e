//! Reading a [`Config`] from the config.json beside safetensors.

use super::{Config, MAX_LAYERS, RopeConfig, RopeScaling, yarn_magnitude};
use crate::{
    backend::Pairing,
    model::{Architecture, ModelError},
};
use serde::Deserialize;

/// The fields of config.json that matter here, as the transformers library names them.
#[derive(Deserialize)]
struct File {
    model_type: String,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    hidden_size: usize,
    intermediate_size: usize,
    max_position_embeddings: usize,
    rms_norm_eps: f32,
    rope_theta: Option<f64>,
    rope_scaling: Option<RopeFields>,
    /// Where transformers 5 keeps the base and the scaling.
    rope_parameters: Option<RopeFields>,
    #[serde(default = "usual_window")]
    sliding_window: Option<usize>,
    use_sliding_window: Option<bool>,
    max_window_layers: Option<usize>,
    /// `sliding_attention` or `full_attention`, layer by layer.
    layer_types: Option<Vec<String>>,
    hidden_act: Option<String>,
}

/// The window of a model that has one and does not say how wide; where there is none, files say `null`.
fn usual_window() -> Option<usize> {
    Some(4096)
}

#[derive(Deserialize)]
struct RopeFields {
    #[serde(alias = "type")]
    rope_type: Option<String>,
    rope_theta: Option<f64>,
    factor: Option<f64>,
    low_freq_factor: Option<f64>,
    high_freq_factor: Option<f64>,
    original_max_position_embeddings: Option<f64>,
    beta_fast: Option<f64>,
    beta_slow: Option<f64>,
    attention_factor: Option<f64>,
}

impl Config {
    /// The configuration that a config.json carries.
    ///
    /// # Errors
    /// [`ModelError`] when the architecture is not supported or a number is missing or makes no sense.
    pub fn from_json(text: &str) -> Result<Config, ModelError> {
        let wrong = |error: serde_json::Error| ModelError::Config(format!("config.json: {error}"));
        let any: serde_json::Value = serde_json::from_str(text).map_err(wrong)?;
        let model_type = any["model_type"].as_str().unwrap_or_default().to_owned();
        let architecture =
            Architecture::by_model_type(&model_type).ok_or(ModelError::UnsupportedArchitecture(model_type))?;
        let file: File = serde_json::from_value(any).map_err(wrong)?;
        if let Some(other) = file.hidden_act.as_deref().filter(|&name| name != "silu") {
            return Err(ModelError::Config(format!("the activation `{other}` is not supported, expected silu")));
        }
        let rope = file.rope_parameters.as_ref().or(file.rope_scaling.as_ref());
        let base = rope.and_then(|rope| rope.rope_theta).or(file.rope_theta).unwrap_or(10_000.0);
        Config {
            architecture,
            n_layers: file.num_hidden_layers,
            n_heads: file.num_attention_heads,
            n_kv_heads: file.num_key_value_heads.unwrap_or(file.num_attention_heads),
            head_dim: match file.head_dim {
                Some(head_dim) => head_dim,
                None => file.hidden_size.checked_div(file.num_attention_heads).unwrap_or(0),
            },
            d_model: file.hidden_size,
            d_ff: file.intermediate_size,
            n_ctx_train: file.max_position_embeddings,
            norm_eps: file.rms_norm_eps,
            windows: file.windows()?,
            rope: RopeConfig {
                pairing: Pairing::Halves,
                base,
                scaling: match rope {
                    Some(rope) => rope.scaling(file.max_position_embeddings)?,
                    None => RopeScaling::None,
                },
            },
        }
        .checked()
    }
}

impl File {
    /// As the transformers library has it: mistral slides in every layer, qwen where it is asked for, llama never.
    fn windows(&self) -> Result<Vec<Option<usize>>, ModelError> {
        let layers = 0..self.num_hidden_layers.min(MAX_LAYERS);
        let slides: Vec<bool> = match (self.model_type.as_str(), &self.layer_types) {
            ("mistral", _) => layers.map(|_| true).collect(),
            ("llama", _) => Vec::new(),
            _ if !self.use_sliding_window.unwrap_or(false) => Vec::new(),
            (_, Some(types)) => types.iter().map(|kind| slides(kind)).collect::<Result<_, _>>()?,
            (_, None) => layers.map(|layer| layer >= self.max_window_layers.unwrap_or(28)).collect(),
        };
        Ok(slides.into_iter().map(|slides| self.sliding_window.filter(|_| slides)).collect())
    }
}

/// Whether a layer of this type has a sliding window.
fn slides(layer_type: &str) -> Result<bool, ModelError> {
    match layer_type {
        "sliding_attention" => Ok(true),
        "full_attention" => Ok(false),
        other => Err(ModelError::Config(format!(
            "a layer of type `{other}` is not supported, expected full_attention or sliding_attention"
        ))),
    }
}

impl RopeFields {
    fn scaling(&self, n_ctx: usize) -> Result<RopeScaling, ModelError> {
        let factor = self.factor.unwrap_or(1.0);
        if !(factor.is_finite() && factor > 0.0) {
            return Err(ModelError::Config(format!("the rope scaling factor is `{factor}`, expected above 0")));
        }
        let n_ctx_original = self.original_max_position_embeddings.unwrap_or(n_ctx as f64);
        match self.rope_type.as_deref().unwrap_or("default") {
            "default" => Ok(RopeScaling::None),
            "linear" => Ok(RopeScaling::Linear { factor }),
            "yarn" => Ok(RopeScaling::Yarn {
                factor,
                n_ctx_original,
                beta_fast: self.beta_fast.unwrap_or(32.0),
                beta_slow: self.beta_slow.unwrap_or(1.0),
                magnitude: self.attention_factor.unwrap_or(yarn_magnitude(factor)),
            }),
            "llama3" => Ok(RopeScaling::Llama3 {
                factor,
                low: self.low_freq_factor.unwrap_or(1.0),
                high: self.high_freq_factor.unwrap_or(4.0),
                n_ctx_original,
            }),
            other => Err(ModelError::Config(format!(
                "rope scaling `{other}` is not supported, expected default, linear, yarn or llama3"
            ))),
        }
    }
}
