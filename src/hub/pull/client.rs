//! The connection to the Hub: requests, redirects, and what failures mean. The one place that opens sockets.

use super::error::PullError;
use super::retry::{Failure, retry_after};
use super::settings::{Patience, Settings};
use super::token::Token;
use std::{
    io,
    ops::Range,
    time::{Duration, SystemTime},
};
use ureq::{
    Agent, Body, Proxy,
    http::{HeaderMap, Response, StatusCode, Uri, header},
    tls::{RootCerts, TlsConfig},
};

/// The connection. The token goes to the endpoint itself and to no other place.
pub(super) struct Client {
    secure: Agent,
    plain: Agent,
    endpoint: Uri,
    token: Option<Token>,
    pub(super) patience: Patience,
}

/// An answer that is no redirect.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
    /// Where it comes from, after redirects.
    pub(super) uri: Uri,
    /// The hash of the content that one of the redirects promises.
    pub(super) linked: Option<String>,
}

/// As browsers have it.
const MOST_REDIRECTS: usize = 20;
const CONNECT: Duration = Duration::from_secs(20);

impl Client {
    pub(super) fn new(settings: Settings, n_connections: usize) -> Client {
        let Settings { endpoint, token, secure_proxy, plain_proxy, roots, patience, .. } = settings;
        let agent = |proxy| agent(proxy, roots.clone(), &patience, n_connections);
        Client { secure: agent(secure_proxy), plain: agent(plain_proxy), endpoint, token, patience }
    }

    /// The address of `path` at the endpoint.
    pub(super) fn address(&self, path: &str) -> Result<Uri, PullError> {
        let address = format!("{}{path}", self.endpoint.to_string().trim_end_matches('/'));
        address.parse().map_err(|_| PullError::Network { what: path.into(), reason: "it makes no address".into() })
    }

    pub(super) fn host(&self) -> &str {
        self.endpoint.host().unwrap_or_default()
    }

    /// Whether nobody can tell who asks.
    pub(super) fn is_anonymous(&self) -> bool {
        self.token.is_none()
    }

    /// Whether `uri` is at the endpoint itself: the same scheme, host and port.
    pub(super) fn is_endpoint(&self, uri: &Uri) -> bool {
        origin(uri) == origin(&self.endpoint)
    }

    /// Asks for `uri`, or these bytes of it, and follows redirects.
    pub(super) fn get(&self, uri: &Uri, range: Option<Range<u64>>) -> Result<Answer, Failure> {
        let mut uri = uri.clone();
        let mut linked = None;
        for _ in 0..=MOST_REDIRECTS {
            let response = self.request(&uri, range.clone()).map_err(|error| self.failure(error, &uri))?;
            let text =
                |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
            if self.is_endpoint(&uri) {
                linked = linked.or_else(|| text("x-linked-etag"));
            }
            let (status, target) = (response.status(), text("location"));
            let Some(target) = target.filter(|_| status.is_redirection()) else {
                let (parts, body) = response.into_parts();
                return Ok(Answer { status: parts.status, headers: parts.headers, body, uri, linked });
            };
            let network =
                |reason: &str| Failure::Final(PullError::Network { what: shown(&uri), reason: reason.into() });
            let next = join(&uri, &target).ok_or_else(|| network("it redirects to what is no address"))?;
            if origin(&uri).0 == "https" && origin(&next).0 != "https" {
                return Err(network("it redirects to a place without encryption"));
            }
            uri = next;
        }
        Err(PullError::Network { what: shown(&uri), reason: "it redirects in circles".into() }.into())
    }

    /// Ends every request that is under way, and refuses new ones.
    pub(super) fn shut_down(&self) {
        self.secure.clone().shutdown();
        self.plain.clone().shutdown();
    }

    fn request(&self, uri: &Uri, range: Option<Range<u64>>) -> Result<Response<Body>, ureq::Error> {
        let agent = if origin(uri).0 == "https" { &self.secure } else { &self.plain };
        // A compressed answer would have another length and other ranges.
        let mut request = agent.get(uri).header(header::ACCEPT_ENCODING, "identity");
        if let Some(range) = range {
            request = request.header(header::RANGE, format!("bytes={}-{}", range.start, range.end - 1));
        }
        if let Some(token) = self.token.as_ref().filter(|_| self.is_endpoint(uri)) {
            request = request.header(header::AUTHORIZATION, token.header());
        }
        request.call()
    }

    fn failure(&self, error: ureq::Error, uri: &Uri) -> Failure {
        let host = uri.host().unwrap_or_default();
        match error {
            ureq::Error::HostNotFound => {
                Failure::again(format!("the host `{host}` is not known, or there is no network"))
            }
            ureq::Error::Timeout(_) => Failure::again(format!("`{host}` does not answer")),
            ureq::Error::Io(error) => match error.kind() {
                io::ErrorKind::InvalidData => not_trusted(host, &error),
                _ => {
                    Failure::again(format!("the connection to `{host}` failed: {}", told(&error, self.patience.stall)))
                }
            },
            ureq::Error::Rustls(error) => not_trusted(host, &error),
            ureq::Error::Tls(error) => not_trusted(host, &error),
            other => Failure::again(format!("the connection to `{host}` failed: {other}")),
        }
    }
}

/// An encrypted connection that cannot be had, which another attempt would not change.
fn not_trusted(host: &str, error: &dyn std::fmt::Display) -> Failure {
    let reason = format!(
        "no trusted connection: {error}\nhint: behind a proxy that has its own certificates, set SSL_CERT_FILE to a file with them"
    );
    PullError::Network { what: format!("from `{host}`"), reason }.into()
}

/// What went wrong while reading or connecting; timeouts say so in many ways.
pub(super) fn told(error: &io::Error, stall: Duration) -> String {
    let timeout =
        error.get_ref().and_then(|error| error.downcast_ref()).is_some_and(|it| matches!(it, ureq::Error::Timeout(_)));
    match error.kind() {
        _ if timeout => format!("nothing came for {} seconds", stall.as_secs()),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => format!("nothing came for {} seconds", stall.as_secs()),
        io::ErrorKind::UnexpectedEof => "it was closed before the end".into(),
        _ => error.to_string(),
    }
}

impl Answer {
    /// The text of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether it is a page for people.
    pub(super) fn is_page(&self) -> bool {
        self.body.mime_type().is_some_and(|kind| kind.eq_ignore_ascii_case("text/html"))
    }

    /// The failure for a status that is neither success nor says something about what was asked for.
    pub(super) fn failure(&self) -> Failure {
        let host = self.uri.host().unwrap_or_default();
        let reason = format!("`{host}` answers {}", self.status);
        let busy =
            matches!(self.status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS);
        if busy || self.status.is_server_error() {
            let wait = self.header("retry-after").and_then(|value| retry_after(value, SystemTime::now()));
            return Failure::Again { reason, wait };
        }
        PullError::Network { what: shown(&self.uri), reason }.into()
    }
}

fn agent(proxy: Option<Proxy>, roots: RootCerts, patience: &Patience, n_connections: usize) -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("taper/", env!("CARGO_PKG_VERSION")))
        .proxy(proxy)
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .timeout_resolve(Some(CONNECT))
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(patience.stall))
        .timeout_per_read(Some(patience.stall))
        .timeout_per_write(Some(patience.stall))
        .max_idle_connections(2 * n_connections)
        .max_idle_connections_per_host(n_connections)
        .build()
        .new_agent()
}

/// Scheme, host and port.
fn origin(uri: &Uri) -> (String, String, u16) {
    let scheme = uri.scheme_str().unwrap_or_default().to_ascii_lowercase();
    let port = uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
    (scheme, uri.host().unwrap_or_default().to_ascii_lowercase(), port)
}

/// Where a redirect from `base` leads.
///
/// Source: RFC 3986, section 5.2, without `.` and `..`.
fn join(base: &Uri, target: &str) -> Option<Uri> {
    let (scheme, authority) = (base.scheme_str()?, base.authority()?);
    let target = target.split('#').next().unwrap_or_default();
    let address = match target {
        _ if target.starts_with("//") => format!("{scheme}:{target}"),
        _ if target.starts_with('/') => format!("{scheme}://{authority}{target}"),
        _ if target.contains("://") => target.to_owned(),
        _ if target.starts_with('?') => format!("{scheme}://{authority}{}{target}", base.path()),
        _ => {
            let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{scheme}://{authority}{folder}/{target}")
        }
    };
    let next: Uri = address.parse().ok()?;
    (matches!(next.scheme_str(), Some("http" | "https")) && next.host().is_some()).then_some(next)
}

/// An address without what is secret in it: the query of a signed one, or a password.
pub(super) fn shown(uri: &Uri) -> String {
    format!("`{}{}`", uri.host().unwrap_or_default(), uri.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_where_browsers_go() {
        let base: Uri = "https://hub.example:8443/a/b?c=d".parse().unwrap();
        for (target, expected) in [
            ("https://cdn.example/x?y=z#part", Some("https://cdn.example/x?y=z")),
            ("//cdn.example/x", Some("https://cdn.example/x")),
            ("/x/y", Some("https://hub.example:8443/x/y")),
            ("y", Some("https://hub.example:8443/a/y")),
            ("?e=f", Some("https://hub.example:8443/a/b?e=f")),
            ("http://cdn.example", Some("http://cdn.example/")),
            ("ftp://cdn.example/", None),
            ("https:///x", None),
            ("https://a b/", None),
        ] {
            assert_eq!(join(&base, target).map(|uri| uri.to_string()).as_deref(), expected, "{target}");
        }
    }

    #[test]
    fn only_the_same_scheme_host_and_port_are_the_endpoint() {
        let client = Client::new(
            Settings::of_environment(|name| (name == "HF_ENDPOINT").then(|| "https://hub.example".into()), None, None)
                .unwrap(),
            1,
        );
        for (address, same) in [
            ("https://hub.example/x", true),
            ("https://HUB.example:443/", true),
            ("http://hub.example/", false),
            ("https://hub.example:8443/", false),
            ("https://cdn.hub.example/", false),
            ("https://hub.example.evil.org/", false),
            ("https://hub.example@evil.org/", false),
        ] {
            assert_eq!(client.is_endpoint(&address.parse().unwrap()), same, "{address}");
        }
    }
}
