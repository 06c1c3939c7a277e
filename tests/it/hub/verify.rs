//! Hashing the cache again.

use crate::support::hub_cache::{COMMITS, HubCache, Layout, blob_name};
use std::{collections::BTreeMap, fs};
use taper::hub::{KeepError, State, Target};

fn states(cache: &HubCache, model: Option<&str>) -> Result<BTreeMap<String, State>, KeepError> {
    let target = model.map(|model| Target::parse(model).unwrap());
    let checks = cache.cache().checks(target.as_ref())?;
    Ok(checks.iter().map(|check| (check.name.clone(), check.run(&mut |_| ()))).collect())
}

fn example(layout: Layout) -> HubCache {
    let cache = HubCache::new(layout);
    cache
        .reference("o/r", "main", COMMITS[0])
        .file("o/r", COMMITS[0], "größe-Q8_0.gguf", "eight bits")
        .file("o/r", COMMITS[0], "config.json", "{}")
        .file("o/r", COMMITS[1], "größe-Q8_0.gguf", "eight bits")
        .file("o/r", COMMITS[1], "b.gguf", "others")
        .file("a/other", COMMITS[1], "x.gguf", "others");
    cache
}

#[cfg(unix)]
#[test]
fn each_blob_is_hashed_once_and_named_by_a_file() {
    let cache = example(Layout::Links);
    let checks = cache.cache().checks(None).unwrap();
    let named: Vec<(&str, &str)> = checks.iter().map(|check| (check.repo.as_str(), check.name.as_str())).collect();
    assert_eq!(named, [("a/other", "x.gguf"), ("o/r", "b.gguf"), ("o/r", "config.json"), ("o/r", "größe-Q8_0.gguf")]);
    let mut n_bytes = 0;
    assert!(checks.iter().all(|check| check.run(&mut |n| n_bytes += n) == State::Sound));
    assert_eq!(n_bytes, 6 + 6 + 2 + 10);
    assert_eq!(states(&cache, Some("o/r:Q8_0")).unwrap().len(), 1);
    assert_eq!(states(&cache, Some("o/r@main")).unwrap().len(), 2);
    assert!(matches!(states(&cache, Some("o/none")), Err(KeepError::NotThere { .. })));
    assert!(matches!(states(&cache, Some("o/r:Q2_K")), Err(KeepError::NotSelected { .. })));
}

#[cfg(unix)]
#[test]
fn a_flipped_bit_a_lost_blob_and_an_orphan_are_found() {
    let cache = example(Layout::Links);
    let blob = |name: &str, content: &str| cache.repo("o/r").join("blobs").join(blob_name(name, content));
    fs::write(blob("x.gguf", "eight bits"), "eight bitt").unwrap();
    fs::write(blob("config.json", "{}"), "{ ").unwrap();
    fs::remove_file(blob("x.gguf", "others")).unwrap();
    cache.blob("o/r", &blob_name("x.gguf", "sound"), "sound").blob("o/r", &"1".repeat(40), "not");
    cache.blob("o/r", "etag-of-a-mirror", "?").blob("o/r", &format!("{}.incomplete", "2".repeat(64)), "half");
    let states = states(&cache, Some("o/r")).unwrap();
    let found = blob_name("x.gguf", "eight bitt");
    assert_eq!(states["größe-Q8_0.gguf"], State::Damaged { found });
    assert_eq!(states["config.json"], State::Damaged { found: blob_name("config.json", "{ ") });
    assert_eq!(states["b.gguf"], State::Missing);
    assert_eq!(states[&format!("blobs/{}", blob_name("x.gguf", "sound"))], State::Sound);
    assert!(matches!(states[&format!("blobs/{}", "1".repeat(40))], State::Damaged { .. }));
    assert_eq!(states["blobs/etag-of-a-mirror"], State::Unknown);
    assert_eq!(states.len(), 6, "no unfinished download: {states:?}");
}

#[test]
fn a_copy_has_no_hash_to_compare_with() {
    let cache = example(Layout::Copies);
    assert!(states(&cache, None).unwrap().values().all(|state| *state == State::Unknown));
}

#[cfg(unix)]
#[test]
fn a_check_is_no_use_of_a_model() {
    use std::time::{Duration, SystemTime};
    let cache = example(Layout::Links);
    let blob = cache.repo("a/other").join("blobs").join(blob_name("x.gguf", "others"));
    let old = SystemTime::now() - Duration::from_secs(90 * 86400);
    let times = fs::FileTimes::new().set_accessed(old).set_modified(old);
    fs::File::open(&blob).unwrap().set_times(times).unwrap();
    states(&cache, None).unwrap();
    assert_eq!(cache.cache().list().models[0].last_used, Some(old));
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_missing_or_without_hash() {
    use std::os::unix::fs::symlink;
    let cache = example(Layout::Links);
    let snapshot = cache.snapshot("o/r", COMMITS[0]);
    symlink("/dev/zero", snapshot.join("endless.gguf")).unwrap();
    fs::create_dir(cache.repo("o/r").join("blobs").join("3".repeat(64))).unwrap();
    symlink(format!("../../blobs/{}", "3".repeat(64)), snapshot.join("folder.gguf")).unwrap();
    symlink("/dev/zero", cache.repo("o/r").join("blobs").join("4".repeat(64))).unwrap();
    symlink(format!("../../blobs/{}", "4".repeat(64)), snapshot.join("device.gguf")).unwrap();
    let states = states(&cache, Some("o/r")).unwrap();
    assert_eq!(states["endless.gguf"], State::Unknown);
    assert_eq!(states["folder.gguf"], State::Missing);
    assert_eq!(states["device.gguf"], State::Missing);
}
