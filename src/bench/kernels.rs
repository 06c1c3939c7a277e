//! Each product kernel beside what the machine can do at that moment.
//!
//! A few rows are multiplied with so many weights that no cache helps; their ceiling is a plain read of the same memory.
//! Many rows are held against 8-bit integer products that stay in registers. Ceilings are measured between the samples.

use super::stats;
use crate::{
    kernels::{Columns, Cut, Form, Isa, Pool, Probe, Rows, Scratch, Weights, product, quantize},
    tensor::Dtype,
};
use std::{
    io,
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// Bytes of weights that a few rows are multiplied with: more than any cache holds.
pub const WEIGHT_BYTES: usize = 1 << 30;

/// Outputs and inputs of the matrices.
const SHAPE: (usize, usize) = (8192, 2048);

/// Rows up to which reading the weights is what takes the time.
const FEW_ROWS: usize = 16;

/// Samples of each kernel.
const N_SAMPLES: usize = 5;

/// Tiles for each thread to take, and what their columns are a multiple of, as in the forward pass.
const TILES_PER_THREAD: usize = 8;
const PANEL: usize = 64;

/// A kernel at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// The type of the weights.
    pub dtype: Dtype,
    /// Rows that the weights are multiplied with.
    pub n_rows: usize,
    /// Threads.
    pub n_threads: usize,
}

/// How fast a kernel is; medians.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed {
    /// Bytes of weights.
    pub bytes_per_sec: f64,
    /// Multiplications and additions.
    pub operations_per_sec: f64,
    /// Which of the two has the ceiling.
    pub bound: Bound,
    /// The ceiling, in bytes or operations per second.
    pub ceiling_per_sec: f64,
}

/// What limits a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Reading the weights.
    Memory,
    /// Multiplying 8-bit integers.
    Int8,
}

impl Speed {
    /// The share of the ceiling that is reached.
    pub fn fraction(&self) -> f64 {
        let reached = match self.bound {
            Bound::Memory => self.bytes_per_sec,
            Bound::Int8 => self.operations_per_sec,
        };
        reached / self.ceiling_per_sec
    }
}

/// Weights to measure kernels with.
pub struct Microscope {
    isa: Isa,
    memory: Vec<u8>,
    /// What the weights are now.
    dtype: Option<Dtype>,
}

impl Microscope {
    /// A microscope for the kernels of `isa` with `n_bytes` of weights; [`WEIGHT_BYTES`] is a good number.
    pub fn new(isa: Isa, n_bytes: usize) -> Microscope {
        Microscope { isa, memory: vec![0; n_bytes], dtype: None }
    }

    /// Measures one kernel.
    ///
    /// # Errors
    /// When the operating system gives no threads.
    pub fn measure(&mut self, case: Case) -> io::Result<Speed> {
        let Case { dtype, n_rows, n_threads } = case;
        if self.dtype != Some(dtype) {
            fill(dtype, &mut self.memory);
            self.dtype = Some(dtype);
        }
        let matrix_bytes = dtype.bytes_for(SHAPE.0 * SHAPE.1).expect("the shape is of whole blocks of any type");
        let is_few = n_rows <= FEW_ROWS;
        let n_matrices = if is_few { (self.memory.len() / matrix_bytes).max(1) } else { 1 + 64 / n_rows };
        let mut probe = Probe::new(n_threads)?;
        let mut work = Work::new(self.isa, case, SHAPE)?;
        work.pass(self.matrices(matrix_bytes, n_matrices));
        let (mut seconds, mut ceilings) = (Vec::new(), Vec::new());
        for _ in 0..N_SAMPLES {
            ceilings.push(match is_few {
                true => probe.read_bytes_per_sec(&[&self.memory]),
                false => probe.int8_operations_per_sec(self.isa),
            });
            let start = Instant::now();
            work.pass(self.matrices(matrix_bytes, n_matrices));
            seconds.push(start.elapsed().as_secs_f64());
        }
        let seconds = stats::median(&seconds);
        Ok(Speed {
            bytes_per_sec: (n_matrices * matrix_bytes) as f64 / seconds,
            operations_per_sec: (2 * n_matrices * n_rows * SHAPE.0 * SHAPE.1) as f64 / seconds,
            bound: if is_few { Bound::Memory } else { Bound::Int8 },
            ceiling_per_sec: stats::median(&ceilings),
        })
    }

    fn matrices(&self, matrix_bytes: usize, n: usize) -> impl Iterator<Item = &[u8]> {
        self.memory.chunks_exact(matrix_bytes).take(n)
    }
}

/// Multiplications and additions per second of `n` rows with an `n` × `n` matrix of `dtype`, the best of three.
///
/// # Errors
/// When the operating system gives no threads.
pub fn square(isa: Isa, dtype: Dtype, n: usize, n_threads: usize) -> io::Result<f64> {
    let n_bytes = dtype.bytes_for(n * n).ok_or(io::ErrorKind::InvalidInput)?;
    let mut memory = vec![0; n_bytes];
    fill(dtype, &mut memory);
    let mut work = Work::new(isa, Case { dtype, n_rows: n, n_threads }, (n, n))?;
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let start = Instant::now();
        // What comes in is in floats, as it is for the others.
        work.quantize();
        work.pass([&*memory].into_iter());
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(2.0 * (n as f64).powi(3) / best)
}

/// Rows on their way through matrices.
struct Work {
    isa: Isa,
    case: Case,
    shape: (usize, usize),
    pool: Pool,
    scratches: Vec<Mutex<Scratch>>,
    /// (n_rows, n_in)
    x: Vec<f32>,
    /// The same as the weights want it.
    rows: Vec<u8>,
    /// (n_rows, n_out)
    y: Vec<f32>,
}

impl Work {
    fn new(isa: Isa, case: Case, shape: (usize, usize)) -> io::Result<Work> {
        let pool = Pool::new(case.n_threads)?;
        let mut work = Work {
            isa,
            case,
            shape,
            scratches: (0..pool.n_threads()).map(|_| Mutex::default()).collect(),
            pool,
            x: (0..case.n_rows * shape.1).map(|i| ((i * 7919) % 1009) as f32 / 504.0 - 1.0).collect(),
            rows: vec![0; case.n_rows * Form::of(case.dtype).row_bytes(shape.1)],
            y: vec![0.0; case.n_rows * shape.0],
        };
        work.quantize();
        Ok(work)
    }

    fn quantize(&mut self) {
        let form = Form::of(self.case.dtype);
        let (isa, width, row_bytes) = (self.isa, self.shape.1, form.row_bytes(self.shape.1));
        let x = &self.x;
        self.pool.pieces(&mut self.rows, row_bytes, |_, first, rows| {
            let first = first / row_bytes;
            for (i, row) in rows.chunks_exact_mut(row_bytes).enumerate() {
                quantize(isa, form, &x[(first + i) * width..(first + i + 1) * width], row);
            }
        });
    }

    /// Multiplies the rows with each of `matrices`.
    fn pass<'a>(&mut self, matrices: impl Iterator<Item = &'a [u8]>) {
        let Work { isa, case, shape, pool, scratches, rows, y, .. } = self;
        let rows = Rows::new(Form::of(case.dtype), shape.1, rows);
        let n_columns = shape.0.div_ceil(pool.n_threads() * TILES_PER_THREAD).next_multiple_of(PANEL);
        for bytes in matrices {
            let weights = Weights::new(case.dtype, *shape, bytes).expect("the matrix has the bytes of its shape");
            let cut = Cut { rows: &[0, case.n_rows], n_columns };
            pool.tiles(&mut [[Columns::new(y, case.n_rows)]], cut, |thread, tile| {
                let [columns] = tile.columns;
                let mut scratch = scratches[thread].lock().unwrap_or_else(PoisonError::into_inner);
                product(*isa, &weights, &rows, columns, &mut scratch);
            });
        }
    }
}

/// Fills `memory` with blocks of random integers and moderate scales.
fn fill(dtype: Dtype, memory: &mut [u8]) {
    /// A prime number of blocks, so that they do not fall on the same addresses again and again.
    const N_BLOCKS: usize = 65521;
    let size = dtype.block_bytes();
    let mut state = 1u64;
    let n_pattern = (size * N_BLOCKS).min(memory.len());
    for byte in &mut memory[..n_pattern] {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        *byte = (state >> 33) as u8;
    }
    // The upper byte of each 16-bit scale, and of plain floats.
    let scales: &[usize] = match dtype {
        Dtype::F32 => &[2],
        Dtype::Q2_K => &[80, 82],
        Dtype::Q3_K => &[108],
        Dtype::Q6_K => &[208],
        Dtype::Q4_1 | Dtype::Q5_1 | Dtype::Q4_K | Dtype::Q5_K => &[0, 2],
        _ => &[0],
    };
    for block in memory[..n_pattern].chunks_exact_mut(size) {
        for &at in scales {
            block[at + 1] = 0x2c;
        }
    }
    let mut done = n_pattern;
    while done < memory.len() {
        let n = done.min(memory.len() - done);
        memory.copy_within(..n, done);
        done += n;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_measured_beside_its_ceiling() {
        let mut microscope = Microscope::new(Isa::detect(), 20 << 20);
        for (n_rows, bound) in [(1, Bound::Memory), (64, Bound::Int8)] {
            let speed = microscope.measure(Case { dtype: Dtype::Q4_0, n_rows, n_threads: 2 }).expect("two threads");
            assert_eq!(speed.bound, bound);
            assert!(speed.fraction() > 0.0 && speed.fraction().is_finite(), "{speed:?}");
        }
    }

    #[test]
    fn what_is_filled_in_are_moderate_numbers() {
        for dtype in Dtype::all() {
            let mut memory = vec![0; dtype.bytes_for(1 << 16).expect("whole blocks")];
            fill(dtype, &mut memory);
            let mut numbers = vec![f32::NAN; 1 << 16];
            crate::kernels::dequantize(dtype, &memory, &mut numbers);
            assert!(numbers.iter().all(|x| x.abs() < 1e3), "{dtype}");
            assert!(numbers.iter().any(|&x| x != numbers[0]), "{dtype}");
        }
    }
}
