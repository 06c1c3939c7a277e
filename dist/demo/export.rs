//! Writes the trained network as a GGUF file like any other.

use crate::network::{
    D_FF, D_MODEL, EMBEDDING, HEAD_DIM, N_CTX, N_HEADS, N_KV_HEADS, N_LAYERS, N_VOCAB, NORM_EPS, ROPE_BASE,
};
use crate::vocabulary::{CONTROL, END_OF_TEXT, IM_END, Vocabulary};
use anyhow::Result;
use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use std::io::Cursor;

const CHAT_TEMPLATE: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + \
    message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}\
    {{ '<|im_start|>assistant\\n' }}{% endif %}";

/// The weights as the file holds them: matrices in Q8_0, norms in F32.
///
/// # Errors
/// Those of candle.
pub(crate) fn quantize(weights: &[(String, Tensor)]) -> Result<Vec<(String, QTensor)>> {
    let quantize = |(name, weight): &(String, Tensor)| {
        let dtype = if weight.rank() == 1 { GgmlDType::F32 } else { GgmlDType::Q8_0 };
        Ok((name.clone(), QTensor::quantize(&turned(name, weight)?, dtype)?))
    };
    weights.iter().map(quantize).collect()
}

/// What the file's weights are worth in F32, as the network wants them.
///
/// # Errors
/// Those of candle.
pub(crate) fn dequantize(weights: &[(String, QTensor)]) -> Result<Vec<Tensor>> {
    weights.iter().map(|(name, weight)| turned(name, &weight.dequantize(&Device::Cpu)?)).collect()
}

/// Between (in, out), as the network has its matrices, and (out, in), as the file has them.
fn turned(name: &str, weight: &Tensor) -> Result<Tensor> {
    let same = weight.rank() == 1 || name == EMBEDDING;
    Ok(if same { weight.clone() } else { weight.t()?.contiguous()? })
}

/// The bytes of the file.
///
/// # Errors
/// Those of candle and of the tokenizer.
pub(crate) fn file(weights: &[(String, QTensor)], vocabulary: &Vocabulary) -> Result<Vec<u8>> {
    let metadata = [about(), shape(), tokenizer(vocabulary)?].concat();
    let metadata: Vec<_> = metadata.iter().map(|(key, value)| (*key, value)).collect();
    let tensors: Vec<_> = weights.iter().map(|(name, weight)| (name.as_str(), weight)).collect();
    let mut bytes = Cursor::new(Vec::new());
    gguf_file::write(&mut bytes, &metadata, &tensors)?;
    let mut bytes = bytes.into_inner();
    // candle says version 2; 3 differs from it only in allowing big-endian files, and is what others write.
    bytes[4] = 3;
    Ok(bytes)
}

fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

fn count(value: usize) -> Value {
    Value::U32(value as u32)
}

fn about() -> Vec<(&'static str, Value)> {
    let about = "A small help model inside taper, trained on text about taper and on plain sentences. \
        A smoke test, not an assistant.";
    vec![
        ("general.architecture", text("llama")),
        ("general.type", text("model")),
        ("general.name", text("taper demo")),
        ("general.description", text(about)),
        ("general.size_label", text("2.3M")),
        ("general.license", text("mit")),
        ("general.languages", Value::Array(vec![text("en")])),
        ("general.alignment", count(32)),
        ("general.quantization_version", count(2)),
        // What it says of taper is true where it is likeliest.
        ("general.sampling.temp", Value::F32(0.0)),
        // 7 is "mostly Q8_0".
        ("general.file_type", count(7)),
    ]
}

fn shape() -> Vec<(&'static str, Value)> {
    vec![
        ("llama.block_count", count(N_LAYERS)),
        ("llama.context_length", count(N_CTX)),
        ("llama.embedding_length", count(D_MODEL)),
        ("llama.feed_forward_length", count(D_FF)),
        ("llama.attention.head_count", count(N_HEADS)),
        ("llama.attention.head_count_kv", count(N_KV_HEADS)),
        ("llama.attention.key_length", count(HEAD_DIM)),
        ("llama.attention.value_length", count(HEAD_DIM)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(NORM_EPS)),
        ("llama.rope.dimension_count", count(HEAD_DIM)),
        ("llama.rope.freq_base", Value::F32(ROPE_BASE)),
        ("llama.vocab_size", count(N_VOCAB)),
    ]
}

fn tokenizer(vocabulary: &Vocabulary) -> Result<Vec<(&'static str, Value)>> {
    let (tokens, merges) = vocabulary.tables()?;
    // 3 is "control", 1 is "normal".
    let kind = |token: &String| Value::I32(if CONTROL.contains(&token.as_str()) { 3 } else { 1 });
    Ok(vec![
        ("tokenizer.ggml.model", text("gpt2")),
        ("tokenizer.ggml.pre", text("gpt-2")),
        ("tokenizer.ggml.token_type", Value::Array(tokens.iter().map(kind).collect())),
        ("tokenizer.ggml.tokens", Value::Array(tokens.into_iter().map(Value::String).collect())),
        ("tokenizer.ggml.merges", Value::Array(merges.into_iter().map(Value::String).collect())),
        ("tokenizer.ggml.bos_token_id", Value::U32(END_OF_TEXT)),
        ("tokenizer.ggml.eos_token_id", Value::U32(IM_END)),
        ("tokenizer.ggml.padding_token_id", Value::U32(END_OF_TEXT)),
        ("tokenizer.ggml.add_bos_token", Value::Bool(false)),
        ("tokenizer.chat_template", text(CHAT_TEMPLATE)),
    ])
}
