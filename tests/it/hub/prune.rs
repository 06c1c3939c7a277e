//! Pruning the cache.

use crate::support::hub_cache::{COMMITS, HubCache, LAYOUTS, Layout};
use std::fs::{self, File};
use taper::hub::{Cache, Deletion, ItemKind, Prune};

/// `o/r` at `main`, with everything that can be left over.
fn littered(layout: Layout) -> HubCache {
    let cache = HubCache::new(layout);
    cache
        .reference("o/r", "main", COMMITS[0])
        .file("o/r", COMMITS[0], "r-Q4_K_M.gguf", "four bits")
        .file("o/r", COMMITS[0], "größe/config.json", "{}")
        .file("o/r", COMMITS[1], "r-Q4_K_M.gguf", "four bits")
        .file("o/r", COMMITS[1], "old.gguf", "of before")
        .reference("o/r", "gone", COMMITS[2])
        .reference("o/r", "bad", "../../etc")
        .blob("o/r", "ab12.0a1b2c3d.incomplete", "12345")
        .blob("o/r", "ab34.taper-partial", "1234567")
        .blob("o/r", "ab34.taper-ranges", "{}")
        .blob("o/r", &"0".repeat(64), "of nobody");
    cache.write(cache.repo("o/r").join(".no_exist").join(COMMITS[1]).join("x.json"), "");
    cache.write(cache.folder.path().join(".locks/models--o--r/ab12.lock"), "");
    cache.write(cache.folder.path().join(".locks/models--o--long-gone/ab12.lock"), "");
    cache.write(cache.folder.path().join(".locks/datasets--o--d/ab12.lock"), "");
    cache.write(cache.folder.path().join("datasets--o--d/blobs/ab12.incomplete"), "of another");
    fs::create_dir_all(cache.repo("o/empty").join("snapshots").join(COMMITS[0])).unwrap();
    // As Python leaves it when it is stopped in the first file.
    cache.reference("o/new", "main", COMMITS[0]).blob("o/new", "1.incomplete", "123");
    fs::create_dir_all(cache.repo("o/new").join("snapshots").join(COMMITS[0])).unwrap();
    cache
}

fn prune(cache: &HubCache, prune: Prune) -> Deletion {
    let before = cache.paths();
    let planned = cache.cache().pruning(prune).unwrap();
    assert_eq!(cache.paths(), before, "planning deletes nothing");
    let done = planned.clone().execute().unwrap();
    assert_eq!((done.items.len(), done.freed_bytes()), (planned.items.len(), planned.freed_bytes()));
    done
}

#[test]
fn everything_that_no_name_leads_to_goes() {
    for &layout in LAYOUTS {
        let cache = littered(layout);
        let done = prune(&cache, Prune::default());
        let copies = if layout == Layout::Links { 0 } else { 9 };
        assert_eq!(done.freed_bytes(), 5 + 7 + 2 + 9 + 9 + 3 + copies);
        assert_eq!(done.kept, []);
        let listing = cache.cache().list();
        assert_eq!(listing.problems, [""; 0]);
        let [model] = listing.models.as_slice() else { panic!("{listing:?}") };
        assert_eq!((model.repo.as_str(), model.size_bytes, model.revisions.len()), ("o/r", 9 + 2, 1));
        assert_eq!(model.revisions[0].files.len(), 2);
        let left = cache.paths();
        assert!(!left.iter().any(|path| path.contains("o--empty") || path.contains("o--new")), "{left:?}");
        assert!(!left.iter().any(|path| path.ends_with("o--r/ab12.lock") || path.contains("long-gone")), "{left:?}");
        assert!(left.contains(&"datasets--o--d/blobs/ab12.incomplete".into()), "no model of ours");
        assert!(left.contains(&".locks/datasets--o--d/ab12.lock".into()));
        let again = prune(&cache, Prune::default());
        assert_eq!(again.items, []);
    }
}

#[test]
fn old_revisions_can_be_kept() {
    let cache = littered(LAYOUTS[0]);
    prune(&cache, Prune { keep_revisions: true });
    let listing = cache.cache().list();
    assert_eq!(listing.models.len(), 1);
    assert_eq!(listing.models[0].revisions.len(), 2);
}

#[test]
fn a_repository_in_which_a_download_runs_is_kept_as_it_is() {
    let cache = littered(LAYOUTS[0]);
    let lock = cache.folder.path().join(".locks/models--o--r/ab12.lock");
    let held = File::open(&lock).unwrap();
    held.lock().unwrap();
    let inside = |cache: &HubCache| cache.paths().into_iter().filter(|path| path.contains("o--r/")).collect::<Vec<_>>();
    let before = inside(&cache);
    let done = prune(&cache, Prune::default());
    assert_eq!(inside(&cache), before);
    let [kept] = done.kept.as_slice() else { panic!("{:?}", done.kept) };
    assert!(kept.reason.contains("in use") && !kept.reason.contains('\n'), "{}", kept.reason);
    assert!(done.items.iter().all(|item| item.repo.as_deref() != Some("o/r")));
    drop(held);
    assert!(prune(&cache, Prune::default()).kept.is_empty());
}

#[cfg(unix)]
#[test]
fn links_without_their_blob_go_and_links_that_lead_elsewhere_stay() {
    use std::os::unix::fs::symlink;
    let cache = littered(Layout::Links);
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("weights"), "precious").unwrap();
    let snapshot = cache.snapshot("o/r", COMMITS[0]);
    symlink("../../blobs/none", snapshot.join("lost.gguf")).unwrap();
    symlink(outside.path().join("weights"), snapshot.join("mine.gguf")).unwrap();
    symlink(outside.path(), cache.repo("o/linked")).unwrap();
    let done = prune(&cache, Prune::default());
    assert!(done.items.iter().any(|item| item.kind == ItemKind::Entry && item.path.ends_with("lost.gguf")));
    assert_eq!(done.kept.len(), 1, "the repository that is a link: {:?}", done.kept);
    assert_eq!(cache.cache().list().problems, [""; 0]);
    assert_eq!(fs::read_to_string(snapshot.join("mine.gguf")).unwrap(), "precious");
}

/// The store is that of `huggingface_hub` 2.4 with Xet: a blob links to a file that repositories share.
#[cfg(unix)]
#[test]
fn a_shared_file_goes_with_the_last_that_links_to_it() {
    use std::os::unix::fs::symlink;
    use taper::hub::Target;
    let cache = HubCache::new(Layout::Links);
    let (hash, orphan) = ("ab".repeat(32), "cd".repeat(32));
    let store = cache.folder.path().join("blobs");
    cache.write(store.join(".huggingface-shared-blobs"), "1\n").write(store.join("ab").join(&hash), "shared");
    cache
        .write(store.join("cd").join(&orphan), "orphan")
        .write(store.join(format!("cd/{orphan}.refs")), "models--o--z/blobs/x\n");
    cache.write(store.join("ef").join("ef".repeat(32)), "without a list");
    let mut list = String::new();
    for repo in ["o/a", "o/b"] {
        cache.reference(repo, "main", COMMITS[0]).write(cache.snapshot(repo, COMMITS[0]).join("config.json"), "{}");
        fs::create_dir_all(cache.repo(repo).join("blobs")).unwrap();
        symlink(format!("../../blobs/ab/{hash}"), cache.repo(repo).join("blobs/77")).unwrap();
        symlink("../../blobs/77", cache.snapshot(repo, COMMITS[0]).join("x.gguf")).unwrap();
        list += &format!("models--{}/blobs/77\n", repo.replace('/', "--"));
    }
    cache.write(store.join(format!("ab/{hash}.refs")), list + "../../etc/passwd\n/etc/passwd\n");
    let remove = |repo: &str| cache.cache().removal(&[Target::parse(repo).unwrap()]).unwrap().execute().unwrap();
    assert_eq!(remove("o/a").freed_bytes(), 2, "the other still needs it");
    assert!(store.join("ab").join(&hash).exists());
    assert_eq!(remove("o/b").freed_bytes(), 2 + 6);
    assert!(!store.join("ab").join(&hash).exists());
    assert_eq!(prune(&cache, Prune::default()).freed_bytes(), 6);
    assert!(!store.join("cd").join(&orphan).exists() && store.join("ef").join("ef".repeat(32)).exists());
}

#[test]
fn a_cache_that_is_not_there_has_nothing_to_prune() {
    let cache = HubCache::new(LAYOUTS[0]);
    let nowhere = Cache::new(cache.folder.path().join("nowhere"));
    assert_eq!(nowhere.pruning(Prune::default()).unwrap().execute().unwrap().items, []);
    assert!(!nowhere.path().exists());
}
