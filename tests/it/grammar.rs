//! Answers that were held to a grammar fit it, whatever the model would rather say.

use serde_json::{Value, json};
use std::ops::ControlFlow;
use taper::{
    backend::{Compute, DeviceChoice},
    engine::{Completion, FinishReason, Grammar, GrammarError, Grammars, ModelFiles, Request},
    sampling::SamplingParams,
    text::Special,
};

/// Answers of the demo under `grammar`, hot enough to be nonsense, for several seeds.
fn answers(grammar: &Grammar, max_tokens: usize) -> Vec<Completion> {
    let files = ModelFiles::demo().unwrap();
    let tokenizer = files.tokenizer().unwrap();
    let constraint = Grammars::new(&tokenizer).unwrap().compile(grammar).unwrap();
    let prompt = tokenizer.encode("how do I serve a model?", Special::AsText).unwrap();
    let compute = Compute { device: DeviceChoice::Cpu, n_threads: Some(2), cache_type: None };
    let mut engine = files.load(compute, None, tokenizer).unwrap();
    let request = |seed| Request {
        prompt: prompt.clone(),
        max_tokens: Some(max_tokens),
        sampling: SamplingParams {
            seed,
            temperature: 3.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            ..SamplingParams::default()
        },
        constraint: Some(constraint.clone()),
        ..Request::default()
    };
    (0..12).map(|seed| engine.generate(&request(seed), &mut |_| ControlFlow::Continue(())).unwrap()).collect()
}

#[test]
fn json_fits_its_schema() {
    let schema = json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "maxLength": 12 },
            "size": { "type": "integer", "minimum": 3, "maximum": 40 },
            "tags": { "type": "array", "items": { "enum": ["a", "b"] }, "maxItems": 3 },
        },
        "required": ["name", "size", "tags"],
        "additionalProperties": false,
    });
    for answer in answers(&Grammar::JsonSchema(schema), 300) {
        assert_eq!((answer.finish_reason, answer.fits), (FinishReason::Stop, Some(true)), "{}", answer.text);
        let value: Value = serde_json::from_str(&answer.text).unwrap();
        assert_eq!(value.as_object().unwrap().len(), 3);
        assert!(value["name"].as_str().unwrap().chars().count() <= 12);
        assert!((3..=40).contains(&value["size"].as_i64().unwrap()));
        assert!(value["tags"].as_array().unwrap().iter().all(|tag| tag == "a" || tag == "b"));
    }
}

#[test]
fn text_matches_its_regular_expression_to_the_end() {
    for answer in answers(&Grammar::Regex("[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}/[0-9]{2})?".into()), 100) {
        assert_eq!((answer.finish_reason, answer.fits), (FinishReason::Stop, Some(true)));
        let shape: String = answer.text.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
        assert!(["9999-99-99", "9999-99-99T99/99"].contains(&shape.as_str()), "{}", answer.text);
    }
}

#[test]
fn gbnf_with_recursion_and_empty_terminals_is_followed() {
    let gbnf = r#"
        root   ::= "sum: " expr ws "."     # a comment
        expr   ::= term (ws [-+] ws term){0,2}
        term   ::= num | "(" ws expr ws ")"
        num    ::= "0" | [1-9] [0-9]{0,2}
        ws     ::= | " "
    "#;
    let gbnf: String = gbnf.lines().map(|line| format!("{}\n", line.trim())).collect();
    let mut n_whole = 0;
    for answer in answers(&Grammar::from_text(&gbnf).unwrap(), 60) {
        let open = answer.text.matches('(').count();
        let inner = answer.text.strip_prefix("sum: ").unwrap();
        assert!(inner.chars().all(|c| "0123456789+-() .".contains(c)), "{}", answer.text);
        if answer.fits == Some(true) {
            assert!(inner.ends_with('.') && open == answer.text.matches(')').count(), "{}", answer.text);
            n_whole += 1;
        } else {
            assert_eq!(answer.finish_reason, FinishReason::Length);
        }
    }
    assert!(n_whole >= 3, "{n_whole} answers came to their end");
}

#[test]
fn an_answer_that_is_cut_off_says_that_it_does_not_fit() {
    let schema = json!({ "type": "array", "items": { "type": "integer" }, "minItems": 50 });
    for answer in answers(&Grammar::JsonSchema(schema), 10) {
        assert_eq!((answer.finish_reason, answer.fits), (FinishReason::Length, Some(false)));
    }
}

#[test]
fn a_command_whose_answer_was_cut_off_exits_with_9() {
    let schema = r#"{ "type": "array", "items": { "enum": [1, 2] }, "minItems": 20, "maxItems": 20 }"#;
    let run = |n: &str| {
        let mut run = assert_cmd::Command::cargo_bin("taper").unwrap();
        let run = run.env_remove("TAPER_MODEL").args(["run", "-q", "-n", n, "--json-schema", schema, "hi"]);
        let output = run.output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap().trim_end().to_owned())
    };
    let (code, whole) = run("400");
    assert_eq!((code, serde_json::from_str::<Vec<u8>>(&whole).unwrap().len()), (Some(0), 20));
    let (code, part) = run("8");
    assert!(code == Some(9) && whole.starts_with(&part) && part.len() > 3, "{code:?} {part}");
}

#[test]
fn grammars_that_cannot_be_are_refused_in_one_line() {
    let tokenizer = ModelFiles::demo().unwrap().tokenizer().unwrap();
    let grammars = Grammars::new(&tokenizer).unwrap();
    let deep = (0..100).fold(json!({}), |inner, _| json!({ "type": "array", "items": inner }));
    assert!(grammars.compile(&Grammar::JsonSchema(deep)).is_ok());
    assert!(grammars.compile(&Grammar::Regex("(a{1000}){1000}{1000}".into())).is_ok(), "counted, not written out");
    for grammar in [
        Grammar::JsonSchema(json!({ "type": "nonsense" })),
        Grammar::JsonSchema(json!({ "$ref": "#/nowhere" })),
        Grammar::JsonSchema(json!(3)),
        Grammar::Regex("(".into()),
        Grammar::Lark("start: unknown".into()),
        Grammar::Lark("".into()),
    ] {
        match grammars.compile(&grammar) {
            Err(GrammarError::Malformed(reason)) => assert!(!reason.contains('\n') && !reason.is_empty(), "{reason}"),
            other => panic!("{grammar:?}: {other:?}"),
        }
    }
}

#[test]
fn grammars_that_would_take_the_process_down_are_refused_or_followed() {
    let tokenizer = ModelFiles::demo().unwrap().tokenizer().unwrap();
    let grammars = Grammars::new(&tokenizer).unwrap();
    // So many levels, each of which the compiler descends.
    let rules: String = (0..15_000).map(|i| format!("r{i}: r{}\n", i + 1)).collect();
    let terminals: String = (0..7_000).map(|i| format!("R{i}: R{} \"b\"\n", i + 1)).collect();
    let definitions = (0..7_000).map(|i| (format!("{i}"), json!({ "$ref": format!("#/$defs/{}", i + 1) })));
    let mut definitions: serde_json::Map<String, Value> = definitions.collect();
    definitions.insert("7000".into(), json!({ "type": "null" }));
    for grammar in [
        Grammar::Lark(format!("start: r0\n{rules}r15000: \"a\"")),
        Grammar::Lark(format!("start: R0\n{terminals}R7000: \"a\"")),
        Grammar::JsonSchema(json!({ "$ref": "#/$defs/0", "$defs": definitions })),
    ] {
        if let Err(error) = grammars.compile(&grammar) {
            assert!(matches!(error, GrammarError::Malformed(_)), "{error}");
        }
    }
    let long = "a".repeat(1 << 20);
    for grammar in [
        // Nothing fits these.
        Grammar::JsonSchema(json!({ "$ref": "#" })),
        Grammar::JsonSchema(json!({ "const": 1e19, "multipleOf": 7 })),
        Grammar::Lark("start: start \"a\"".into()),
        // These would take all memory.
        Grammar::JsonSchema(json!({ "type": "integer", "multipleOf": 2_147_483_648u32 })),
        Grammar::Lark("start: %json { \"type\": \"integer\", \"multipleOf\": 2147483648 }".into()),
        Grammar::Regex(long.clone()),
        Grammar::JsonSchema(json!({ "const": long })),
    ] {
        let outcome = grammars.compile(&grammar);
        assert!(matches!(outcome, Err(GrammarError::Malformed(_))), "{outcome:?}");
    }
}

/// llguidance catches its panics, which an abort would forestall.
#[test]
fn releases_unwind() {
    let manifest = include_str!("../../Cargo.toml");
    let release = manifest.split("[profile.release]").nth(1).unwrap().split("\n[").next().unwrap();
    assert!(release.contains("lto") && !release.contains("panic"), "{release}");
}
