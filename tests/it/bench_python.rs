//! Sides of a comparison that agree, differ, crash, hang and talk rubbish.
#![cfg_attr(not(unix), allow(dead_code, unused_imports, reason = "the stand-ins for python3 are shell scripts"))]

use crate::support::tiny::{Architecture, TinyModel, Types};
use std::{
    ffi::OsString,
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};
use taper::{
    backend::{Compute, DeviceChoice},
    bench::python::{
        self, Agreement, Job, N_STARTS, Ours, Outcome, Report, Setting, Side, SideError, measure, notes, table,
    },
    engine::{ModelFiles, Request, TokenLogprobs},
    sampling::{Logprob, SamplingParams},
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
        isa: None,
        prompt_tokens_per_sec: 900.0,
        prompt_samples_ts: vec![900.0],
        generation_tokens_per_sec: Some(12.0),
        generation_samples_ts: vec![12.0],
        load_ms: 0.0,
        first_token_from_exec_ms: 0.001,
        first_token_samples_ms: vec![0.001],
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
    // Processes that only start are measured beside the one that does it all.
    assert!(ratios.first_token > 1.0 && report.first_token_samples_ms.len() == N_STARTS);
    assert!(report.first_token_samples_ms[0] >= report.import_ms + report.load_ms);
}

#[cfg(unix)]
#[test]
fn a_side_with_other_tokens_gets_no_ratio_anywhere() {
    let outcome = outcome_of(&job("differs"));
    let report = outcome.result.as_ref().unwrap();
    assert!(matches!(report.agreement, Agreement::Differ { at: 1, ours: 1, theirs: 7, .. }), "{:?}", report.agreement);
    assert_eq!(report.ratios, None);
    let json = serde_json::to_value(&outcome).unwrap();
    assert_eq!((&json["agreement"]["verdict"], &json["ratios"]), (&"differ".into(), &serde_json::Value::Null));
    let outcomes = [outcome];
    for text in [table(&ours(), &outcomes).to_text(), table(&ours(), &outcomes).to_markdown()] {
        assert!(text.contains("differ at 1") && !text.contains('×'), "{text}");
    }
    assert!(notes(&ours(), &outcomes).iter().any(|note| note.contains("no comparison")));
}

#[cfg(unix)]
#[test]
fn transformers_is_measured_with_converted_weights_which_do_not_stay() {
    let files = tempfile::tempdir().unwrap();
    let model = files.path().join("measured-from-folder");
    let report = measure(Side::TransformersF32, &job(model.to_str().unwrap()), &ours(), &|| false).result.unwrap();
    assert!(report.conversion_ms.is_some());
    let folder = std::fs::read_to_string(model).unwrap();
    assert!(folder.trim().starts_with(std::env::temp_dir().to_str().unwrap()), "{folder}");
    assert!(!Path::new(folder.trim()).exists(), "{folder}");
}

#[cfg(unix)]
#[test]
fn what_cannot_be_converted_is_measured_as_it_is_and_that_is_said() {
    let outcome = measure(Side::TransformersF32, &job("unconvertible"), &ours(), &|| false);
    assert_eq!(outcome.result.as_ref().unwrap().conversion_ms, None);
    assert!(
        notes(&ours(), &[outcome])
            .iter()
            .any(|note| note.contains("with the GGUF file itself") && note.contains("no room"))
    );
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

/// What this program does with a job, untuned: a build for tests is slow.
fn measured_here(job: &Job, n_gen: usize) -> Result<Ours, SideError> {
    let mut model = OsString::from("--model=");
    model.push(&job.model);
    let arguments = ["bench".into(), "--side".into(), model, format!("--threads={}", job.threads).into()];
    let exe = Path::new(env!("CARGO_BIN_EXE_taper"));
    python::ours(job, &Setting { exe, arguments: &arguments, precision: "int8".into(), n_gen }, &|| false)
}

fn tiny_job(folder: &Path) -> Job {
    let model = folder.join("tiny.gguf");
    std::fs::write(&model, TinyModel::new(Architecture::Llama, Types::Q4KM).gguf()).unwrap();
    Job { prompt: (20..84).collect(), model, ..job("") }
}

#[test]
fn our_own_side_is_measured_in_fresh_processes() {
    let folder = tempfile::tempdir().unwrap();
    let job = tiny_job(folder.path());
    let ours = measured_here(&job, 12).unwrap();
    assert_eq!((ours.tokens.len(), ours.tokens[0].top.len(), ours.threads), (12, 20, 2));
    assert_eq!((ours.prompt_samples_ts.len(), ours.generation_samples_ts.len()), (2, 2));
    assert_eq!(ours.first_token_samples_ms.len(), N_STARTS);
    assert!(ours.load_ms > 0.0 && ours.first_token_samples_ms[0] > ours.load_ms);
    // The same tokens as the engine has in this process.
    let files = ModelFiles::open(&job.model).unwrap();
    let compute = Compute { device: DeviceChoice::Cpu, n_threads: Some(1), cache_type: None };
    let mut engine = files.load(compute, Some(128), files.tokenizer().unwrap()).unwrap();
    let sampling = SamplingParams { temperature: 0.0, ..SamplingParams::default() };
    let request =
        Request { prompt: job.prompt, max_tokens: Some(12), sampling, ignore_end: true, ..Request::default() };
    let tokens: Vec<_> = ours.tokens.iter().map(|step| step.chosen.token).collect();
    assert_eq!(engine.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap().tokens, tokens);
}

/// The peak of this process, which has had far more memory than the other needs, is not that of the other.
#[cfg(target_os = "linux")]
#[test]
fn our_peak_is_that_of_a_fresh_process() {
    let folder = tempfile::tempdir().unwrap();
    let job = tiny_job(folder.path());
    let memory = vec![1u8; 400 << 20];
    let peak = measured_here(&job, 2).unwrap().peak_rss_bytes.unwrap();
    assert!(memory.contains(&1) && (1 << 20..200 << 20).contains(&peak), "{peak}");
}

#[test]
fn our_own_side_can_be_interrupted_and_says_what_failed() {
    let folder = tempfile::tempdir().unwrap();
    let endless = Job { repetitions: 4096, ..tiny_job(folder.path()) };
    let start = Instant::now();
    let setting = |arguments| Setting {
        exe: Path::new(env!("CARGO_BIN_EXE_taper")),
        arguments,
        precision: String::new(),
        n_gen: 64,
    };
    let mut model = OsString::from("--model=");
    model.push(&endless.model);
    let arguments = ["bench".into(), "--side".into(), model];
    let cancelled = || start.elapsed() > Duration::from_millis(300);
    assert!(matches!(python::ours(&endless, &setting(&arguments), &cancelled), Err(SideError::Interrupted)));
    let nothing = ["bench".into(), "--side".into(), OsString::from("--model=/none/model.gguf")];
    let error = python::ours(&endless, &setting(&nothing), &|| false).unwrap_err().to_string();
    assert!(error.contains("exit status: 3") && error.contains("/none/model.gguf"), "{error}");
}

/// What takes its time after the first token must not be counted before it.
#[test]
fn the_first_token_of_a_script_waits_for_nothing_but_the_model() {
    let script = concat!(
        include_str!("../../src/bench/python/side.py"),
        "\nJOB = dict(prompt=[1], n_cold=1, n_gen=1, repetitions=1, expected=[], purpose='measure')",
        "\nclass Engine:\n    def reset(self): pass\n    def feed(self, ids): pass\n    def best(self): return 1",
        "\njudged = lambda *arguments: []",
        "\nrun(Engine(), JOB, lambda: answer('facts') or {})",
        "\nJOB['purpose'] = 'start'",
        "\nrun(Engine(), JOB, lambda: answer('facts') or {})\n",
    );
    let Ok(output) = Command::new("python3").args(["-c", script]).output() else {
        eprintln!("skipped: there is no python3");
        return;
    };
    let text = String::from_utf8(output.stdout).unwrap();
    let events: Vec<&str> = text.lines().filter_map(|line| line.split('"').nth(3)).collect();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(events, ["first_token", "facts", "result", "first_token", "started"], "{text} {complaint}");
}

/// TAPER_TEST_PYTHON names an interpreter with the packages, TAPER_TEST_MODEL perhaps another model than a tiny one.
#[test]
fn the_real_packages_generate_our_tokens() {
    let Some(python) = std::env::var_os("TAPER_TEST_PYTHON") else {
        eprintln!("skipped: TAPER_TEST_PYTHON does not name a python3 with the packages");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let tiny = tiny_job(folder.path());
    let model = std::env::var_os("TAPER_TEST_MODEL").map_or(tiny.model.clone(), PathBuf::from);
    let job = Job { python: python.into(), model, timeout: Duration::from_secs(600), ..tiny };
    let ours = measured_here(&job, 32).unwrap();
    let sides = Side::of_package(None).unwrap();
    let outcomes: Vec<Outcome> = sides.iter().map(|side| measure(*side, &job, &ours, &|| false)).collect();
    eprintln!("{}\n{}", table(&ours, &outcomes).to_text(), notes(&ours, &outcomes).join("\n"));
    for outcome in &outcomes {
        let report = outcome.result.as_ref().unwrap();
        assert!(report.agreement.holds() && report.ratios.is_some(), "{outcome:?}");
    }
}
