//! The GGUF reader: right files read right, wrong ones refused by name.

use crate::support::gguf_writer::GgufBuilder;
use taper::gguf::Gguf;
use taper::tensor::{Bytes, Dtype};

#[test]
fn what_was_written_is_read() {
    let data: Vec<u8> = (0..64).collect();
    let file = GgufBuilder::new()
        .string("general.architecture", "llama")
        .u32("llama.block_count", 2)
        .f32("llama.rope.freq_base", 1e6)
        .strings("tokenizer.ggml.tokens", &["a", "", "bcd"])
        .f32s("tokenizer.ggml.scores", &[0.5, -1.0])
        .tensor("w", Dtype::F16, &[4, 8], &data)
        .build();
    let gguf = Gguf::from_bytes(Bytes::from(file)).expect("a right file");
    let metadata = gguf.metadata();
    assert_eq!(metadata.str("general.architecture").unwrap(), Some("llama"));
    assert_eq!(metadata.usize("llama.block_count").unwrap(), Some(2));
    assert_eq!(metadata.f32("llama.rope.freq_base").unwrap(), Some(1e6));
    let tokens = metadata.strings("tokenizer.ggml.tokens").unwrap().unwrap();
    assert_eq!(tokens.iter().collect::<Vec<_>>(), [&b"a"[..], b"", b"bcd"]);
    assert_eq!(tokens.get(2), Some(&b"bcd"[..]));
    assert_eq!(metadata.f32s("tokenizer.ggml.scores").unwrap(), Some(vec![0.5, -1.0]));
    let tensor = gguf.tensor("w").unwrap().unwrap();
    assert_eq!((tensor.shape, &*tensor.data), (vec![4, 8], &data[..]));
    assert!(gguf.tensor("v").unwrap().is_none());
}
