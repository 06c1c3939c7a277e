//! What a token costs: bytes that must come from memory, and operations.

use super::{Test, Work};
use crate::{
    backend::{BLOCK_LEN, CacheType},
    model::{Config, ModelError, Source},
    tensor::Tensor,
};

/// The parts of a model by what a token does with them.
pub struct Traffic {
    config: Config,
    /// What every forward pass reads as a whole.
    weights: Vec<Tensor>,
    /// Elements of the matrices of all layers.
    layer_elements: usize,
    /// Elements of the matrix that makes logits.
    head_elements: usize,
    n_params: usize,
    model_bytes: usize,
    cache_type: CacheType,
}

impl Traffic {
    /// The traffic of the model in `source` with a cache of this type.
    ///
    /// # Errors
    /// [`ModelError`] when its configuration or a tensor cannot be used.
    pub fn of(source: &Source, cache_type: CacheType) -> Result<Traffic, ModelError> {
        let config = source.config()?;
        let tensors = source.tensors()?;
        let (n_params, model_bytes) =
            tensors.iter().fold((0, 0), |(n, bytes), (_, tensor)| (n + tensor.len(), bytes + tensor.data.len()));
        let has_head = tensors.iter().any(|(name, _)| name == "output.weight");
        let head = if has_head { "output.weight" } else { "token_embd.weight" };
        let (mut weights, mut layer_elements, mut head_elements) = (Vec::new(), 0, 0);
        for (name, tensor) in tensors {
            if name == head {
                head_elements = tensor.len();
            } else if name == "token_embd.weight" {
                // A row of it is read, which is nothing beside the rest.
                continue;
            } else if tensor.shape.len() > 1 {
                layer_elements += tensor.len();
            }
            weights.push(tensor);
        }
        Ok(Traffic { config, weights, layer_elements, head_elements, n_params, model_bytes, cache_type })
    }

    /// The name of the model's architecture.
    pub fn architecture(&self) -> &'static str {
        self.config.architecture.name
    }

    /// Positions that the model was trained for.
    pub fn n_ctx_train(&self) -> usize {
        self.config.n_ctx_train
    }

    /// How keys and values are stored.
    pub fn cache_type(&self) -> CacheType {
        self.cache_type
    }

    /// Numbers that the model has learned.
    pub fn n_params(&self) -> usize {
        self.n_params
    }

    /// Bytes of all tensors.
    pub fn model_bytes(&self) -> usize {
        self.model_bytes
    }

    /// The bytes that a forward pass reads, tensor by tensor.
    pub fn weights(&self) -> impl Iterator<Item = &[u8]> {
        self.weights.iter().map(|tensor| &*tensor.data)
    }

    /// Bytes that a token of a generation reads at least: its share of the weights, which sequences at once share, and
    /// the cache of its sequence, at its mean length. `None` for a prompt, where nothing is read only once.
    pub fn bytes_per_token(&self, test: &Test) -> Option<f64> {
        let Work::Generation(_) = test.work else { return None };
        let weights: usize = self.weights().map(<[u8]>::len).sum();
        let position = self.cache_type.block_bytes(&self.config.cache()) as f64 / BLOCK_LEN as f64;
        Some(weights as f64 / test.n_batch as f64 + mean_positions(test) * position)
    }

    /// Multiplications and additions that a token takes in matrix products and attention.
    pub fn operations_per_token(&self, test: &Test) -> f64 {
        // Logits are wanted after the last token of a prompt only.
        let logits = match test.work {
            Work::Prompt(n) => self.head_elements as f64 / n as f64,
            Work::Generation(_) => self.head_elements as f64,
        };
        let attention = 2 * self.config.n_layers * self.config.n_heads * self.config.head_dim;
        2.0 * (self.layer_elements as f64 + logits + attention as f64 * mean_positions(test))
    }
}

/// Positions that a token of the test attends to, itself included, on average.
fn mean_positions(test: &Test) -> f64 {
    test.n_depth as f64 + (test.work.n_tokens() as f64 + 1.0) / 2.0
}
