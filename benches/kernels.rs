//! How fast the kernels are, beside what the machine can do at that moment.
//!
//! `cargo bench --bench kernels [-- FILTER...]`, a filter being a part of a line's name such as `Q4_K` or `512 rows`.
//! One row reads a gigabyte of weights, so that no cache helps; its ceiling is a plain read of the same memory. Many
//! rows are measured against int8 dot products that stay in registers. The ceilings are measured again before each line.
#![expect(clippy::print_stdout, reason = "a benchmark prints")]

use std::hint::black_box;
use std::time::{Duration, Instant};
use taper::kernels::{Columns, Form, Isa, Rows, Scratch, Weights, product, quantize};
use taper::tensor::Dtype;

/// Bytes of weights that one row is multiplied with.
const WEIGHT_BYTES: usize = 1 << 30;
/// Outputs and inputs of the matrix that many rows are multiplied with.
const SHAPE: (usize, usize) = (8192, 2048);

fn main() {
    let filters: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let isa = Isa::detect();
    println!("{}, medians of 5, ceilings beside", isa.name());
    let mut memory = vec![0u8; WEIGHT_BYTES];
    for dtype in Dtype::all() {
        if filters.iter().any(|filter| Dtype::all().any(|d| d.name() == filter) && dtype.name() != filter) {
            continue;
        }
        fill(dtype, &mut memory);
        let mut one_row = [f64::NAN; 2];
        for n_rows in [1, 2, 4, 8, 16, 32, 64, 512] {
            for n_threads in [1, 2] {
                let name = format!("{dtype:<5}{n_rows:>4} rows {n_threads} threads");
                if filters.iter().all(|filter| name.contains(filter.as_str())) {
                    line(&name, isa, &memory, (dtype, n_rows, n_threads), &mut one_row[n_threads - 1]);
                }
            }
        }
    }
}

/// Measures and prints one line; `one_row` is the time that one row takes for a matrix, once that is known.
fn line(name: &str, isa: Isa, memory: &[u8], (dtype, n_rows, n_threads): (Dtype, usize, usize), one_row: &mut f64) {
    let width = SHAPE.1;
    let matrix_bytes = dtype.bytes_for(SHAPE.0 * width).expect("whole blocks");
    let n_matrices = if n_rows <= 16 { WEIGHT_BYTES / matrix_bytes } else { 1 + 64 / n_rows };
    let form = Form::of(dtype);
    let x: Vec<f32> = (0..n_rows * width).map(|i| ((i * 7919) % 1009) as f32 / 504.0 - 1.0).collect();
    let mut data = vec![0; n_rows * form.row_bytes(width)];
    for (x, out) in x.chunks(width).zip(data.chunks_mut(form.row_bytes(width))) {
        quantize(isa, form, x, out);
    }
    let rows = Rows::new(form, width, &data);
    let mut y = vec![0f32; n_rows * SHAPE.0];
    let mut scratches: Vec<Scratch> = (0..n_threads).map(|_| Scratch::default()).collect();
    let mut pass = |memory: &[u8]| {
        for bytes in memory.chunks_exact(matrix_bytes).take(n_matrices) {
            let weights = Weights::new(dtype, SHAPE, bytes).expect("the shape of the bytes");
            let mut rest = Columns::new(&mut y, n_rows);
            std::thread::scope(|scope| {
                for (i, scratch) in scratches.iter_mut().enumerate() {
                    let (columns, others) =
                        std::mem::replace(&mut rest, Columns::new(&mut [], 0)).split_at(SHAPE.0 * (i + 1) / n_threads);
                    rest = others;
                    scope.spawn(move || product(isa, &weights, &rows, columns, scratch));
                }
            });
        }
    };
    pass(memory);
    let (mut times, mut ceilings) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        ceilings.push(if n_rows <= 16 { read(memory, n_threads) } else { multiply(isa, n_threads) });
        times.push(seconds(|| pass(memory)));
    }
    let (time, ceiling) = (median(times), median(ceilings));
    let bytes = (n_matrices * matrix_bytes) as f64 / time;
    let operations = (2 * n_matrices * n_rows * SHAPE.0 * width) as f64 / time;
    let share = if n_rows <= 16 { bytes } else { operations } / ceiling * 100.0;
    let per_matrix = time / n_matrices as f64;
    if n_rows == 1 {
        *one_row = per_matrix;
    }
    let (gigabytes, teraops, times) = (bytes / 1e9, operations / 1e12, per_matrix / *one_row);
    println!(
        "{name}: {gigabytes:6.2} GB/s, {teraops:6.3} TOP/s, {share:5.1} % of {ceiling:.3e}, {times:5.2} x one row"
    );
}

/// Fills `memory` with blocks of random integers and moderate scales.
fn fill(dtype: Dtype, memory: &mut [u8]) {
    let size = dtype.block_bytes();
    let mut state = 1u64;
    let pattern_bytes = size * 65521;
    for byte in &mut memory[..pattern_bytes] {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        *byte = (state >> 33) as u8;
    }
    let scales: &[usize] = match dtype {
        Dtype::F32 => &[2],
        Dtype::Q2_K => &[80, 82],
        Dtype::Q3_K => &[108],
        Dtype::Q6_K => &[208],
        Dtype::Q4_1 | Dtype::Q5_1 | Dtype::Q4_K | Dtype::Q5_K => &[0, 2],
        _ => &[0],
    };
    for block in memory[..pattern_bytes].chunks_exact_mut(size) {
        for &at in scales {
            block[at + 1] = 0x2c;
        }
    }
    let mut done = pattern_bytes;
    while done < memory.len() {
        let n = done.min(memory.len() - done);
        memory.copy_within(..n, done);
        done += n;
    }
}

/// Bytes per second of reading `memory` once, each thread its own part.
fn read(memory: &[u8], n_threads: usize) -> f64 {
    let words: &[[u64; 32]] = bytemuck::cast_slice(memory);
    let time = seconds(|| {
        std::thread::scope(|scope| {
            for part in words.chunks(words.len().div_ceil(n_threads)) {
                scope.spawn(move || {
                    let mut sums = [0u64; 32];
                    for words in part {
                        sums.iter_mut().zip(words).for_each(|(sum, word)| *sum ^= word);
                    }
                    black_box(sums)
                });
            }
        });
    });
    memory.len() as f64 / time
}

/// Int8 operations per second, a multiplication and an addition each, of the widest instruction that `isa` has.
fn multiply(isa: Isa, n_threads: usize) -> f64 {
    const N: usize = 4_000_000;
    let mut per_step = 0;
    let time = seconds(|| {
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..n_threads).map(|_| scope.spawn(move || peak::steps(isa, N))).collect();
            per_step = threads.into_iter().map(|thread| thread.join().unwrap_or(0)).sum();
        });
    });
    (N * per_step) as f64 / time
}

fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().max(Duration::from_nanos(1)).as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Loops of dot products in registers.
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "calls of functions of an instruction set")]
mod peak {
    use std::arch::x86_64::{
        _mm256_add_epi32, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_set1_epi8, _mm256_set1_epi16,
        _mm512_dpbusd_epi32, _mm512_set1_epi8,
    };
    use std::hint::black_box;
    use taper::kernels::Isa;

    /// Runs `n` steps and returns the operations of one.
    pub(super) fn steps(isa: Isa, n: usize) -> usize {
        match isa.name() {
            // SAFETY: an `Isa` of that name exists only where the processor has its features.
            "avx512" => unsafe { avx512(n) },
            // SAFETY: the same.
            "avx2" | "avxvnni" => unsafe { avx2(n) },
            _ => plain(n),
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
        16 * 128
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
        10 * 64
    }

    fn plain(n: usize) -> usize {
        let mut sum = 0i32;
        for i in 0..n {
            sum = black_box(sum.wrapping_add(3 * i as i32));
        }
        2
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod peak {
    pub(super) fn steps(_: taper::kernels::Isa, n: usize) -> usize {
        (0..n).for_each(|i| _ = std::hint::black_box(i));
        2
    }
}
