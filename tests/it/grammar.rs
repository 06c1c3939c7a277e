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
