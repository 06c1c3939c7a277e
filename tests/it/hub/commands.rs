//! `list`, `rm`, `verify`, `prune` and `--locked` as scripts use them.

use crate::{
    cli::{bare, error, json, stdout},
    support::{
        hub_cache::{COMMITS, HubCache, LAYOUTS, blob_name, hub},
        tiny::{Architecture, TinyModel, Types},
    },
};
use assert_cmd::Command;
use std::fs;
use taper::{
    hub::{PinnedModel, Pins},
    tensor::Dtype,
};

fn taper(cache: &HubCache, command: &str) -> Command {
    let mut taper = bare(command);
    taper.env("HF_HUB_CACHE", cache.folder.path());
    taper
}

fn example() -> HubCache {
    let cache = HubCache::new(LAYOUTS[0]);
    cache
        .reference("o/r", "main", COMMITS[0])
        .file("o/r", COMMITS[0], "r-Q4_K_M.gguf", "four bits")
        .file("o/r", COMMITS[0], "r-Q8_0-00001-of-00002.gguf", "eight")
        .file("o/r", COMMITS[0], "r-Q8_0-00002-of-00002.gguf", "bits")
        .file("o/r", COMMITS[0], "mmproj-F16.gguf", "eyes")
        .file("o/r", COMMITS[1], "r-Q4_K_M.gguf", "four bits");
    cache
}

#[test]
fn list_shows_what_a_reference_can_mean() {
    let cache = example();
    let text = stdout(&mut taper(&cache, "list"));
    let rows: Vec<Vec<&str>> =
        text.lines().map(|line| line.split("  ").filter(|it| !it.is_empty()).map(str::trim).collect()).collect();
    assert_eq!(rows[0], ["SIZE", "LAST USED", "REVISION", "QUANTIZATION", "MODEL"]);
    let shown: Vec<[&str; 4]> = rows[1..].iter().map(|row| [row[0], row[2], row[3], row[4]]).collect();
    assert_eq!(
        shown,
        [
            ["9 B", &COMMITS[1][..12], "Q4_K_M", &format!("o/r:Q4_K_M@{}", COMMITS[1])],
            ["4 B", &COMMITS[0][..12], "F16", "o/r:mmproj-F16.gguf"],
            ["9 B", &COMMITS[0][..12], "Q4_K_M", "o/r:Q4_K_M"],
            ["9 B", &COMMITS[0][..12], "Q8_0", "o/r:Q8_0"],
        ]
    );
    assert!(rows[1][1].ends_with('Z') && rows[1][1].contains('T'), "ISO 8601 for scripts: {}", rows[1][1]);
    let listed = json(&mut taper(&cache, "list"));
    let model = &listed[0];
    assert!(model["last_used"].is_u64() && model["last_used_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(model["revisions"][1]["files"][1]["quantization"], "Q4_K_M");
    assert_eq!(model["revisions"][1]["models"][2]["reference"], "o/r:Q8_0");
    for choice in model["revisions"][1]["models"].as_array().unwrap() {
        cache.resolve(choice["reference"].as_str().unwrap()).unwrap();
    }
}

#[test]
fn rm_says_what_it_freed_and_what_it_would() {
    let cache = example();
    let planned = json(taper(&cache, "rm").args(["--dry-run", "o/r:Q8_0"]));
    assert_eq!((planned["dry_run"].as_bool(), planned["freed_bytes"].as_u64()), (Some(true), Some(9)));
    assert!(stdout(taper(&cache, "rm").args(["--dry-run", "o/r:Q8_0"])).ends_with("would free 9 B\n"));
    let done = json(taper(&cache, "rm").arg("o/r:Q8_0"));
    assert_eq!((done["dry_run"].as_bool(), &done["removed"]), (Some(false), &planned["removed"]));
    let kinds: Vec<&str> = done["removed"].as_array().unwrap().iter().map(|it| it["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds.iter().filter(|&&kind| kind == "blob").count(), if cfg!(unix) { 2 } else { 0 });
    assert_eq!(stdout(taper(&cache, "rm").arg("o/r")), "        13 B  o/r\nfreed 13 B\n");
    let line = error(taper(&cache, "rm").arg("o/r"), 3);
    assert!(line.starts_with("error: `o/r` is not in the cache"), "{line}");
    error(taper(&cache, "rm").arg("./r.gguf"), 2);
    error(taper(&cache, "rm").arg("demo"), 2);
    error(&mut taper(&cache, "rm"), 2);
}

#[test]
fn rm_leaves_a_repository_in_use_alone() {
    let cache = example();
    let lock = cache.folder.path().join(".locks/models--o--r/ab12.lock");
    cache.write(lock.clone(), "");
    let held = fs::File::open(&lock).unwrap();
    held.lock().unwrap();
    assert!(error(taper(&cache, "rm").arg("o/r"), 1).contains("in use"));
    let pruned = json(&mut taper(&cache, "prune"));
    assert_eq!((pruned["freed_bytes"].as_u64(), pruned["kept"].as_array().unwrap().len()), (Some(0), 1));
}

#[test]
fn prune_frees_what_nothing_needs() {
    let cache = example();
    cache.blob("o/r", "ab12.incomplete", "1234567");
    let dry = stdout(taper(&cache, "prune").args(["--dry-run", "--keep-revisions"]));
    assert!(dry.contains("7 B  partial") && dry.ends_with("would free 7 B\n"), "{dry}");
    let done = json(&mut taper(&cache, "prune"));
    assert_eq!(done["freed_bytes"].as_u64(), Some(if cfg!(unix) { 7 } else { 16 }));
    assert_eq!(stdout(&mut taper(&cache, "prune")), "freed 0 B\n");
}

#[cfg(unix)]
#[test]
fn verify_finds_damage_and_says_how_to_repair_it() {
    let cache = example();
    let sound = json(&mut taper(&cache, "verify"));
    assert_eq!((sound["ok"].as_u64(), sound["checked_bytes"].as_u64()), (Some(4), Some(22)));
    let blob = cache.repo("o/r").join("blobs").join(blob_name("x.gguf", "bits"));
    fs::write(&blob, "bitz").unwrap();
    let output = taper(&cache, "verify").arg("o/r").assert().code(6).get_output().clone();
    let (text, talk) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(text.contains("damaged") && text.contains(&format!("found {}", blob_name("x.gguf", "bitz"))), "{text}");
    let repair =
        "hint: repair it with `taper rm o/r:r-Q8_0-00002-of-00002.gguf && taper pull o/r:r-Q8_0-00002-of-00002.gguf`";
    assert!(talk.starts_with("error: 1 of 4 files") && talk.contains(repair), "{talk}");
    let output = taper(&cache, "verify").args(["--json", "o/r:Q8_0"]).assert().code(6).get_output().clone();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((report["damaged"].as_u64(), report["files"][1]["status"].as_str()), (Some(1), Some("damaged")));
    taper(&cache, "verify").arg("o/r:Q4_K_M").assert().code(0);
    error(taper(&cache, "verify").arg("o/none"), 3);
}

#[test]
fn a_cache_that_is_not_there_is_empty() {
    let cache = HubCache::new(LAYOUTS[0]);
    for command in ["list", "verify", "prune"] {
        bare(command).env("HF_HUB_CACHE", cache.folder.path().join("nowhere")).assert().code(0);
    }
    assert!(!cache.folder.path().join("nowhere").exists());
}

#[test]
fn what_a_stranger_called_a_file_does_not_reach_the_terminal() {
    if cfg!(windows) {
        return;
    }
    let cache = example();
    cache.file("o/r", COMMITS[0], "\u{1b}[31mred\n.gguf", "colors");
    for (command, arguments) in
        [("list", &[][..]), ("verify", &[]), ("rm", &["--dry-run", "o/r"]), ("prune", &["--dry-run"])]
    {
        let output = taper(&cache, command).args(arguments).assert().success().get_output().clone();
        assert!(!output.stdout.contains(&0x1b) && !output.stderr.contains(&0x1b), "{command}");
    }
}

#[test]
fn locked_runs_what_is_pinned_and_nothing_else() {
    let cache = HubCache::new(LAYOUTS[0]);
    let model = TinyModel::new(Architecture::Llama, Types::Only(Dtype::Q8_0)).gguf();
    let local = cache.folder.path().join("größe.gguf");
    fs::write(&local, &model).unwrap();
    let path = cache.snapshot("o/r", COMMITS[0]).join("m-Q8_0.gguf");
    cache.reference("o/r", "main", COMMITS[0]).write(path.clone(), &model);
    let mut pins = Pins::default();
    pins.set(PinnedModel::of(&hub("o/r"), &cache.resolve("o/r").unwrap(), &mut |_| ()).unwrap());
    let lock = cache.folder.path().join("taper.lock");
    pins.write(&lock).unwrap();
    let run = |model: &str| {
        let mut command = taper(&cache, "run");
        command.args(["-n", "1", "-m", model, "--locked"]).arg(&lock).arg("Hello");
        command
    };
    for allowed in ["o/r", local.to_str().unwrap(), "demo"] {
        run(allowed).assert().code(0);
    }
    // The branch has moved on: what is pinned is run all the same.
    cache.reference("o/r", "main", COMMITS[1]).write(cache.snapshot("o/r", COMMITS[1]).join("m-Q8_0.gguf"), "newer");
    run("o/r").assert().code(0);
    error(taper(&cache, "run").args(["-m", "o/r", "Hello"]), 6);
    let line = error(&mut run("o/r:Q8_0"), 6);
    assert!(line.contains("taper.lock`: `o/r:Q8_0` is not pinned, only `o/r`"), "{line}");

    let mut other = model.clone();
    *other.last_mut().unwrap() ^= 1;
    fs::write(&path, &other).unwrap();
    fs::write(&local, &other).unwrap();
    let line = error(&mut run("o/r"), 6);
    assert!(line.contains("the file `m-Q8_0.gguf` of `o/r` has sha256"), "{line}");
    assert!(line.contains(&format!("pinned is {}", pins.models[0].files[0].sha256)), "{line}");
    assert!(error(&mut run(local.to_str().unwrap()), 6).contains("größe.gguf"));
    let mut scored = taper(&cache, "perplexity");
    scored.args(["-m", "o/r", "-f"]).arg(&lock).arg("--locked").arg(&lock);
    error(&mut scored, 6);

    fs::write(&lock, "version = 1\n[[model]]\nref").unwrap();
    assert!(error(&mut run("demo"), 6).contains("taper.lock`: line 3: has `ref`"));
    fs::remove_file(&lock).unwrap();
    error(&mut run("o/r"), 3);
}

#[cfg(unix)]
#[test]
fn a_hint_can_be_pasted_into_a_shell() {
    let cache = HubCache::new(LAYOUTS[0]);
    cache.reference("o/r", "main", COMMITS[0]).file("o/r", COMMITS[0], "$(touch x)'.gguf", "hostile");
    fs::write(cache.repo("o/r").join("blobs").join(blob_name("x.gguf", "hostile")), "").unwrap();
    let output = taper(&cache, "verify").assert().code(6).get_output().clone();
    let talk = String::from_utf8(output.stderr).unwrap();
    assert!(talk.contains(r"`taper rm 'o/r:$(touch x)'\''.gguf' && taper pull '"), "{talk}");
}
