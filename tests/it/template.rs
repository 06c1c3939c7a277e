//! Chat templates against Python: tests/reference/templates.py wrote what is expected.

use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::Path;
use taper::text::{ChatTemplate, Conversation, Message, TemplateError};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/templates");
const PUBLISHED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/vocab/templates");

fn json(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(format!("{DATA}/{name}.json")).unwrap()).unwrap()
}

fn compile(path: &Path) -> ChatTemplate {
    ChatTemplate::new(&std::fs::read_to_string(path).unwrap(), "<s>", "</s>").unwrap()
}

fn conversation(case: &Value) -> Conversation {
    Conversation {
        messages: serde_json::from_value(case["messages"].clone()).unwrap(),
        tools: case.get("tools").map(|tools| tools.as_array().unwrap().clone()),
        add_generation_prompt: case["add_generation_prompt"].as_bool().unwrap(),
        extra: case.get("extra").map(|extra| extra.as_object().unwrap().clone()).unwrap_or_default(),
        now: Some(jiff::civil::date(2026, 3, 7).at(9, 5, 2, 0)),
    }
}

/// What differs from what is expected, in words.
fn difference(rendered: &Result<String, TemplateError>, expected: &Value) -> Option<String> {
    let same = match rendered {
        Ok(text) if expected.get("text").is_some() => expected["text"] == text.as_str(),
        Ok(text) => {
            let digest: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
            expected["bytes"] == text.len() && expected["sha256"] == digest
        }
        Err(TemplateError::Raised(message)) => expected["raised"] == message.as_str(),
        Err(TemplateError::Failed { .. }) => expected.get("failed").is_some(),
        Err(_) => false,
    };
    (!same).then(|| format!("expected {expected:#}\nrendered {rendered:#?}"))
}

/// How many renderings of one kind there were, all equal to Python's.
fn compare(kind: &str, folder: &str) -> usize {
    let (cases, expected) = (json("conversations"), json("expected"));
    let mut differences = Vec::new();
    let mut count = 0;
    for (name, results) in expected[kind].as_object().unwrap() {
        let template = compile(&Path::new(folder).join(format!("{name}.jinja")));
        for (case, expected) in results.as_object().unwrap() {
            let case = cases.as_array().unwrap().iter().find(|known| known["name"] == *case).unwrap();
            let rendered = template.render(&conversation(case));
            differences.extend(difference(&rendered, expected).map(|text| format!("{name}, {}: {text}", case["name"])));
            count += 1;
        }
    }
    assert!(differences.is_empty(), "{} of {count} differ\n{}", differences.len(), differences.join("\n"));
    count
}

#[test]
fn our_templates_render_as_in_python() {
    assert!(compare("own", DATA) > 100);
}

#[test]
fn templates_of_published_models_render_as_in_python() {
    if !Path::new(PUBLISHED).is_dir() {
        return eprintln!("skipped: there are no templates in {PUBLISHED}");
    }
    assert!(compare("published", PUBLISHED) > 200);
}

fn render(source: &str) -> Result<String, TemplateError> {
    ChatTemplate::new(source, "", "")?.render(&Conversation::default())
}

#[test]
fn templates_that_do_not_end_are_stopped() {
    for source in [
        "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
        "{% for i in range(100000) %}{{ 'a' * 10000 }}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{% set x = 'a' * 10**8 %}{% for i in range(100000) %}{% set y = x ~ x %}{% endfor %}",
    ] {
        let error = render(source).unwrap_err();
        assert!(matches!(error, TemplateError::Limit(_)), "{source}: {error:?}");
    }
    let doubled = "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}";
    for end in ["{{ ns.x }}", "{{ ns.x | tojson }}", "{{ ns.x | tojson(sort_keys=true) }}"] {
        let error = render(&format!("{doubled}{end}")).unwrap_err();
        assert!(matches!(error, TemplateError::Limit(_)), "{end}: {error:?}");
    }
    for source in ["{{ 'a' * 10**9 }}", "{{ range(10**9) | list }}", "{{ [1] | tojson(indent=10**9) }}"] {
        let error = render(source).unwrap_err();
        assert!(matches!(error, TemplateError::Failed { .. }), "{source}: {error:?}");
    }
}

#[test]
fn values_as_deep_as_the_steps_nest_them_do_not_overflow_the_stack() {
    let (open, close) = ("[".repeat(25), "]".repeat(25));
    let nest = format!(
        "{{% set ns = namespace(x=[]) %}}{{% for j in range(38) %}}{{% for i in range(400) %}}\
         {{% set ns.x = {open}ns.x{close} %}}{{% endfor %}}{{% endfor %}}"
    );
    // An overflow ends the whole process; a slow machine may come to the time limit first.
    for (end, len) in [("", 0), ("{{ ns.x }}", 760_002), ("{{ ns.x == [ns.x] }}", 5)] {
        match render(&format!("{nest}{end}")) {
            Ok(text) => assert_eq!(text.len(), len, "{end}"),
            Err(error) => assert_eq!(error, TemplateError::Limit("too much time"), "{end}"),
        }
    }
    let deeper = nest.replace("range(38)", "range(50)");
    assert!(matches!(render(&deeper), Err(TemplateError::Limit(_))));
}

#[test]
fn sources_that_nest_without_end_do_not_overflow_the_stack() {
    let chains = ["not ", "-", "("].map(|part| format!("{{{{ {}1 }}}}", part.repeat(60_000)));
    let tails = [".b", "|e", " + 1", "[0]"].map(|part| format!("{{{{ a{} }}}}", part.repeat(60_000)));
    for source in chains.into_iter().chain(tails) {
        // Whether it is refused or means something: an overflow would end the whole process.
        _ = render(&source);
    }
}

#[test]
fn errors_are_one_line_and_say_where() {
    let error = ChatTemplate::new("a\n{% if %}", "", "").err().unwrap();
    assert!(matches!(error, TemplateError::Syntax { line: 2, .. }), "{error:?}");
    let error = render("\n\n{{ messages.x.y }}").unwrap_err();
    assert!(matches!(error, TemplateError::Failed { line: 3, .. }), "{error:?}");
    let expected = "the chat template failed in line 3: undefined value: `messages.x` is undefined";
    assert_eq!(error.to_string(), expected);
    assert_eq!(render("{{ raise_exception('two\nlines') }}"), Err(TemplateError::Raised("two lines".into())));
    assert_eq!(
        render("{% macro m() %}{{ raise_exception('no') }}{% endmacro %}{% set x = m() %}"),
        Err(TemplateError::Raised("no".into()))
    );
}

#[test]
fn generation_tags_open_a_scope_and_follow_the_rules_of_whitespace() {
    let source = "{% set y = 1 %}a\r\n  {%- generation -%}\n {% set y = 2 %} b{{ y }}\n  {% endgeneration %}\nc{{ y }}\n\
                  \x20 {%+ generation %}\nd\n{%- endgeneration %}\n e\rf";
    assert_eq!(render(source).unwrap(), "a b2\nc1\n  d e\nf");
}

#[test]
fn times_are_written_in_the_c_locale() {
    let template =
        ChatTemplate::new("{{ strftime_now('%d %b %Y|%A %-d %B %H:%M:%S %j %p|%c|%x|%X') }}", "", "").unwrap();
    let now = Some(jiff::civil::date(2026, 3, 7).at(9, 5, 2, 0));
    let text = template.render(&Conversation { now, ..Conversation::default() }).unwrap();
    assert_eq!(text, "07 Mar 2026|Saturday 7 March 09:05:02 066 AM|Sat Mar  7 09:05:02 2026|03/07/26|09:05:02");
}

#[test]
fn a_template_mentions_the_words_of_its_source() {
    let template = ChatTemplate::new("{% if enable_thinking %}{{ x.tools_y }}{% endif %}", "", "").unwrap();
    assert!(template.mentions("enable_thinking"));
    assert!(!template.mentions("tools"));
    assert!(!template.mentions("thinking"));
}

#[test]
fn templates_are_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>(_: &T) {}
    shared(&ChatTemplate::new("", "", "").unwrap());
}

#[test]
fn arguments_of_calls_are_parsed_where_they_hold_an_object() {
    let call = |arguments: &str| serde_json::json!({"function": {"name": "f", "arguments": arguments}});
    let mut message = Message::new("assistant", "");
    message.tool_calls = Some(vec![call("{\"a\": 1}"), call("[1]"), call("{")]);
    let calls = message.with_parsed_arguments().tool_calls.unwrap();
    assert_eq!(calls[0]["function"]["arguments"], serde_json::json!({"a": 1}));
    assert_eq!(calls[1]["function"]["arguments"], "[1]");
    assert_eq!(calls[2]["function"]["arguments"], "{");
}
