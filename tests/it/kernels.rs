//! Every instruction set of this machine against the plain kernels, to the bit, and those against exact arithmetic.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use taper::kernels::{Columns, Form, Isa, Rows, Scratch, Weights, dequantize, product, quantize, vector};
use taper::tensor::Dtype;

/// A matrix with the bytes that make it.
struct Matrix {
    dtype: Dtype,
    shape: (usize, usize),
    data: Vec<u8>,
}

impl Matrix {
    /// Random bytes whose scales are moderate numbers; `extreme` makes every other bit one or zero.
    fn random(dtype: Dtype, (n_out, n_in): (usize, usize), extreme: bool, random: &mut ChaCha8Rng) -> Matrix {
        let n_blocks = n_out * n_in / dtype.block_len();
        let fill = [0, 255, 0x80, 0x7f][random.random_range(0..4)];
        let mut data: Vec<u8> =
            (0..n_blocks * dtype.block_bytes()).map(|_| if extreme { fill } else { random.random() }).collect();
        for block in data.chunks_exact_mut(dtype.block_bytes()) {
            for &at in scale_offsets(dtype) {
                let scale = random.random_range(-0.125..0.125f32);
                match dtype {
                    Dtype::F32 => block.copy_from_slice(&scale.to_le_bytes()),
                    Dtype::BF16 => block.copy_from_slice(&half::bf16::from_f32(scale).to_le_bytes()),
                    _ => block[at..at + 2].copy_from_slice(&half::f16::from_f32(scale).to_le_bytes()),
                }
            }
        }
        Matrix { dtype, shape: (n_out, n_in), data }
    }

    fn weights(&self) -> Weights<'_> {
        Weights::new(self.dtype, self.shape, &self.data).unwrap()
    }
}

/// Where the 16-bit scales of a block lie.
fn scale_offsets(dtype: Dtype) -> &'static [usize] {
    match dtype {
        Dtype::Q2_K => &[80, 82],
        Dtype::Q3_K => &[108],
        Dtype::Q6_K => &[208],
        Dtype::Q4_1 | Dtype::Q5_1 | Dtype::Q4_K | Dtype::Q5_K => &[0, 2],
        _ => &[0],
    }
}

/// Rows of activations between -1 and 1, or all of the greatest magnitude.
fn activations(n_rows: usize, width: usize, extreme: bool, random: &mut ChaCha8Rng) -> Vec<f32> {
    let one = |random: &mut ChaCha8Rng| random.random_range(-1.0..1.0f32);
    (0..n_rows * width).map(|i| if extreme { [1.0, -1.0][i / width % 2] } else { one(random) }).collect()
}

fn stored(isa: Isa, form: Form, x: &[f32], width: usize) -> Vec<u8> {
    let mut data = vec![0xaa; x.len() / width * form.row_bytes(width)];
    for (x, out) in x.chunks_exact(width).zip(data.chunks_exact_mut(form.row_bytes(width))) {
        quantize(isa, form, x, out);
    }
    data
}

/// The product of the outputs of `range`, in a matrix of all outputs.
fn multiply(isa: Isa, matrix: &Matrix, x: &[u8], range: std::ops::Range<usize>, scratch: &mut Scratch) -> Vec<f32> {
    let (n_out, n_in) = matrix.shape;
    let rows = Rows::new(Form::of(matrix.dtype), n_in, x);
    let mut y = vec![f32::NAN; rows.n_rows() * n_out];
    let (_, rest) = Columns::new(&mut y, rows.n_rows()).split_at(range.start);
    let (columns, _) = rest.split_at(range.end);
    product(isa, &matrix.weights(), &rows, columns, scratch);
    y
}

fn assert_same_bits(got: &[f32], expected: &[f32], what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!(got.to_bits() == expected.to_bits(), "{what}: element {i} is {got:e}, not {expected:e}");
    }
}

/// The widths that a type allows: one block, an odd number of them, and those of real models.
fn widths(dtype: Dtype) -> impl Iterator<Item = usize> {
    let all = [1, 7, 16, 31, 32, 64, 96, 256, 288, 512, 768, 896, 1280, 4864, 8192];
    all.into_iter().filter(move |width| width % dtype.block_len() == 0)
}

#[test]
fn every_instruction_set_gives_the_bits_of_the_plain_kernels() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut scratch = Scratch::default();
    for dtype in Dtype::all() {
        for width in widths(dtype) {
            let few = [(1, 1), (3, 2), (4, 1), (5, 3), (16, 5), (97, 1)];
            for (n_out, n_rows) in few.into_iter().chain([(15, 7), (17, 6), (33, 8), (35, 17), (70, 33), (140, 4)]) {
                if width > 1280 && n_out * n_rows > 600 {
                    continue;
                }
                let extreme = random.random_bool(0.25);
                let matrix = Matrix::random(dtype, (n_out, width), extreme, &mut random);
                let x = activations(n_rows, width, extreme, &mut random);
                let x = stored(Isa::SCALAR, Form::of(dtype), &x, width);
                let expected = multiply(Isa::SCALAR, &matrix, &x, 0..n_out, &mut scratch);
                for isa in Isa::available() {
                    let got = multiply(isa, &matrix, &x, 0..n_out, &mut scratch);
                    let what = format!("{} {dtype}, {n_rows} rows, ({n_out}, {width})", isa.name());
                    assert_same_bits(&got, &expected, &what);
                }
            }
        }
    }
}

#[test]
fn the_bits_of_a_row_do_not_depend_on_its_company_nor_on_the_division_of_outputs() {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let mut scratch = Scratch::default();
    let (n_out, width, n_rows) = (67, 512, 65);
    for dtype in Dtype::all() {
        let form = Form::of(dtype);
        let matrix = Matrix::random(dtype, (n_out, width), false, &mut random);
        let x = activations(n_rows, width, false, &mut random);
        for isa in Isa::available() {
            let data = stored(isa, form, &x, width);
            let whole = multiply(isa, &matrix, &data, 0..n_out, &mut scratch);
            for n in (1..=17).chain([23, 24, 31, 32, 47, 48, 63, 64]) {
                let part = multiply(isa, &matrix, &data[..n * form.row_bytes(width)], 0..n_out, &mut scratch);
                assert_same_bits(&part, &whole[..n * n_out], &format!("{} {dtype}, {n} rows", isa.name()));
            }
            for (start, end) in [(0, 1), (1, 4), (3, 19), (17, 50), (66, 67), (5, 5), (2, 67)] {
                let part = multiply(isa, &matrix, &data, start..end, &mut scratch);
                for (part, whole) in part.chunks(n_out).zip(whole.chunks(n_out)) {
                    let what = format!("{} {dtype}, outputs {start}..{end}", isa.name());
                    assert_same_bits(&part[start..end], &whole[start..end], &what);
                    assert!(part[..start].iter().chain(&part[end..]).all(|y| y.is_nan()), "{what}: wrote elsewhere");
                }
            }
        }
    }
}

#[test]
fn the_bits_of_rows_stay_when_there_are_too_many_for_the_caches() {
    let mut random = ChaCha8Rng::seed_from_u64(6);
    let mut scratch = Scratch::default();
    let (n_out, width, n_rows) = (290, 8192, 80);
    for dtype in Dtype::all() {
        let form = Form::of(dtype);
        let matrix = Matrix::random(dtype, (n_out, width), false, &mut random);
        let x = activations(n_rows, width, false, &mut random);
        // The plain kernels know nothing of caches, and are slow.
        for isa in Isa::available().filter(|&isa| isa != Isa::SCALAR) {
            let data = stored(isa, form, &x, width);
            let whole = multiply(isa, &matrix, &data, 0..n_out, &mut scratch);
            for (i, part) in data.chunks(20 * form.row_bytes(width)).enumerate() {
                let part = multiply(isa, &matrix, part, 0..n_out, &mut scratch);
                let what = format!("{} {dtype}, rows from {}", isa.name(), 20 * i);
                assert_same_bits(&part, &whole[20 * n_out * i..][..20 * n_out], &what);
            }
        }
    }
}

#[test]
fn products_are_those_of_the_stored_numbers() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    for dtype in Dtype::all() {
        let (n_out, width, n_rows) = (9, 768, 5);
        let matrix = Matrix::random(dtype, (n_out, width), false, &mut random);
        let mut w = vec![0.0; n_out * width];
        dequantize(dtype, &matrix.data, &mut w);
        let x = activations(n_rows, width, false, &mut random);
        for isa in Isa::available() {
            let data = stored(isa, Form::of(dtype), &x, width);
            let y = multiply(isa, &matrix, &data, 0..n_out, &mut Scratch::default());
            for (i, y) in y.into_iter().enumerate() {
                let (x, w) = (&x[i / n_out * width..][..width], &w[i % n_out * width..][..width]);
                let products = || x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w));
                let exact: f64 = products().sum();
                // A quantized activation is off by at most half of 1/127 of the largest; floats round.
                let step = if Form::of(dtype) == Form::F32 { 1e-6 } else { 0.5 / 127.0 };
                let bound: f64 = w.iter().map(|w| f64::from(w.abs()) * step).sum::<f64>() + 1e-4;
                let typical = 6.0 * step * w.iter().map(|w| f64::from(w * w)).sum::<f64>().sqrt() + 1e-4;
                let error = (f64::from(y) - exact).abs();
                assert!(error < bound.min(typical), "{} {dtype}: {y}, not {exact}", isa.name());
            }
        }
    }
}

#[test]
fn every_instruction_set_stores_activations_alike() {
    let mut random = ChaCha8Rng::seed_from_u64(4);
    for form in [Form::F32, Form::Q8Block32, Form::Q8Block256] {
        for blocks in [1, 2, 3, 9, 35] {
            let width = blocks * form.block_len();
            let mut x = activations(3, width, false, &mut random);
            x[0] = f32::NAN;
            x[width..2 * width].fill(1e-38);
            let expected = stored(Isa::SCALAR, form, &x, width);
            for isa in Isa::available() {
                assert!(stored(isa, form, &x, width) == expected, "{} {form:?} {width}", isa.name());
            }
        }
    }
}

#[test]
fn every_instruction_set_gives_the_same_bits_of_norms_and_activations() {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    for width in [1, 16, 40, 72, 896, 1000] {
        let [x, weight] = [(); 2].map(|()| activations(1, width, false, &mut random));
        let run = |isa: Isa| {
            let (mut normed, mut gate) = (x.clone(), x.iter().map(|x| 100.0 * x).collect::<Vec<_>>());
            vector::rms_norm(isa, &x, &weight, 1e-5, &mut normed);
            vector::gated_silu(isa, &mut gate, &weight);
            (normed, gate)
        };
        let (normed, gate) = run(Isa::SCALAR);
        for isa in Isa::available() {
            let (also_normed, also_gate) = run(isa);
            assert_same_bits(&also_normed, &normed, &format!("{}, a norm of {width}", isa.name()));
            assert_same_bits(&also_gate, &gate, &format!("{}, a gate of {width}", isa.name()));
        }
        let root = (x.iter().map(|x| f64::from(x * x)).sum::<f64>() / width as f64 + 1e-5).sqrt();
        for i in 0..width {
            let (hundredfold, x, weight) = (f64::from(100.0 * x[i]), f64::from(x[i]), f64::from(weight[i]));
            let silu = hundredfold / (1.0 + (-hundredfold).exp()) * weight;
            assert!((f64::from(normed[i]) - x / root * weight).abs() < 1e-5, "norm of {x}: {}", normed[i]);
            assert!(
                (f64::from(gate[i]) - silu).abs() < 1e-6 * silu.abs() + 1e-30,
                "gate of {hundredfold}: {}",
                gate[i]
            );
        }
    }
}
