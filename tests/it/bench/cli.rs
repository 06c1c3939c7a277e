//! `taper bench` as scripts use it.

use crate::support::tiny::{Architecture, TinyModel, Types};
use assert_cmd::Command;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};
use taper::tensor::Dtype;
use tempfile::TempDir;

struct Fixture {
    folder: TempDir,
}

impl Fixture {
    fn new() -> Fixture {
        let fixture = Fixture { folder: TempDir::new().unwrap() };
        let model = TinyModel::new(Architecture::Llama, Types::Only(Dtype::Q8_0)).gguf();
        fs::write(fixture.path("tiny <&> model.gguf"), model).unwrap();
        fixture
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `taper bench` of the tiny model, small.
    fn bench(&self, flags: &[&str]) -> Command {
        let mut taper = self.taper(&["-p", "8", "-n", "4", "-r", "3", "-t", "2"]);
        taper.args(flags);
        taper
    }

    fn taper(&self, flags: &[&str]) -> Command {
        let mut taper = Command::cargo_bin("taper").unwrap();
        taper.env_remove("GITHUB_STEP_SUMMARY").arg("bench").arg("-m").arg(self.path("tiny <&> model.gguf"));
        taper.args(["--device", "cpu"]).args(flags);
        taper
    }
}

fn stdout(command: &mut Command) -> String {
    String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap()
}

fn rows(command: &mut Command) -> Vec<Value> {
    serde_json::from_str::<Vec<Value>>(&stdout(command.args(["-o", "json"]))).unwrap()
}

/// Asserts the exit code and gives stderr.
fn fails(command: &mut Command, code: i32) -> String {
    String::from_utf8(command.assert().code(code).get_output().stderr.clone()).unwrap()
}

#[test]
fn json_has_the_fields_of_the_contract() {
    let fixture = Fixture::new();
    let rows = rows(&mut fixture.bench(&["-d", "0,16", "-b", "1,3"]));
    assert_eq!(rows.len(), 8);
    for row in &rows {
        for name in ["avg_ts", "median_ts", "load_ms", "avg_ns", "operations_per_token", "first_token_from_exec_ms"] {
            assert!(row[name].as_f64().unwrap() > 0.0, "{name}");
        }
        for name in ["samples_ts", "samples_ns", "read_bytes_per_sec", "int8_operations_per_sec"] {
            assert!(row[name].as_array().unwrap().iter().all(|sample| sample.as_f64().unwrap() > 0.0), "{name}");
            assert_eq!(row[name].as_array().unwrap().len(), 3, "{name}");
        }
        let is_prompt = row["n_prompt"] == 8 && row["n_gen"] == 0;
        assert!(is_prompt || row["n_prompt"] == 0 && row["n_gen"] == 4);
        assert_eq!(row["bytes_per_token"].is_null(), is_prompt);
        assert_eq!(row["bandwidth_fraction"].is_null(), is_prompt);
        assert!(row["compute_fraction"].as_f64().unwrap() > 0.0);
        assert!(row["stddev_ts"].as_f64().unwrap() >= 0.0);
        assert!(row["median_ts_low"].as_f64() <= row["median_ts"].as_f64());
        assert!(row["median_ts_high"].as_f64() >= row["median_ts"].as_f64());
        assert_eq!((row["n_threads"].as_u64(), row["backends"].as_str()), (Some(2), Some("CPU")));
        assert_eq!(row["model_filename"], "tiny <&> model.gguf");
        assert!(row["model_type"].as_str().unwrap().starts_with("llama"));
        assert!(row["model_size"].as_u64() > Some(0) && row["model_n_params"].as_u64() > Some(0));
        assert_eq!(row["model_sha256"].as_str().map(str::len), Some(64));
        assert!(row["isa"].is_string() && row["cpu_info"].is_string() && row["version"].is_string());
        assert_eq!((&row["type_k"], &row["type_v"]), (&"f16".into(), &"f16".into()));
        assert!(row["test_time"].as_str().unwrap().ends_with('Z'));
        assert!(row.get("build_commit").is_some() && row.get("baseline").is_none());
    }
    let tests: Vec<_> = rows.iter().map(|row| row["test"].as_str().unwrap()).collect();
    assert_eq!(tests[..4], ["pp8", "tg4", "pp8 × 3", "tg4 × 3"]);
    assert_eq!(tests[7], "tg4 × 3 @ d16");
    #[cfg(target_os = "linux")]
    assert!(rows.iter().all(|row| row["peak_rss_bytes"].as_u64() > Some(1 << 20)));
}

#[test]
fn the_hash_is_that_of_the_file() {
    use sha2::{Digest, Sha256};
    let fixture = Fixture::new();
    let hash = Sha256::digest(fs::read(fixture.path("tiny <&> model.gguf")).unwrap());
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(rows(&mut fixture.bench(&[]))[0]["model_sha256"], hash);
}

#[test]
fn every_format_has_the_same_tests() {
    let fixture = Fixture::new();
    let lines = stdout(&mut fixture.bench(&["-o", "jsonl"]));
    let tests = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["test"].clone());
    assert_eq!(tests.collect::<Vec<_>>(), ["pp8", "tg4"]);

    let text = stdout(&mut fixture.bench(&["-o", "csv"]));
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let column = reader.headers().unwrap().iter().position(|name| name == "test").unwrap();
    let tests = reader.records().map(|record| record.unwrap()[column].to_owned());
    assert_eq!(tests.collect::<Vec<_>>(), ["pp8", "tg4"]);

    let text = stdout(&mut fixture.bench(&["-o", "md", "--ceilings"]));
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
    assert!(
        rows[0].contains("| threads |") && rows[0].contains("read GB/s") && rows[1].starts_with("|-")
            || rows[1].starts_with("| -")
    );
    assert!(rows[2].starts_with("| pp8 ") && rows[3].starts_with("| tg4 "));

    let text = stdout(&mut fixture.bench(&[]));
    assert!(text.starts_with("tiny <&> model.gguf: llama"), "{text}");
    assert!(text.contains("sha256") && text.contains("\npp8 ") && text.contains("\ntg4 "));
    assert!(!text.contains("read GB/s") && !text.contains('\x1b'));
}

#[test]
fn nothing_but_results_is_written() {
    let fixture = Fixture::new();
    let output = fixture.bench(&["-o", "json"]).assert().success().get_output().clone();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert!(output.stdout.starts_with(b"[\n  {"));
}

#[test]
fn wrong_flags_are_refused_before_anything_is_measured() {
    let fixture = Fixture::new();
    assert!(fails(&mut fixture.taper(&["-p", "0", "-n", "0"]), 2).contains("nothing to measure"));
    for flags in
        [["-p", "-1"], ["-p", "1,x"], ["-b", "0"], ["-t", "0"], ["-r", "0"], ["-d", "99999999999"], ["-o", "xml"]]
    {
        let error = fails(&mut fixture.bench(&flags), 2);
        assert!(error.starts_with("error: "), "{flags:?}: {error}");
    }
    fails(&mut fixture.bench(&["--plot", "x.svg"]), 2);
    fails(&mut fixture.bench(&["--baseline", "/none/base.json"]), 3);
    fs::write(fixture.path("rubbish.json"), "{\"a\": 1}").unwrap();
    fails(fixture.bench(&["--baseline"]).arg(fixture.path("rubbish.json")), 6);
}

#[test]
fn a_picture_shows_what_varies() {
    let fixture = Fixture::new();
    let picture = fixture.path("depth.svg");
    stdout(fixture.taper(&["-p", "8", "-n", "4", "-r", "3", "-d", "0,16,32", "-t", "1,2", "--plot"]).arg(&picture));
    let svg = fs::read_to_string(&picture).unwrap();
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    assert!(svg.contains("tokens in the cache before") && svg.contains("tg4, 2 threads"));
    assert!(svg.contains("tiny &lt;&amp;&gt; model.gguf") && !svg.contains("<&>"));
    // A point for each test.
    assert_eq!(svg.matches("<circle").count(), 12);
}

/// The report in `path` as it would be of a machine `factor` times as fast.
fn rescale(path: &Path, factor: f64) {
    let mut rows: Vec<Value> = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    for row in &mut rows {
        for sample in row["samples_ts"].as_array_mut().unwrap() {
            *sample = (sample.as_f64().unwrap() * factor).into();
        }
    }
    fs::write(path, serde_json::to_string(&rows).unwrap()).unwrap();
}

#[test]
fn a_build_fails_if_a_test_is_slower_than_allowed() {
    let fixture = Fixture::new();
    let (base, summary) = (fixture.path("base.json"), fixture.path("summary.md"));
    stdout(fixture.bench(&["--save"]).arg(&base));
    assert_eq!(serde_json::from_str::<Vec<Value>>(&fs::read_to_string(&base).unwrap()).unwrap().len(), 2);
    let gate = |flags: &[&str]| {
        let mut taper = fixture.bench(&["--budget", "2", "--max-regress", "50%", "--baseline"]);
        taper.arg(&base).args(flags).env("GITHUB_STEP_SUMMARY", &summary);
        taper
    };

    rescale(&base, 0.01);
    let text = stdout(&mut gate(&[]));
    assert!(text.contains("Compared with") && text.contains("pass"), "{text}");

    // So much faster that neither a busy machine then nor one now makes a difference.
    rescale(&base, 100.0 * 10_000.0);
    let output = gate(&[]).assert().code(10).get_output().clone();
    let (text, error) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(text.contains("SLOWER"), "{text}");
    assert!(error.starts_with("error: ") && error.contains("pp8 with 2 threads lost "), "{error}");
    assert!(error.contains("tg4 with 2 threads lost ") && error.contains("50.0 %"), "{error}");
    let written = fs::read_to_string(&summary).unwrap();
    assert_eq!(written.matches("## taper bench").count(), 2, "a summary is added to the page");
    assert!(written.contains("| pp8 ") && written.contains("SLOWER"));

    let row =
        serde_json::from_slice::<Vec<Value>>(&gate(&["-o", "json"]).assert().code(10).get_output().stdout).unwrap();
    assert_eq!(row[0]["baseline"]["verdict"], "slower");
    assert!(row[0]["baseline"]["ratio"].as_f64().unwrap() < 0.1);
    assert!(row[0]["samples_ts"].as_array().unwrap().len() >= 5, "a gate takes as many samples as it needs");

    let mut elsewhere = fixture.taper(&["-p", "8", "-n", "4", "-t", "2", "-d", "7", "--baseline"]);
    assert!(fails(elsewhere.arg(&base), 2).contains("none of these tests"));
    assert!(fails(gate(&[]).args(["-m", "demo"]), 2).contains("cannot be used multiple times"));
    let mut other = Command::cargo_bin("taper").unwrap();
    other.args(["bench", "-m", "demo", "-p", "8", "-n", "4", "-t", "2", "--baseline"]).arg(&base);
    assert!(fails(&mut other, 2).contains("the baseline is of a model of"));
}

#[cfg(unix)]
#[test]
fn an_interruption_leaves_what_is_done() {
    use std::{process::Stdio, thread, time::Duration};
    let fixture = Fixture::new();
    let exe = assert_cmd::cargo::cargo_bin("taper");
    let mut command = std::process::Command::new(exe);
    command.args(["bench", "-p", "0", "-n", "4", "-r", "4096", "-t", "1", "-d", "0,64,128", "-o", "jsonl", "-m"]);
    command.arg(fixture.path("tiny <&> model.gguf")).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let pid = child.id().to_string();
    thread::sleep(Duration::from_millis(1500));
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let rows = String::from_utf8(output.stdout).unwrap();
    let first: Value = serde_json::from_str(rows.lines().next().expect("a row")).unwrap();
    assert_eq!(first["test"], "tg4");
    assert!(String::from_utf8(output.stderr).unwrap().contains("interrupted"));
}

/// The records of a comparison with a stand-in for Python, which does as the name of the model says.
#[cfg(unix)]
fn versus(name: &str) -> Vec<Value> {
    let fixture = Fixture::new();
    let model = fixture.path(&format!("{name}.gguf"));
    fs::rename(fixture.path("tiny <&> model.gguf"), &model).unwrap();
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/python/fake_python.sh");
    let mut taper = Command::cargo_bin("taper").unwrap();
    taper.args(["bench", "-p", "100", "-n", "3", "-r", "2", "-t", "2", "-o", "json"]).arg("-m").arg(model);
    taper.arg("--vs=python=llama-cpp-python").arg("--python").arg(python);
    let output = taper.assert().code(0).get_output().clone();
    serde_json::from_slice::<Vec<Value>>(&output.stdout).unwrap()
}

#[cfg(unix)]
#[test]
fn a_side_in_python_with_other_tokens_gets_no_speed_up() {
    let records = versus("differs");
    assert!(records[0]["median_ts"].is_f64());
    let sides: Vec<&Value> = records.iter().filter(|record| record["vs"] == "python").collect();
    assert_eq!(sides[0]["engine"], "taper");
    assert!(sides[0]["prompt_tokens_per_sec"].as_f64().unwrap() > 0.0 && sides[0]["peak_rss_bytes"] != 0);
    assert_eq!(sides.len(), 3);
    for side in &sides[1..] {
        assert_eq!((&side["agreement"]["verdict"], &side["ratios"]), (&"differ".into(), &Value::Null), "{side}");
    }
}

#[cfg(unix)]
#[test]
fn a_side_in_python_that_crashes_says_why_and_the_rest_stands() {
    let records = versus("crashes");
    assert!(records[0]["median_ts"].is_f64());
    let error = records.last().unwrap()["error"].as_str().unwrap();
    assert!(error.contains("ValueError"), "{error}");
}
