//! Operations on rows of floats around the products: norms, activations, and the pieces of attention.
//!
//! Sums run in sixteen lanes, element `i` in lane `i % 16`, added by halves at the end; products that are summed are
//! fused multiply-adds. So every instruction set gives the same bits.

use super::dispatch::compiled_for;
use super::isa::Isa;
#[cfg(target_arch = "x86_64")]
use super::{block::F16, x86_64};
use half::f16;
use half::slice::HalfFloatSliceExt;

/// How a gated feed-forward bends its gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x / (1 + exp(-x))`.
    Silu,
    /// The approximation of the Gaussian error linear unit by a hyperbolic tangent.
    GeluTanh,
}

/// Rows of 16-bit floats at equal distances, such as the keys of one head in a block of the cache.
#[derive(Clone, Copy, Debug)]
pub struct Halves<'a> {
    data: &'a [f16],
    stride: usize,
    n_rows: usize,
    width: usize,
}

impl<'a> Halves<'a> {
    /// `n_rows` rows of `width`, each `stride` after the one before; `None` if `data` is too short for them.
    pub fn new(data: &'a [f16], n_rows: usize, width: usize, stride: usize) -> Option<Halves<'a>> {
        let end = n_rows.checked_sub(1).map_or(Some(0), |last| last.checked_mul(stride)?.checked_add(width))?;
        (end <= data.len()).then_some(Halves { data, stride, n_rows, width })
    }

    /// Row `row`.
    pub fn row(&self, row: usize) -> &'a [f16] {
        assert!(row < self.n_rows, "row {row} of {}", self.n_rows);
        &self.data[row * self.stride..][..self.width]
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Floats in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Row `row` as blocks of one float.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    pub(super) fn stored(&self, row: usize) -> &'a [F16] {
        bytemuck::cast_slice(self.row(row).reinterpret_cast())
    }
}

/// Root-mean-square norm: `out[i] = x[i] / sqrt(mean(x^2) + epsilon) * weight[i]`.
///
/// # Panics
/// If the lengths differ.
pub fn rms_norm(isa: Isa, x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    assert!(x.len() == weight.len() && x.len() == out.len(), "a norm of {} by {}", x.len(), weight.len());
    compiled_for!(isa, plain::rms_norm, (x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) -> ());
}

/// `gate[i] = activation(gate[i]) * up[i]`.
///
/// # Panics
/// If the lengths differ.
pub fn gated(isa: Isa, activation: Activation, gate: &mut [f32], up: &[f32]) {
    assert_eq!(gate.len(), up.len(), "gate and up");
    match activation {
        Activation::Silu => compiled_for!(isa, plain::gated_silu, (gate: &mut [f32], up: &[f32]) -> ()),
        Activation::GeluTanh => compiled_for!(isa, plain::gated_gelu, (gate: &mut [f32], up: &[f32]) -> ()),
    }
}

/// Replaces each `x[i]` by `exp(x[i] - shift)` and returns the sum; `-inf` becomes 0.
pub fn exp_sum(isa: Isa, x: &mut [f32], shift: f32) -> f32 {
    compiled_for!(isa, plain::exp_sum, (x: &mut [f32], shift: f32) -> f32)
}

/// Attention scores: `out[q * n_rows + k]` becomes the dot product of query `q` with row `k` of `keys`.
///
/// `queries` holds rows as wide as a key; each key is read once for all of them.
///
/// # Panics
/// If the sizes do not fit.
pub fn scores(isa: Isa, queries: &[f32], keys: &Halves, out: &mut [f32]) {
    assert_eq!(queries.len() * keys.n_rows, out.len() * keys.width, "scores of {} keys", keys.n_rows);
    #[cfg(target_arch = "x86_64")]
    if keys.width.is_multiple_of(16) {
        return x86_64::scores(isa, queries, keys, out);
    }
    let _ = isa;
    plain::scores(queries, keys, out);
}

/// Attention values: to row `q` of `sums` adds, in the order of `k`, `weights[q * n_rows + k]` times row `k` of
/// `values`.
///
/// # Panics
/// If the sizes do not fit.
pub fn mix(isa: Isa, weights: &[f32], values: &Halves, sums: &mut [f32]) {
    assert_eq!(sums.len() * values.n_rows, weights.len() * values.width, "a mix of {} values", values.n_rows);
    #[cfg(target_arch = "x86_64")]
    if values.width.is_multiple_of(16) {
        return x86_64::mix(isa, weights, values, sums);
    }
    let _ = isa;
    plain::mix(weights, values, sums);
}

/// Converts to 16-bit floats, to the nearest, ties to even.
///
/// # Panics
/// If the lengths differ.
pub fn to_f16(x: &[f32], out: &mut [f16]) {
    assert_eq!(x.len(), out.len(), "floats to convert");
    out.convert_from_f32_slice(x);
}

/// What each operation computes; compiled once more for every instruction set, which gives the compiler wider vectors
/// and changes nothing else.
pub(super) mod plain {
    use super::Halves;

    const LANES: usize = 16;

    /// Adds lanes by halves.
    #[inline(always)]
    fn total(mut lanes: [f32; LANES]) -> f32 {
        for half in [8, 4, 2, 1] {
            for i in 0..half {
                lanes[i] += lanes[i + half];
            }
        }
        lanes[0]
    }

    /// `2^(x * log2(e))` to about 2 units in the last place; 0 below -87.3, infinity above 88.7, NaN for NaN.
    ///
    /// The fractional power by a polynomial of Cephes' `expf`, the whole one in two steps so that neither overflows.
    #[inline(always)]
    fn exp(x: f32) -> f32 {
        const TO_INTEGER: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to an integer, in the low bits
        let bounded = if x < 89.0 { x } else { 89.0 };
        let bounded = if bounded > -88.0 { bounded } else { -88.0 };
        let shifted = bounded.mul_add(std::f32::consts::LOG2_E, TO_INTEGER);
        let n = shifted - TO_INTEGER;
        let r = n.mul_add(-0.693_359_4, bounded);
        let r = n.mul_add(2.121_944_4e-4, r);
        let mut p = 1.987_569_1e-4f32;
        for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5] {
            p = p.mul_add(r, c);
        }
        let p = (p * r).mul_add(r, r) + 1.0;
        let whole = shifted.to_bits() as i32 - TO_INTEGER.to_bits() as i32;
        let half = whole >> 1;
        let rest = whole - half;
        let power = |n: i32| f32::from_bits(((n + 127) << 23) as u32);
        let y = p * power(half) * power(rest);
        let y = if x < -87.3 { 0.0 } else { y };
        let y = if x > 88.7 { f32::INFINITY } else { y };
        if x.is_nan() { x } else { y }
    }

    #[inline(always)]
    pub(super) fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
        let mut lanes = [0f32; LANES];
        let (chunks, rest) = x.as_chunks::<LANES>();
        for chunk in chunks {
            for (sum, x) in lanes.iter_mut().zip(chunk) {
                *sum = x.mul_add(*x, *sum);
            }
        }
        for (sum, x) in lanes.iter_mut().zip(rest) {
            *sum = x.mul_add(*x, *sum);
        }
        let scale = 1.0 / (total(lanes) / x.len() as f32 + epsilon).sqrt();
        for ((x, weight), out) in x.iter().zip(weight).zip(out) {
            *out = x * scale * weight;
        }
    }

    #[inline(always)]
    pub(super) fn gated_silu(gate: &mut [f32], up: &[f32]) {
        for (gate, up) in gate.iter_mut().zip(up) {
            *gate = *gate / (1.0 + exp(-*gate)) * up;
        }
    }

    #[inline(always)]
    pub(super) fn gated_gelu(gate: &mut [f32], up: &[f32]) {
        // x * (1 + tanh(u)) / 2 = x / (1 + exp(-2u)), u = sqrt(2 / pi) * (x + 0.044715 x^3)
        const TWICE: f32 = 2.0 * 0.797_884_6;
        for (gate, up) in gate.iter_mut().zip(up) {
            let x = *gate;
            *gate = x / (1.0 + exp(-TWICE * (0.044_715 * x * x).mul_add(x, x))) * up;
        }
    }

    #[inline(always)]
    pub(super) fn exp_sum(x: &mut [f32], shift: f32) -> f32 {
        let mut lanes = [0f32; LANES];
        let (chunks, rest) = x.as_chunks_mut::<LANES>();
        for chunk in chunks {
            for (sum, x) in lanes.iter_mut().zip(chunk) {
                *x = exp(*x - shift);
                *sum += *x;
            }
        }
        for (sum, x) in lanes.iter_mut().zip(rest) {
            *x = exp(*x - shift);
            *sum += *x;
        }
        total(lanes)
    }

    #[inline(always)]
    pub(in crate::kernels) fn scores(queries: &[f32], keys: &Halves, out: &mut [f32]) {
        for (query, out) in queries.chunks_exact(keys.width).zip(out.chunks_exact_mut(keys.n_rows)) {
            for (k, out) in out.iter_mut().enumerate() {
                let mut lanes = [0f32; LANES];
                for (query, key) in query.chunks(LANES).zip(keys.row(k).chunks(LANES)) {
                    for ((sum, query), key) in lanes.iter_mut().zip(query).zip(key) {
                        *sum = query.mul_add(key.to_f32(), *sum);
                    }
                }
                *out = total(lanes);
            }
        }
    }

    #[inline(always)]
    pub(in crate::kernels) fn mix(weights: &[f32], values: &Halves, sums: &mut [f32]) {
        for (weights, sums) in weights.chunks_exact(values.n_rows).zip(sums.chunks_exact_mut(values.width)) {
            for (k, weight) in weights.iter().enumerate() {
                for (sum, value) in sums.iter_mut().zip(values.row(k)) {
                    *sum = weight.mul_add(value.to_f32(), *sum);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_right_to_a_few_units_in_the_last_place() {
        for i in -8600..8860 {
            let x = i as f32 * 0.01;
            let mut y = [x];
            let sum = exp_sum(Isa::SCALAR, &mut y, 0.0);
            let right = f64::from(x).exp();
            assert!((f64::from(sum) / right - 1.0).abs() < 3e-7, "exp({x}) = {sum}, not {right}");
        }
        let mut ends = [f32::NEG_INFINITY, -100.0, 0.0];
        assert_eq!(exp_sum(Isa::SCALAR, &mut ends, 0.0), 1.0);
    }
}
