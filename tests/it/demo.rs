//! The model inside the binary is what the manual says of it.

use std::path::Path;
use taper::gguf::Gguf;
use taper::tensor::Dtype;

fn demo() -> Gguf {
    Gguf::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/demo/demo.gguf")).unwrap()
}

#[test]
fn demo_is_a_small_llama_with_a_context_of_1024_tokens() {
    let demo = demo();
    let metadata = demo.metadata();
    assert_eq!(metadata.str("general.architecture").unwrap(), Some("llama"));
    assert_eq!(metadata.str("general.name").unwrap(), Some("taper demo"));
    assert_eq!(metadata.u32("llama.context_length").unwrap(), Some(1024));
    assert_eq!(metadata.u32("llama.block_count").unwrap(), Some(3));
    assert!((2_000_000..4_000_000).contains(&demo.len_bytes()), "{} bytes", demo.len_bytes());
}

#[test]
fn demo_brings_a_whole_tokenizer_and_a_chat_template() {
    let demo = demo();
    let metadata = demo.metadata();
    let tokens = metadata.strings("tokenizer.ggml.tokens").unwrap().unwrap();
    let kinds = metadata.i32s("tokenizer.ggml.token_type").unwrap().unwrap();
    assert_eq!(tokens.len(), kinds.len());
    assert_eq!(tokens.get(2), Some("<|im_end|>".as_bytes()));
    assert_eq!(metadata.u32("tokenizer.ggml.eos_token_id").unwrap(), Some(2));
    assert_eq!(metadata.bool("tokenizer.ggml.add_bos_token").unwrap(), Some(false));
    let merges = metadata.strings("tokenizer.ggml.merges").unwrap().unwrap();
    // Three control tokens and 256 bytes are not merged from anything.
    assert_eq!(merges.len(), tokens.len() - 3 - 256);
    assert!(metadata.str("tokenizer.chat_template").unwrap().unwrap().contains("add_generation_prompt"));
}

#[test]
fn every_matrix_of_demo_is_q8_0_and_every_norm_f32() {
    let demo = demo();
    assert_eq!(demo.tensors().len(), 2 + 9 * 3);
    for info in demo.tensors() {
        let expected = if info.name.contains("norm") { Dtype::F32 } else { Dtype::Q8_0 };
        assert_eq!(info.dtype(), Some(expected), "{}", info.name);
    }
}

#[test]
fn demo_answers_what_it_was_trained_on_through_the_command_line() {
    for (question, expected) in [
        ("how do I serve a model?", "taper serve -m"),
        ("exit code 5", "access denied"),
        ("what is the capital of France?", "I only know about taper"),
    ] {
        let mut taper = assert_cmd::Command::cargo_bin("taper").unwrap();
        let output = taper.env_remove("TAPER_MODEL").args(["run", question]).assert().code(0).get_output().clone();
        let answer = String::from_utf8(output.stdout).unwrap();
        assert!(answer.contains(expected), "{question}: {answer}");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{question}");
    }
}
