//! Where the cache of `huggingface_hub` is, and its token.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// The folder of the cache, by the variables of `environment` and the folder of the user; `None` if neither tells.
///
/// `HF_HUB_CACHE`, else the older `HUGGINGFACE_HUB_CACHE`, else `hub` in `HF_HOME`, else `huggingface/hub` in
/// `XDG_CACHE_HOME`, else in `~/.cache`. A leading `~` and `$NAME` are replaced in them; an empty one counts as unset.
///
/// Source: `huggingface_hub.constants`.
pub(super) fn cache_folder(environment: impl Fn(&str) -> Option<OsString>, home: Option<&Path>) -> Option<PathBuf> {
    let home = home.filter(|home| !home.as_os_str().is_empty());
    let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
    let folder = |name: &str| variable(name).map(|value| expand(value, variable, home));
    folder("HF_HUB_CACHE")
        .or_else(|| folder("HUGGINGFACE_HUB_CACHE"))
        .or_else(|| Some(folder("HF_HOME")?.join("hub")))
        .or_else(|| Some(folder("XDG_CACHE_HOME")?.join("huggingface").join("hub")))
        .or_else(|| Some(home?.join(".cache").join("huggingface").join("hub")))
}

/// The file with the user's token: `HF_TOKEN_PATH`, else `token` in `HF_HOME`, else in `huggingface` beside the cache.
///
/// Source: `huggingface_hub.constants`.
pub(super) fn token_path(environment: impl Fn(&str) -> Option<OsString>, home: Option<&Path>) -> Option<PathBuf> {
    let home = home.filter(|home| !home.as_os_str().is_empty());
    let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
    let folder = |name: &str| variable(name).map(|value| expand(value, variable, home));
    folder("HF_TOKEN_PATH")
        .or_else(|| Some(folder("HF_HOME")?.join("token")))
        .or_else(|| Some(folder("XDG_CACHE_HOME")?.join("huggingface").join("token")))
        .or_else(|| Some(home?.join(".cache").join("huggingface").join("token")))
}

/// `value` with a leading `~` and every `$NAME` and `${NAME}` replaced; unknown ones stay, as in Python.
fn expand(value: OsString, variable: impl Fn(&str) -> Option<OsString>, home: Option<&Path>) -> PathBuf {
    // Other than Unicode needs no help from us.
    let Some(text) = value.to_str() else { return value.into() };
    let mut expanded = OsString::new();
    let mut rest = text;
    if let (Some(after), Some(home)) = (rest.strip_prefix('~'), home)
        && (after.is_empty() || after.starts_with(std::path::is_separator))
    {
        expanded.push(home);
        rest = after;
    }
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push(before);
        let (name, len) = match after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some((name, _)) => (name, name.len() + 2),
            None => {
                let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
                (&after[..end], end)
            }
        };
        match variable(name) {
            Some(value) => expanded.push(value),
            None => expanded.push(&rest[before.len()..before.len() + 1 + len]),
        }
        rest = &after[len..];
    }
    expanded.push(rest);
    expanded.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(variables: &[(&str, &str)], home: Option<&str>) -> Option<PathBuf> {
        let environment = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
        cache_folder(environment, home.map(Path::new))
    }

    #[test]
    fn the_more_particular_variable_wins() {
        let all =
            [("HF_HUB_CACHE", "/a"), ("HUGGINGFACE_HUB_CACHE", "/b"), ("HF_HOME", "/c"), ("XDG_CACHE_HOME", "/d")];
        let expected = ["/a", "/b", "/c/hub", "/d/huggingface/hub", "/h/.cache/huggingface/hub"];
        for (skip, expected) in expected.into_iter().enumerate() {
            assert_eq!(folder(&all[skip..], Some("/h")), Some(expected.into()));
            let mut emptied = all;
            emptied[..skip].iter_mut().for_each(|variable| variable.1 = "");
            assert_eq!(folder(&emptied, Some("/h")), Some(expected.into()));
        }
        assert_eq!(folder(&[], None), None);
        assert_eq!(folder(&[], Some("")), None);
        assert_eq!(folder(&all, None), Some("/a".into()));
    }

    #[test]
    fn tilde_and_variables_are_replaced() {
        let expanded = |value| folder(&[("HF_HUB_CACHE", value), ("USER", "ann"), ("D", "/d")], Some("/h"));
        for (value, expected) in [
            ("~", "/h"),
            ("~/x", "/h/x"),
            ("~ann/x", "~ann/x"),
            ("/x/~", "/x/~"),
            ("$D/${USER}/m", "/d/ann/m"),
            ("/a/$USER", "/a/ann"),
            ("/a/$NONE-${NONE}$", "/a/$NONE-${NONE}$"),
            ("/ü/${USER", "/ü/${USER"),
        ] {
            assert_eq!(expanded(value), Some(expected.into()), "{value}");
        }
        assert_eq!(folder(&[("HF_HUB_CACHE", "~/x")], None), Some("~/x".into()));
    }
}
