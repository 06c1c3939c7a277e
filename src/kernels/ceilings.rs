//! What this machine can do at best, to hold the kernels against: reading memory, and products of 8-bit integers.

use super::{isa::Isa, pool::Pool};
use std::{
    hint::black_box,
    io,
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

/// Bytes that a thread reads at a time: many enough that taking them costs nothing.
const PIECE_BYTES: usize = 1 << 20;

/// Bytes that one measurement reads at least.
const READ_BYTES: usize = 1 << 27;

/// Steps of dot products that a thread does at a time, and how many times: some 20 ms, longer than the turn that a busy
/// system gives a thread.
const STEPS: usize = 20_000;
const PIECES_OF_STEPS: usize = 256;

/// Threads that measure what the machine can do.
#[derive(Debug)]
pub struct Probe {
    pool: Pool,
}

impl Probe {
    /// A probe of `n_threads` threads, at least one.
    ///
    /// # Errors
    /// When the operating system gives no more threads.
    pub fn new(n_threads: usize) -> io::Result<Probe> {
        Ok(Probe { pool: Pool::new(n_threads)? })
    }

    /// Bytes per second of reading `parts`, again and again where they are small; 0 if they are empty.
    pub fn read_bytes_per_sec(&mut self, parts: &[&[u8]]) -> f64 {
        let pieces: Vec<&[u8]> = parts.iter().flat_map(|part| part.chunks(PIECE_BYTES)).collect();
        let n_bytes: usize = parts.iter().map(|part| part.len()).sum();
        if n_bytes == 0 {
            return 0.0;
        }
        let n_passes = READ_BYTES.div_ceil(n_bytes);
        let start = Instant::now();
        self.pool.each(n_passes * pieces.len(), |_, i| _ = black_box(fold(pieces[i % pieces.len()])));
        (n_passes * n_bytes) as f64 / seconds_since(start)
    }

    /// Multiplications and additions per second of 8-bit integers in registers, with the widest instruction that `isa` has.
    pub fn int8_operations_per_sec(&mut self, isa: Isa) -> f64 {
        let n_done = AtomicUsize::new(0);
        let n_pieces = PIECES_OF_STEPS * self.pool.n_threads();
        let start = Instant::now();
        self.pool.each(n_pieces, |_, _| {
            n_done.fetch_add(peak::operations(isa, STEPS), Ordering::Relaxed);
        });
        n_done.into_inner() as f64 / seconds_since(start)
    }
}

fn seconds_since(start: Instant) -> f64 {
    // A coarse clock may not have moved.
    start.elapsed().as_secs_f64().max(1e-9)
}

/// All words of `bytes` in one, so that each must be read. Four places are read in turn, which is faster than one: more
/// is on its way at any time.
fn fold(bytes: &[u8]) -> u64 {
    let (_, lines, _) = bytemuck::pod_align_to::<u8, [u64; 32]>(bytes);
    let mut sums = [0; 32];
    let (quarters, rest) = lines.split_at(lines.len() / 4 * 4);
    if let [a, b, c, d] = quarters.chunks_exact((lines.len() / 4).max(1)).collect::<Vec<_>>()[..] {
        for (((a, b), c), d) in a.iter().zip(b).zip(c).zip(d) {
            for i in 0..sums.len() {
                sums[i] ^= a[i] ^ b[i] ^ c[i] ^ d[i];
            }
        }
    }
    rest.iter().flatten().chain(&sums).fold(0, |all, word| all ^ word)
}

/// Loops of dot products in registers.
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "calls of functions of an instruction set")]
mod peak {
    use crate::kernels::isa::{Isa, Level};
    use std::{
        arch::x86_64::{
            _mm256_add_epi32, _mm256_dpbusd_avx_epi32, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_set1_epi8,
            _mm256_set1_epi16, _mm512_dpbusd_epi32, _mm512_set1_epi8,
        },
        hint::black_box,
    };

    /// Does `n` steps and gives the operations of all.
    pub(super) fn operations(isa: Isa, n: usize) -> usize {
        match isa.level() {
            Level::Scalar => super::plain(n),
            // SAFETY: an `Isa` of this level exists only where the processor has its features.
            Level::Avx2 => unsafe { avx2(n) },
            // SAFETY: the same.
            Level::AvxVnni => unsafe { avxvnni(n) },
            // SAFETY: the same.
            Level::Avx512 => unsafe { avx512(n) },
        }
    }

    #[target_feature(enable = "avx512f,avx512vnni")]
    fn avx512(n: usize) -> usize {
        let (a, b) = (black_box(_mm512_set1_epi8(3)), black_box(_mm512_set1_epi8(5)));
        let mut sums = [a; 16];
        for _ in 0..n {
            for sum in &mut sums {
                *sum = _mm512_dpbusd_epi32(*sum, a, b);
            }
        }
        black_box(sums);
        n * 16 * 128
    }

    #[target_feature(enable = "avx2,avxvnni")]
    fn avxvnni(n: usize) -> usize {
        let (a, b) = (black_box(_mm256_set1_epi8(3)), black_box(_mm256_set1_epi8(5)));
        let mut sums = [a; 12];
        for _ in 0..n {
            for sum in &mut sums {
                *sum = _mm256_dpbusd_avx_epi32(*sum, a, b);
            }
        }
        black_box(sums);
        n * 12 * 64
    }

    #[target_feature(enable = "avx2")]
    fn avx2(n: usize) -> usize {
        let (a, b) = (black_box(_mm256_set1_epi8(3)), black_box(_mm256_set1_epi8(5)));
        let ones = black_box(_mm256_set1_epi16(1));
        let mut sums = [a; 10];
        for _ in 0..n {
            for sum in &mut sums {
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(_mm256_maddubs_epi16(black_box(a), b), ones));
            }
        }
        black_box(sums);
        n * 10 * 64
    }
}

/// Loops of dot products in registers.
#[cfg(target_arch = "aarch64")]
#[expect(unsafe_code, reason = "an instruction that has no stable intrinsic yet")]
mod peak {
    use crate::kernels::isa::Isa;
    use std::arch::{asm, is_aarch64_feature_detected};

    /// Does `n` steps and gives the operations of all.
    pub(super) fn operations(_: Isa, n: usize) -> usize {
        if !is_aarch64_feature_detected!("dotprod") {
            return super::plain(n);
        }
        // SAFETY: the processor has the instruction, as it has just said.
        unsafe { dotprod(n) }
    }

    #[target_feature(enable = "neon,dotprod")]
    fn dotprod(n: usize) -> usize {
        for _ in 0..n {
            // SAFETY: works on registers alone, and names all that it changes. What is in them does not matter.
            unsafe {
                asm!(
                    "sdot v0.4s, v30.16b, v31.16b",
                    "sdot v1.4s, v30.16b, v31.16b",
                    "sdot v2.4s, v30.16b, v31.16b",
                    "sdot v3.4s, v30.16b, v31.16b",
                    "sdot v4.4s, v30.16b, v31.16b",
                    "sdot v5.4s, v30.16b, v31.16b",
                    "sdot v6.4s, v30.16b, v31.16b",
                    "sdot v7.4s, v30.16b, v31.16b",
                    "sdot v16.4s, v30.16b, v31.16b",
                    "sdot v17.4s, v30.16b, v31.16b",
                    "sdot v18.4s, v30.16b, v31.16b",
                    "sdot v19.4s, v30.16b, v31.16b",
                    "sdot v20.4s, v30.16b, v31.16b",
                    "sdot v21.4s, v30.16b, v31.16b",
                    "sdot v22.4s, v30.16b, v31.16b",
                    "sdot v23.4s, v30.16b, v31.16b",
                    out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _, out("v6") _,
                    out("v7") _, out("v16") _, out("v17") _, out("v18") _, out("v19") _, out("v20") _,
                    out("v21") _, out("v22") _, out("v23") _,
                    options(nomem, nostack, preserves_flags),
                );
            }
        }
        n * 16 * 32
    }
}

/// Loops of dot products in registers.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod peak {
    /// Does `n` steps and gives the operations of all.
    pub(super) fn operations(_: crate::kernels::Isa, n: usize) -> usize {
        super::plain(n)
    }
}

/// What the compiler makes of dot products of 8-bit integers.
fn plain(n: usize) -> usize {
    let (a, b) = (black_box([3i8; 64]), black_box([5i8; 64]));
    let mut sums = [0i32; 64];
    for _ in 0..n {
        let (a, b) = (black_box(&a), black_box(&b));
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += i32::from(*a) * i32::from(*b));
    }
    black_box(sums);
    n * 128
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read() {
        let mut bytes = vec![0u8; (1 << 16) + 256 * 3];
        let empty = fold(&bytes);
        for at in [300, 1 << 14, 1 << 15, bytes.len() - 300] {
            bytes[at] ^= 0x40;
            assert_ne!(fold(&bytes), empty, "{at}");
            bytes[at] ^= 0x40;
        }
    }

    #[test]
    fn ceilings_are_within_what_machines_do() {
        let bytes = vec![1u8; 1 << 20];
        let mut probe = Probe::new(2).expect("two threads");
        let read = probe.read_bytes_per_sec(&[&bytes, &bytes[..1000]]);
        assert!((1e7..1e13).contains(&read), "{read:e} bytes");
        assert_eq!(probe.read_bytes_per_sec(&[&[]]), 0.0);
        for isa in Isa::available() {
            let int8 = probe.int8_operations_per_sec(isa);
            assert!((1e7..1e15).contains(&int8), "{}: {int8:e} operations", isa.name());
        }
    }
}
