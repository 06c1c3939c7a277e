//! How to reach the Hub, by the variables that Python's `huggingface_hub`, curl and others honour.

use super::error::PullError;
use super::token::Token;
use crate::hub::location::token_path;
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use ureq::{
    Proxy,
    http::Uri,
    tls::{Certificate, PemItem, RootCerts, parse_pem},
};

/// Where the Hub is and how to get there.
#[derive(Debug)]
pub struct Settings {
    /// Of the Hub, without `/` at the end.
    pub(super) endpoint: Uri,
    pub(super) token: Option<Token>,
    pub(super) secure_proxy: Option<Proxy>,
    pub(super) plain_proxy: Option<Proxy>,
    pub(super) roots: RootCerts,
    /// Whether snapshots may have links.
    pub(super) links: bool,
    /// How long to try.
    pub patience: Patience,
}

/// How long to try.
#[derive(Clone, Debug)]
pub struct Patience {
    /// Attempts in a row that bring nothing before it is given up.
    pub n_attempts: u32,
    /// Pause after the first of them; it doubles from one to the next.
    pub pause: Duration,
    /// Time without a byte after which a connection is taken for dead.
    pub stall: Duration,
}

const ENDPOINT: &str = "https://huggingface.co";
/// Each names a file with the certificates to trust in place of the system's.
const CERTIFICATES: [&str; 3] = ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"];
const STALL_SECONDS: u64 = 30;

/// Whether `HF_HUB_OFFLINE` or `TRANSFORMERS_OFFLINE` is set to something like yes.
pub fn is_offline(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"].into_iter().any(|name| is_true(variable(name)))
}

impl Settings {
    /// By the environment of this process; the token comes from `token_file` if that is given.
    ///
    /// # Errors
    /// [`PullError::Offline`] where the environment forbids the network, and [`PullError::Setup`] when something in it
    /// is wrong.
    pub fn of_process(token_file: Option<&Path>) -> Result<Settings, PullError> {
        Settings::of_environment(|name| std::env::var_os(name), std::env::home_dir().as_deref(), token_file)
    }

    /// The same for other variables and another home folder.
    ///
    /// # Errors
    /// As [`Settings::of_process`].
    pub fn of_environment(
        variable: impl Fn(&str) -> Option<OsString>,
        home: Option<&Path>,
        token_file: Option<&Path>,
    ) -> Result<Settings, PullError> {
        if is_offline(&variable) {
            return Err(PullError::Offline("HF_HUB_OFFLINE is set".into()));
        }
        let text = |name: &str| variable(name).and_then(|value| value.into_string().ok()).filter(|it| !it.is_empty());
        let either = |name: &str| {
            text(name).map(|it| (name.to_owned(), it)).or_else(|| {
                let lower = name.to_ascii_lowercase();
                text(&lower).map(|it| (lower, it))
            })
        };
        let exceptions = either("NO_PROXY").map(|(_, value)| value).unwrap_or_default();
        let proxy = |name: &str| match either(name).or_else(|| either("ALL_PROXY")) {
            Some((name, value)) => proxy(&name, &value, &exceptions).map(Some),
            None => Ok(None),
        };
        let token = match token_file {
            Some(path) => Some(Token::read(path)?),
            None => Token::of_environment(text, token_path(&variable, home))?,
        };
        let stall =
            text("HF_HUB_DOWNLOAD_TIMEOUT").and_then(|seconds| seconds.parse().ok()).filter(|&seconds| seconds > 0);
        Ok(Settings {
            endpoint: endpoint(text("HF_ENDPOINT").as_deref().unwrap_or(ENDPOINT))?,
            token,
            secure_proxy: proxy("HTTPS_PROXY")?,
            plain_proxy: proxy("HTTP_PROXY")?,
            roots: roots(&variable)?,
            links: !is_true(variable("HF_HUB_DISABLE_SYMLINKS")),
            patience: Patience {
                n_attempts: 6,
                pause: Duration::from_millis(500),
                stall: Duration::from_secs(stall.unwrap_or(STALL_SECONDS)),
            },
        })
    }
}

fn endpoint(text: &str) -> Result<Uri, PullError> {
    let uri = text.trim_end_matches('/').parse().ok().filter(|uri: &Uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() && uri.query().is_none()
    });
    let reason = format!("is `{}`, expected an address like `{ENDPOINT}`", text.escape_debug());
    uri.ok_or(PullError::Setup { name: "HF_ENDPOINT".into(), reason })
}

/// The proxy at `value`, save for the hosts in `exceptions`. Its text may hold a password, so no error quotes it.
fn proxy(name: &str, value: &str, exceptions: &str) -> Result<Proxy, PullError> {
    let wrong = |_| PullError::Setup { name: name.into(), reason: "is no address of a proxy".into() };
    let parsed = Proxy::new(value).map_err(wrong)?;
    let mut builder = Proxy::builder(parsed.protocol())
        .host(parsed.host())
        .port(parsed.port())
        .resolve_target(parsed.resolve_target());
    if let Some(user) = parsed.username() {
        builder = builder.username(user);
    }
    if let Some(password) = parsed.password() {
        builder = builder.password(password);
    }
    for host in exceptions.split(',').map(str::trim).filter(|host| !host.is_empty()) {
        builder = builder.no_proxy(host);
        // A domain stands for all below it, as curl and Python have it.
        if !host.starts_with(['.', '*']) {
            builder = builder.no_proxy(&format!(".{host}"));
        }
    }
    builder.build().map_err(wrong)
}

/// Whom to trust: a file that the environment names, else the system, else, where it has none, what is built in.
fn roots(variable: impl Fn(&str) -> Option<OsString>) -> Result<RootCerts, PullError> {
    let file = |name| variable(name).filter(|path| !path.is_empty()).map(|path| (name, PathBuf::from(path)));
    let Some((name, path)) = CERTIFICATES.into_iter().find_map(file) else { return Ok(roots_of_system()) };
    let setup = |reason: String| PullError::Setup { name: format!("{name} `{}`", path.display()), reason };
    let pem = std::fs::read(&path).map_err(|error| setup(format!("cannot be read: {error}")))?;
    let mut certificates: Vec<Certificate<'static>> = Vec::new();
    for item in parse_pem(&pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(setup(format!("is no file of certificates: {error}"))),
        }
    }
    if certificates.is_empty() {
        return Err(setup("has no certificates in PEM form".into()));
    }
    Ok(RootCerts::Specific(Arc::new(certificates)))
}

#[cfg(all(unix, not(target_vendor = "apple")))]
fn roots_of_system() -> RootCerts {
    let found = rustls_native_certs::load_native_certs().certs;
    if found.is_empty() {
        return RootCerts::WebPki;
    }
    found.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).into()
}

#[cfg(not(all(unix, not(target_vendor = "apple"))))]
fn roots_of_system() -> RootCerts {
    RootCerts::PlatformVerifier
}

/// Whether a variable says yes.
///
/// Source: `huggingface_hub.constants._is_true`.
pub(super) fn is_true(value: Option<OsString>) -> bool {
    let value = value.unwrap_or_default().to_string_lossy().to_ascii_uppercase();
    matches!(value.as_str(), "1" | "ON" | "YES" | "TRUE")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Result<Settings, PullError> {
        let variable = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
        Settings::of_environment(variable, None, None)
    }

    #[test]
    fn nothing_is_to_be_had_offline() {
        for (value, offline) in [("1", true), ("yes", true), ("True", true), ("0", false), ("", false)] {
            let refused = matches!(settings(&[("HF_HUB_OFFLINE", value)]), Err(PullError::Offline(_)));
            assert_eq!(refused, offline, "{value}");
        }
    }

    #[test]
    fn wrong_settings_are_told_and_secrets_are_not() {
        for endpoint in ["ftp://x", "huggingface.co", "", "https://", "https://x/?a"] {
            let refused = settings(&[("HF_ENDPOINT", endpoint)]).is_err();
            assert_eq!(refused, !endpoint.is_empty(), "{endpoint}");
        }
        let error = settings(&[("HTTPS_PROXY", "gopher://me:secret@x")]).unwrap_err().to_string();
        assert!(error.starts_with("HTTPS_PROXY is no address") && !error.contains("secret"), "{error}");
        let error = settings(&[("SSL_CERT_FILE", "/nowhere/x.pem")]).unwrap_err().to_string();
        assert!(error.contains("SSL_CERT_FILE `/nowhere/x.pem` cannot be read"), "{error}");
        let shown = format!("{:?}", settings(&[("HF_TOKEN", "hf_secret")]).unwrap());
        assert!(!shown.contains("hf_secret"), "{shown}");
    }

    #[test]
    fn proxies_go_by_scheme_and_leave_out_whole_domains() {
        let found = settings(&[
            ("https_proxy", "http://a:1"),
            ("ALL_PROXY", "socks5h://u:p%40@b:2"),
            ("NO_PROXY", "x.org, .y.org"),
        ])
        .unwrap();
        let (secure, plain) = (found.secure_proxy.unwrap(), found.plain_proxy.unwrap());
        assert_eq!((secure.host(), secure.port()), ("a", 1));
        assert_eq!((plain.host(), plain.port(), plain.password()), ("b", 2, Some("p@")));
        for (address, direct) in
            [("https://x.org/", true), ("https://a.x.org", true), ("https://ax.org", false), ("https://a.y.org", true)]
        {
            assert_eq!(secure.is_no_proxy(&address.parse().unwrap()), direct, "{address}");
        }
    }
}
