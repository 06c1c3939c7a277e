//! Removing models from the cache.

use crate::support::hub_cache::{COMMITS, HubCache, LAYOUTS, Layout, blob_name};
use std::fs::{self, File};
use taper::hub::{Deletion, KeepError, Target};

/// `o/r` with two quantizations at `main`, one of them shared with `v1`, and another repository.
fn example(layout: Layout) -> HubCache {
    let cache = HubCache::new(layout);
    cache
        .reference("o/r", "main", COMMITS[0])
        .reference("o/r", "v1", COMMITS[1])
        .reference("o/r", "refs/pr/1", COMMITS[1])
        .file("o/r", COMMITS[0], "r-Q4_K_M.gguf", "four bits")
        .file("o/r", COMMITS[0], "groß/r-Q8_0-00001-of-00002.gguf", "eight")
        .file("o/r", COMMITS[0], "groß/r-Q8_0-00002-of-00002.gguf", "bits")
        .file("o/r", COMMITS[1], "r-Q4_K_M.gguf", "four bits")
        .file("o/r", COMMITS[1], "config.json", "{}")
        .reference("o/other", "main", COMMITS[2])
        .file("o/other", COMMITS[2], "config.json", "{}");
    cache
}

fn plan(cache: &HubCache, models: &[&str]) -> Result<Deletion, KeepError> {
    let targets: Vec<Target> = models.iter().map(|model| Target::parse(model).unwrap()).collect();
    cache.cache().removal(&targets)
}

/// Removes, after seeing that the plan is what is done, and gives the bytes freed.
fn remove(cache: &HubCache, models: &[&str]) -> u64 {
    let before = cache.paths();
    let planned = plan(cache, models).unwrap();
    assert_eq!(cache.paths(), before, "planning deletes nothing");
    let freed = planned.freed_bytes();
    let done = planned.clone().execute().unwrap();
    assert_eq!((&done.items.len(), done.freed_bytes()), (&planned.items.len(), freed));
    assert!(done.kept.is_empty(), "{:?}", done.kept);
    freed
}

fn models(cache: &HubCache) -> Vec<String> {
    let listing = cache.cache().list();
    assert_eq!(listing.problems, [""; 0]);
    let of = |repo: String, files: usize, size: u64| format!("{repo} {files} {size}");
    let n = |model: &taper::hub::CachedModel| model.revisions.iter().map(|revision| revision.files.len()).sum();
    listing.models.iter().map(|model| of(model.repo.clone(), n(model), model.size_bytes)).collect()
}

#[test]
fn a_repository_goes_with_everything_in_its_folder() {
    for &layout in LAYOUTS {
        let cache = example(layout);
        cache.blob("o/r", "ab12.incomplete", "12345");
        cache.write(cache.repo("o/r").join(".no_exist").join(COMMITS[0]).join("x.json"), "");
        cache.write(cache.repo("o/r").join("notes.txt"), "my own");
        cache.write(cache.folder.path().join(".locks/models--o--r/ab12.lock"), "");
        let shared = if layout == Layout::Links { 0 } else { 9 };
        assert_eq!(remove(&cache, &["o/r"]), 9 + 5 + 4 + 2 + 5 + 6 + shared);
        assert_eq!(models(&cache), ["o/other 1 2"]);
        assert!(!cache.paths().iter().any(|path| path.contains("o--r/")), "{:?}", cache.paths());
    }
}

#[test]
fn a_revision_goes_with_its_names_and_without_what_others_need() {
    for &layout in LAYOUTS {
        let cache = example(layout);
        let shared = if layout == Layout::Links { 0 } else { 9 };
        assert_eq!(remove(&cache, &["o/r@v1"]), 2 + shared);
        assert_eq!(models(&cache), ["o/other 1 2", "o/r 3 18"]);
        assert!(!cache.repo("o/r").join("refs/refs").exists());
        assert!(matches!(plan(&cache, &["o/r@v1"]), Err(KeepError::NotThere { .. })));
        assert_eq!(remove(&cache, &["o/r@main"]), 9 + 5 + 4);
        assert_eq!(models(&cache), ["o/other 1 2"]);
    }
}

#[test]
fn saying_main_is_another_thing_than_leaving_it_out() {
    for model in ["o/r@main", "https://huggingface.co/o/r/tree/main"] {
        let cache = example(LAYOUTS[0]);
        remove(&cache, &[model]);
        assert_eq!(models(&cache), ["o/other 1 2", "o/r 2 11"]);
    }
}

#[test]
fn a_quantization_goes_from_every_revision_or_from_one() {
    for &layout in LAYOUTS {
        let cache = example(layout);
        let shared = if layout == Layout::Links { 0 } else { 9 };
        assert_eq!(remove(&cache, &["o/r:q4_k_m"]), 9 + shared);
        assert_eq!(models(&cache), ["o/other 1 2", "o/r 3 11"]);
        let cache = example(layout);
        assert_eq!(remove(&cache, &["o/r:r-Q4_K_M.gguf@v1"]), shared);
        assert_eq!(models(&cache), [String::from("o/other 1 2"), "o/r 4 20".into()]);
        // All parts of the split one, one of which is lost; with it goes the last of `main`.
        fs::remove_file(cache.snapshot("o/r", COMMITS[0]).join("groß/r-Q8_0-00001-of-00002.gguf")).unwrap();
        remove(&cache, &["o/r:Q8_0", "o/r:Q4_K_M@main"]);
        assert!(!cache.repo("o/r").join("refs/main").exists());
        assert_eq!(models(&cache)[1], "o/r 1 2");
    }
}

#[test]
fn what_is_not_there_is_said_before_anything_is_deleted() {
    let cache = example(LAYOUTS[0]);
    let before = cache.paths();
    for missing in ["o/none", "o/r@v2", "o/r:Q5_K_M", "o/r:x.gguf", "gpt2", "o/r@0123"] {
        let error = plan(&cache, &["o/other", missing]).unwrap_err();
        let told = matches!(error, KeepError::NotThere { .. } | KeepError::NotSelected { .. } | KeepError::Hub(_));
        assert!(told, "{missing}: {error}");
    }
    cache.file("o/r", COMMITS[0], "r2-Q4_K_M.gguf", "again");
    let ambiguous = plan(&cache, &["o/r:Q4_K_M"]).unwrap_err().to_string();
    assert!(ambiguous.contains("has several"), "{ambiguous}");
    assert!(cache.paths().len() > before.len());
    for wrong in ["demo", "./model.gguf", "/etc", "..", "a/../b", "o/r@../../x", "", "o/r:../x.gguf", ".", "models--o"]
    {
        assert!(Target::parse(wrong).is_err(), "{wrong}");
    }
    let nowhere = taper::hub::Cache::new(cache.folder.path().join("nowhere"));
    assert!(matches!(nowhere.removal(&[Target::parse("o/r").unwrap()]), Err(KeepError::NotThere { .. })));
}

#[test]
fn a_repository_without_owner_can_be_removed() {
    let cache = example(LAYOUTS[0]);
    cache.file("gpt2", COMMITS[0], "config.json", "{}");
    remove(&cache, &["gpt2"]);
    assert_eq!(models(&cache).len(), 2);
}

#[test]
fn two_revisions_at_once_free_what_they_share() {
    let cache = example(LAYOUTS[0]);
    remove(&cache, &["o/r@v1", "o/r@main"]);
    assert!(!cache.repo("o/r").exists());
}

#[test]
fn a_running_download_is_left_alone() {
    let cache = example(LAYOUTS[0]);
    let lock = cache.folder.path().join(".locks/models--o--r/ab12.lock");
    cache.write(lock.clone(), "");
    let held = File::open(&lock).unwrap();
    held.lock().unwrap();
    for model in ["o/r", "o/r@v1", "o/r:Q4_K_M"] {
        assert!(matches!(plan(&cache, &[model]), Err(KeepError::InUse { .. })), "{model}");
    }
    remove(&cache, &["o/other"]);
    drop(held);
    remove(&cache, &["o/r"]);
    assert!(!lock.exists());
}

/// A download that takes the lock of a blob, or links to it, between plan and deed.
#[cfg(unix)]
#[test]
fn a_blob_that_is_needed_meanwhile_is_kept() {
    let cache = example(Layout::Links);
    let planned = plan(&cache, &["o/r@main"]).unwrap();
    let (locked, linked) = (blob_name("x.gguf", "eight"), blob_name("x.gguf", "bits"));
    let lock = cache.folder.path().join(format!(".locks/models--o--r/{locked}.lock"));
    cache.write(lock.clone(), "");
    let held = File::open(&lock).unwrap();
    held.lock().unwrap();
    cache.file("o/r", COMMITS[1], "new.gguf", "bits");
    let done = planned.execute().unwrap();
    assert_eq!(done.kept.len(), 2, "{:?}", done.kept);
    assert!(cache.repo("o/r").join("blobs").join(locked).exists());
    assert!(cache.repo("o/r").join("blobs").join(linked).exists());
    assert!(lock.exists());
    assert_eq!(models(&cache)[1], "o/r 3 15");
}

#[cfg(unix)]
#[test]
fn nothing_behind_a_link_is_deleted() {
    use std::os::unix::fs::symlink;
    let cache = example(Layout::Links);
    let outside = tempfile::tempdir().unwrap();
    fs::create_dir(outside.path().join("folder")).unwrap();
    for name in ["secret", "folder/file"] {
        fs::write(outside.path().join(name), "precious").unwrap();
    }
    let snapshot = cache.snapshot("o/r", COMMITS[0]);
    symlink(outside.path().join("secret"), snapshot.join("a.gguf")).unwrap();
    symlink(outside.path(), snapshot.join("groß/link")).unwrap();
    symlink("../../../../../../../../etc/hostname", snapshot.join("b\n\u{1b}[31m.gguf")).unwrap();
    symlink(outside.path().join("folder"), cache.repo("o/r").join("snapshots").join(COMMITS[2])).unwrap();
    symlink(outside.path().join("secret"), cache.repo("o/r").join("blobs/ff")).unwrap();
    symlink("../../blobs/ff", snapshot.join("c.gguf")).unwrap();
    symlink(outside.path().join("folder"), cache.repo("o/r").join("refs/deep")).unwrap();
    symlink(outside.path().join("secret"), cache.repo("o/r").join("refs/odd")).unwrap();
    fs::create_dir_all(cache.repo("o/r").join(".no_exist")).unwrap();
    symlink(outside.path(), cache.repo("o/r").join(".no_exist").join(COMMITS[0])).unwrap();
    fs::create_dir_all(cache.folder.path().join(".locks")).unwrap();
    symlink(outside.path(), cache.folder.path().join(".locks/models--o--r")).unwrap();
    assert!(plan(&cache, &["o/r@main"]).is_err(), "the lock of a blob would be made behind the link");
    fs::remove_file(cache.folder.path().join(".locks/models--o--r")).unwrap();
    remove(&cache, &["o/r"]);
    assert!(!cache.repo("o/r").exists());
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 2);
    assert_eq!(fs::read_to_string(outside.path().join("folder/file")).unwrap(), "precious");

    for folder in ["", "blobs", "snapshots", "refs", ".no_exist"] {
        let cache = example(Layout::Links);
        let path = cache.repo("o/r").join(folder);
        let moved = outside.path().join(format!("moved {folder}"));
        match path.exists() {
            true => fs::rename(&path, &moved).unwrap(),
            false => fs::create_dir(&moved).unwrap(),
        }
        let path = if folder.is_empty() { cache.repo("o/r") } else { path };
        symlink(&moved, &path).unwrap();
        let n = fs::read_dir(&moved).unwrap().count();
        assert!(matches!(plan(&cache, &["o/r"]), Err(KeepError::NotPlain { .. })), "{folder}");
        assert_eq!(fs::read_dir(&moved).unwrap().count(), n);
    }
}

/// Root may do anything, so that nothing is refused to it.
#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_written_is_an_error_that_names_it() {
    use std::os::unix::fs::PermissionsExt;
    let cache = example(Layout::Links);
    let refs = cache.repo("o/r").join("refs");
    fs::set_permissions(&refs, fs::Permissions::from_mode(0o555)).unwrap();
    if File::create(refs.join("probe")).is_ok() {
        return eprintln!("skipped: this user may write everywhere");
    }
    let error = plan(&cache, &["o/r"]).unwrap().execute().unwrap_err();
    fs::set_permissions(&refs, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(error.to_string().contains("cannot remove") && error.to_string().contains("refs"), "{error}");
    assert_eq!(models(&cache).len(), 2, "nothing else is gone");
}

#[test]
fn more_blobs_than_a_process_may_lock_at_once_go_too() {
    let cache = HubCache::new(LAYOUTS[0]);
    for number in 0..300 {
        cache.file("o/r", COMMITS[0], &format!("{number}.json"), &format!("[{number}]"));
    }
    cache.reference("o/r", "main", COMMITS[0]).reference("o/r", "v1", COMMITS[1]);
    cache.file("o/r", COMMITS[1], "7.json", "[7]");
    remove(&cache, &["o/r@main"]);
    assert_eq!(models(&cache), ["o/r 1 3"]);
}

/// Python takes a repository for damaged if a name leads to no revision, or a link to no blob.
#[test]
fn an_interruption_at_any_file_leaves_a_cache_that_is_whole() {
    for &layout in LAYOUTS {
        for model in ["o/r", "o/r@v1", "o/r:Q8_0", "o/r:Q4_K_M"] {
            let n_items = plan(&example(layout), &[model]).unwrap().items.len();
            for n in 0..n_items {
                let cache = example(layout);
                for item in &plan(&cache, &[model]).unwrap().items[..n] {
                    fs::remove_file(&item.path).unwrap();
                }
                let listing = cache.cache().list();
                assert_eq!(listing.problems, [""; 0], "{model} after {n}");
                let refs = |name: &str| cache.repo("o/r").join("refs").join(name).exists();
                let named: usize = listing.models.iter().flat_map(|it| &it.revisions).map(|it| it.refs.len()).sum();
                let n_refs = ["main", "v1", "refs/pr/1"].into_iter().filter(|name| refs(name)).count();
                assert_eq!(named, n_refs + 1, "{model} after {n}");
                remove(&cache, &["o/other"]);
                let rest = plan(&cache, &["o/r"]).unwrap();
                rest.execute().unwrap();
                assert!(!cache.repo("o/r").exists());
            }
        }
    }
}
