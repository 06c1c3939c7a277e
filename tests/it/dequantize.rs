//! Dequantization, to the bit, against values that the Python package `gguf` computed (`tests/reference/dequantize.py`).

use taper::kernels::dequantize;
use taper::tensor::Dtype;

/// A type, blocks of it, and their elements.
struct Reference<'a> {
    dtype: Dtype,
    blocks: &'a [u8],
    values: Vec<f32>,
}

fn references(mut rest: &[u8]) -> Vec<Reference<'_>> {
    let mut take = |n: usize| {
        let (taken, left) = rest.split_at_checked(n)?;
        rest = left;
        Some(taken)
    };
    let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("four bytes"));
    let mut references = Vec::new();
    while let Some(head) = take(12) {
        let dtype = Dtype::from_ggml(word(&head[..4])).expect("a known type");
        let blocks = take(word(&head[4..8]) as usize).expect("whole");
        let values = take(4 * word(&head[8..]) as usize).expect("whole");
        let values = values.chunks_exact(4).map(|bytes| f32::from_bits(word(bytes))).collect();
        references.push(Reference { dtype, blocks, values });
    }
    references
}

#[test]
fn every_type_agrees_with_python_to_the_bit() {
    let references = references(include_bytes!("../data/dequantize.bin"));
    assert!(Dtype::all().all(|dtype| references.iter().any(|reference| reference.dtype == dtype)));
    for Reference { dtype, blocks, values } in references {
        let mut out = vec![f32::NAN; values.len()];
        dequantize(dtype, blocks, &mut out);
        for (i, (found, expected)) in out.iter().zip(&values).enumerate() {
            assert_eq!(found.to_bits(), expected.to_bits(), "{dtype}, element {i}: {found} and not {expected}");
        }
    }
}

#[test]
#[should_panic(expected = "bytes of 64 elements of Q4_0")]
fn a_buffer_of_another_size_is_a_mistake() {
    dequantize(Dtype::Q4_0, &[0; 18], &mut [0.0; 64]);
}
