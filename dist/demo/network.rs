//! The network: a llama transformer as GGUF means it, in operations that candle can differentiate.

use crate::ops::{causal_softmax, gated, rms_norm, rope};
use anyhow::Result;
use candle_core::Tensor;

pub(crate) const EMBEDDING: &str = "token_embd.weight";
pub(crate) const N_VOCAB: usize = 2048;
pub(crate) const N_LAYERS: usize = 3;
pub(crate) const N_HEADS: usize = 4;
pub(crate) const N_KV_HEADS: usize = 2;
pub(crate) const HEAD_DIM: usize = 64;
pub(crate) const D_MODEL: usize = N_HEADS * HEAD_DIM;
pub(crate) const D_FF: usize = 512;
/// The longest rows of the training.
pub(crate) const N_CTX: usize = 1024;
pub(crate) const ROPE_BASE: f32 = 10_000.0;
pub(crate) const NORM_EPS: f32 = 1e-5;

/// Weights of one layer, named as in GGUF. Matrices are (in, out), the transpose of GGUF's: their gradients come out of
/// the matrix product in that order.
struct Layer {
    attn_norm: Tensor,   // (d_model)
    attn_q: Tensor,      // (d_model, n_heads * head_dim)
    attn_k: Tensor,      // (d_model, n_kv_heads * head_dim)
    attn_v: Tensor,      // (d_model, n_kv_heads * head_dim)
    attn_output: Tensor, // (n_heads * head_dim, d_model)
    ffn_norm: Tensor,    // (d_model)
    ffn_gate: Tensor,    // (d_model, d_ff)
    ffn_up: Tensor,      // (d_model, d_ff)
    ffn_down: Tensor,    // (d_ff, d_model)
}

/// The whole network; its output matrix is the embedding.
pub(crate) struct Network {
    token_embd: Tensor, // (n_vocab, d_model)
    layers: Vec<Layer>,
    output_norm: Tensor, // (d_model)
}

impl Network {
    /// Builds it from weights that `get` hands out by GGUF name and shape.
    ///
    /// # Errors
    /// Those of `get`.
    pub(crate) fn new(mut get: impl FnMut(String, &[usize]) -> Result<Tensor>) -> Result<Self> {
        let (n_q, n_kv) = (N_HEADS * HEAD_DIM, N_KV_HEADS * HEAD_DIM);
        let token_embd = get(EMBEDDING.into(), &[N_VOCAB, D_MODEL])?;
        let mut layers = Vec::new();
        for i in 0..N_LAYERS {
            let mut get = |name: &str, shape: &[usize]| get(format!("blk.{i}.{name}.weight"), shape);
            layers.push(Layer {
                attn_norm: get("attn_norm", &[D_MODEL])?,
                attn_q: get("attn_q", &[D_MODEL, n_q])?,
                attn_k: get("attn_k", &[D_MODEL, n_kv])?,
                attn_v: get("attn_v", &[D_MODEL, n_kv])?,
                attn_output: get("attn_output", &[n_q, D_MODEL])?,
                ffn_norm: get("ffn_norm", &[D_MODEL])?,
                ffn_gate: get("ffn_gate", &[D_MODEL, D_FF])?,
                ffn_up: get("ffn_up", &[D_MODEL, D_FF])?,
                ffn_down: get("ffn_down", &[D_FF, D_MODEL])?,
            });
        }
        Ok(Self { token_embd, layers, output_norm: get("output_norm.weight".into(), &[D_MODEL])? })
    }

    /// Logits (n, n_vocab) at the `n` flat positions `wanted` of `tokens` (n_rows, n_tokens).
    ///
    /// # Errors
    /// Those of candle.
    pub(crate) fn logits(&self, tokens: &Tensor, wanted: &Tensor) -> Result<Tensor> {
        let (n_rows, n_tokens) = tokens.dims2()?;
        let mut x = self.token_embd.index_select(&tokens.flatten_all()?, 0)?;
        for layer in &self.layers {
            let h = rms_norm(&x, &layer.attn_norm, NORM_EPS)?;
            x = (x + attention(layer, &h, n_rows, n_tokens)?)?;
            let h = rms_norm(&x, &layer.ffn_norm, NORM_EPS)?;
            let h = gated(&h.matmul(&layer.ffn_gate)?, &h.matmul(&layer.ffn_up)?)?;
            x = (x + h.matmul(&layer.ffn_down)?)?;
        }
        let x = rms_norm(&x.index_select(wanted, 0)?, &self.output_norm, NORM_EPS)?;
        Ok(x.matmul(&self.token_embd.t()?)?)
    }
}

/// Causal attention of `x` (n_rows * n_tokens, d_model) within each row.
fn attention(layer: &Layer, x: &Tensor, n_rows: usize, n_tokens: usize) -> Result<Tensor> {
    let heads = |weight: &Tensor, n: usize| -> Result<Tensor> {
        let y = x.matmul(weight)?.reshape((n_rows, n_tokens, n, HEAD_DIM))?;
        Ok(y.transpose(1, 2)?.contiguous()?)
    };
    let q = rope(&heads(&layer.attn_q, N_HEADS)?, ROPE_BASE)?;
    let k = rope(&heads(&layer.attn_k, N_KV_HEADS)?, ROPE_BASE)?;
    let v = heads(&layer.attn_v, N_KV_HEADS)?;
    // The query heads that share a key head stand below each other, so keys need no copies.
    let q = q.reshape((n_rows, N_KV_HEADS, N_HEADS / N_KV_HEADS * n_tokens, HEAD_DIM))?;
    let scores = causal_softmax(&q.matmul(&k.t()?)?, (HEAD_DIM as f32).powf(-0.5))?;
    let out = scores.matmul(&v)?.reshape((n_rows, N_HEADS, n_tokens, HEAD_DIM))?;
    let out = out.transpose(1, 2)?.reshape((n_rows * n_tokens, D_MODEL))?;
    Ok(out.matmul(&layer.attn_output)?)
}
