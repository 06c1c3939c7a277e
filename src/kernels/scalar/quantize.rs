//! Rows of activations as signed bytes.

use crate::kernels::form::Form;

/// See [`crate::kernels::quantize`].
pub(in crate::kernels) fn quantize(form: Form, x: &[f32], out: &mut [u8]) {
    let layout = form.layout(x.len());
    if form == Form::F32 {
        for (x, out) in x.iter().zip(out.as_chunks_mut().0) {
            *out = x.to_le_bytes();
        }
        return;
    }
    let (q, scales_and_sums) = out.split_at_mut(layout.scales);
    let (scales, sums) = scales_and_sums.split_at_mut(layout.sums - layout.scales);
    let n = form.block_len();
    for ((x, q), scale) in x.chunks_exact(n).zip(q.chunks_exact_mut(n)).zip(scales.as_chunks_mut().0) {
        *scale = quantize_block(x, q).to_le_bytes();
    }
    for (q, sum) in q.chunks_exact(16).zip(sums.as_chunks_mut().0) {
        *sum = q.iter().map(|&q| i16::from(q as i8)).sum::<i16>().to_le_bytes();
    }
}

/// Writes the quantized block and returns its scale.
fn quantize_block(x: &[f32], out: &mut [u8]) -> f32 {
    let largest = x.iter().map(|x| x.abs().to_bits()).max().map_or(0.0, f32::from_bits);
    if !(Form::SMALLEST..f32::INFINITY).contains(&largest) {
        out.fill(0);
        return if largest < Form::SMALLEST { 0.0 } else { f32::NAN };
    }
    let inverse = 127.0 / largest;
    for (x, out) in x.iter().zip(out) {
        *out = (x * inverse).round_ties_even() as i8 as u8;
    }
    largest / 127.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantized(x: &[f32]) -> Vec<u8> {
        let mut out = vec![0; Form::Q8Block32.row_bytes(x.len())];
        quantize(Form::Q8Block32, x, &mut out);
        out
    }

    #[test]
    fn the_largest_magnitude_becomes_127_and_halves_go_to_even() {
        let mut x = [0.0; 32];
        (x[0], x[1], x[2], x[17]) = (-254.0, 5.0, 7.0, 2.0);
        let out = quantized(&x);
        assert_eq!((out[0] as i8, out[1], out[2], out[17]), (-127, 2, 4, 1));
        assert_eq!(out[32..36], 2.0f32.to_le_bytes());
        assert_eq!((out[36..38].to_vec(), out[38..40].to_vec()), ((-121i16).to_le_bytes().to_vec(), vec![1, 0]));
    }

    #[test]
    fn what_is_not_finite_shows_and_what_is_nearly_zero_is_zero() {
        let scale = |x: f32| {
            let out = quantized(&[x; 32]);
            assert_eq!(out[..32], [0; 32]);
            f32::from_le_bytes([out[32], out[33], out[34], out[35]])
        };
        assert!(scale(f32::INFINITY).is_nan() && scale(f32::NAN).is_nan());
        assert_eq!((scale(1e-40), scale(0.0)), (0.0, 0.0));
    }
}
