//! Pinning models, and refusing others.

use crate::support::hub_cache::{COMMITS, HubCache, LAYOUTS, Layout, hub};
use proptest::prelude::{any, proptest};
use proptest::{collection::vec, prop_assert_eq};
use std::fs;
use taper::hub::{PinError, PinnedFile, PinnedModel, Pins};

fn example(layout: Layout) -> HubCache {
    let cache = HubCache::new(layout);
    cache
        .reference("o/r", "main", COMMITS[0])
        .file("o/r", COMMITS[0], "r-Q4_K_M.gguf", "four bits")
        .file("o/r", COMMITS[0], "groß/r-Q8_0-00001-of-00002.gguf", "eight")
        .file("o/r", COMMITS[0], "groß/r-Q8_0-00002-of-00002.gguf", "bits")
        .reference("s/t", "main", COMMITS[2])
        .file("s/t", COMMITS[2], "config.json", "{}")
        .file("s/t", COMMITS[2], "tokenizer.json", "[]")
        .file("s/t", COMMITS[2], "model.safetensors", "weights");
    cache
}

fn pinned(cache: &HubCache, references: &[&str]) -> Pins {
    let mut pins = Pins::default();
    for reference in references {
        let resolved = cache.resolve(reference).unwrap();
        pins.set(PinnedModel::of(&hub(reference), &resolved, &mut |_| ()).unwrap());
    }
    pins
}

/// Hashes by `sha256sum`.
const EXPECTED: &str = r#"# Written by `taper pull --lock`; `--locked` refuses every other file.
version = 1

[[model]]
reference = "o/r"
repository = "o/r"
commit = "0123456789abcdef0123456789abcdef01234567"
files = [
  { name = "r-Q4_K_M.gguf", size = 9, sha256 = "73403a4300373c917ef688e20b52186540621b8a3d78bcc49505e2092cf1bccf" },
]

[[model]]
reference = "o/r:Q8_0"
repository = "o/r"
commit = "0123456789abcdef0123456789abcdef01234567"
files = [
  { name = "groß/r-Q8_0-00001-of-00002.gguf", size = 5, sha256 = "c195d2d8756234367242ba7616c5c60369bc25ced2dcb5b92808d31b58ef217a" },
  { name = "groß/r-Q8_0-00002-of-00002.gguf", size = 4, sha256 = "e5e59d10f196504b6e08ac7785f84430a61e1558fd6246075a9566edaab2e814" },
]
"#;

#[test]
fn two_quantizations_of_a_repository_are_pinned_side_by_side() {
    for &layout in LAYOUTS {
        let cache = example(layout);
        let pins = pinned(&cache, &["o/r:q8_0", "o/r@main"]);
        assert_eq!(pins.to_text(), EXPECTED);
        assert_eq!(pins, pinned(&cache, &["o/r", "o/r:Q8_0", "o/r"]));
        assert_eq!(Pins::parse(EXPECTED).unwrap(), pins);
        assert_eq!(Pins::parse(&EXPECTED.replace('\n', "\r\n")).unwrap(), pins);
        for reference in ["o/r", "o/r:Q8_0", "hf.co/o/r:q8_0"] {
            pins.find(&hub(reference)).unwrap().check(&cache.resolve(reference).unwrap(), &mut |_| ()).unwrap();
        }
        let error = pins.find(&hub("o/r:Q2_K")).unwrap_err().to_string();
        assert!(error.starts_with("`o/r:Q2_K` is not pinned, only `o/r`, `o/r:Q8_0`\nhint: "), "{error}");
    }
}

#[test]
fn a_pin_leads_to_its_commit_wherever_the_branch_goes() {
    let cache = example(LAYOUTS[0]);
    let pins = pinned(&cache, &["o/r", "o/r:Q8_0"]);
    cache.reference("o/r", "main", COMMITS[1]).file("o/r", COMMITS[1], "r-Q4_K_M.gguf", "newer");
    let (reference, model) = (hub("o/r"), pins.find(&hub("o/r")).unwrap());
    let moved = model.check(&cache.resolve("o/r").unwrap(), &mut |_| ()).unwrap_err();
    assert!(matches!(moved, PinError::OtherCommit { .. }), "{moved}");
    let at = model.at_commit(&reference).unwrap();
    assert_eq!(at.to_string(), format!("o/r@{}", COMMITS[0]));
    model.check(&cache.cache().resolve(&at).unwrap(), &mut |_| ()).unwrap();
    let quantized = pins.find(&hub("o/r:Q8_0")).unwrap().at_commit(&hub("o/r:Q8_0")).unwrap();
    assert_eq!(quantized.to_string(), format!("o/r:Q8_0@{}", COMMITS[0]));
}

#[test]
fn every_difference_is_refused_with_the_file_and_both_hashes() {
    for &layout in LAYOUTS {
        let cache = example(layout);
        let pins = pinned(&cache, &["o/r", "s/t"]);
        let check = |reference: &str| {
            pins.find(&hub(reference)).unwrap().check(&cache.resolve(reference).unwrap(), &mut |_| ())
        };
        let path = fs::canonicalize(cache.snapshot("o/r", COMMITS[0]).join("r-Q4_K_M.gguf")).unwrap();
        fs::write(&path, "four bitz").unwrap();
        let error = check("o/r").unwrap_err().to_string();
        assert!(error.contains("the file `r-Q4_K_M.gguf` of `o/r` has sha256 "), "{error}");
        let sha256 = &pins.find(&hub("o/r")).unwrap().files[0].sha256;
        assert!(error.contains(&format!("pinned is {sha256}")), "{error}");
        fs::write(&path, "four").unwrap();
        assert!(check("o/r").unwrap_err().to_string().contains("4 bytes"));
        check("s/t").unwrap();
        cache.file("s/t", COMMITS[2], "generation_config.json", "{}");
        assert!(matches!(check("s/t"), Err(PinError::Extra { name, .. }) if name == "generation_config.json"));
        let mut more = pins.find(&hub("s/t")).unwrap().clone();
        more.files.push(PinnedFile { name: "vocab.json".into(), size_bytes: 1, sha256: "0".repeat(64) });
        let lacks = more.check(&cache.resolve("s/t").unwrap(), &mut |_| ());
        assert!(matches!(lacks, Err(PinError::Lacks { name, .. }) if name == "vocab.json"));
    }
}

#[test]
fn a_path_is_allowed_if_all_of_it_is_pinned_for_one_model() {
    let cache = example(LAYOUTS[0]);
    let pins = pinned(&cache, &["o/r", "o/r:Q8_0", "s/t"]);
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let check = |path: &std::path::Path| pins.check_path(path, &mut |_| ());
    check(&write("renamed größe.gguf", "four bits")).unwrap();
    let error = check(&write("x.gguf", "five bits")).unwrap_err();
    assert!(matches!(&error, PinError::Extra { sha256, .. } if sha256.len() == 64), "{error}");
    let first = write("m-00001-of-00002.gguf", "eight");
    assert!(matches!(check(&first), Err(PinError::Io { .. })), "the second part is not there");
    write("m-00002-of-00002.gguf", "four bits");
    assert!(matches!(check(&first), Err(PinError::Extra { .. })), "pinned, but for another model");
    write("m-00002-of-00002.gguf", "bits");
    check(&first).unwrap();
    assert!(check(&folder.path().join("none.gguf")).is_err());
    assert!(check(folder.path()).is_err(), "no model in safetensors");
    for (name, content) in [("config.json", "{}"), ("tokenizer.json", "[]"), ("model.safetensors", "weights")] {
        write(name, content);
    }
    check(folder.path()).unwrap();
    write("generation_config.json", "{\"temperature\": 9}");
    assert!(matches!(check(folder.path()), Err(PinError::Extra { name, .. }) if name.contains("generation_config")));
}

#[test]
fn a_file_that_is_not_as_taper_writes_it_is_refused_with_the_line() {
    let wrong = |from: &str, to: &str| {
        let text = EXPECTED.replacen(from, to, 1);
        assert_ne!(text, EXPECTED, "{from}");
        match Pins::parse(&text) {
            Err(PinError::Malformed { line, reason }) => (line, reason),
            other => panic!("{from} → {to}: {other:?}"),
        }
    };
    for (from, to, line, reason) in [
        ("version = 1", "version = 2", 2, "expected `version = 1`"),
        ("version = 1\n", "", 3, "expected `version = 1`"),
        ("[[model]]", "[model]", 4, "expected `[[model]]`"),
        ("[[model]]", "<<<<<<< HEAD\n[[model]]", 4, "a merge that is not finished"),
        ("reference = \"o/r\"", "reference = \"../r\"", 5, "canonical form"),
        ("reference = \"o/r\"", "reference = \"o/r@main\"", 5, "canonical form"),
        ("reference = \"o/r\"", "reference = \"demo\"", 5, "canonical form"),
        ("reference = \"o/r\"", "reference = o/r", 5, "expected `reference = \"…\"`"),
        ("reference = \"o/r\"", "reference = \"o/r\" # mine", 5, "expected `reference = \"…\"`"),
        ("repository = \"o/r\"", "repository = \"o/x\"", 6, "expected that of `o/r`"),
        ("repository = \"o/r\"\n", "", 6, "expected `repository"),
        ("commit = \"0123", "commit = \"../0123", 7, "the hash of a commit"),
        ("commit = \"0123456789abcdef0123456789abcdef01234567\"", "commit = \"\"", 7, "the hash of a commit"),
        ("files = [", "files = []", 8, "expected `files = [`"),
        ("name = \"r-Q4_K_M.gguf\"", "name = \"../../x\"", 9, "a file within a repository"),
        ("name = \"r-Q4_K_M.gguf\"", "name = \"/etc/passwd\"", 9, "a file within a repository"),
        ("name = \"r-Q4_K_M.gguf\"", "name = \"a\\\\b\"", 9, "a file within a repository"),
        ("name = \"r-Q4_K_M.gguf\"", "name = \"a\\u000Ab\"", 9, "a file within a repository"),
        ("name = \"r-Q4_K_M.gguf\"", "name = \"a\\uD800\"", 9, "expected `{ name"),
        ("name = \"r-Q4_K_M.gguf\"", "name = \"a\\u00", 9, "expected `{ name"),
        ("size = 9,", "size = -9,", 9, "a number of bytes"),
        ("size = 9,", "size = 99999999999999999999,", 9, "a number of bytes"),
        ("sha256 = \"73403a", "sha256 = \"73403A", 9, "64 digits"),
        ("sha256 = \"73403a", "sha256 = \"73403", 9, "64 digits"),
        ("},\n]\n", "},\n", 11, "expected a file or `]`"),
        ("00002-of-00002.gguf", "00001-of-00002.gguf", 18, "after a later name"),
        ("o/r:Q8_0", "o/r", 12, "a second time"),
    ] {
        let (at, text) = wrong(from, to);
        assert!(at == line && text.contains(reason), "{from} → {to}: line {at}: {text}");
    }
    assert_eq!(Pins::parse("# nothing\nversion = 1\n").unwrap(), Pins::default());
}

#[test]
fn a_file_that_ends_too_early_is_never_taken_for_less() {
    let cut: Vec<usize> = EXPECTED.char_indices().map(|(at, _)| at).collect();
    let whole = Pins::parse(EXPECTED).unwrap();
    for at in cut {
        if let Ok(pins) = Pins::parse(&EXPECTED[..at]) {
            // At the end of a model, which no form could tell from the end of the file.
            let ends = EXPECTED[..at].trim_end().ends_with(']') || EXPECTED[..at].trim_end().ends_with("version = 1");
            assert!(ends && pins.models.len() <= whole.models.len(), "{at}");
        }
    }
}

#[test]
fn reading_and_writing_a_file_gives_the_same_bytes() {
    let cache = example(LAYOUTS[0]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("taper größe.lock");
    assert!(matches!(Pins::read(&path), Err(PinError::Io { what: "read", .. })));
    for pins in [pinned(&cache, &["s/t", "o/r:Q8_0"]), Pins::default()] {
        pins.write(&path).unwrap();
        assert_eq!(Pins::read(&path).unwrap(), pins);
        assert_eq!(fs::read_to_string(&path).unwrap(), pins.to_text());
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    fs::write(&path, b"version = 1\n\xff").unwrap();
    assert!(matches!(Pins::read(&path), Err(PinError::Malformed { line: 2, .. })));
    fs::write(&path, vec![b'#'; 5 << 20]).unwrap();
    assert!(matches!(Pins::read(&path), Err(PinError::Malformed { .. })));
    assert!(matches!(Pins::default().write(&folder.path().join("no/where")), Err(PinError::Io { what: "write", .. })));
}

#[cfg(unix)]
#[test]
fn a_lock_file_that_is_a_link_stays_one() {
    let folder = tempfile::tempdir().unwrap();
    let (link, target) = (folder.path().join("taper.lock"), folder.path().join("real"));
    fs::write(&target, "").unwrap();
    std::os::unix::fs::symlink("real", &link).unwrap();
    Pins::default().write(&link).unwrap();
    assert!(link.is_symlink());
    assert_eq!(Pins::read(&target).unwrap(), Pins::default());
}

proptest! {
    #[test]
    fn any_name_comes_back_as_it_was(name in "[^/\\\\:\\p{Cc}]{3,40}", size_bytes in any::<u64>(), byte in any::<u8>()) {
        let file = PinnedFile { name, size_bytes, sha256: format!("{byte:02x}").repeat(32) };
        let model = PinnedModel { reference: "o/r:Q8_0@v1".into(), repo: "o/r".into(), commit: "a-b_1".into(), files: vec![file] };
        let pins = Pins { models: vec![model] };
        prop_assert_eq!(Pins::parse(&pins.to_text()).unwrap(), pins);
    }

    #[test]
    fn rubbish_is_an_error_and_no_panic(lines in vec("(version = 1|\\[\\[model\\]\\]|reference = \".*\"|files = \\[|\\{ name = \".*\", size = .*|.*)", 0..12)) {
        let _ = Pins::parse(&lines.join("\n"));
        let _ = Pins::parse(&format!("version = 1\n[[model]]\n{}", lines.join("\n")));
    }
}
