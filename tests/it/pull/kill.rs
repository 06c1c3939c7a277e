//! Processes that are killed, and several at once.

use super::cli::taper;
use super::fixture::NAME;
use crate::support::hash::sha256;
use crate::support::hub_cache::hub;
use crate::support::hub_stub::{COMMIT, Stub, noise};
use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};
use taper::hub::Cache;

/// What a process has left in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Nothing,
    Part,
    Whole,
}

fn spawn(stub: &Stub, cache: &Path, arguments: &[&str]) -> Child {
    let prepared = taper(stub, cache, arguments);
    let mut command = Command::new(prepared.get_program());
    command.args(prepared.get_args()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, value) in prepared.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.spawn().unwrap()
}

/// Checks that the cache has nothing of the file, or bytes of it that are right and known to be so, or all of it.
fn inspect(cache: &Path, content: &[u8]) -> Left {
    let (repo, hash) = (cache.join("models--o--r"), sha256(content));
    let pointer = repo.join("snapshots").join(COMMIT).join(NAME);
    for whole in [repo.join("blobs").join(&hash), pointer.clone()] {
        match fs::read(&whole) {
            Ok(found) => assert!(found == content, "{} has other bytes", whole.display()),
            Err(_) => assert!(!whole.is_symlink(), "{} leads nowhere", whole.display()),
        }
    }
    assert!(pointer.exists() || !repo.join("refs/main").exists(), "the branch is there before the file");
    assert_eq!(Cache::new(cache).resolve(&hub("o/r")).is_ok(), repo.join("refs/main").exists());
    if pointer.exists() {
        return Left::Whole;
    }
    let Ok(journal) = fs::read_to_string(repo.join(format!("blobs/{hash}.taper-ranges"))) else { return Left::Nothing };
    let Ok(part) = fs::read(repo.join(format!("blobs/{hash}.taper-partial"))) else { return Left::Nothing };
    for line in journal.lines().skip(1) {
        let (start, end) = line.split_once(' ').unwrap();
        let range = start.parse().unwrap()..end.parse().unwrap();
        assert!(part[range.clone()] == content[range], "the journal is wrong about {line}");
    }
    Left::Part
}

#[test]
fn kills_leave_nothing_a_part_or_the_whole() {
    // So many take some ten seconds.
    let n_kills = std::env::var("TAPER_KILLS").map_or(200, |text| text.parse().unwrap());
    let stub = Stub::start();
    let content = noise(4 << 20, 5);
    stub.large(NAME, content.clone()).pace(16 << 20);
    let lane = |seed: u64| {
        let cache = tempfile::tempdir().unwrap();
        let (mut left, mut n_whole) = ([0; 3], 0);
        for moment in noise(n_kills / 2, seed) {
            let mut child = spawn(&stub, cache.path(), &["pull", "-q", "o/r"]);
            thread::sleep(Duration::from_micros(u64::from(moment) * 700));
            child.kill().unwrap();
            child.wait().unwrap();
            let found = inspect(cache.path(), &content);
            left[found as usize] += 1;
            if found == Left::Whole {
                n_whole += 1;
                fs::remove_dir_all(cache.path().join("models--o--r")).unwrap();
            }
        }
        assert!(spawn(&stub, cache.path(), &["pull", "-q", "o/r"]).wait().unwrap().success());
        assert_eq!(inspect(cache.path(), &content), Left::Whole);
        let blobs = fs::read_dir(cache.path().join("models--o--r/blobs")).unwrap().count();
        assert_eq!(blobs, usize::from(cfg!(unix)), "nothing else is left");
        (left, n_whole + 1)
    };
    let lanes: Vec<_> = thread::scope(|scope| {
        let both: Vec<_> = [7, 8].map(|seed| scope.spawn(move || lane(seed))).into_iter().collect();
        both.into_iter().map(|lane| lane.join().unwrap()).collect()
    });
    let n_parts: usize = lanes.iter().map(|(left, _)| left[Left::Part as usize]).sum();
    let n_whole: usize = lanes.iter().map(|(_, n_whole)| n_whole).sum();
    assert!(n_parts > n_kills / 20, "hardly a kill came while bytes were on their way: {lanes:?}");
    eprintln!("{n_kills} kills, {n_whole} whole files; nothing, a part, the whole were left (by lane): {lanes:?}");
    let most = n_whole as u64 * content.len() as u64 * 3;
    assert!(stub.served_bytes() < most, "{} bytes for {n_whole} files: {lanes:?}", stub.served_bytes());
}

#[test]
fn of_two_processes_one_fetches_and_the_other_says_that_it_waits() {
    let stub = Stub::start();
    let content = noise(2 << 20, 6);
    stub.large(NAME, content.clone()).pace(1 << 20);
    let cache = tempfile::tempdir().unwrap();
    let children: Vec<Child> = (0..2).map(|_| spawn(&stub, cache.path(), &["pull", "o/r"])).collect();
    let outputs: Vec<_> = children.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
    assert!(outputs.iter().all(|output| output.status.success() && output.stdout == outputs[0].stdout), "{outputs:?}");
    assert_eq!(inspect(cache.path(), &content), Left::Whole);
    assert_eq!(stub.served_bytes(), content.len() as u64);
    let waits =
        |output: &std::process::Output| String::from_utf8_lossy(&output.stderr).contains("another process fetches it");
    assert_eq!(outputs.iter().filter(|output| waits(output)).count(), 1);
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_with_130_and_keeps_what_has_arrived() {
    let stub = Stub::start();
    let content = noise(8 << 20, 6);
    stub.large(NAME, content.clone()).pace(1 << 20);
    let cache = tempfile::tempdir().unwrap();
    let child = spawn(&stub, cache.path(), &["pull", "o/r"]);
    thread::sleep(Duration::from_millis(600));
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.ends_with("error: interrupted; what has arrived is kept\nhint: the same command goes on from there\n"),
        "{stderr}"
    );
    assert_eq!(inspect(cache.path(), &content), Left::Part);
    stub.pace(100 << 20);
    let output = spawn(&stub, cache.path(), &["pull", "o/r"]).wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("are there already, going on"));
    assert_eq!(inspect(cache.path(), &content), Left::Whole);
}
