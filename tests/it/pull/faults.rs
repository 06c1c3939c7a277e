//! Everything that can go wrong on the way leaves the cache as it was, or with whole files.

use super::fixture::{Fixture, NAME};
use crate::support::hash::sha256;
use crate::support::hub_cache::hub;
use crate::support::hub_stub::{COMMIT, Fault, noise};
use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};
use taper::hub::{Cache, pull::PullError};

#[test]
fn faults_that_pass_are_overcome() {
    // More than two pieces, so that several connections work.
    let n_bytes = (40 << 20) + 17;
    for faults in [
        vec![],
        vec![Fault::Status(500, None), Fault::Status(503, None), Fault::Status(429, Some("0".into()))],
        vec![Fault::Short(0), Fault::Short(1), Fault::Short(100_000)],
        vec![Fault::Nothing, Fault::Short(5_000_000), Fault::Status(502, None), Fault::Short(70_000)],
        vec![Fault::Stall(200_000), Fault::Nothing, Fault::Stall(0)],
        vec![Fault::Status(403, None), Fault::Nothing, Fault::Status(403, None)],
        vec![Fault::Page, Fault::Page],
        vec![Fault::Nothing, Fault::NoRanges, Fault::WrongRange],
        vec![Fault::Nothing, Fault::Announce(3), Fault::Announce(1 << 40)],
    ] {
        let (fixture, content) = Fixture::of(n_bytes);
        fixture.stub.faults(faults.clone());
        fixture.arrives(&content);
        assert_eq!(fixture.has_event("retrying"), !faults.is_empty(), "{faults:?}");
        assert!(!fixture.has_event("restarted"));
        let n_served = fixture.stub.served_bytes();
        assert!(n_served < n_bytes as u64 * 5 / 4 + 5_000_000, "{n_served} of {n_bytes} after {faults:?}");
    }
}

#[test]
fn a_server_that_gives_no_parts_gives_all() {
    for fault in [Fault::NoRanges, Fault::WrongRange] {
        for n_bytes in [1000, 20 << 20] {
            let (fixture, content) = Fixture::of(n_bytes);
            fixture.stub.faults([fault.clone(), Fault::Short(700)]).always(fault.clone());
            fixture.arrives(&content);
        }
    }
}

#[test]
fn faults_that_stay_end_it_with_their_reason() {
    for (fault, reason) in [
        (Fault::Status(500, None), "answers 500 Internal Server Error (4 attempts)"),
        (Fault::Status(400, None), "answers 400 Bad Request"),
        (Fault::Status(429, Some("7200".into())), "come back in 120 minutes"),
        (Fault::Page, "answers with a web page in place of the file (4 attempts)"),
        (Fault::Short(0), "(4 attempts)"),
        (Fault::Stall(0), "nothing came for"),
        (Fault::Announce(10), "announces 10 bytes, but the Hub lists 5000"),
        (Fault::Redirect("gopher://x".into()), "redirects to what is no address"),
    ] {
        let (mut fixture, _) = Fixture::of(5000);
        if matches!(fault, Fault::Stall(_)) {
            fixture.stall = Duration::from_millis(300);
        }
        fixture.stub.always(fault.clone());
        let error = fixture.fails();
        assert!(matches!(error, PullError::Network { .. }), "{fault:?}: {error}");
        assert!(error.to_string().contains(reason), "{fault:?}: {error}");
    }
}

#[test]
fn wrong_bytes_never_get_into_the_cache() {
    for n_bytes in [1, 5000, 20 << 20] {
        let (fixture, content) = Fixture::of(n_bytes);
        fixture.stub.always(Fault::Flip);
        let error = fixture.fails();
        let PullError::Damaged { name, found, expected, .. } = &error else { panic!("{error}") };
        assert_eq!((name.as_str(), expected), (NAME, &sha256(&content)));
        assert_ne!(found, expected);
        assert_eq!(fixture.blobs(), [], "nothing of it is kept");
    }
    let (fixture, content) = Fixture::of(5000);
    fixture.stub.faults([Fault::Endless]);
    fixture.arrives(&content);
}

#[test]
fn what_python_left_is_used_and_if_it_is_wrong_all_is_fetched_anew() {
    for wrong in [false, true] {
        let (fixture, content) = Fixture::of(300_000);
        let mut left = content[..1000].to_vec();
        left[10] ^= u8::from(wrong);
        fs::create_dir_all(fixture.repo().join("blobs")).unwrap();
        fs::write(fixture.repo().join(format!("blobs/{}.incomplete", sha256(&content))), left).unwrap();
        fixture.arrives(&content);
        assert_eq!(fixture.has_event("restarted"), wrong);
        assert_eq!(fixture.stub.served_bytes(), if wrong { 599_000 } else { 299_000 });
    }
}

#[test]
fn content_that_changes_on_the_way_is_refused() {
    let (fixture, _) = Fixture::of(5000);
    fixture.stub.faults([Fault::Promise("0".repeat(64))]);
    let error = fixture.fails().to_string();
    assert!(error.contains("it offers the content 0000"), "{error}");
}

#[test]
fn the_token_goes_to_the_hub_alone() {
    let (mut fixture, content) = Fixture::of(20 << 20);
    fixture.token = Some("hf_secret");
    fixture.arrives(&content);
    let seen = fixture.stub.seen();
    for request in &seen {
        let expected = if request.storage { None } else { Some("Bearer hf_secret") };
        assert_eq!(request.authorization.as_deref(), expected, "{request:?}");
        assert_eq!(request.user_agent, format!("taper/{}", env!("CARGO_PKG_VERSION")));
    }
    let (to_storage, to_hub): (Vec<_>, Vec<_>) = seen.iter().partition(|request| request.storage);
    assert_eq!((to_storage.len(), to_hub.len()), (20, 2), "the Hub is asked once for all parts");
    assert!(to_storage.iter().all(|request| request.range.is_some()));
    assert!(fixture.watcher.events().iter().all(|event| !event.contains("secret")));
}

#[test]
fn redirects_in_circles_end() {
    let fixture = Fixture::new();
    let here = format!("{}/api/models/o/r/revision/main", fixture.stub.endpoint());
    fixture.stub.api_faults((0..50).map(|_| Fault::Redirect(here.clone())));
    let error = fixture.fails().to_string();
    assert!(error.contains("redirects in circles"), "{error}");
}

#[test]
fn the_api_is_tried_again_too() {
    let (fixture, content) = Fixture::of(5000);
    fixture.stub.api_faults([Fault::Status(500, None), Fault::Status(429, Some("0".into()))]);
    fixture.arrives(&content);
    for (fault, reason) in [
        (Fault::Page, "hint: check HF_ENDPOINT"),
        (Fault::Text("{\"sha\": \"../../x\", \"siblings\": []}".into()), "expected a hash"),
        (Fault::Text("[]".into()), "its answer is no listing"),
    ] {
        fixture.stub.api_faults([fault]);
        let error = fixture.pull("o/r").unwrap_err();
        assert!(matches!(&error, PullError::Network { .. }) && error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn retry_after_is_waited_for() {
    let (fixture, content) = Fixture::of(5000);
    fixture.stub.faults([Fault::Status(429, Some("1".into()))]);
    let start = Instant::now();
    fixture.arrives(&content);
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[test]
fn what_is_not_there_is_told_apart() {
    let (fixture, _) = Fixture::of(5000);
    fixture.stub.large("r-Q8_0.gguf", noise(9, 2)).large("b/r-Q8_0.gguf", noise(8, 3));
    let refused = |reference: &str| fixture.pull(reference).unwrap_err().to_string();
    assert_eq!(
        refused("o/x"),
        "there is no model `o/x` on 127.0.0.1\nhint: check the name; if the model is private, set HF_TOKEN"
    );
    assert_eq!(refused("o/r@v9"), "`o/r` has no revision `v9`, expected a branch, tag or commit");
    let quantization = refused("o/r:Q2_K");
    assert!(quantization.contains("`o/r` has no GGUF file of quantization `Q2_K`; its GGUF files:"), "{quantization}");
    assert!(quantization.contains("`r-Q4_K_M.gguf` (5.0 kB)"), "{quantization}");
    let ambiguous = refused("o/r:Q8_0");
    assert!(ambiguous.contains("has several") && ambiguous.contains("`b/r-Q8_0.gguf` (8 B)"), "{ambiguous}");
}

#[test]
fn gated_repositories_name_the_page_to_visit() {
    let (mut fixture, content) = Fixture::of(5000);
    fixture.stub.guard("hf_right", "GatedRepo");
    let page = format!("{}/o/r", fixture.stub.endpoint());
    let error = fixture.fails();
    assert!(matches!(error, PullError::Denied { .. }));
    assert_eq!(
        error.to_string(),
        format!(
            "access to `o/r` is denied: 127.0.0.1 says `about GatedRepo`\n\
             hint: ask for access at {page}, then set HF_TOKEN to a token of yours"
        )
    );
    fixture.token = Some("hf_wrong");
    let error = fixture.fails().to_string();
    assert!(error.ends_with(&format!("ask for access at {page} with the account of your token")), "{error}");
    fixture.token = Some("hf_right");
    fixture.arrives(&content);
}

#[test]
fn a_model_in_safetensors_comes_with_its_companions() {
    let fixture = Fixture::new();
    fixture
        .stub
        .small("config.json", "{}")
        .small("tokenizer.json", "[1]")
        .small("generation_config.json", "")
        .small("README.md", "not wanted")
        .large("model.safetensors", noise(5000, 1))
        .large("pytorch_model.bin", noise(5000, 2));
    let folder = fixture.pull("o/r@refs/pr/1").unwrap();
    assert_eq!(folder, fixture.repo().join("snapshots").join(COMMIT));
    let mut names: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json"]);
    assert_eq!(fs::read_to_string(folder.join("tokenizer.json")).unwrap(), "[1]");
    assert_eq!(fs::read_to_string(fixture.repo().join("refs/refs/pr/1")).unwrap(), COMMIT);
    let absent = fixture.repo().join(".no_exist").join(COMMIT);
    assert!(absent.join("chat_template.jinja").exists() && !absent.join("config.json").exists());
    let resolved = Cache::new(fixture.folder.path()).resolve(&hub("o/r@refs/pr/1")).unwrap();
    assert_eq!((resolved.path, resolved.files.len()), (folder, 4));

    let n_requests = fixture.stub.seen().len();
    fixture.pull("o/r@refs/pr/1").unwrap();
    assert_eq!(fixture.stub.seen().len(), n_requests + 1, "the second time only the listing is asked for");
}

#[test]
fn a_small_file_with_a_wrong_bit_is_found_out() {
    let fixture = Fixture::new();
    fixture.stub.small("config.json", "{}").small("tokenizer.json", "[1]").large("model.safetensors", "weights");
    let plan = fixture.hub().plan(&hub("o/r"), &fixture.watcher).unwrap();
    let refused = |content: &str| {
        fixture.stub.small("config.json", content);
        fixture.hub().fetch(&plan, &fixture.watcher).unwrap_err()
    };
    let error = refused("{ }").to_string();
    assert!(error.contains("announces 3 bytes, but the Hub lists 2"), "{error}");
    let error = refused("[]");
    assert!(matches!(&error, PullError::Damaged { name, kind: "git hash", .. } if name == "config.json"), "{error}");
}

#[test]
fn an_interrupted_pull_goes_on_from_there() {
    let (mut fixture, content) = Fixture::of(3 << 20);
    fixture.stub.pace(1 << 20);
    fixture.watcher.stop_at = 1 << 20;
    assert!(matches!(fixture.fails(), PullError::Interrupted));
    fixture.watcher.stop_at = u64::MAX;
    let n_served = fixture.stub.served_bytes();
    fixture.arrives(&content);
    let more = fixture.stub.served_bytes() - n_served;
    assert!(more <= 2 << 20, "{more} bytes the second time");
}

#[test]
fn an_interruption_ends_a_connection_that_is_silent() {
    let (mut fixture, _) = Fixture::of(3 << 20);
    fixture.watcher.stop_at = 1000;
    fixture.stall = Duration::from_secs(20);
    fixture.stub.always(Fault::Stall(2000));
    let start = Instant::now();
    assert!(matches!(fixture.fails(), PullError::Interrupted));
    fixture.stub.api_faults([Fault::Hang]);
    assert!(matches!(fixture.fails(), PullError::Interrupted));
    assert!(start.elapsed() < Duration::from_secs(10), "it took the time of a stall");
}

#[test]
fn an_empty_file_and_a_short_hash_are_fine() {
    let fixture = Fixture::new();
    fixture.stub.large(NAME, "");
    let path = fixture.pull(&format!("o/r@{}", &COMMIT[..9])).unwrap();
    assert_eq!(fs::read(path).unwrap(), b"");
    assert!(!fixture.repo().join("refs").exists());
}

#[test]
fn a_disk_that_is_too_small_is_told_before_anything_is_fetched() {
    let fixture = Fixture::new();
    let large = u64::MAX;
    let sibling =
        serde_json::json!({"rfilename": NAME, "size": large, "lfs": {"sha256": "0".repeat(64), "size": large}});
    let listing = serde_json::json!({"sha": COMMIT, "siblings": [sibling]}).to_string();
    fixture.stub.api_faults([Fault::Text(listing)]);
    let error = fixture.fails();
    assert!(matches!(error, PullError::NoSpace { needed: u64::MAX, available: 1.., .. }), "{error}");
    assert_eq!(fixture.stub.seen().len(), 1);
}

#[test]
fn two_pulls_at_once_fetch_once() {
    let (fixture, content) = Fixture::of(1 << 20);
    fixture.stub.pace(4 << 20);
    let pulls: Vec<PathBuf> = std::thread::scope(|scope| {
        let both: Vec<_> = (0..2).map(|_| scope.spawn(|| fixture.pull("o/r").unwrap())).collect();
        both.into_iter().map(|pull| pull.join().unwrap()).collect()
    });
    assert!(pulls.iter().all(|path| fs::read(path).unwrap() == content));
    assert_eq!(fixture.stub.served_bytes(), content.len() as u64);
    assert!(fixture.has_event("waiting"));
}
