//! Completions that begin with their prompt, whose tokens have log-probabilities too.

use super::{Server, with};
use serde_json::{Value, json};
use taper::{
    TokenId,
    backend::{Compute, DeviceChoice},
    engine::{Engine, ModelFiles},
    text::Special,
};

const PATH: &str = "/v1/completions";

/// The demo in this process, which scores texts without any of what serves requests.
fn scorer() -> Engine {
    let files = ModelFiles::demo().unwrap();
    let tokenizer = files.tokenizer().unwrap();
    let compute = Compute { device: DeviceChoice::Cpu, n_threads: Some(1), cache_type: None };
    files.load(compute, Some(512), tokenizer).unwrap()
}

fn tokens_of(engine: &Engine, text: &str) -> Vec<TokenId> {
    let mut tokens = engine.tokenizer().before().to_vec();
    tokens.extend(engine.tokenizer().encode(text, Special::AsText).unwrap());
    tokens
}

/// What a choice says: its text, and the fields of its log-probabilities.
#[derive(Debug, Default, PartialEq)]
struct Told {
    text: String,
    tokens: Vec<String>,
    logprobs: Vec<Option<u32>>,
    top: Vec<Value>,
    offsets: Vec<usize>,
    finish_reason: Value,
}

impl Told {
    /// Adds a choice of an answer, or of a part of one.
    fn add(&mut self, choice: &Value) {
        let fields = |name: &str| choice["logprobs"][name].as_array().unwrap().clone();
        self.text.push_str(choice["text"].as_str().unwrap());
        self.tokens.extend(fields("tokens").iter().map(|token| token.as_str().unwrap().to_owned()));
        let bits = |value: &Value| value.as_f64().map(|x| (x as f32).to_bits());
        self.logprobs.extend(fields("token_logprobs").iter().map(bits));
        self.top.extend(fields("top_logprobs"));
        self.offsets.extend(fields("text_offset").iter().map(|offset| offset.as_u64().unwrap() as usize));
        self.finish_reason = choice["finish_reason"].clone();
    }

    /// The part from token `n` on, with the offsets of a text that begins there.
    fn after(&self, n: usize, echoed: &str) -> Told {
        let n_echoed = echoed.chars().count();
        Told {
            text: self.text.strip_prefix(echoed).unwrap().to_owned(),
            tokens: self.tokens[n..].to_vec(),
            logprobs: self.logprobs[n..].to_vec(),
            top: self.top[n..].to_vec(),
            offsets: self.offsets[n..].iter().map(|offset| offset - n_echoed).collect(),
            finish_reason: self.finish_reason.clone(),
        }
    }
}

/// All choices of an answer, which says the same whole and in parts.
fn told(server: &Server, body: &Value) -> Vec<Told> {
    let (status, answer) = server.post(PATH, body);
    assert_eq!(status, 200, "{answer}");
    let whole = answer["choices"].as_array().unwrap().iter().map(|choice| {
        let mut told = Told::default();
        told.add(choice);
        told
    });
    let whole: Vec<Told> = whole.collect();
    let mut streamed: Vec<Told> = whole.iter().map(|_| Told::default()).collect();
    for event in server.stream(PATH, &with(body.clone(), json!({ "stream": true }))) {
        let choice = &event["choices"][0];
        streamed[choice["index"].as_u64().unwrap() as usize].add(choice);
    }
    assert_eq!(whole, streamed);
    whole
}

/// Holds what is told of a prompt to what the engine's own scores are.
fn assert_scored(told: &Told, engine: &mut Engine, prompt: &[TokenId]) {
    let scores = engine.score(prompt).unwrap();
    let bits: Vec<_> = scores.iter().map(|score| score.map(f32::to_bits)).collect();
    assert_eq!(told.logprobs[..prompt.len()], bits);
    let pieces: Vec<_> = prompt.iter().map(|&token| engine.tokenizer().token_text(token)).collect();
    assert_eq!(told.tokens[..prompt.len()], pieces);
    assert_eq!((&told.top[0], told.offsets[0]), (&Value::Null, 0));
    for i in 1..told.tokens.len() {
        let likely = told.top[i].as_object().unwrap();
        let own = likely[&told.tokens[i]].as_f64().unwrap() as f32;
        assert_eq!(Some(own.to_bits()), told.logprobs[i], "{likely:?}");
    }
}

#[test]
fn the_tokens_of_an_echoed_prompt_have_the_scores_of_their_text() {
    let (server, mut engine) = (Server::start(&[]), scorer());
    let long = "how do I serve a model, and what does exit code 5 mean? ".repeat(6);
    let [short, long_tokens] = ["exit code", long.as_str()].map(|text| tokens_of(&engine, text));
    assert!(long_tokens.len() > 80, "several chunks");
    let one = vec![short[short.len() - 1]];
    let prompts = [
        (json!("exit code"), vec![&short]),
        (json!([long, "exit code"]), vec![&long_tokens, &short]),
        (json!(long_tokens), vec![&long_tokens]),
        (json!([short, one, long_tokens]), vec![&short, &one, &long_tokens]),
    ];
    for (prompt, tokens) in &prompts {
        for (n, max_tokens) in [(1, 0), (2, 0), (1, 1), (3, 7)] {
            let fields = json!({ "n": n, "max_tokens": max_tokens, "logprobs": 2, "temperature": 1, "seed": 3,
                "ignore_eos": true });
            let body = with(json!({ "prompt": prompt }), fields);
            let echoed = told(&server, &with(body.clone(), json!({ "echo": true })));
            let plain = told(&server, &body);
            assert_eq!((echoed.len(), plain.len()), (tokens.len() * n, tokens.len() * n));
            for (i, (echoed, plain)) in echoed.iter().zip(&plain).enumerate() {
                let prompt = tokens[i / n];
                assert_eq!(echoed.tokens.len(), prompt.len() + max_tokens);
                assert_eq!(echoed.finish_reason, "length");
                assert_scored(echoed, &mut engine, prompt);
                // And the answer is the one without an echo.
                let text = echoed.text.strip_suffix(plain.text.as_str()).unwrap();
                assert_eq!(echoed.after(prompt.len(), text), *plain);
            }
        }
    }
}

#[test]
fn the_first_part_of_a_stream_has_the_prompt_and_the_usage_counts_it_once() {
    let server = Server::start(&[]);
    let body = json!({ "prompt": "exit code", "echo": true, "logprobs": 0, "max_tokens": 3, "ignore_eos": true,
        "stream": true, "stream_options": { "include_usage": true } });
    let events = server.stream(PATH, &body);
    let (first, last) = (&events[0]["choices"][0], events.last().unwrap());
    let n_prompt = last["usage"]["prompt_tokens"].as_u64().unwrap();
    assert_eq!(first["text"], "exit code");
    assert_eq!(first["logprobs"]["tokens"].as_array().unwrap().len() as u64, n_prompt);
    assert_eq!(last["usage"]["completion_tokens"], 3);

    let several = with(body, json!({ "n": 4, "max_tokens": 0, "stream": false }));
    let (_, answer) = server.post(PATH, &several);
    let usage = &answer["usage"];
    assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(n_prompt), &json!(0)));
    let choices = answer["choices"].as_array().unwrap();
    assert!(choices.iter().all(|choice| choice["logprobs"] == choices[0]["logprobs"]));
    // Without `logprobs` there is nothing but the text.
    let (_, answer) = server.post(PATH, &json!({ "prompt": "exit code", "echo": true, "max_tokens": 0 }));
    let choice = &answer["choices"][0];
    assert_eq!((&choice["text"], &choice["logprobs"]), (&json!("exit code"), &Value::Null));
}

#[test]
fn offsets_are_where_tokens_begin_in_characters() {
    let (server, engine) = (Server::start(&[]), scorer());
    let text = "Où est le café? 日本語 🙂🙃 naïve, Ærø\nend";
    let tokens = tokens_of(&engine, text);
    for prompt in [json!(text), json!(tokens)] {
        let body = json!({ "prompt": prompt, "echo": true, "logprobs": 1, "max_tokens": 12, "temperature": 2, "seed": 5,
            "ignore_eos": true });
        let told = told(&server, &body).remove(0);
        assert!(told.text.starts_with(text), "{}", told.text);
        assert!(told.offsets.is_sorted());
        let mut n_found = 0;
        for (token, &offset) in told.tokens.iter().zip(&told.offsets) {
            let rest: String = told.text.chars().skip(offset).collect();
            // Parts of characters, and tokens that are no text, are where the next character is.
            n_found += usize::from(!token.contains('\u{fffd}') && rest.starts_with(token.as_str()));
        }
        let n_broken = told.tokens.iter().filter(|token| token.contains('\u{fffd}')).count();
        let n_before = engine.tokenizer().before().len();
        assert!(n_broken > 3 && n_found + n_broken + n_before >= told.tokens.len(), "{told:?}");
    }
}

#[test]
fn forms_and_stops_hold_for_the_answer_and_not_for_the_prompt() {
    let (server, mut engine) = (Server::start(&[]), scorer());
    let prompt = tokens_of(&engine, "exit code 5");
    let body = json!({ "prompt": "exit code 5", "echo": true, "logprobs": 1, "max_tokens": 20 });
    let formed = told(&server, &with(body.clone(), json!({ "regex": "[ab]{3}", "temperature": 1 }))).remove(0);
    assert_scored(&formed, &mut engine, &prompt);
    let answer = formed.text.strip_prefix("exit code 5").unwrap();
    assert!(answer.len() == 3 && answer.chars().all(|c| "ab".contains(c)), "{answer}");
    assert_eq!(formed.finish_reason, "stop");
    // An answer that ends at once: evaluation harnesses take the last token as the one that they have asked for.
    let end = engine.tokenizer().ends()[0].to_string();
    let ended = with(body.clone(), json!({ "max_tokens": 1, "logit_bias": { end: 100 }, "temperature": 0 }));
    let ended = told(&server, &ended).remove(0);
    assert_scored(&ended, &mut engine, &prompt);
    assert_eq!((ended.text.as_str(), ended.tokens.len()), ("exit code 5", prompt.len() + 1));
    assert_eq!(ended.finish_reason, "stop");
    let stopped = told(&server, &with(body, json!({ "stop": ["exit", "code", "e"] }))).remove(0);
    assert_scored(&stopped, &mut engine, &prompt);
    assert!(stopped.text.starts_with("exit code 5") && !stopped.text["exit code 5".len()..].contains('e'));
}
