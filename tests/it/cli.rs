//! The command line as scripts use it: streams, exit codes, JSON fields.

use crate::support::tiny::{Architecture, TinyModel, Types};
use assert_cmd::Command;
use serde_json::Value;
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Stdio,
};
use taper::tensor::Dtype;
use tempfile::TempDir;

/// A folder with a tiny model in it.
struct Fixture {
    folder: TempDir,
}

impl Fixture {
    fn new() -> Fixture {
        let folder = TempDir::new().unwrap();
        let model = TinyModel::new(Architecture::Llama, Types::Only(Dtype::Q8_0)).gguf();
        fs::write(folder.path().join("tiny modèle.gguf"), model).unwrap();
        Fixture { folder }
    }

    fn model(&self) -> PathBuf {
        self.folder.path().join("tiny modèle.gguf")
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// `taper COMMAND -m MODEL`, with an environment of its own.
    fn taper(&self, command: &str) -> Command {
        let mut taper = bare(command);
        taper.env("TAPER_MODEL", self.model());
        taper
    }
}

pub(crate) fn bare(command: &str) -> Command {
    let mut taper = Command::cargo_bin("taper").unwrap();
    taper.env_remove("TAPER_MODEL").env_remove("HF_HUB_CACHE").arg(command);
    taper
}

pub(crate) fn stdout(command: &mut Command) -> String {
    String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap()
}

pub(crate) fn json(command: &mut Command) -> Value {
    serde_json::from_str(&stdout(command.arg("--json"))).unwrap()
}

/// Asserts the exit code and that stderr is an error of one line, perhaps with hints; gives that line.
pub(crate) fn error(command: &mut Command, code: i32) -> String {
    let output = command.assert().code(code).get_output().clone();
    let text = String::from_utf8(output.stderr).unwrap();
    let mut lines = text.lines().filter(|line| !line.starts_with("note: "));
    let first = lines.next().unwrap_or_default().to_owned();
    assert!(first.starts_with("error: "), "{text}");
    assert!(lines.all(|line| line.starts_with("hint: ")), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    first
}

#[test]
fn stdout_has_the_answer_and_nothing_else() {
    let fixture = Fixture::new();
    let reported = json(fixture.taper("run").args(["-n", "12", "--temp", "0", "Hello"]));
    let shown = stdout(fixture.taper("run").args(["-n", "12", "--temp", "0", "Hello"]));
    assert_eq!(shown.trim_end_matches('\n'), reported["text"].as_str().unwrap().trim_end_matches('\n'));
    let piped = stdout(fixture.taper("run").args(["-n", "12", "--temp", "0"]).write_stdin("Hello"));
    assert_eq!(piped, shown);
}

#[test]
fn a_seed_gives_the_same_bytes_every_time() {
    let fixture = Fixture::new();
    let run = |seed: &str| stdout(fixture.taper("run").args(["-n", "24", "--temp", "1.5", "-s", seed, "Hello"]));
    assert_eq!(run("1"), run("1"));
    assert_ne!(run("1"), run("2"));
}

#[test]
fn json_has_the_fields_that_scripts_rely_on() {
    let fixture = Fixture::new();
    let report = json(fixture.taper("run").args(["-n", "5", "--ignore-eos", "--logprobs", "3", "-s", "7", "Hello"]));
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(
        keys(&report),
        "model text reasoning tokens logprobs finish_reason prompt_tokens completion_tokens truncated_tokens seed device \
         isa threads timings version"
    );
    assert_eq!(keys(&report["model"]), "reference path architecture quantization revision sha256");
    assert_eq!(
        keys(&report["timings"]),
        "load_ms first_token_ms prompt_tokens_per_sec generation_tokens_per_sec total_ms"
    );
    assert_eq!(report["tokens"].as_array().unwrap().len(), 5);
    assert_eq!((report["completion_tokens"].as_u64(), report["seed"].as_u64()), (Some(5), Some(7)));
    assert_eq!(report["finish_reason"], "length");
    let model = &report["model"];
    assert_eq!((model["architecture"].as_str(), model["quantization"].as_str()), (Some("llama"), Some("Q8_0")));
    for token in report["logprobs"].as_array().unwrap() {
        let top: Vec<f64> = token["top"].as_array().unwrap().iter().map(|t| t["logprob"].as_f64().unwrap()).collect();
        assert_eq!(top.len(), 3);
        assert!(top[0] >= top[1] && top[1] >= top[2] && token["logprob"].as_f64().unwrap() <= top[0]);
    }
}

#[test]
fn words_files_and_standard_input_make_the_prompt_in_this_order() {
    let fixture = Fixture::new();
    let file = fixture.file("one.txt", "from a file\n");
    let mut command = fixture.taper("run");
    command.args(["--raw", "--dry-run", "two", "words", "-f"]).arg(&file).write_stdin("from stdin\n");
    let report = json(&mut command);
    assert_eq!(report["prompt"], "two words\n\nfrom a file\n\nfrom stdin\n");
    assert_eq!(report["tokens"].as_array().unwrap().len() as u64, report["prompt_tokens"].as_u64().unwrap());
}

#[test]
fn a_dry_run_shows_the_template_at_work() {
    let fixture = Fixture::new();
    let prompt = stdout(fixture.taper("run").args(["--dry-run", "-S", "Be brief.", "Hello"]));
    let at = |text: &str| prompt.find(text).unwrap_or_else(|| panic!("`{text}` is in {prompt}"));
    assert!(at("Be brief.") < at("Hello"));
    assert_ne!(prompt, "Hello");
}

#[test]
fn what_does_not_fit_the_context_is_refused_or_cut_as_asked() {
    let fixture = Fixture::new();
    let long = fixture.file("long.txt", "many words ".repeat(400));
    let run = |more: &[&str]| {
        let mut command = fixture.taper("run");
        command.args(["-n", "4", "-c", "100", "-f"]).arg(&long).args(more);
        command
    };
    let line = error(&mut run(&[]), 8);
    assert!(line.contains("100"), "{line}");
    for part in ["head", "middle", "tail"] {
        let report = json(&mut run(&["--truncate", part]));
        assert!(report["prompt_tokens"].as_u64().unwrap() <= 96);
        assert!(report["truncated_tokens"].as_u64().unwrap() > 100);
    }
}

#[test]
fn a_stop_string_ends_the_answer_before_it() {
    let fixture = Fixture::new();
    let args = ["-n", "30", "--ignore-eos", "--temp", "1", "-s", "3", "Hello"];
    let whole = json(fixture.taper("run").args(args))["text"].as_str().unwrap().to_owned();
    let third: String = whole.chars().skip(whole.chars().count() / 3).take(2).collect();
    let report = json(fixture.taper("run").args(args).args(["--stop", &third]));
    assert_eq!(report["text"].as_str().unwrap(), &whole[..whole.find(&third).unwrap()]);
    assert_eq!(report["finish_reason"], "stop");
}

#[test]
fn an_answer_that_was_cut_off_is_a_failure_only_on_demand() {
    let fixture = Fixture::new();
    let args = ["-n", "2", "--ignore-eos", "Hello"];
    fixture.taper("run").args(args).assert().code(0);
    fixture.taper("run").args(args).arg("--require-stop").assert().code(9);
}

#[test]
fn a_closed_pipe_is_no_error() {
    let fixture = Fixture::new();
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("taper"))
        .args(["run", "-n", "300", "--ignore-eos", "Hello"])
        .env("TAPER_MODEL", fixture.model())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
}

#[test]
fn wrong_command_lines_say_what_is_wrong() {
    let fixture = Fixture::new();
    for args in [
        &["--tmep", "1", "x"][..],
        &["--temp", "warm", "x"],
        &["--temp", "-1", "x"],
        &["--top-p", "1.5", "x"],
        &["-c", "0", "x"],
        &["-n", "many", "x"],
        &["--device", "tpu", "x"],
        &["--logprobs", "3", "x"],
        &["--raw", "-S", "y", "x"],
        &["--truncate", "none", "x"],
        &["--think", "maybe", "x"],
    ] {
        error(fixture.taper("run").args(args), 2);
    }
    error(fixture.taper("run").write_stdin(""), 2);
    error(&mut bare("walk"), 2);
    let line = error(fixture.taper("run").write_stdin(b"caf\xe9".as_slice()), 2);
    assert!(line.contains("0xe9") && line.contains("offset 3"), "{line}");
}

#[test]
fn models_that_are_not_there_or_damaged_are_told_apart() {
    let fixture = Fixture::new();
    let whole = fs::read(fixture.model()).unwrap();
    let text = fixture.file("text.gguf", "this is no model");
    let short = fixture.file("short.gguf", &whole[..whole.len() / 2]);
    let run = |model: &Path| {
        let mut command = bare("run");
        command.args(["-m", model.to_str().unwrap(), "x"]);
        command
    };
    error(&mut run(Path::new("missing.gguf")), 3);
    error(run(Path::new("owner/model:Q4_K_M")).arg("--offline").env("HF_HUB_CACHE", fixture.folder.path()), 3);
    error(&mut run(Path::new("not a model")), 2);
    assert!(error(&mut run(&text), 6).contains("text.gguf"));
    assert!(error(&mut run(&short), 6).contains("incomplete"));
    error(&mut run(fixture.folder.path()), 6);
    error(run(&fixture.model()).args(["--device", "cuda:99"]), 7);
}

#[test]
fn tokens_come_back_as_they_went() {
    let fixture = Fixture::new();
    let text = " two  spaces\tand\r\nlines\n\n";
    let report = json(fixture.taper("tokenize").write_stdin(text));
    let pieces: String = report["pieces"].as_array().unwrap().iter().map(|piece| piece.as_str().unwrap()).collect();
    assert!(pieces.ends_with(text), "{pieces:?}");
    let ids = |report: &Value| report["ids"].as_array().unwrap().clone();
    assert_eq!(report["count"].as_u64().unwrap() as usize, ids(&report).len());
    let bare = json(fixture.taper("tokenize").arg("--no-bos").write_stdin(text));
    assert!(ids(&report).ends_with(&ids(&bare)) && ids(&report).len() == ids(&bare).len() + 1);
}

#[test]
fn perplexity_is_the_mean_over_windows() {
    let fixture = Fixture::new();
    let text = fixture.file("text.txt", "Some words to be measured, again and again. ".repeat(8));
    let report = json(fixture.taper("perplexity").args(["-c", "50", "-f"]).arg(&text));
    let logprobs = report["logprobs"].as_array().unwrap();
    assert_eq!(logprobs.len(), report["tokens"].as_array().unwrap().len());
    for (i, logprob) in logprobs.iter().enumerate() {
        assert_eq!(logprob.is_null(), i % 50 == 0, "at {i}");
    }
    let scored: Vec<f64> = logprobs.iter().filter_map(Value::as_f64).collect();
    let nll = -scored.iter().sum::<f64>() / scored.len() as f64;
    // The log-probabilities are printed with the digits of f32.
    assert!((report["nll"].as_f64().unwrap() - nll).abs() < 1e-6 * nll);
    assert!((report["perplexity"].as_f64().unwrap() - nll.exp()).abs() < 1e-5 * nll.exp());
}

#[test]
fn a_cache_is_of_the_type_asked_for() {
    let fixture = Fixture::new();
    let text =
        fixture.file("text.txt", "the rain in spain stays mainly in the plain, and so does the train to the plain");
    let nll = |flags: &[&str]| {
        let report = json(fixture.taper("perplexity").args(flags).args(["--device", "cpu", "-f"]).arg(&text));
        report["nll"].as_f64().unwrap()
    };
    let [f32, f16, q8_0] = ["f32", "f16", "q8_0"].map(|name| nll(&["--cache-type", name]));
    assert_eq!(nll(&[]), f16);
    assert!(f32 != f16 && f16 != q8_0 && (f32 - f16).abs() < 0.02 && (f32 - q8_0).abs() < 0.05, "{f32} {f16} {q8_0}");
    let error = error(fixture.taper("run").args(["--cache-type", "q4_0", "hello"]), 2);
    assert!(error.contains("q8_0"), "{error}");
}

#[test]
fn committed_completions_are_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("completions");
    for (shell, name) in [
        ("bash", "taper.bash"),
        ("zsh", "_taper"),
        ("fish", "taper.fish"),
        ("powershell", "_taper.ps1"),
        ("elvish", "taper.elv"),
    ] {
        let current = stdout(bare("completions").arg(shell));
        let path = folder.join(name);
        if std::env::var_os("TAPER_UPDATE_COMPLETIONS").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::File::create(&path).unwrap().write_all(current.as_bytes()).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
        assert!(committed == current, "{name} is old: run the tests with TAPER_UPDATE_COMPLETIONS=1");
    }
}

#[test]
fn every_command_is_in_the_manual() {
    let page = stdout(&mut bare("man"));
    for command in [
        "RUN",
        "PULL",
        "SHOW",
        "LIST",
        "RM",
        "VERIFY",
        "PRUNE",
        "TOKENIZE",
        "PERPLEXITY",
        "BENCH",
        "DOCTOR",
        "COMPLETIONS",
        "MAN",
    ] {
        assert!(page.contains(&format!("TAPER {command}")), "{command}");
    }
    assert!(page.contains("EXIT STATUS"));
}

#[test]
fn show_and_doctor_speak_json() {
    let fixture = Fixture::new();
    let model = fixture.model();
    let shown = json(bare("show").arg(&model).arg("--tensors"));
    assert_eq!((shown["architecture"].as_str(), shown["problem"].is_null()), (Some("llama"), true));
    assert!(shown["tensors"].as_array().unwrap().iter().any(|tensor| tensor["name"] == "blk.0.attn_q.weight"));
    assert!(json(&mut bare("doctor"))["devices"].as_array().unwrap().iter().any(|device| device["device"] == "cpu"));
    assert_eq!(json(bare("list").env("HF_HUB_CACHE", fixture.folder.path())).as_array().unwrap().len(), 0);
}
