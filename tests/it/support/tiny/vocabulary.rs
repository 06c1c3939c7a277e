//! Two small vocabularies, complete over bytes: one of SPM pieces, one of byte-level BPE.

use crate::support::gguf_writer::GgufBuilder;

/// Pairs that merge, best first; `_` stands for the vocabulary's mark of a word's beginning.
const MERGES: [&str; 34] = [
    "_ t", "h e", "_ a", "i n", "r e", "o n", "e r", "n d", "_t he", "_ s", "a t", "o u", "e n", "_ w", "o r", "e s",
    "i s", "i t", "_ o", "a n", "_ b", "in g", "e d", "_ f", "a l", "_ p", "a r", "_ m", "_a nd", "_o f", "_t o",
    "_ in", "e l", "l l",
];

const SPM_TEMPLATE: &str =
    "{{ bos_token }}{% for message in messages %}[{{ message['role'] }}] {{ message['content'] }}
{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}";

const BPE_TEMPLATE: &str = "{% for message in messages %}<|im_start|>{{ message['role'] }}
{{ message['content'] }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}";

const NORMAL: i32 = 1;
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const BYTE: i32 = 6;

/// The number of tokens that [`spm`] adds.
pub(crate) const SPM_TOKENS: usize = 320;

/// The number of tokens that [`bpe`] adds; odd, so that nothing divides it.
pub(crate) const BPE_TOKENS: usize = 293;

/// A vocabulary of kind `llama`: three special tokens, the bytes, then pieces with falling scores.
pub(crate) fn spm(file: GgufBuilder) -> GgufBuilder {
    let mut tokens: Vec<String> = ["<unk>", "<s>", "</s>"].map(String::from).into();
    let mut types = vec![UNKNOWN, CONTROL, CONTROL];
    tokens.extend((0..=255u8).map(|byte| format!("<0x{byte:02X}>")));
    types.resize(tokens.len(), BYTE);
    let mut scores = vec![0.0; tokens.len()];
    tokens.extend(MERGES.map(|pair| pair.replace(' ', "").replace('_', "\u{2581}")));
    tokens.push("\u{2581}".into());
    tokens.extend(('a'..='z').map(String::from));
    types.resize(tokens.len(), NORMAL);
    scores.extend((0..tokens.len() - scores.len()).map(|rank| -(rank as f32)));

    file.string("tokenizer.ggml.model", "llama")
        .strings("tokenizer.ggml.tokens", &tokens)
        .f32s("tokenizer.ggml.scores", &scores)
        .i32s("tokenizer.ggml.token_type", &types)
        .u32("tokenizer.ggml.bos_token_id", 1)
        .u32("tokenizer.ggml.eos_token_id", 2)
        .u32("tokenizer.ggml.unknown_token_id", 0)
        .bool("tokenizer.ggml.add_bos_token", true)
        .bool("tokenizer.ggml.add_eos_token", false)
        .string("tokenizer.chat_template", SPM_TEMPLATE)
}

/// A vocabulary of kind `gpt2` with the pre-tokenizer `pre`: the bytes, the merged pieces, three special tokens.
pub(crate) fn bpe(file: GgufBuilder, pre: &str) -> GgufBuilder {
    let merges = MERGES.map(|pair| pair.replace('_', "\u{120}"));
    let mut tokens: Vec<String> = byte_letters().map(String::from).collect();
    tokens.extend(merges.iter().map(|pair| pair.replace(' ', "")));
    let mut types = vec![NORMAL; tokens.len()];
    tokens.extend(["<|endoftext|>", "<|im_start|>", "<|im_end|>"].map(String::from));
    types.resize(tokens.len(), CONTROL);

    file.string("tokenizer.ggml.model", "gpt2")
        .string("tokenizer.ggml.pre", pre)
        .strings("tokenizer.ggml.tokens", &tokens)
        .i32s("tokenizer.ggml.token_type", &types)
        .strings("tokenizer.ggml.merges", &merges)
        .u32("tokenizer.ggml.bos_token_id", 290)
        .u32("tokenizer.ggml.eos_token_id", 292)
        .bool("tokenizer.ggml.add_bos_token", false)
        .string("tokenizer.chat_template", BPE_TEMPLATE)
}

/// The letter that stands for each byte in byte-level BPE: itself where printable, else the next one from U+0100 on.
fn byte_letters() -> impl Iterator<Item = char> {
    let mut next = 0x100;
    (0..=255u8).map(move |byte| match byte {
        b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => char::from(byte),
        _ => {
            next += 1;
            char::from_u32(next - 1).expect("far below the surrogates")
        }
    })
}
