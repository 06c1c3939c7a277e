//! Finding a reference in the cache, and listing it.

use crate::support::hub_cache::{COMMITS, HubCache, LAYOUTS, Layout};
use std::{fs, time::SystemTime};
use taper::hub::{Cache, HubError};

/// A repository with two quantizations at `main`, older files at `v1`, and another commit that begins like it.
fn example(layout: Layout) -> HubCache {
    let cache = HubCache::new(layout);
    cache
        .reference("o/r", "main", COMMITS[0])
        .reference("o/r", "refs/pr/1", COMMITS[2])
        .reference("o/r", "v1", COMMITS[1])
        .file("o/r", COMMITS[0], "r-Q4_K_M.gguf", "four bits")
        .file("o/r", COMMITS[0], "big/r-Q8_0-00001-of-00002.gguf", "eight")
        .file("o/r", COMMITS[0], "big/r-Q8_0-00002-of-00002.gguf", "bits")
        .file("o/r", COMMITS[1], "r-Q4_K_M.gguf", "four bits")
        .file("o/r", COMMITS[2], "config.json", "{}")
        .file("o/r", COMMITS[2], "tokenizer.json", "[]")
        .file("o/r", COMMITS[2], "model.safetensors", "weights");
    cache
}

#[test]
fn a_reference_is_found_by_branch_tag_commit_and_start_of_commit() {
    for &layout in LAYOUTS {
        let cache = example(layout);
        let short = &COMMITS[0][..13];
        for revision in
            ["", "@v1", &format!("@{}", COMMITS[1]), &format!("@{short}"), &format!("@{}", COMMITS[1].to_uppercase())]
        {
            let at_main = revision.is_empty() || revision.ends_with(short);
            let commit = if at_main { COMMITS[0] } else { COMMITS[1] };
            let found = cache.resolve(&format!("o/r{revision}")).unwrap();
            assert_eq!(found.path, cache.snapshot("o/r", commit).join("r-Q4_K_M.gguf"));
            assert_eq!((found.revision.as_str(), found.quantization.as_deref()), (commit, Some("Q4_K_M")));
            assert_eq!(fs::read_to_string(&found.path).unwrap(), "four bits");
            assert_eq!((found.files.len(), found.files[0].size_bytes), (1, Some(9)));
        }
        let split = cache.resolve("o/r:Q8_0").unwrap();
        assert_eq!(split.path, cache.snapshot("o/r", COMMITS[0]).join("big/r-Q8_0-00001-of-00002.gguf"));
        assert_eq!(split.files.len(), 2);
        let folder = cache.resolve("o/r@refs/pr/1").unwrap();
        assert_eq!((folder.path, folder.quantization), (cache.snapshot("o/r", COMMITS[2]), None));
        assert_eq!(folder.files.len(), 3);
    }
}

#[test]
fn each_way_to_be_missing_has_its_error() {
    for &layout in LAYOUTS {
        let cache = example(layout);
        assert_eq!(
            cache.refusal("o/x:big/a b.gguf@v2"),
            "`o/x` is not in the cache `CACHE`\nhint: download it with `taper pull 'o/x:big/a b.gguf@v2'`"
        );
        assert_eq!(
            cache.refusal("o/r@v2"),
            "revision `v2` of `o/r` is not in the cache, which has main, refs/pr/1, v1\n\
             hint: download it with `taper pull o/r@v2`"
        );
        assert_eq!(
            cache.refusal("o/r:q5_k_m"),
            "`o/r` in the cache has no GGUF file of quantization `Q5_K_M`; its GGUF files: \
             `big/r-Q8_0-00001-of-00002.gguf` (9 B), `r-Q4_K_M.gguf` (9 B)\n\
             hint: download it with `taper pull o/r:Q5_K_M`"
        );
        assert_eq!(
            cache.refusal("o/r@01234"),
            format!(
                "revision `01234` of `o/r` is the start of several commits: {}, {}\nhint: give more digits",
                COMMITS[1], COMMITS[0]
            )
        );
        assert!(matches!(cache.resolve("o/r@012"), Err(HubError::RevisionNotCached { .. })));
        cache.file("o/r", COMMITS[0], "r-v2-Q4_K_M.gguf", "again");
        let ambiguous = cache.refusal("o/r:Q4_K_M");
        assert!(ambiguous.starts_with("`o/r` in the cache has several GGUF file"), "{ambiguous}");
        assert!(!ambiguous.contains("download"), "{ambiguous}");
    }
}

#[test]
fn an_unfinished_download_is_told_from_a_missing_file() {
    for &layout in LAYOUTS {
        let cache = example(layout);
        cache.write(cache.repo("o/r").join("blobs/0f.1a2b3c4d.incomplete"), "12345");
        let message = cache.refusal("o/r:F16");
        assert!(message.starts_with("the download of `o/r` is incomplete: it has no GGUF file"), "{message}");
        assert!(message.contains("5 bytes of it lie in unfinished files"), "{message}");
        assert!(matches!(cache.resolve("o/r@v9"), Err(HubError::Incomplete { .. })));
        assert!(cache.resolve("o/r").is_ok(), "what is whole is used");

        fs::remove_file(cache.snapshot("o/r", COMMITS[0]).join("big/r-Q8_0-00002-of-00002.gguf")).unwrap();
        let message = cache.refusal("o/r:Q8_0");
        assert!(message.contains("it lacks part 2 of 2 of `big/r-Q8_0-00001-of-00002.gguf`"), "{message}");

        // As Python leaves it when it is stopped in the first file: nothing but a branch and a part of a blob.
        cache.reference("o/new", "main", COMMITS[0]).write(cache.repo("o/new").join("blobs/1.incomplete"), "");
        assert!(matches!(cache.resolve("o/new"), Err(HubError::Incomplete { .. })));
    }
}

#[cfg(unix)]
#[test]
fn a_link_without_its_blob_is_an_incomplete_download() {
    let cache = example(Layout::Links);
    let blob = fs::canonicalize(cache.snapshot("o/r", COMMITS[0]).join("r-Q4_K_M.gguf")).unwrap();
    fs::remove_file(blob).unwrap();
    let message = cache.refusal("o/r:Q4_K_M");
    assert!(message.contains("the blob of `r-Q4_K_M.gguf` is missing"), "{message}");
    assert!(cache.resolve("o/r:Q8_0").is_ok());
    let listing = cache.cache().list();
    assert_eq!(listing.problems.len(), 2, "once in each revision: {:?}", listing.problems);
    assert_eq!(listing.models[0].revisions[0].files[0].size_bytes, None);
    assert_eq!(listing.models[0].size_bytes, 5 + 4 + 2 + 2 + 7);
}

#[test]
fn a_reference_file_that_leads_elsewhere_is_damaged() {
    let cache = example(LAYOUTS[0]);
    for content in
        ["../../../etc", "", "a/b", "\u{1b}[0m", &"a".repeat(1 << 20), COMMITS[2], &format!("{}\n", COMMITS[2])]
    {
        cache.reference("o/r", "odd", content);
        match cache.resolve("o/r@odd") {
            Ok(found) => assert_eq!((found.revision.as_str(), content.trim()), (COMMITS[2], COMMITS[2])),
            Err(HubError::RevisionNotCached { .. }) => assert!(content.starts_with("aaa")),
            Err(error) => assert!(matches!(error, HubError::Damaged { .. }), "{error}"),
        }
    }
}

/// The same figures as `huggingface_hub.scan_cache_dir` gives for this cache (version 2.4).
#[test]
fn the_listing_agrees_with_python() {
    for &layout in LAYOUTS {
        let before = SystemTime::now();
        let cache = example(layout);
        cache.reference("a/other", "main", COMMITS[2]).file("a/other", COMMITS[2], "x.Q2_K.gguf", "two");
        cache.write(cache.folder.path().join("datasets--o--d/snapshots/1/data.gguf"), "");
        cache.write(cache.folder.path().join(".locks/models--o--r/x.lock"), "");
        cache.write(cache.folder.path().join("version.txt"), "1");
        cache.write(cache.folder.path().join("CACHEDIR.TAG"), "Signature: 8a477f597d28d172789f06886806bc55");
        let listing = cache.cache().list();
        assert_eq!(listing.problems, [""; 0]);
        let [other, model] = listing.models.as_slice() else { panic!("{listing:?}") };
        assert_eq!((other.repo.as_str(), other.size_bytes), ("a/other", 3));
        assert_eq!(model.repo, "o/r");
        // Revisions share a blob, but not a copy.
        let shared = if layout == Layout::Links { 0 } else { 9 };
        assert_eq!(model.size_bytes, 9 + 5 + 4 + 2 + 2 + 7 + shared);
        let last_used = model.last_used.unwrap();
        let age = last_used.duration_since(before).unwrap_or_else(|before| before.duration());
        assert!(age.as_secs() < 60, "{age:?}");
        let revisions: Vec<_> =
            model.revisions.iter().map(|it| (it.commit.as_str(), it.refs.join(","), it.files.len())).collect();
        let refs = |names: &str| names.to_owned();
        assert_eq!(
            revisions,
            [(COMMITS[1], refs("v1"), 1), (COMMITS[0], refs("main"), 3), (COMMITS[2], refs("refs/pr/1"), 3)]
        );
        let file = &model.revisions[1].files[0];
        assert_eq!(file.name, "big/r-Q8_0-00001-of-00002.gguf");
        assert_eq!((file.size_bytes, file.quantization.as_deref()), (Some(5), Some("Q8_0")));
    }
}

#[test]
fn rubbish_in_the_cache_is_reported_and_hides_nothing() {
    let cache = example(LAYOUTS[0]);
    let root = cache.folder.path();
    cache.write(root.join("notes.txt"), "").write(root.join("models--a--file"), "").write(root.join("dir/x"), "");
    cache.write(root.join(".DS_Store"), "").write(cache.repo("o/r").join("snapshots/Thumbs.db"), "");
    cache.write(cache.repo("o/r").join("snapshots/stray"), "").write(cache.repo("o/r").join("refs/bad"), "../x");
    cache.write(cache.repo("o/odd").join("snapshots"), "a file");
    fs::create_dir_all(cache.repo("o/empty")).unwrap();
    cache.file("old", COMMITS[0], "config.json", "{}");
    let listing = cache.cache().list();
    let repos: Vec<_> = listing.models.iter().map(|model| (model.repo.as_str(), model.revisions.len())).collect();
    assert_eq!(repos, [("o/empty", 0), ("o/r", 3), ("old", 1)]);
    assert_eq!(listing.problems.len(), 5, "{:?}", listing.problems);
    for named in ["notes.txt", "models--a--file", "dir", "bad", "snapshots"] {
        assert!(listing.problems.iter().any(|problem| problem.contains(named)), "{named}");
    }
    let nowhere = Cache::new(root.join("nowhere")).list();
    assert!(nowhere.models.is_empty() && nowhere.problems.is_empty());
}
