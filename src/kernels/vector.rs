//! Operations on rows of floats around the products: norms and activations.
//!
//! Sums run in sixteen lanes, element `i` in lane `i % 16`, added by halves at the end; products that are summed are
//! fused multiply-adds. So every instruction set gives the same bits.

use super::dispatch::compiled_for;
use super::isa::Isa;

/// Root-mean-square norm: `out[i] = x[i] / sqrt(mean(x^2) + epsilon) * weight[i]`.
///
/// # Panics
/// If the lengths differ.
pub fn rms_norm(isa: Isa, x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    assert!(x.len() == weight.len() && x.len() == out.len(), "a norm of {} by {}", x.len(), weight.len());
    compiled_for!(isa, plain::rms_norm, (x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) -> ());
}

/// `gate[i] = silu(gate[i]) * up[i]`, where `silu(x) = x / (1 + exp(-x))`.
///
/// # Panics
/// If the lengths differ.
pub fn gated_silu(isa: Isa, gate: &mut [f32], up: &[f32]) {
    assert_eq!(gate.len(), up.len(), "gate and up");
    compiled_for!(isa, plain::gated_silu, (gate: &mut [f32], up: &[f32]) -> ());
}

/// What each operation computes; compiled once more for every instruction set, which gives the compiler wider vectors
/// and changes nothing else.
mod plain {
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

    /// `e^x` to about 2 units in the last place; 0 below -87.3, infinity above 88.7, NaN for NaN.
    ///
    /// The fractional power by a polynomial of Cephes' `expf`, the whole one in two steps so that neither overflows.
    #[inline(always)]
    pub(super) fn exp(x: f32) -> f32 {
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
}

#[cfg(test)]
mod tests {
    use super::plain::exp;

    #[test]
    fn the_exponential_is_right_to_a_few_units_in_the_last_place() {
        for i in -8600..8860 {
            let x = i as f32 * 0.01;
            let right = f64::from(x).exp();
            assert!((f64::from(exp(x)) / right - 1.0).abs() < 3e-7, "exp({x}) = {}, not {right}", exp(x));
        }
        assert_eq!([f32::NEG_INFINITY, -100.0, 0.0, 100.0].map(exp), [0.0, 0.0, 1.0, f32::INFINITY]);
        assert!(exp(f32::NAN).is_nan());
    }
}
