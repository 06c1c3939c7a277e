//! Products of plain floats.
//!
//! Sixteen sums for each output and row, as everywhere; four outputs with one row, or two by two.

use super::few::store;
use super::memory::{load, load_floats, prefetch_after};
use crate::kernels::floats::{BF16, Element, F16, F32, elements_of, padded, rows_of, split, tiles};
use crate::kernels::{Columns, Rows, Weights};
use crate::tensor::Dtype;
use bytemuck::cast_ref;
use std::arch::aarch64::*;

/// Sixteen sums.
type Sixteen = [float32x4_t; 4];

/// The products of the outputs of `out` with all rows.
#[target_feature(enable = "neon")]
pub(super) fn product(weights: &Weights, x: &Rows, out: Columns) {
    match weights.dtype() {
        Dtype::F32 => all::<F32>(weights, x, out),
        Dtype::F16 => all::<F16>(weights, x, out),
        _ => all::<BF16>(weights, x, out),
    }
}

#[target_feature(enable = "neon")]
fn all<E: Element>(weights: &Weights, x: &Rows, mut out: Columns) {
    let (first, n) = (out.range().start, out.range().len());
    for (outputs, rows) in tiles(n, x.n_rows(), 2) {
        let w = elements_of::<E>(weights, first, outputs);
        let [w0, w1, w2, w3] = split(&w);
        if rows.len() == 1 {
            let [sums] = tile([w0, w1, w2, w3], rows_of(x, rows.start));
            store(&mut out, rows.start, outputs, [add_up(sums)]);
            continue;
        }
        let x = rows_of(x, rows.start);
        let ([[a, b], [e, f]], [[c, d], [g, h]]) = (tile([w0, w1], x), tile([w2, w3], x));
        store(&mut out, rows.start, outputs, [add_up([a, b, c, d]), add_up([e, f, g, h])]);
    }
}

/// The sums of `O` outputs for each of `M` rows of activations, with four lanes still to be added.
#[target_feature(enable = "neon")]
fn tile<E: Element, const O: usize, const M: usize>(
    w: [(&[[E; 16]], &[E]); O],
    x: [&[[u8; 64]]; M],
) -> [[float32x4_t; O]; M] {
    let mut sums = [[[vdupq_n_f32(0.0); 4]; O]; M];
    let n = w[0].0.len();
    let (w_all, x_all) = (w.map(|(w, _)| &w[..n]), x.map(|x| &x[..n]));
    for i in 0..n {
        add_products(&mut sums, w_all.map(|w| &w[i]), x_all.map(|x| &x[i]));
    }
    if !w[0].1.is_empty() {
        let rest = w.map(|(_, rest)| padded(rest));
        add_products(&mut sums, rest.each_ref(), x.map(|x| &x[n]));
    }
    let mut quarters = [[vdupq_n_f32(0.0); O]; M];
    for (quarters, sums) in quarters.iter_mut().zip(sums) {
        for (quarter, [a, b, c, d]) in quarters.iter_mut().zip(sums) {
            *quarter = vaddq_f32(vaddq_f32(a, c), vaddq_f32(b, d));
        }
    }
    quarters
}

#[inline]
#[target_feature(enable = "neon")]
fn add_products<E: Element, const O: usize, const M: usize>(
    sums: &mut [[Sixteen; O]; M],
    w: [&[E; 16]; O],
    x: [&[u8; 64]; M],
) {
    for o in 0..O {
        prefetch_after(w[o]);
        let w = floats(w[o]);
        for m in 0..M {
            let x: &[[[u8; 4]; 4]; 4] = cast_ref(x[m]);
            for i in 0..4 {
                sums[m][o][i] = vfmaq_f32(sums[m][o][i], w[i], load_floats(&x[i]));
            }
        }
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn floats<E: Element>(w: &[E; 16]) -> Sixteen {
    if E::DTYPE == Dtype::F32 {
        let [a, b, c, d]: &[[[u8; 4]; 4]; 4] = cast_ref(w);
        return [load_floats(a), load_floats(b), load_floats(c), load_floats(d)];
    }
    let [a, b]: &[[u8; 16]; 2] = cast_ref(w);
    let (a, b) = (vreinterpretq_u16_u8(load(a)), vreinterpretq_u16_u8(load(b)));
    match E::DTYPE {
        Dtype::F16 => {
            let (a, b) = (vreinterpretq_f16_u16(a), vreinterpretq_f16_u16(b));
            [vcvt_f32_f16(vget_low_f16(a)), vcvt_high_f32_f16(a), vcvt_f32_f16(vget_low_f16(b)), vcvt_high_f32_f16(b)]
        }
        _ => [
            vreinterpretq_f32_u32(vshll_n_u16::<16>(vget_low_u16(a))),
            vreinterpretq_f32_u32(vshll_high_n_u16::<16>(a)),
            vreinterpretq_f32_u32(vshll_n_u16::<16>(vget_low_u16(b))),
            vreinterpretq_f32_u32(vshll_high_n_u16::<16>(b)),
        ],
    }
}

/// The sum of the lanes of each of four, by halves.
#[inline]
#[target_feature(enable = "neon")]
fn add_up([a, b, c, d]: [float32x4_t; 4]) -> float32x4_t {
    vpaddq_f32(halves(a, b), halves(c, d))
}

/// The sum of the halves of each.
#[inline]
#[target_feature(enable = "neon")]
fn halves(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    let (a, b) = (vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b));
    vaddq_f32(vreinterpretq_f32_f64(vzip1q_f64(a, b)), vreinterpretq_f32_f64(vzip2q_f64(a, b)))
}
