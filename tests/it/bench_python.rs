//! Sides of a comparison that agree, differ, crash, hang and talk rubbish.
#![cfg_attr(not(unix), allow(dead_code, unused_imports, reason = "the stand-ins for python3 are shell scripts"))]

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};
use taper::{
    bench::python::{Agreement, Job, Ours, Outcome, Report, Side, SideError, measure, notes, table},
    engine::TokenLogprobs,
    sampling::Logprob,
};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/python").join(name)
}

fn job(model: &str) -> Job {
    Job {
        python: data("fake_python.sh"),
        model: model.into(),
        prompt: vec![5; 100],
        threads: 2,
        repetitions: 2,
        timeout: Duration::from_secs(60),
    }
}

/// Three times token 1, with token 2 close behind it.
fn ours() -> Ours {
    let [chosen, second] = [(1, -1.0), (2, -1.05)].map(|(token, logprob)| Logprob { token, logprob });
    Ours {
        precision: "Q4_K_M".into(),
        threads: 2,
        version: "0.1.0".into(),
        prompt_tokens_per_sec: 900.0,
        generation_tokens_per_sec: Some(12.0),
        first_token_from_exec_ms: 0.001,
        peak_rss_bytes: Some(100),
        installed_bytes: 1000,
        tokens: vec![TokenLogprobs { chosen, top: vec![chosen, second] }; 3],
    }
}

fn outcome_of(job: &Job) -> Outcome {
    measure(Side::LlamaCpp, job, &ours(), &|| false)
}

fn report(model: &str) -> Report {
    outcome_of(&job(model)).result.unwrap()
}

fn error(model: &str) -> SideError {
    outcome_of(&job(model)).result.unwrap_err()
}

#[cfg(unix)]
#[test]
fn a_side_with_our_tokens_gets_ratios_of_medians() {
    let report = report("agrees");
    // 100 tokens in 0.5 s and 0.25 s; two of the three are generated after the first.
    assert_eq!(report.prompt_samples_ts, [200.0, 400.0]);
    assert_eq!((report.prompt_tokens_per_sec, report.generation_tokens_per_sec), (300.0, Some(6.0)));
    assert_eq!(report.agreement, Agreement::Same);
    let ratios = report.ratios.unwrap();
    assert_eq!((ratios.prompt, ratios.generation), (3.0, Some(2.0)));
    assert_eq!((ratios.memory, ratios.installed), (Some(2.0), 3.0));
    assert!(ratios.first_token > 1.0 && report.first_token_from_exec_ms >= report.import_ms + report.load_ms);
}

#[cfg(unix)]
#[test]
fn a_side_with_other_tokens_gets_no_ratio_anywhere() {
    let outcome = outcome_of(&job("differs"));
    let report = outcome.result.as_ref().unwrap();
    assert!(matches!(report.agreement, Agreement::Differ { at: 1, ours: 1, theirs: 7, .. }), "{:?}", report.agreement);
    assert_eq!(report.ratios, None);
    let json = serde_json::to_value(&outcome).unwrap();
    assert_eq!((&json["tokens"], &json["ratios"]), (&"differ".into(), &serde_json::Value::Null));
    let outcomes = [outcome];
    for text in [table(&ours(), &outcomes).to_text(), table(&ours(), &outcomes).to_markdown()] {
        assert!(text.contains("differ at 1") && !text.contains('×'), "{text}");
    }
    assert!(notes(&ours(), &outcomes).iter().any(|note| note.contains("no comparison")));
}

#[cfg(unix)]
#[test]
fn the_rest_of_the_report_stands_beside_sides_that_fail() {
    let outcomes = ["crashes", "agrees", "rubbish"].map(|model| outcome_of(&job(model)));
    let text = table(&ours(), &outcomes).to_text();
    assert_eq!(text.lines().count(), 3, "a header, ours and the one that agrees: {text}");
    assert!(text.contains("(3.00×)"), "{text}");
    assert_eq!(notes(&ours(), &outcomes).iter().filter(|note| note.contains("not measured")).count(), 2);
    let json = serde_json::to_value(&outcomes[0]).unwrap();
    assert!(json["error"].as_str().unwrap().contains("ValueError"), "{json}");
    assert_eq!(json["engine"], "llama-cpp-python");
}

#[cfg(unix)]
#[test]
fn a_crash_says_where_and_with_what_words() {
    let text = error("crashes").to_string();
    assert_eq!(text, "ended while loading the model, exit status: 3: ValueError: no such  [31marchitecture");
}

#[cfg(unix)]
#[test]
fn a_hang_ends_with_its_time_and_so_does_what_it_has_started() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("hangs");
    let start = Instant::now();
    let hung = Job { timeout: Duration::from_millis(300), ..job(model.to_str().unwrap()) };
    let error = outcome_of(&hung).result.unwrap_err();
    assert!(matches!(error, SideError::Timeout { .. }), "{error}");
    assert!(start.elapsed() >= Duration::from_millis(300));
    // Longer than the child of the child sleeps before it leaves a trace.
    std::thread::sleep(Duration::from_millis(1500));
    assert!(!folder.path().join("hangs.survived").exists());
}

#[cfg(unix)]
#[test]
fn rubbish_is_refused() {
    for (model, says) in [
        ("rubbish", "`Hello, I am not a measurement.`"),
        ("marked", "invalid type"),
        ("impossible", "`-1`"),
        ("short", "1 tokens"),
        ("silent", "nothing at all"),
    ] {
        let error = error(model);
        assert!(matches!(error, SideError::Rubbish { .. }), "{model}: {error}");
        assert!(error.to_string().contains(says), "{model}: {error}");
    }
}

#[cfg(unix)]
#[test]
fn a_flood_and_a_closed_output_end_in_time() {
    let flood = Job { timeout: Duration::from_millis(300), ..job("floods") };
    let error = outcome_of(&flood).result.unwrap_err();
    assert!(matches!(error, SideError::Timeout { .. }), "{error}");
    let error = outcome_of(&job("closes")).result.unwrap_err();
    assert!(matches!(error, SideError::Crashed { .. }), "{error}");
}

#[cfg(unix)]
#[test]
fn missing_packages_and_a_missing_python_say_what_to_install() {
    let text = error("missing").to_string();
    assert!(text.contains("`torch`, `gguf`") && text.contains("-m pip install torch gguf"), "{text}");
    let nowhere = Job { python: "/nowhere/python3".into(), ..job("agrees") };
    let error = outcome_of(&nowhere).result.unwrap_err();
    assert!(matches!(error, SideError::NoPython { .. }), "{error}");
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_a_side() {
    let endless = job("floods");
    let outcome = measure(Side::LlamaCpp, &endless, &ours(), &|| true);
    assert!(matches!(outcome.result, Err(SideError::Interrupted)), "{outcome:?}");
}

#[cfg(unix)]
#[test]
fn the_scripts_run_in_a_python_without_packages_and_name_them() {
    if !Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: there is no python3");
        return;
    }
    let bare = Job { python: data("bare_python.sh"), ..job("any") };
    for (side, package) in [(Side::TransformersF32, "torch"), (Side::LlamaCpp, "llama-cpp-python")] {
        match measure(side, &bare, &ours(), &|| false).result {
            Err(SideError::Missing { packages, .. }) => {
                assert!(packages.contains(&package.to_string()), "{packages:?}")
            }
            other => panic!("{other:?}"),
        }
    }
}
