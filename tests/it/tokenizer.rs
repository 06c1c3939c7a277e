//! Tokenizers: against llama.cpp's ids, against the `tokenizers` library, there and back, and against crafted files.

use crate::support::gguf_writer::GgufBuilder;
use proptest::prelude::{ProptestConfig, Strategy, prop, prop_assert_eq, proptest};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use taper::TokenId;
use taper::gguf::Gguf;
use taper::text::{Controls, Decoder, Special, TextError, TokenKind, Tokenizer};

/// What `tests/reference/tokenizer.py` wrote.
static REFERENCE: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../data/tokenizer.json")).unwrap());

static BPE: LazyLock<Arc<Tokenizer>> = LazyLock::new(|| read(&vocabulary("bpe", "qwen2", "")));
static SPM: LazyLock<Arc<Tokenizer>> = LazyLock::new(|| read(&vocabulary("spm", "", "")));

/// A file with a vocabulary of the reference.
fn vocabulary(name: &str, pre: &str, model_name: &str) -> GgufBuilder {
    let vocabulary = &REFERENCE["vocabularies"][name];
    let texts = |key: &str| -> Vec<&str> { list(&vocabulary[key]).iter().map(|v| v.as_str().unwrap()).collect() };
    let types: Vec<i32> = list(&vocabulary["types"]).iter().map(|v| v.as_i64().unwrap() as i32).collect();
    let mut file = GgufBuilder::new()
        .string("tokenizer.ggml.model", vocabulary["model"].as_str().unwrap())
        .strings("tokenizer.ggml.tokens", &texts("tokens"))
        .i32s("tokenizer.ggml.token_type", &types);
    if vocabulary.get("merges").is_some() {
        file = file.strings("tokenizer.ggml.merges", &texts("merges"));
    }
    if let Some(scores) = vocabulary.get("scores") {
        let scores: Vec<f32> = list(scores).iter().map(|v| v.as_f64().unwrap() as f32).collect();
        file = file.f32s("tokenizer.ggml.scores", &scores);
    }
    for (name, key) in [("bos", "bos"), ("eos", "eos"), ("sep", "seperator"), ("unk", "unknown")] {
        if let Some(id) = vocabulary.get(name) {
            file = file.u32(&format!("tokenizer.ggml.{key}_token_id"), id.as_u64().unwrap() as u32);
        }
    }
    for (key, value) in [("tokenizer.ggml.pre", pre), ("general.name", model_name)] {
        file = if value.is_empty() { file } else { file.string(key, value) };
    }
    file
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn try_read(file: &GgufBuilder) -> Result<Tokenizer, TextError> {
    Tokenizer::from_gguf(Gguf::from_bytes(file.build().into()).unwrap().metadata())
}

fn read(file: &GgufBuilder) -> Arc<Tokenizer> {
    Arc::new(try_read(file).unwrap())
}

fn numbers(text: &str) -> Vec<TokenId> {
    text.split_whitespace().map(|id| id.parse().unwrap()).collect()
}

#[test]
fn small_vocabularies_give_the_ids_of_llama_cpp() {
    for case in list(&REFERENCE["cases"]) {
        let text = |key: &str| case[key].as_str().unwrap();
        let tokenizer = read(&vocabulary(text("vocabulary"), text("pre"), text("name")));
        let special = if case["special"] == true { Special::Parse } else { Special::AsText };
        for (text, ids) in list(&REFERENCE["texts"]).iter().zip(list(&case["ids"])) {
            let text = text.as_str().unwrap();
            let framed = case["framed"] == true;
            let got = if framed { tokenizer.encode_framed(text, special) } else { tokenizer.encode(text, special) };
            if let Some(ids) = ids.as_str() {
                assert_eq!(got.unwrap(), numbers(ids), "{} {} {text:?}", case["vocabulary"], case["pre"]);
            }
        }
    }
}

#[test]
fn published_vocabularies_give_their_published_ids() {
    let folder = Path::new("../shared/vocab");
    let Ok(entries) = fs::read_dir(folder) else {
        return eprintln!("skipped: no published vocabularies in {}", folder.display());
    };
    for path in entries.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "gguf"))
    {
        let beside = |end: &str| fs::read_to_string(format!("{}{end}", path.display()));
        let (texts, ids) = (beside(".inp").unwrap(), beside(".out").unwrap());
        let tokenizer = Tokenizer::from_gguf(Gguf::open(&path).unwrap().metadata()).unwrap();
        for (text, ids) in texts.split("\n__ggml_vocab_test__\n").zip(ids.lines()) {
            let got = tokenizer.encode(text, Special::AsText).unwrap();
            assert_eq!(got, numbers(ids), "{} {text:?}", path.display());
        }
    }
}

/// Text of everything that tokenizers treat differently.
fn texts() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "Hello",
        " world",
        "it's",
        "I'LL",
        "  ",
        "\n",
        "\r\n",
        "\t",
        "1234",
        "3.14",
        "!?",
        "...",
        "école",
        "É",
        "Straße",
        "привет",
        "你好",
        "한국",
        "नमस्ते",
        "🙂",
        "e\u{301}",
        "\u{a0}",
        "\u{3000}",
        "<tool>",
        "<|im_end|>",
        "</s>",
        "\0",
        "x",
    ]);
    let part = proptest::prop_oneof![3 => part.prop_map(str::to_owned), 1 => "\\PC{0,4}"];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn byte_pair_text_comes_back_as_it_was(text in texts()) {
        for special in [Special::AsText, Special::Parse] {
            let ids = BPE.encode(&text, special).unwrap();
            prop_assert_eq!(&BPE.decode(&ids, Controls::Show), &text);
            let bytes: Vec<u8> = ids.iter().flat_map(|&id| BPE.token_bytes(id).into_owned()).collect();
            prop_assert_eq!(&bytes, text.as_bytes());
        }
    }

    #[test]
    fn sentencepiece_text_comes_back_as_it_was(text in texts().prop_filter("▁ is its space", |t| !t.contains('▁'))) {
        for special in [Special::AsText, Special::Parse] {
            prop_assert_eq!(&SPM.decode(&SPM.encode(&text, special).unwrap(), Controls::Show), &text);
        }
    }

    #[test]
    fn no_text_becomes_a_control_token_unless_asked(text in texts()) {
        for tokenizer in [&BPE, &SPM] {
            for id in tokenizer.encode(&text, Special::AsText).unwrap() {
                prop_assert_eq!(tokenizer.kind(id) == Some(TokenKind::Control), false);
            }
        }
    }

    #[test]
    fn both_readers_agree_on_the_same_vocabulary(text in texts()) {
        static JSON: LazyLock<(tempfile::TempDir, Arc<Tokenizer>)> = LazyLock::new(|| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("tokenizer.json");
            fs::write(&path, tokenizer_json().to_string()).unwrap();
            (folder, Arc::new(Tokenizer::from_file(&path, None, &[]).unwrap()))
        });
        let json = &JSON.1;
        for special in [Special::AsText, Special::Parse] {
            let ids = BPE.encode(&text, special).unwrap();
            prop_assert_eq!(&json.encode(&text, special).unwrap(), &ids);
            prop_assert_eq!(json.decode(&ids, Controls::Show), BPE.decode(&ids, Controls::Show));
            prop_assert_eq!(json.decode(&ids, Controls::Skip), BPE.decode(&ids, Controls::Skip));
        }
    }
}

/// The byte-pair vocabulary of the reference as Hugging Face writes it, with the pre-tokenizer of Qwen2.
fn tokenizer_json() -> Value {
    let vocabulary = &REFERENCE["vocabularies"]["bpe"];
    let tokens: Vec<&str> = list(&vocabulary["tokens"]).iter().map(|v| v.as_str().unwrap()).collect();
    let is_added = |token: &str| token.starts_with('<') && token.ends_with('>') && token.len() > 2;
    let added = tokens.iter().enumerate().filter(|(_, token)| is_added(token)).map(|(id, token)| {
        serde_json::json!({"id": id, "content": token, "special": *token != "<tool>", "single_word": false,
            "lstrip": false, "rstrip": false, "normalized": false})
    });
    let vocab: serde_json::Map<String, Value> =
        tokens.iter().enumerate().map(|(id, token)| (token.to_string(), id.into())).collect();
    let regex = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    let bytes =
        serde_json::json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false});
    serde_json::json!({
        "version": "1.0", "truncation": {"max_length": 3, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
        "padding": null, "added_tokens": added.collect::<Vec<_>>(), "normalizer": null, "post_processor": null,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false}, bytes]},
        "decoder": bytes,
        "model": {"type": "BPE", "vocab": vocab, "merges": vocabulary["merges"]},
    })
}

#[test]
fn a_post_processor_says_what_goes_around_a_prompt() {
    let mut json = tokenizer_json();
    let part = |id: &str| serde_json::json!({"SpecialToken": {"id": id, "type_id": 0}});
    let token = |id: &str| serde_json::json!({"id": id, "ids": [BPE.token_id(id).unwrap()], "tokens": [id]});
    json["post_processor"] = serde_json::json!({
        "type": "TemplateProcessing", "pair": [],
        "single": [part("<s>"), part("<|im_start|>"), {"Sequence": {"id": "A", "type_id": 0}}, part("</s>")],
        "special_tokens": {"<s>": token("<s>"), "<|im_start|>": token("<|im_start|>"), "</s>": token("</s>")},
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    fs::write(&path, json.to_string()).unwrap();
    let ids = |names: &[&str]| -> Vec<TokenId> { names.iter().map(|name| BPE.token_id(name).unwrap()).collect() };
    let tokenizer = Tokenizer::from_file(&path, Some(ids(&["<s>"])[0]), &ids(&["<|endoftext|>"])).unwrap();
    assert_eq!((tokenizer.before(), tokenizer.after()), (&ids(&["<s>", "<|im_start|>"])[..], &ids(&["</s>"])[..]));
    assert_eq!((tokenizer.bos(), tokenizer.eos()), (Some(ids(&["<s>"])[0]), Some(ids(&["<|endoftext|>"])[0])));
    assert!(ids(&["<|endoftext|>", "<|im_end|>", "</s>"]).into_iter().all(|id| tokenizer.is_end(id)));
    let framed = tokenizer.encode_framed("Hello", Special::AsText).unwrap();
    assert_eq!(tokenizer.decode(&framed, Controls::Show), "<s><|im_start|>Hello</s>");
    assert!(matches!(Tokenizer::from_file(&folder.path().join("none"), None, &[]), Err(TextError::Json { .. })));
}

#[test]
fn a_stream_of_tokens_never_splits_a_character() {
    let ids = BPE.encode("a👨‍👩‍👧é", Special::AsText).unwrap();
    let mut decoder = Decoder::new(Arc::clone(&BPE), Controls::Skip);
    let parts: Vec<String> = ids.iter().map(|&id| decoder.push(id)).collect();
    assert!(parts.len() > 4 && parts.iter().any(String::is_empty), "{parts:?} is not in pieces");
    assert_eq!((parts.concat().as_str(), decoder.finish().as_str()), ("a👨‍👩‍👧é", ""));
}

#[test]
fn bytes_that_are_no_character_become_replacement_characters() {
    let byte = |byte: u8| SPM.token_id(&format!("<0x{byte:02X}>")).unwrap();
    let decode = |bytes: &[u8]| SPM.decode(&bytes.iter().map(|&b| byte(b)).collect::<Vec<_>>(), Controls::Skip);
    assert_eq!(decode(b"ab"), "ab");
    assert_eq!(decode(&[0xE2, 0x82, 0xAC]), "€");
    assert_eq!(decode(&[0xE2, 0x82]), "\u{fffd}");
    assert_eq!(decode(&[0xE2, 0x82, b'x']), "\u{fffd}x");
    assert_eq!(decode(&[0xFF, b'x', 0x80]), "\u{fffd}x\u{fffd}");
    // What a control token interrupts never becomes whole.
    let ids = [byte(0xE2), SPM.eos().unwrap(), byte(0x82)];
    assert_eq!(SPM.decode(&ids, Controls::Show), "\u{fffd}</s>\u{fffd}");
    assert_eq!(SPM.decode(&[999_999], Controls::Show), "");
}

#[test]
fn only_the_space_that_encoding_added_is_dropped() {
    let ids = SPM.encode("the end", Special::AsText).unwrap();
    assert_eq!(SPM.token_text(ids[0]).chars().next(), Some(' '));
    assert_eq!(SPM.decode(&ids, Controls::Skip), "the end");
    assert_eq!(SPM.decode(&SPM.encode("  the end", Special::AsText).unwrap(), Controls::Skip), "  the end");
    let decode_after = |prompt: &[TokenId]| {
        let mut decoder = Decoder::after(Arc::clone(&SPM), Controls::Skip, prompt);
        ids.iter().map(|&id| decoder.push(id)).collect::<String>()
    };
    assert_eq!(decode_after(&ids), " the end");
    assert_eq!(decode_after(&[SPM.bos().unwrap()]), "the end");
    assert_eq!(decode_after(&[]), "the end");
}

#[test]
fn tokens_that_end_a_turn_are_known_by_key_and_by_name() {
    let ends = |tokens: &[&str], eot: u32| -> Vec<String> {
        let file = GgufBuilder::new()
            .string("tokenizer.ggml.model", "gpt2")
            .string("tokenizer.ggml.pre", "gpt-4o")
            .strings("tokenizer.ggml.tokens", tokens)
            .strings::<&str>("tokenizer.ggml.merges", &[])
            .u32("tokenizer.ggml.eot_token_id", eot);
        let tokenizer = read(&file);
        tokenizer.ends().iter().map(|&id| tokenizer.token_text(id)).collect()
    };
    assert_eq!(ends(&["a", "<|im_end|>", "stop", "<|endoftext|>"], 2), ["<|im_end|>", "stop", "<|endoftext|>"]);
    assert_eq!(ends(&["a", "<|end|>"], 9), ["<|end|>"]);
    // In the harmony format a message ends with `<|end|>`, and another may follow.
    assert_eq!(ends(&["<|end|>", "<|return|>", "<|call|>", "<|start|>"], 9), ["<|return|>", "<|call|>"]);
    assert_eq!(ends(&["</s>", "<|tool_response>", "<turn|>"], 9), ["<|tool_response>", "<turn|>"]);
}

#[test]
fn the_keys_of_the_file_say_what_goes_around_a_prompt() {
    let frame = |file: GgufBuilder| {
        let tokenizer = read(&file);
        (tokenizer.before().to_vec(), tokenizer.after().to_vec())
    };
    assert_eq!(frame(vocabulary("bpe", "qwen2", "")), (vec![], vec![]));
    let bos = BPE.bos().unwrap();
    assert_eq!(frame(vocabulary("bpe", "llama-bpe", "")), (vec![bos], vec![]));
    assert_eq!(frame(vocabulary("bpe", "llama-bpe", "").bool("tokenizer.ggml.add_bos_token", false)), (vec![], vec![]));
    assert_eq!(frame(vocabulary("spm", "", "").bool("tokenizer.ggml.add_eos_token", true)), (vec![1], vec![2]));
    assert_eq!(frame(vocabulary("bert", "", "")), (vec![2], vec![3]));
    let no_space = read(&vocabulary("spm", "", "").bool("tokenizer.ggml.add_space_prefix", false));
    let the = no_space.encode("the", Special::AsText).unwrap();
    assert_eq!(no_space.decode(&the, Controls::Skip), "the");
    assert_eq!(no_space.token_bytes(the[0])[0], b't');
}

#[test]
fn damaged_vocabularies_are_refused_by_key() {
    let error = |file: GgufBuilder| try_read(&file).err().expect("an error").to_string();
    let bpe = || GgufBuilder::new().string("tokenizer.ggml.model", "gpt2").string("tokenizer.ggml.pre", "gpt-2");
    let spm = || GgufBuilder::new().string("tokenizer.ggml.model", "llama");
    let tokens = ["a", "b"];
    assert!(error(GgufBuilder::new()).starts_with("metadata key `tokenizer.ggml.model` is missing"));
    assert!(error(bpe()).contains("`tokenizer.ggml.tokens` is missing") || error(bpe()).contains("merges` is missing"));
    assert!(error(bpe().strings("tokenizer.ggml.tokens", &tokens)).contains("`tokenizer.ggml.merges` is missing"));
    assert!(error(spm().strings::<&str>("tokenizer.ggml.tokens", &[])).contains("is empty"));
    let short = spm().strings("tokenizer.ggml.tokens", &tokens);
    assert!(error(short.clone().f32s("tokenizer.ggml.scores", &[0.0])).contains("has 1 elements, expected 2"));
    assert!(error(short.clone().i32s("tokenizer.ggml.token_type", &[1])).contains("has 1 elements, expected 2"));
    assert!(error(spm().u32("tokenizer.ggml.tokens", 7)).contains("expected an array of strings"));
    assert!(error(spm().strings("tokenizer.ggml.tokens", &vec!["a"; 5000])).contains("far too many equal strings"));
    let model = error(GgufBuilder::new().string("tokenizer.ggml.model", "t5"));
    assert_eq!(model, "tokenizer model `t5` is not supported, expected one of: llama, gpt2, gemma4, bert");
    let pre = error(GgufBuilder::new().string("tokenizer.ggml.model", "gpt2").string("tokenizer.ggml.pre", "new-1"));
    assert!(pre.starts_with("pre-tokenizer `new-1` is not supported, expected one of: default, llama3"), "{pre}");
}

#[test]
fn odd_vocabularies_neither_panic_nor_lose_their_place() {
    let odd: [&[u8]; 8] = [b"\xa9", b"\xff\xfe", b"<0xZZ>", b"\xe2\x96", b"", b"a", "é".as_bytes(), b"<"];
    for model in ["gpt2", "gemma4", "llama", "bert"] {
        let file = GgufBuilder::new()
            .string("tokenizer.ggml.model", model)
            .strings("tokenizer.ggml.tokens", &odd)
            .i32s("tokenizer.ggml.token_type", &[4, 4, 6, 4, 1, 1, -7, 3, 99])
            .strings("tokenizer.ggml.merges", &["", " ", "ab", "a  b", "\u{c3} \u{a9}", "a a"])
            .f32s("tokenizer.ggml.scores", &[f32::NAN, 0.0, -0.0, f32::INFINITY, 1.0, 1.0, f32::NEG_INFINITY, 0.0])
            .u32("tokenizer.ggml.bos_token_id", u32::MAX)
            .u32("tokenizer.ggml.eos_token_id", 8);
        let tokenizer = read(&file);
        assert_eq!((tokenizer.n_vocab(), tokenizer.kind(8), tokenizer.bos().filter(|&id| id > 7)), (8, None, None));
        for text in ["", "aaaa", "é<0xZZ>", "▁\u{fffd}<<", "\u{85}\0"] {
            let ids = tokenizer.encode_framed(text, Special::Parse).unwrap();
            assert!(ids.iter().all(|&id| id < 8), "{model} {text:?} {ids:?}");
            tokenizer.decode(&ids, Controls::Show);
        }
        (0..9).for_each(|id| drop(tokenizer.token_bytes(id)));
    }
}

#[test]
fn long_runs_of_anything_take_linear_time() {
    // Quadratic time would be seconds for each of five hundred.
    const N: usize = 60_000;
    let pre = ["default", "llama-bpe", "jais-2", "falcon", "gpt-4o", "tekken", "kimi-k2", "youtu", "deepseek-llm"];
    let pre = pre.into_iter().chain(["deepseek-coder", "deepseek-v3", "afmoe", "superbpe", "bloom"]);
    let tokenizers = pre
        .map(|pre| read(&vocabulary("bpe", pre, "")))
        .chain([("spm", ""), ("gemma", ""), ("bert", "")].map(|(name, pre)| read(&vocabulary(name, pre, ""))));
    for tokenizer in tokenizers {
        for unit in ["a", "A", " ", "\n", "1", "'", "!", "\u{301}", "中", " \t", "aA", "\u{3000}", "<", "🙂", "\0"] {
            tokenizer.encode(&unit.repeat(N / unit.len()), Special::Parse).unwrap();
            tokenizer.encode(&[&unit.repeat(N / unit.len()), "x"].concat(), Special::Parse).unwrap();
        }
    }
}
