//! What the Hub says a revision of a repository has.

use super::client::{Answer, Client};
use super::digest::Digest;
use super::error::PullError;
use super::refusal::{Asked, accept};
use super::retry::{Failure, Retry};
use super::watch::Watch;
use crate::hub::error::quote;
use serde::Deserialize;
use std::io::Read;

/// The files of a commit.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) commit: String,
    pub(super) files: Vec<RemoteFile>,
}

/// A file of a repository, its name checked: it leads to no other folder.
#[derive(Clone, Debug)]
pub(super) struct RemoteFile {
    pub(super) name: String,
    pub(super) size_bytes: Option<u64>,
    pub(super) digest: Option<Digest>,
}

/// Of `GET /api/models/REPO/revision/REVISION?blobs=true`, what is wanted.
#[derive(Deserialize)]
struct Model {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    #[serde(alias = "oid")]
    sha256: Option<String>,
    size: Option<u64>,
}

/// Of a listing. Large repositories have 10,000 files, some 200 bytes each.
const LONGEST: u64 = 32 << 20;

/// Asks the Hub for the files at a branch, tag or commit.
pub(super) fn listing(client: &Client, repo: &str, revision: &str, watch: &dyn Watch) -> Result<Listing, PullError> {
    let address = client.address(&format!("/api/models/{repo}/revision/{}?blobs=true", escaped(revision, "")))?;
    let what = format!("the files of `{repo}` from {}", client.host());
    let retry = Retry { what: &what, patience: &client.patience, watch, n_failed: 0 };
    let asked = Asked { repo, revision, file: None };
    let bytes = retry.run(|| read(accept(client, client.get(&address, None)?, &asked)?, client))?;
    parse(&bytes).map_err(|reason| PullError::Network { what, reason })
}

fn read(answer: Answer, client: &Client) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let reader = answer.body.into_reader().take(LONGEST + 1);
    let closed =
        |error| Failure::again(format!("the connection broke: {}", super::client::told(&error, client.patience.stall)));
    { reader }.read_to_end(&mut bytes).map_err(closed)?;
    Ok(bytes)
}

fn parse(bytes: &[u8]) -> Result<Listing, String> {
    if bytes.len() as u64 > LONGEST {
        return Err(format!("its answer is longer than {LONGEST} bytes"));
    }
    let model: Model = serde_json::from_slice(bytes).map_err(|error| {
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).trim().to_owned();
        format!(
            "its answer is no listing ({error}), it begins with {}\n\
             hint: check HF_ENDPOINT, and whether a proxy or a login page stands between",
            quote(&start)
        )
    })?;
    // It becomes the name of a folder.
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if model.sha.is_empty() || model.sha.len() > 64 || !model.sha.chars().all(fits) {
        return Err(format!("it calls the commit {}, expected a hash", quote(&model.sha)));
    }
    let mut files: Vec<RemoteFile> = model.siblings.into_iter().filter_map(remote_file).collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    files.dedup_by(|a, b| a.name == b.name);
    Ok(Listing { commit: model.sha, files })
}

fn remote_file(sibling: Sibling) -> Option<RemoteFile> {
    let Sibling { rfilename: name, size, blob_id, lfs } = sibling;
    if !is_harmless(&name) {
        tracing::warn!("left out: the file name {}", quote(&name));
        return None;
    }
    let git = || blob_id.as_deref().and_then(Digest::git);
    Some(match lfs {
        Some(lfs) => {
            RemoteFile { name, size_bytes: lfs.size.or(size), digest: lfs.sha256.as_deref().and_then(Digest::sha256) }
        }
        None => RemoteFile { name, size_bytes: size, digest: git() },
    })
}

/// Whether a name leads nowhere but below the folder that it is appended to, on any system.
fn is_harmless(name: &str) -> bool {
    let forbidden = |c: char| c.is_control() || matches!(c, '\\' | ':');
    let sane = |part: &str| !part.is_empty() && part.len() <= 255 && part != "." && part != "..";
    name.len() <= 1024 && !name.contains(forbidden) && name.split('/').all(sane)
}

/// `text` for an address: what is neither a letter, a digit nor one of `-._~` or `kept`, in percent notation.
pub(super) fn escaped(text: &str, kept: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        let c = char::from(byte);
        if byte.is_ascii_alphanumeric() || "-._~".contains(c) || kept.contains(c) {
            escaped.push(c);
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_left_out_and_the_others_stay() {
        let names = [
            "../../.ssh/authorized_keys",
            "/etc/passwd",
            "a/../../b",
            "a//b",
            ".",
            "..",
            "",
            "a/",
            "C:\\x",
            "c:x",
            "a\\b",
            "a\u{0}b",
            "a\nb",
            "\u{1b}[31m",
            "a/./b",
            &"x".repeat(256),
        ];
        let siblings: Vec<_> = names.iter().chain(&["b/ü 1.gguf", "a.gguf", "a.gguf", "..a", ".hidden"]).map(|name| {
            serde_json::json!({"rfilename": name, "size": 3, "blobId": "3b18e512dba79e4c8300dd08aeb37f8e728b8dad"})
        }).collect();
        let listing =
            parse(serde_json::json!({"sha": "abc", "siblings": siblings, "id": 1}).to_string().as_bytes()).unwrap();
        let kept: Vec<&str> = listing.files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(kept, ["..a", ".hidden", "a.gguf", "b/ü 1.gguf"]);
    }

    #[test]
    fn hashes_and_commits_must_look_like_some() {
        let file = |sibling: &str| {
            parse(format!(r#"{{"sha": "a", "siblings": [{sibling}]}}"#).as_bytes()).unwrap().files.remove(0)
        };
        let sha = "0".repeat(64);
        let lfs = file(&format!(
            r#"{{"rfilename": "x", "size": 1, "blobId": "{}", "lfs": {{"sha256": "{sha}", "size": 7, "pointerSize": 1}}}}"#,
            &sha[..40]
        ));
        assert_eq!((lfs.size_bytes, lfs.digest), (Some(7), Digest::sha256(&sha)));
        for wrong in [r#""blobId": "../../x""#, r#""lfs": {"sha256": "short"}"#, r#""blobId": null"#, r#""size": null"#]
        {
            assert_eq!(file(&format!(r#"{{"rfilename": "x", {wrong}}}"#)).digest, None, "{wrong}");
        }
        for wrong in ["../x", "", "a/b", ".", &"a".repeat(65)] {
            assert!(parse(format!(r#"{{"sha": "{wrong}"}}"#).as_bytes()).is_err(), "{wrong}");
        }
        let page = parse(b"<!DOCTYPE html><title>Log in</title>").unwrap_err();
        assert!(page.contains("it begins with `<!DOCTYPE html>") && page.contains("hint: check HF_ENDPOINT"), "{page}");
    }

    #[test]
    fn addresses_are_escaped() {
        assert_eq!(escaped("refs/pr/1", ""), "refs%2Fpr%2F1");
        assert_eq!(escaped("a b/ü?#%.gguf", "/"), "a%20b/%C3%BC%3F%23%25.gguf");
    }
}
