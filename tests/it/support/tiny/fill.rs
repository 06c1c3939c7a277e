//! Random contents of tensors, the same bits on every machine.

use half::{bf16, f16};
use taper::tensor::Dtype;

/// The splitmix64 generator (Steele, Lea and Flood, 2014): integers only, so that no machine differs.
pub(crate) struct Random(u64);

impl Random {
    /// A stream of its own for each name, so that adding a tensor changes no other one.
    pub(crate) fn named(name: &str) -> Random {
        // FNV-1a
        Random(
            name.bytes()
                .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)),
        )
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// At least 0 and below 1, a multiple of 2^-24.
    fn uniform(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 24) as f32
    }

    /// About normal with mean 0 and standard deviation 1: four 16-bit uniforms added.
    fn normal(&mut self) -> f32 {
        let bits = self.next();
        let sum: i32 = (0..4).map(|i| ((bits >> (16 * i)) & 0xffff) as i32).sum();
        // Each has mean 32767.5 and standard deviation 65536 / √12.
        (sum - 131_070) as f32 * (1.0 / 37_837.227)
    }
}

/// `n` values of type F32 between `low` and `high`.
pub(crate) fn between(low: f32, high: f32, n: usize, random: &mut Random) -> Vec<u8> {
    (0..n).flat_map(|_| (low + (high - low) * random.uniform()).to_le_bytes()).collect()
}

/// `n` values of type `dtype` with mean 0 and about the standard deviation `std`.
///
/// Quantized types get random blocks: sane scales, and random bits for everything else, so that no quantizer is needed
/// and every bit of the format is used.
pub(crate) fn weights(dtype: Dtype, n: usize, std: f32, random: &mut Random) -> Vec<u8> {
    let mut normal = || random.normal() * std;
    match dtype {
        Dtype::F32 => (0..n).flat_map(|_| normal().to_le_bytes()).collect(),
        Dtype::F16 => (0..n).flat_map(|_| f16::from_f32(normal()).to_le_bytes()).collect(),
        Dtype::BF16 => (0..n).flat_map(|_| bf16::from_f32(normal()).to_le_bytes()).collect(),
        _ => (0..n / dtype.block_len()).flat_map(|_| block(dtype, std, random)).collect(),
    }
}

/// Where a block keeps its f16 scale fields, and what they do to random bits.
struct Layout {
    /// Offset of the scale `d` in bytes.
    scale: usize,
    /// Standard deviation of the values of a block of random bits if `d` is 1 (and the minimum as below).
    spread: f32,
    /// Offset of the minimum, and its multiple of `d` that gives the values the mean 0.
    minimum: Option<(usize, f32)>,
}

/// Source: the block structures of ggml-common.h; spreads by the moments of uniform integers.
fn layout(dtype: Dtype) -> Layout {
    let of = |scale, spread, minimum| Layout { scale, spread, minimum };
    match dtype {
        Dtype::Q4_0 => of(0, 4.61, None),
        Dtype::Q4_1 => of(0, 4.61, Some((2, -7.5))),
        Dtype::Q5_0 => of(0, 9.23, None),
        Dtype::Q5_1 => of(0, 9.23, Some((2, -15.5))),
        Dtype::Q8_0 => of(0, 73.9, None),
        Dtype::Q2_K => of(80, 13.9, Some((82, 1.5))),
        Dtype::Q3_K => of(108, 42.4, None),
        Dtype::Q4_K => of(0, 258.0, Some((2, 7.5))),
        Dtype::Q5_K => of(0, 527.0, Some((2, 15.5))),
        Dtype::Q6_K => of(208, 1367.0, None),
        Dtype::F32 | Dtype::F16 | Dtype::BF16 => unreachable!("{dtype} has no blocks"),
    }
}

fn block(dtype: Dtype, std: f32, random: &mut Random) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..dtype.block_bytes()).map(|_| random.next() as u8).collect();
    let layout = layout(dtype);
    let d = std / layout.spread * (0.75 + 0.5 * random.uniform());
    // Quantizers make negative scales too, except where a minimum goes with them.
    let sign = if layout.minimum.is_none() && random.next() % 2 == 1 { -1.0 } else { 1.0 };
    let minimum = layout.minimum.map(|(at, multiple)| (at, multiple * d));
    for (at, value) in [(layout.scale, sign * d)].into_iter().chain(minimum) {
        bytes[at..at + 2].copy_from_slice(&f16::from_f32(value).to_le_bytes());
    }
    bytes
}
