//! What a MODEL argument means.

use crate::support::hub_cache::hub;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::{collection::vec, prop_assert, prop_assert_eq};
use std::path::Path;
use taper::hub::{HubError, Reference, Selector};

fn parse(text: &str) -> Result<Reference, HubError> {
    Reference::parse(text, |_| false)
}

#[test]
fn a_reference_has_one_canonical_form() {
    for (text, canonical) in [
        ("demo", "demo"),
        ("owner/repo", "owner/repo"),
        ("Qwen/Qwen3-0.6B-GGUF:q4_k_m", "Qwen/Qwen3-0.6B-GGUF:Q4_K_M"),
        ("o/r:ud-Q2_K_XL@v1.0", "o/r:UD-Q2_K_XL@v1.0"),
        ("o/r@main", "o/r"),
        ("o/r:Q8_0@main", "o/r:Q8_0"),
        ("o/r@refs/pr/1", "o/r@refs/pr/1"),
        ("o/r@feature/x", "o/r@feature/x"),
        ("o/r:a b/Ü@2.gguf", "o/r:a b/Ü@2.gguf"),
        ("o/r:a.GGUF@0123abcd", "o/r:a.GGUF@0123abcd"),
        ("hf.co/o/r:Q8_0", "o/r:Q8_0"),
        ("HF.co/o/r", "o/r"),
        ("hf://o/r@dev", "o/r@dev"),
        ("hf://o/r/sub/x.gguf", "o/r:sub/x.gguf"),
        ("hf://o/r@dev/sub/x.gguf", "o/r:sub/x.gguf@dev"),
        ("hf://o/r@refs/pr/1/x.gguf", "o/r:x.gguf@refs/pr/1"),
        ("https://huggingface.co/o/r", "o/r"),
        ("https://huggingface.co/o/r/", "o/r"),
        ("https://huggingface.co/o/r?library=x", "o/r"),
        ("https://hf.co/o/r/tree/main", "o/r"),
        ("https://huggingface.co/o/r/blob/main/sub/x.gguf", "o/r:sub/x.gguf"),
        ("https://huggingface.co/o/r/resolve/v1/x.gguf?download=true", "o/r:x.gguf@v1"),
        ("https://huggingface.co/o/r/blob/refs%2Fpr%2F1/x.gguf", "o/r:x.gguf@refs/pr/1"),
        ("https://huggingface.co/o/r/tree/main/Q8_0", "o/r:Q8_0"),
        ("hf.co/hf.co/r", "hf.co/hf.co/r"),
        ("hf.co/o/r.gguf", "hf.co/o/r.gguf"),
    ] {
        let reference = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(reference.to_string(), canonical);
        assert_eq!(parse(canonical).unwrap(), reference);
    }
    let reference = hub("o/r:q8_0");
    assert_eq!((reference.repo(), reference.revision()), ("o/r", "main"));
    assert_eq!(reference.selector(), Some(&Selector::Quantization("Q8_0".into())));
    assert_eq!(hub("o/r:b/x.gguf@dev").selector(), Some(&Selector::File("b/x.gguf".into())));
    assert_eq!(hub("o/r:b/x.gguf@dev").revision(), "dev");
}

#[test]
fn what_can_only_be_a_path_is_one() {
    let paths = [
        "x.gguf",
        "models/x.GGUF",
        "a/b/c.gguf",
        "Ünïcode/模型.gguf",
        "./x",
        "../o/r",
        "/o/r",
        "~/o/r",
        ".",
        "..",
        "o/r/",
        r"C:\models\x.gguf",
        "C:/models/x",
        r"models\x",
        r"\\server\share\x",
        "m/model.safetensors",
        "a:b.gguf",
    ];
    for text in paths {
        assert_eq!(parse(text).unwrap(), Reference::Path(text.into()), "{text}");
        assert_eq!(parse(text).unwrap().to_string(), text);
    }
}

#[test]
fn what_exists_wins_over_the_hub_unless_the_hub_is_named() {
    let exists = |path: &Path| path == Path::new("o/r") || path == Path::new("word") || path == Path::new("hf.co/o/r");
    for text in ["o/r", "word"] {
        assert_eq!(Reference::parse(text, exists).unwrap(), Reference::Path(text.into()));
    }
    assert_eq!(Reference::parse("hf.co/o/r", exists).unwrap(), Reference::Hub(hub("o/r")));
    assert_eq!(Reference::parse("demo", |_| true).unwrap(), Reference::Demo);
    assert!(Reference::parse("", |_| true).is_err());
}

#[cfg(unix)]
#[test]
fn a_path_need_not_be_unicode() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let text = OsStr::from_bytes(b"a\xff/b");
    assert_eq!(Reference::parse(text, |_| false).unwrap(), Reference::Path(text.into()));
}

#[test]
fn malformed_and_hostile_references_are_refused() {
    let long = format!("o/{}", "x".repeat(97));
    let texts = [
        "",
        "word",
        "llama3:8b",
        "a/b/c",
        "o/r:",
        "o/r@",
        "o/r:@main",
        "o/r:Q8_0@",
        "o/r@main:Q8_0",
        &long,
        "o/r@a..b",
        "o/r@a b",
        "o/r@-x",
        "o/r@a\n",
        "o/r@/x",
        "o/r@a//b",
        "o/r@.x",
        "o/r@a.lock",
        "o/r@a~1",
        "o/r@@{1}",
        "o/r:../x.gguf",
        "o/r:/x.gguf",
        "o/r:a/../x.gguf",
        "o/r:a//x.gguf",
        "o/r:./x.gguf",
        "o/r:a\0.gguf",
        "o/r:a\u{1b}[0m.gguf",
        "o/r:C:x.gguf",
        "o/r:model.safetensors",
        "o/r:Q4 K",
        "o--x/r",
        "o/r..x",
        "-o/r",
        "o/r-",
        "o/.r",
        "o/r.git",
        "ö/r",
        "o r/x",
        "o\n/r",
        "hf.co/",
        "hf.co/o",
        "hf.co/../x",
        "hf://o/../../etc/passwd",
        "hf://o/r/../x.gguf",
        "hf.co/o/r/blob/main/../../x.gguf",
        "hf://datasets/o/r",
        "https://example.com/x.gguf",
        "http://huggingface.co/o/r",
        "s3://o/r",
        "hf.co//r@x/y.gguf",
        "hf.co/@/.gguf",
    ];
    for text in texts {
        let error = parse(text).expect_err(text);
        assert!(matches!(error, HubError::Malformed { .. }), "{text}");
        let message = error.to_string();
        assert!(!message.contains(['\0', '\u{1b}']) && message.lines().count() <= 2, "{message}");
    }
    assert_eq!(
        parse("word").unwrap_err().to_string(),
        "the model `word` is neither a file or folder that exists nor a reference to the Hub\nhint: give `demo`, a path \
         to a .gguf file or a model folder, or `owner/repo[:QUANTIZATION|:FILE][@REVISION]`"
    );
    assert_eq!(
        parse("o/r:model.bin").unwrap_err().to_string(),
        "the model `o/r:model.bin` has `model.bin` after the colon, expected a quantization like `Q4_K_M` or a .gguf file"
    );
}

/// Text of the characters that mean something in a reference.
fn reference_like() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("o".to_owned()),
        Just("/".into()),
        Just(":".into()),
        Just("@".into()),
        Just("..".into()),
        Just("-".into()),
        Just(".gguf".into()),
        Just("hf.co/".into()),
        Just("hf://".into()),
        Just("Q8_0".into()),
        Just("blob/".into()),
        Just("refs/".into()),
        Just("\\".into()),
        Just("é".into()),
        any::<char>().prop_map(String::from),
    ];
    vec(part, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn what_parses_is_safe_and_parses_to_the_same_again(text in reference_like()) {
        let Ok(reference) = parse(&text) else { return Ok(()) };
        prop_assert_eq!(parse(&reference.to_string()).unwrap(), reference.clone());
        let Reference::Hub(hub) = reference else { return Ok(()) };
        let file = match hub.selector() {
            Some(Selector::File(name) | Selector::Quantization(name)) => name.as_str(),
            None => "x",
        };
        for part in [hub.repo(), hub.revision(), file] {
            let plain = |part: std::path::Component<'_>| matches!(part, std::path::Component::Normal(_));
            prop_assert!(Path::new(part).components().all(plain), "{part}");
            prop_assert!(!part.contains(char::is_control) && !part.contains('\\'), "{part}");
        }
        prop_assert_eq!(hub.repo().split('/').count(), 2);
    }
}
