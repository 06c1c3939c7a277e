//! What a MODEL argument means: the model in the binary, a path, or a repository on the Hub.

use super::error::{HubError, quote};
use super::name::has_extension;
use std::{
    ffi::OsStr,
    fmt,
    path::{Path, PathBuf},
};

/// A MODEL argument, understood. Its `Display` is the canonical form, which parses to the same again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// The model inside the binary.
    Demo,
    /// A GGUF file or a folder, there or not.
    Path(PathBuf),
    /// A model on the Hub.
    Hub(HubReference),
}

/// `owner/repo[:SELECTOR][@REVISION]`, every part of it checked: none leads out of a folder it is appended to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubReference {
    repo: String,
    selector: Option<Selector>,
    /// Never `main`.
    revision: Option<String>,
}

/// Which model of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// `Q4_K_M` and the like, in capitals.
    Quantization(String),
    /// A GGUF file, with `/` between folders.
    File(String),
}

/// Branch that a reference without a revision means.
pub(super) const MAIN: &str = "main";
/// What may stand before `owner/repo`, in any case.
const PREFIXES: [&str; 5] = ["https://huggingface.co/", "https://hf.co/", "huggingface.co/", "hf.co/", "hf://"];
const NEITHER: &str = "is neither a file or folder that exists nor a reference to the Hub";
const EXPECTED: &str =
    "give `demo`, a path to a .gguf file or a model folder, or `owner/repo[:QUANTIZATION|:FILE][@REVISION]`";

impl Reference {
    /// Understands `text`, where `exists` says whether there is a file or folder of a name.
    ///
    /// What is on disk wins over the Hub, save after `hf.co/` or `hf://`; what can only be a path is one, there or not.
    ///
    /// # Errors
    /// [`HubError::Malformed`] when it is none of these.
    pub fn parse(text: impl AsRef<OsStr>, exists: impl Fn(&Path) -> bool) -> Result<Reference, HubError> {
        let path = Path::new(text.as_ref());
        // Only a path can be other than Unicode.
        let Some(text) = path.to_str() else { return Ok(Reference::Path(path.into())) };
        let malformed = |reason: String| HubError::Malformed { reference: quote(text), reason };
        if text == "demo" {
            return Ok(Reference::Demo);
        }
        if let Some(rest) = without_prefix(text) {
            return HubReference::parse_address(rest).map(Reference::Hub).map_err(malformed);
        }
        if text.contains("://") {
            return Err(malformed("is the address of another place than the Hub\nhint: download it first".into()));
        }
        if looks_like_path(text) || (!text.is_empty() && exists(path)) {
            return Ok(Reference::Path(path.into()));
        }
        HubReference::parse(text).map(Reference::Hub).map_err(malformed)
    }
}

impl HubReference {
    /// Owner and name, with `/` between.
    pub fn repo(&self) -> &str {
        &self.repo
    }

    /// Which of the repository's models; `None` leaves the choice to [`select`](super::select()).
    pub fn selector(&self) -> Option<&Selector> {
        self.selector.as_ref()
    }

    /// Branch, tag or commit; `main` if the reference has none.
    pub fn revision(&self) -> &str {
        self.revision.as_deref().unwrap_or(MAIN)
    }

    /// The same of the repository at another revision.
    ///
    /// # Errors
    /// [`HubError::Malformed`] when it cannot be the name of one.
    pub fn at_revision(&self, revision: &str) -> Result<HubReference, HubError> {
        let malformed = |reason| HubError::Malformed { reference: quote(&self.to_string()), reason };
        check_revision(revision).map_err(malformed)?;
        let revision = Some(revision).filter(|&revision| revision != MAIN).map(str::to_owned);
        Ok(HubReference { revision, ..self.clone() })
    }

    /// Whether `text`, of which this was made, says `main` where it could have left it out.
    pub(super) fn is_main_said_in(&self, text: &str) -> bool {
        let rest = text.split_once(self.repo()).map_or("", |(_, rest)| rest);
        self.revision.is_none() && rest.split(['@', '/', '?', '#']).any(|part| part == MAIN)
    }

    /// `owner/repo[:SELECTOR][@REVISION]`; the reason is the rest of a sentence that begins with the argument.
    fn parse(text: &str) -> Result<HubReference, String> {
        let Some((repo, rest)) = text.split_once(':') else {
            let (repo, revision) = match text.split_once('@') {
                Some((repo, revision)) => (repo, Some(revision)),
                None => (text, None),
            };
            return HubReference::new(repo, None, revision);
        };
        if repo.contains('@') {
            return Err("has the revision in the wrong place\nhint: it comes last, `owner/repo:FILE@REVISION`".into());
        }
        match rest.rsplit_once('@') {
            Some((selector, revision)) if !has_extension(revision, "gguf") => {
                HubReference::new(repo, Some(selector), Some(revision))
            }
            _ => HubReference::new(repo, Some(rest), None),
        }
    }

    /// The same, or the address of one of the Hub's pages, `owner/repo/blob/REVISION/FILE`, or as Python's library
    /// writes it, `owner/repo[@REVISION]/FILE`.
    fn parse_address(text: &str) -> Result<HubReference, String> {
        if text.contains(':') {
            return HubReference::parse(text);
        }
        let page = text.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
        let parts: Vec<&str> = page.splitn(4, '/').collect();
        if let [owner, name, "blob" | "resolve" | "raw" | "tree", rest] = parts[..] {
            let (revision, file) = split_revision(rest);
            let revision = revision.replace("%2F", "/").replace("%2f", "/");
            return HubReference::new(&format!("{owner}/{name}"), file, Some(&revision));
        }
        if parts.len() < 3 || !has_extension(page, "gguf") {
            return HubReference::parse(page);
        }
        let name_end = page[parts[0].len() + 1..].find(['/', '@']).unwrap_or(0);
        let (repo, rest) = page.split_at(parts[0].len() + 1 + name_end);
        match rest.strip_prefix('@').map(split_revision) {
            Some((revision, file)) => HubReference::new(repo, file, Some(revision)),
            None => HubReference::new(repo, rest.strip_prefix('/'), None),
        }
    }

    fn new(repo: &str, selector: Option<&str>, revision: Option<&str>) -> Result<HubReference, String> {
        let Some((owner, name)) = repo.split_once('/').filter(|(_, name)| !name.contains('/')) else {
            return Err(format!("{NEITHER}\nhint: {EXPECTED}"));
        };
        [owner, name].into_iter().try_for_each(check_name)?;
        let selector = selector.map(Selector::parse).transpose()?;
        revision.map_or(Ok(()), check_revision)?;
        let revision = revision.filter(|&revision| revision != MAIN).map(str::to_owned);
        Ok(HubReference { repo: repo.into(), selector, revision })
    }
}

impl Selector {
    fn parse(text: &str) -> Result<Selector, String> {
        let wordlike = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if !text.is_empty() && text.len() <= 64 && text.chars().all(wordlike) {
            return Ok(Selector::Quantization(text.to_ascii_uppercase()));
        }
        let sane = |part: &str| !part.is_empty() && part.len() <= 255 && part != "." && part != "..";
        let forbidden = |c: char| c.is_control() || matches!(c, '\\' | ':');
        if !has_extension(text, "gguf") || text.len() > 1024 || text.contains(forbidden) || !text.split('/').all(sane) {
            let found = quote(text);
            return Err(format!("has {found} after the colon, expected a quantization like `Q4_K_M` or a .gguf file"));
        }
        Ok(Selector::File(text.into()))
    }
}

/// `REVISION[/FILE]` in two; of revisions only `refs/KIND/NAME` have a `/` in an address.
fn split_revision(text: &str) -> (&str, Option<&str>) {
    let slash = if text.starts_with("refs/") { 2 } else { 0 };
    match text.match_indices('/').nth(slash) {
        Some((at, _)) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

fn without_prefix(text: &str) -> Option<&str> {
    let rest = |prefix: &str| {
        let (head, rest) = text.split_at_checked(prefix.len())?;
        head.eq_ignore_ascii_case(prefix).then_some(rest)
    };
    PREFIXES.into_iter().find_map(rest)
}

/// Whether `text` can only be a path: it begins like one, ends in `/` or the extension of a model, or has a backslash.
fn looks_like_path(text: &str) -> bool {
    let drive = text.as_bytes().first().is_some_and(u8::is_ascii_alphabetic) && text.get(1..2) == Some(":");
    let begins = ["/", "~", "./", "../"].iter().any(|start| text.starts_with(start)) || text == "." || text == "..";
    if drive || begins || text.ends_with('/') || text.contains('\\') {
        return true;
    }
    let of_repo = |(repo, _): (&str, &str)| HubReference::new(repo, None, None).is_ok();
    ["gguf", "safetensors"].iter().any(|extension| has_extension(text, extension))
        && !text.split_once(':').is_some_and(of_repo)
}

/// Refuses a name that the Hub would.
///
/// Source: `huggingface_hub.utils.validate_repo_id`.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let ends_wrong = |name: &str| name.starts_with(['-', '.']) || name.ends_with(['-', '.']) || name.ends_with(".git");
    let wrong = match name {
        "" => "is empty",
        _ if name.len() > 96 => "is longer than 96 characters",
        _ if !name.chars().all(inside) => "has other characters than letters, digits, `-`, `_` and `.`",
        _ if name.contains("--") || name.contains("..") => "has `--` or `..`",
        _ if ends_wrong(name) => "begins or ends with `-` or `.`, or ends with `.git`",
        _ => return Ok(()),
    };
    Err(format!("{NEITHER}: the name {} {wrong}\nhint: {EXPECTED}", quote(name)))
}

/// Refuses what git does not take for the name of a branch or tag.
///
/// Source: git-check-ref-format(1).
fn check_revision(revision: &str) -> Result<(), String> {
    let forbidden = |c: char| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c);
    let sane = |part: &str| {
        !part.is_empty() && !part.starts_with(['.', '-']) && !part.ends_with('.') && !part.ends_with(".lock")
    };
    let refused = revision.len() > 255
        || ["..", "@{"].iter().any(|pair| revision.contains(pair))
        || revision.contains(forbidden)
        || !revision.split('/').all(sane);
    if refused {
        return Err(format!("has the revision {}, expected a branch, tag or commit", quote(revision)));
    }
    Ok(())
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reference::Demo => f.write_str("demo"),
            Reference::Path(path) => path.display().fmt(f),
            Reference::Hub(reference) => reference.fmt(f),
        }
    }
}

impl fmt::Display for HubReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.repo.clone();
        if let Some(Selector::Quantization(name) | Selector::File(name)) = &self.selector {
            text.extend([":", name]);
        }
        if let Some(revision) = &self.revision {
            text.extend(["@", revision]);
        }
        if looks_like_path(&text) || without_prefix(&text).is_some() {
            f.write_str("hf.co/")?;
        }
        f.write_str(&text)
    }
}
