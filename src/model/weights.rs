//! A model's tensors, checked against its configuration and handed to the device.

use super::{Config, ModelError, Source};
use crate::{
    backend::{Backend, GatedFfn, Linear, Norm, Rope},
    kernels,
    tensor::Tensor,
};
use std::{cell::RefCell, collections::HashSet};

/// The weights of a model on a device.
pub(super) struct Weights<B: Backend> {
    /// (n_vocab, d_model), where it is stored.
    pub(super) embedding: Tensor,
    pub(super) layers: Vec<Layer<B>>,
    /// Over d_model.
    pub(super) norm: Norm<B>,
    /// (n_vocab, d_model); the embedding's own matrix where the model ties the two.
    pub(super) head: Linear<B>,
    pub(super) rope: Rope,
}

/// The weights of a layer.
pub(super) struct Layer<B: Backend> {
    /// Over d_model.
    pub(super) norm: Norm<B>,
    /// (n_heads × head_dim, d_model)
    pub(super) q: Linear<B>,
    /// (n_kv_heads × head_dim, d_model)
    pub(super) k: Linear<B>,
    /// (n_kv_heads × head_dim, d_model)
    pub(super) v: Linear<B>,
    /// Over head_dim, where the model normalizes queries.
    pub(super) q_norm: Option<Norm<B>>,
    /// Over head_dim, where the model normalizes keys.
    pub(super) k_norm: Option<Norm<B>>,
    /// (d_model, n_heads × head_dim)
    pub(super) output: Linear<B>,
    pub(super) ffn: GatedFfn<B>,
}

/// Takes tensors from a source by name, and remembers which.
struct Loader<'a, B> {
    source: &'a Source,
    backend: &'a B,
    config: &'a Config,
    taken: RefCell<HashSet<String>>,
}

impl<B: Backend> Weights<B> {
    /// Loads every tensor of the model.
    ///
    /// # Errors
    /// [`ModelError`] when a tensor is missing, has the wrong shape, cannot be read, or would go unused: what is not
    /// understood must not be left out silently. [`ModelError::Backend`] when the device has no room.
    pub(super) fn load(source: &Source, config: &Config, backend: &B) -> Result<Weights<B>, ModelError> {
        let loader = Loader { source, backend, config, taken: RefCell::default() };
        let embedding = loader.required("token_embd.weight")?;
        let &[n_vocab, d_model] = embedding.shape.as_slice() else {
            return Err(wrong_shape(&embedding, &[0, config.d_model]));
        };
        if d_model != config.d_model || n_vocab == 0 {
            return Err(wrong_shape(&embedding, &[n_vocab, config.d_model]));
        }
        let head = match source.tensor("output.weight")? {
            Some(_) => loader.linear("output", n_vocab, config.d_model)?,
            None => Linear { weight: backend.matrix(&embedding)?, bias: None },
        };
        let layers = (0..config.n_layers).map(|i| loader.layer(i)).collect::<Result<_, _>>()?;
        let norm = loader.norm("output_norm", config.d_model)?;
        let rope = loader.rope()?;
        loader.check_all_taken()?;
        Ok(Weights { embedding, layers, norm, head, rope })
    }
}

impl<B: Backend> Loader<'_, B> {
    fn optional(&self, name: &str) -> Result<Option<Tensor>, ModelError> {
        let tensor = self.source.tensor(name)?;
        if tensor.is_some() {
            self.taken.borrow_mut().insert(name.to_owned());
        }
        Ok(tensor)
    }

    fn required(&self, name: &str) -> Result<Tensor, ModelError> {
        self.optional(name)?.ok_or_else(|| ModelError::MissingTensor(name.to_owned()))
    }

    fn linear(&self, name: &str, n_out: usize, n_in: usize) -> Result<Linear<B>, ModelError> {
        let weight = shaped(self.required(&format!("{name}.weight"))?, &[n_out, n_in])?;
        let bias = match self.optional(&format!("{name}.bias"))? {
            Some(bias) => Some(self.backend.vector(&shaped(bias, &[n_out])?)?),
            None => None,
        };
        Ok(Linear { weight: self.backend.matrix(&weight)?, bias })
    }

    fn norm(&self, name: &str, width: usize) -> Result<Norm<B>, ModelError> {
        let name = format!("{name}.weight");
        let norm = self.optional_norm(&name, width)?;
        norm.ok_or(ModelError::MissingTensor(name))
    }

    fn optional_norm(&self, name: &str, width: usize) -> Result<Option<Norm<B>>, ModelError> {
        let Some(weight) = self.optional(name)? else { return Ok(None) };
        let weight = self.backend.vector(&shaped(weight, &[width])?)?;
        Ok(Some(Norm { weight, eps: self.config.norm_eps }))
    }

    fn layer(&self, i: usize) -> Result<Layer<B>, ModelError> {
        let Config { n_heads, n_kv_heads, head_dim, d_model, d_ff, .. } = *self.config;
        let name = |part: &str| format!("blk.{i}.{part}");
        let (q_width, kv_width) = (n_heads * head_dim, n_kv_heads * head_dim);
        Ok(Layer {
            norm: self.norm(&name("attn_norm"), d_model)?,
            q: self.linear(&name("attn_q"), q_width, d_model)?,
            k: self.linear(&name("attn_k"), kv_width, d_model)?,
            v: self.linear(&name("attn_v"), kv_width, d_model)?,
            q_norm: self.optional_norm(&name("attn_q_norm.weight"), head_dim)?,
            k_norm: self.optional_norm(&name("attn_k_norm.weight"), head_dim)?,
            output: self.linear(&name("attn_output"), d_model, q_width)?,
            ffn: GatedFfn {
                norm: self.norm(&name("ffn_norm"), d_model)?,
                gate: self.linear(&name("ffn_gate"), d_ff, d_model)?,
                up: self.linear(&name("ffn_up"), d_ff, d_model)?,
                down: self.linear(&name("ffn_down"), d_model, d_ff)?,
                activation: self.config.architecture.activation,
            },
        })
    }

    fn rope(&self) -> Result<Rope, ModelError> {
        let head_dim = self.config.head_dim;
        let Some(tensor) = self.optional("rope_freqs.weight")? else {
            return Ok(self.config.rope.table(head_dim, None));
        };
        let tensor = shaped(tensor, &[head_dim / 2])?;
        let mut factors = vec![0.0; head_dim / 2];
        kernels::dequantize(tensor.dtype, &tensor.data, &mut factors);
        if factors.iter().any(|factor| !(factor.is_finite() && *factor > 0.0)) {
            return Err(ModelError::Config("`rope_freqs.weight` holds a number that is not above 0".into()));
        }
        Ok(self.config.rope.table(head_dim, Some(&factors)))
    }

    /// Refuses tensors that no part of the model has read: the model is then not what its architecture says.
    fn check_all_taken(&self) -> Result<(), ModelError> {
        let taken = self.taken.borrow();
        let is_derived = |name: &str| name.ends_with("rotary_emb.inv_freq") || name.ends_with("attn_rot_embd.weight");
        match self.source.names().into_iter().find(|name| !taken.contains(name) && !is_derived(name)) {
            Some(name) => Err(ModelError::UnknownTensor { name, architecture: self.config.architecture.name }),
            None => Ok(()),
        }
    }
}

fn shaped(tensor: Tensor, shape: &[usize]) -> Result<Tensor, ModelError> {
    if tensor.shape == shape { Ok(tensor) } else { Err(wrong_shape(&tensor, shape)) }
}

fn wrong_shape(tensor: &Tensor, expected: &[usize]) -> ModelError {
    let (name, found) = (tensor.name.clone(), tensor.shape.clone());
    ModelError::WrongShape { name, found, expected: expected.to_vec() }
}
