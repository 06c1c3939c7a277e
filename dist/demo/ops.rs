//! Operations with gradients of their own. candle's fused ones have none, and made of its small ones they take ten
//! times as long here as the matrix products.

use anyhow::Result;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Error, Layout, Shape, Tensor};

type OpResult = candle_core::Result<(CpuStorage, Shape)>;

/// `x` (…, n) over its root mean square, times `weight` (n).
///
/// # Errors
/// Those of candle.
pub(crate) fn rms_norm(x: &Tensor, weight: &Tensor, eps: f32) -> Result<Tensor> {
    Ok(x.apply_op2(weight, RmsNorm { eps })?)
}

/// silu(`gate`) * `up`.
///
/// # Errors
/// Those of candle.
pub(crate) fn gated(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    Ok(gate.apply_op2(up, Gated)?)
}

/// Softmax of `scores` (…, n_queries, n_keys) times `scale`, where the query at `i` sees the keys up to `i % n_keys`.
///
/// # Errors
/// Those of candle.
pub(crate) fn causal_softmax(scores: &Tensor, scale: f32) -> Result<Tensor> {
    Ok(scores.apply_op1(CausalSoftmax { scale })?)
}

/// Rotates neighbouring pairs of `x` (…, n_tokens, head_dim) by position, the convention of GGUF's `llama`.
///
/// # Errors
/// Those of candle.
pub(crate) fn rope(x: &Tensor, base: f32) -> Result<Tensor> {
    Ok(x.apply_op1(Rope { base, direction: 1.0 })?)
}

/// Negative log likelihoods (n) of `targets` under `logits` (n, n_vocab).
///
/// # Errors
/// Those of candle.
pub(crate) fn cross_entropy(logits: &Tensor, targets: &[u32]) -> Result<Tensor> {
    Ok(logits.apply_op1(CrossEntropy { targets: targets.to_vec() })?)
}

/// The values of a contiguous argument.
fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> candle_core::Result<&'a [f32]> {
    let (start, end) =
        layout.contiguous_offsets().ok_or_else(|| Error::Msg("expected a contiguous tensor".to_owned()))?;
    Ok(&storage.as_slice::<f32>()?[start..end])
}

fn vector(x: &Tensor) -> candle_core::Result<Vec<f32>> {
    x.flatten_all()?.to_vec1()
}

/// The length of the last dimension.
fn width(shape: &Shape) -> usize {
    shape.dims().last().copied().unwrap_or(1)
}

struct RmsNorm {
    eps: f32,
}

impl RmsNorm {
    /// What to multiply a row with.
    fn scale(&self, row: &[f32]) -> f32 {
        (row.iter().map(|x| x * x).sum::<f32>() / row.len() as f32 + self.eps).sqrt().recip()
    }
}

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, shape: &Layout, weight: &CpuStorage, n: &Layout) -> OpResult {
        let (mut y, weight) = (values(x, shape)?.to_vec(), values(weight, n)?);
        for row in y.chunks_exact_mut(weight.len()) {
            let scale = self.scale(row);
            row.iter_mut().zip(weight).for_each(|(x, w)| *x *= scale * w);
        }
        Ok((CpuStorage::F32(y), shape.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let (x_values, w, mut dx) = (vector(x)?, vector(weight)?, vector(grad)?);
        let mut dw = vec![0.0; w.len()];
        for (row, d) in x_values.chunks_exact(w.len()).zip(dx.chunks_exact_mut(w.len())) {
            let scale = self.scale(row);
            let mut dot = 0.0;
            for i in 0..w.len() {
                dw[i] += d[i] * row[i] * scale;
                d[i] *= w[i];
                dot += d[i] * row[i];
            }
            let along = dot * scale * scale / w.len() as f32;
            d.iter_mut().zip(row).for_each(|(d, x)| *d = scale * (*d - along * x));
        }
        let dx = Tensor::from_vec(dx, x.shape(), x.device())?;
        Ok((Some(dx), Some(Tensor::from_vec(dw, weight.shape(), x.device())?)))
    }
}

struct Gated;

impl CustomOp2 for Gated {
    fn name(&self) -> &'static str {
        "gated"
    }

    fn cpu_fwd(&self, gate: &CpuStorage, shape: &Layout, up: &CpuStorage, up_shape: &Layout) -> OpResult {
        let (gate, up) = (values(gate, shape)?, values(up, up_shape)?);
        let y = gate.iter().zip(up).map(|(g, u)| g / (1.0 + (-g).exp()) * u).collect();
        Ok((CpuStorage::F32(y), shape.shape().clone()))
    }

    fn bwd(
        &self,
        gate: &Tensor,
        up: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let (mut g, mut u, grad) = (vector(gate)?, vector(up)?, vector(grad)?);
        for ((g, u), d) in g.iter_mut().zip(&mut u).zip(&grad) {
            let sigmoid = 1.0 / (1.0 + (-*g).exp());
            let silu = *g * sigmoid;
            *g = d * *u * (sigmoid + silu * (1.0 - sigmoid));
            *u = d * silu;
        }
        let g = Tensor::from_vec(g, gate.shape(), gate.device())?;
        Ok((Some(g), Some(Tensor::from_vec(u, up.shape(), up.device())?)))
    }
}

struct CausalSoftmax {
    scale: f32,
}

impl CustomOp1 for CausalSoftmax {
    fn name(&self) -> &'static str {
        "causal-softmax"
    }

    fn cpu_fwd(&self, scores: &CpuStorage, shape: &Layout) -> OpResult {
        let (mut y, n) = (values(scores, shape)?.to_vec(), width(shape.shape()));
        for (i, row) in y.chunks_exact_mut(n).enumerate() {
            let (seen, hidden) = row.split_at_mut(i % n + 1);
            let top = seen.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            seen.iter_mut().for_each(|y| *y = ((*y - top) * self.scale).exp());
            let sum: f32 = seen.iter().sum();
            seen.iter_mut().for_each(|y| *y /= sum);
            hidden.fill(0.0);
        }
        Ok((CpuStorage::F32(y), shape.shape().clone()))
    }

    fn bwd(&self, scores: &Tensor, res: &Tensor, grad: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let (y, mut d, n) = (vector(res)?, vector(grad)?, width(scores.shape()));
        for (y, d) in y.chunks_exact(n).zip(d.chunks_exact_mut(n)) {
            let dot: f32 = y.iter().zip(&*d).map(|(y, d)| y * d).sum();
            d.iter_mut().zip(y).for_each(|(d, y)| *d = self.scale * y * (*d - dot));
        }
        Ok(Some(Tensor::from_vec(d, scores.shape(), scores.device())?))
    }
}

struct Rope {
    base: f32,
    /// 1 forward; the gradient rotates back with -1.
    direction: f32,
}

impl CustomOp1 for Rope {
    fn name(&self) -> &'static str {
        "rope"
    }

    fn cpu_fwd(&self, x: &CpuStorage, shape: &Layout) -> OpResult {
        let (mut y, dims) = (values(x, shape)?.to_vec(), shape.shape().dims());
        let (n_tokens, n) = (dims[dims.len() - 2], dims[dims.len() - 1]);
        let angle = |at: usize| (at / (n / 2)) as f32 * self.base.powf(-2.0 * (at % (n / 2)) as f32 / n as f32);
        let turns: Vec<_> = (0..n_tokens * n / 2).map(|at| angle(at).sin_cos()).collect();
        for (pair, (sin, cos)) in y.chunks_exact_mut(2).zip(turns.iter().cycle()) {
            let (a, b, sin) = (pair[0], pair[1], sin * self.direction);
            (pair[0], pair[1]) = (a * cos - b * sin, a * sin + b * cos);
        }
        Ok((CpuStorage::F32(y), shape.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let back = Rope { base: self.base, direction: -self.direction };
        Ok(Some(grad.contiguous()?.apply_op1_no_bwd(&back)?))
    }
}

struct CrossEntropy {
    targets: Vec<u32>,
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, shape: &Layout) -> OpResult {
        let rows = values(logits, shape)?.chunks_exact(width(shape.shape()));
        let nll = |(row, &target): (&[f32], &u32)| {
            let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            row.iter().map(|x| (x - top).exp()).sum::<f32>().ln() + top - row[target as usize]
        };
        let y: Vec<_> = rows.zip(&self.targets).map(nll).collect();
        let n = y.len();
        Ok((CpuStorage::F32(y), Shape::from(n)))
    }

    fn bwd(&self, logits: &Tensor, nll: &Tensor, grad: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let (mut d, n, nll, grad) = (vector(logits)?, width(logits.shape()), vector(nll)?, vector(grad)?);
        for (i, row) in d.chunks_exact_mut(n).enumerate() {
            let target = self.targets[i] as usize;
            let log_sum = nll[i] + row[target];
            row.iter_mut().for_each(|x| *x = (*x - log_sum).exp() * grad[i]);
            row[target] -= grad[i];
        }
        Ok(Some(Tensor::from_vec(d, logits.shape(), logits.device())?))
    }
}
