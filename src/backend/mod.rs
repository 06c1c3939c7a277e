//! The operations of a transformer layer, and what carries them out.
//!
//! [`Backend`] is the seam between the forward pass, which is written once, and the devices. Each operation is as large
//! as a layer allows, so that an implementation can fuse: a norm with the quantization of its result, q/k/v and gate/up
//! as one product each, rope with the write to the cache.
//!
//! Activations are f32 with a row per token of the batch. Every operation writes into [`Backend::Rows`] that the caller
//! keeps, so that an implementation with buffers of its own need not allocate for a token.

mod candle;
mod cpu;
mod device;
mod layout;

use crate::{TokenId, tensor::Tensor};

pub use candle::Candle;
pub use cpu::{CacheType, Cpu, default_threads};
pub use device::{Compute, DeviceChoice};
pub use layout::{BLOCK_LEN, CacheShape, Layout, Span};

/// Carries out the forward pass on one device.
pub trait Backend: Send + Sized {
    /// Activations, f32 (n_rows, width); empty to begin with.
    type Rows: Default + Send;
    /// A weight matrix in the form that the device multiplies with, (n_out, n_in).
    type Matrix: Send;
    /// A weight vector, f32.
    type Vector: Send;
    /// Cosines and sines of the positions of a batch, each (n_rows, head_dim / 2); empty to begin with.
    type Rotation: Default + Send;
    /// Keys and values of every layer, in blocks of [`BLOCK_LEN`] positions.
    type Cache: Send;

    /// What computes, and on how many threads.
    fn device(&self) -> DeviceInfo;

    /// Makes a matrix of a stored tensor (n_out, n_in).
    ///
    /// # Errors
    /// When the device has no room for it.
    fn matrix(&self, tensor: &Tensor) -> Result<Self::Matrix, BackendError>;

    /// Makes a vector of a stored tensor.
    ///
    /// # Errors
    /// When the device has no room for it.
    fn vector(&self, tensor: &Tensor) -> Result<Self::Vector, BackendError>;

    /// An empty cache of `n_blocks` blocks.
    ///
    /// # Errors
    /// When the device has no room for it.
    fn cache(&self, shape: &CacheShape, n_blocks: usize) -> Result<Self::Cache, BackendError>;

    /// Gives the cache room for `n_blocks` blocks, more than it has; what it holds stays.
    ///
    /// # Errors
    /// When the device has no room for it.
    fn grow(&self, cache: &mut Self::Cache, n_blocks: usize) -> Result<(), BackendError>;

    /// `out` = the rotation that every layer applies to the heads of the rows of `layout`.
    ///
    /// # Errors
    /// When the device fails.
    fn rotation(&mut self, rope: &Rope, layout: &Layout, out: &mut Self::Rotation) -> Result<(), BackendError>;

    /// `out` = the rows `tokens` of `table` (n_vocab, d_model). The table stays where it is stored.
    ///
    /// # Errors
    /// When the device fails.
    fn embed(&mut self, table: &Tensor, tokens: &[TokenId], out: &mut Self::Rows) -> Result<(), BackendError>;

    /// `out` = `linear`(`norm`(`x`)) for each pair in `outputs`.
    ///
    /// # Errors
    /// When the device fails.
    fn project(
        &mut self,
        x: &Self::Rows,
        norm: &Norm<Self>,
        outputs: &mut [(&Linear<Self>, &mut Self::Rows)],
    ) -> Result<(), BackendError>;

    /// `residual` += `linear`(`x`).
    ///
    /// # Errors
    /// When the device fails.
    fn project_add(
        &mut self,
        x: &Self::Rows,
        linear: &Linear<Self>,
        residual: &mut Self::Rows,
    ) -> Result<(), BackendError>;

    /// Normalizes the heads of q and k where the model does, rotates them, and writes k and v to the cache.
    ///
    /// # Errors
    /// When the device fails.
    fn store(
        &mut self,
        heads: Heads<'_, Self>,
        place: &Place<'_, Self>,
        cache: &mut Self::Cache,
    ) -> Result<(), BackendError>;

    /// `out` = causal attention of `q` (n_rows, n_heads × head_dim) over the positions that the cache holds for each
    /// row's sequence, up to and with its own and no further back than the window.
    ///
    /// # Errors
    /// When the device fails.
    fn attend(
        &mut self,
        q: &Self::Rows,
        place: &Place<'_, Self>,
        cache: &Self::Cache,
        out: &mut Self::Rows,
    ) -> Result<(), BackendError>;

    /// `residual` += down(activation(gate(norm(`residual`))) × up(norm(`residual`))).
    ///
    /// # Errors
    /// When the device fails.
    fn gated_ffn(&mut self, ffn: &GatedFfn<Self>, residual: &mut Self::Rows) -> Result<(), BackendError>;

    /// `out` = `head`(`norm`(rows `wanted` of `x`)) on the host, (wanted.len(), n_vocab), row after row.
    ///
    /// # Errors
    /// When the device fails.
    fn logits(
        &mut self,
        x: &Self::Rows,
        wanted: &[usize],
        norm: &Norm<Self>,
        head: &Linear<Self>,
        out: &mut Vec<f32>,
    ) -> Result<(), BackendError>;

    /// `out` = `norm`(rows `wanted` of `x`) on the host, (wanted.len(), d_model), row after row.
    ///
    /// # Errors
    /// When the device fails.
    fn hidden(
        &mut self,
        x: &Self::Rows,
        wanted: &[usize],
        norm: &Norm<Self>,
        out: &mut Vec<f32>,
    ) -> Result<(), BackendError>;
}

/// What computes, as reports name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// `cpu`, `cuda:0`, `metal`.
    pub device: String,
    /// The instruction set in use on a CPU.
    pub isa: Option<&'static str>,
    /// Threads that compute; 1 where the device is not a CPU.
    pub n_threads: usize,
}

/// A linear map with an optional bias.
pub struct Linear<B: Backend> {
    /// (n_out, n_in)
    pub weight: B::Matrix,
    /// (n_out)
    pub bias: Option<B::Vector>,
}

/// Root mean square norm: x / sqrt(mean(x²) + eps) × weight.
///
/// Source: Zhang and Sennrich, Root Mean Square Layer Normalization, 2019.
pub struct Norm<B: Backend> {
    /// (width)
    pub weight: B::Vector,
    /// What keeps the root away from zero.
    pub eps: f32,
}

/// Rotary position embedding of one model.
///
/// Source: Su et al., RoFormer, 2021.
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    /// Which elements of a head turn together.
    pub pairing: Pairing,
    /// Angle per position of each pair, in radians, scalings included: (head_dim / 2).
    pub frequencies: Vec<f32>,
    /// Factor on cosine and sine; 1 but for YaRN.
    pub magnitude: f32,
}

/// Which elements of a head turn together under rope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairing {
    /// Elements 2i and 2i + 1.
    Adjacent,
    /// Elements i and i + head_dim / 2.
    Halves,
}

/// Sizes that attention needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionShape {
    /// Query heads.
    pub n_heads: usize,
    /// Key and value heads; each serves n_heads / n_kv_heads query heads.
    pub n_kv_heads: usize,
    /// Elements of a head.
    pub head_dim: usize,
    /// Positions that a row sees, its own included; `None` if all before it.
    pub window: Option<usize>,
    /// Factor on the product of q and k.
    pub scale: f32,
}

/// The heads of a batch in one layer on their way to the cache.
pub struct Heads<'a, B: Backend> {
    /// (n_rows, n_heads × head_dim), rotated in place.
    pub q: &'a mut B::Rows,
    /// (n_rows, n_kv_heads × head_dim), consumed.
    pub k: &'a mut B::Rows,
    /// (n_rows, n_kv_heads × head_dim)
    pub v: &'a B::Rows,
    /// Norm of each query head, over head_dim.
    pub q_norm: Option<&'a Norm<B>>,
    /// Norm of each key head, over head_dim.
    pub k_norm: Option<&'a Norm<B>>,
}

/// Where in the model and in the cache an attention happens.
pub struct Place<'a, B: Backend> {
    /// The layer, from 0.
    pub layer: usize,
    /// Sizes of the heads.
    pub shape: AttentionShape,
    /// Which elements turn together.
    pub pairing: Pairing,
    /// How far each row turns.
    pub rotation: &'a B::Rotation,
    /// Which cells of the cache the rows write and see.
    pub layout: &'a Layout,
}

/// A gated feed-forward network with the norm before it.
///
/// Source: Shazeer, GLU Variants Improve Transformer, 2020.
pub struct GatedFfn<B: Backend> {
    /// Over d_model.
    pub norm: Norm<B>,
    /// (d_ff, d_model)
    pub gate: Linear<B>,
    /// (d_ff, d_model)
    pub up: Linear<B>,
    /// (d_model, d_ff)
    pub down: Linear<B>,
    /// What is applied to the gate.
    pub activation: Activation,
}

/// An activation function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x × sigmoid(x)
    Silu,
}

/// Why a device did not do its part.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The device asked for is not there, or this build cannot use it.
    #[error("no device `{device}`: {reason}")]
    NoDevice {
        /// As it was asked for.
        device: String,
        /// Why it cannot be used.
        reason: String,
    },
    /// The device cannot store its cache so.
    #[error("no cache of type `{cache_type}` on `{device}`, expected f32\nhint: --device cpu has it")]
    CacheType {
        /// Where.
        device: String,
        /// As it was asked for.
        cache_type: CacheType,
    },
    /// No room for weights or cache.
    #[error("not enough memory on `{device}`: {reason}")]
    OutOfMemory {
        /// Where.
        device: String,
        /// What the device said.
        reason: String,
    },
    /// The device failed.
    #[error("the device failed: {0}")]
    Device(String),
}
