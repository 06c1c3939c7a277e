//! The token by which the Hub knows its users.

use super::error::PullError;
use super::settings::is_true;
use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};
use ureq::http::HeaderValue;

/// A token, which no message shows.
#[derive(Clone)]
pub(super) struct Token(HeaderValue);

impl Token {
    /// The token in a file that the user names.
    pub(super) fn read(path: &Path) -> Result<Token, PullError> {
        let setup = |reason: String| PullError::Setup { name: format!("the token file `{}`", path.display()), reason };
        let text = fs::read_to_string(path).map_err(|error| setup(format!("cannot be read: {error}")))?;
        Token::new(&text).and_then(|token| token.ok_or("is empty")).map_err(|reason| setup(reason.into()))
    }

    /// `HF_TOKEN`, else `HUGGING_FACE_HUB_TOKEN`, else what is in the file at `path`; none at all under
    /// `HF_HUB_DISABLE_IMPLICIT_TOKEN`.
    pub(super) fn of_environment(
        variable: impl Fn(&str) -> Option<String>,
        path: Option<PathBuf>,
    ) -> Result<Option<Token>, PullError> {
        if is_true(variable("HF_HUB_DISABLE_IMPLICIT_TOKEN").map(Into::into)) {
            return Ok(None);
        }
        for name in ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"] {
            let setup = |reason: &str| PullError::Setup { name: name.into(), reason: reason.into() };
            if let Some(text) = variable(name) {
                return Token::new(&text).map_err(setup);
            }
        }
        let Some(path) = path else { return Ok(None) };
        match fs::read_to_string(&path) {
            Ok(text) => {
                let name = format!("the token file `{}`", path.display());
                Token::new(&text).map_err(|reason| PullError::Setup { name, reason: reason.into() })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(_) => {
                tracing::warn!("the token file `{}` cannot be read", path.display());
                Ok(None)
            }
        }
    }

    /// The value of the header `Authorization`.
    pub(super) fn header(&self) -> HeaderValue {
        self.0.clone()
    }

    /// `None` if there is nothing but space.
    fn new(text: &str) -> Result<Option<Token>, &'static str> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("is no token: it has other characters than letters, digits and signs");
        }
        let mut header = HeaderValue::from_str(&format!("Bearer {text}")).map_err(|_| "is no token")?;
        header.set_sensitive(true);
        Ok(Some(Token(header)))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearer_token_wins() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let found = |variables: &[(&str, &str)]| {
            let variable =
                |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            let token = Token::of_environment(variable, Some(path.clone())).unwrap();
            token.map(|token| token.header().to_str().unwrap().to_owned())
        };
        assert_eq!(found(&[]), None);
        fs::write(&path, " hf_file\n").unwrap();
        let (new, old) = (("HF_TOKEN", "hf_new"), ("HUGGING_FACE_HUB_TOKEN", "hf_old"));
        assert_eq!(found(&[new, old]).as_deref(), Some("Bearer hf_new"));
        assert_eq!(found(&[old]).as_deref(), Some("Bearer hf_old"));
        assert_eq!(found(&[]).as_deref(), Some("Bearer hf_file"));
        assert_eq!(found(&[new, ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]), None);
        assert_eq!(Token::read(&path).unwrap().header(), "Bearer hf_file");
        for wrong in ["a b", "a\nInjected: x", "ä", ""] {
            fs::write(&path, wrong).unwrap();
            let error = Token::read(&path).unwrap_err().to_string();
            assert!(error.starts_with("the token file") && (wrong.is_empty() || !error.contains(wrong)), "{error}");
        }
    }
}
