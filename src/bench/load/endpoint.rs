//! Where a server answers, and with what model.

use serde::Serialize;
use std::{fmt, time::Duration};
use ureq::http::Uri;

/// What is asked of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// `/chat/completions`: the server puts its template around the prompt.
    Chat,
    /// `/completions`: the prompt as it is.
    Completions,
}

impl Route {
    /// Its address under the folder of a server's routes.
    pub fn path(self) -> &'static str {
        match self {
            Route::Chat => "/chat/completions",
            Route::Completions => "/completions",
        }
    }
}

/// A server that speaks as OpenAI's does.
#[derive(Clone)]
pub struct Endpoint {
    /// What the routes are appended to, such as `http://127.0.0.1:8080/v1`.
    base: String,
    /// Where texts are sent; without one to the completions, or to the chat where a server has none. Messages of a chat are
    /// sent to the chat in any case.
    pub route: Option<Route>,
    /// The model to ask for; without one, the first that the server lists.
    pub model: Option<String>,
    /// Sent as a bearer token.
    pub api_key: Option<String>,
    /// How long a request may take, from its start to the end of its answer.
    pub timeout: Duration,
}

impl Endpoint {
    /// The server at `url`: its root, the folder of its routes (`…/v1`), or one of its routes, which is then the one for
    /// texts. A request has 300 s.
    ///
    /// # Errors
    /// [`LoadError::Url`] if that is no address.
    pub fn new(url: &str) -> Result<Endpoint, LoadError> {
        let wrong = |reason: &str| LoadError::Url { url: url.into(), reason: reason.into() };
        let uri: Uri = url.parse().map_err(|_| wrong("is not a URL"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
            return Err(wrong("does not begin with http:// or https:// and a host"));
        }
        if uri.query().is_some() {
            return Err(wrong("has a query"));
        }
        let url = url.trim_end_matches('/');
        let route = [Route::Chat, Route::Completions].into_iter().find(|route| url.ends_with(route.path()));
        let base = url.strip_suffix(route.map_or("/models", Route::path)).unwrap_or(url);
        let root = uri.path().trim_matches('/').is_empty();
        let base = if root { format!("{base}/v1") } else { base.to_string() };
        Ok(Endpoint { base, route, model: None, api_key: None, timeout: Duration::from_secs(300) })
    }

    /// The folder of its routes.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The address of a route.
    pub fn url(&self, route: Route) -> String {
        format!("{}{}", self.base, route.path())
    }

    /// The address of the list of models.
    pub(super) fn models_url(&self) -> String {
        format!("{}/models", self.base)
    }

    /// Connections of their own, for one thread.
    pub(super) fn agent(&self) -> ureq::Agent {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(self.timeout))
            .user_agent(concat!("taper/", env!("CARGO_PKG_VERSION")));
        // What is on this machine is not behind a proxy.
        let config = if self.is_local() { config.proxy(None) } else { config };
        config.build().new_agent()
    }

    fn is_local(&self) -> bool {
        let uri = self.base.parse::<Uri>();
        uri.is_ok_and(|uri| {
            uri.host().is_some_and(|host| host == "localhost" || host == "[::1]" || host.starts_with("127."))
        })
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Keys do not belong into logs.
        f.debug_struct("Endpoint").field("base", &self.base).field("model", &self.model).finish_non_exhaustive()
    }
}

/// Why a server cannot be measured at all.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The address is none.
    #[error("the address `{url}` {reason}\nhint: give one such as `http://127.0.0.1:8080/v1`")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The plan cannot be carried out.
    #[error("the load test {0}")]
    Plan(String),
    /// Nobody answers there.
    #[error("no server answers at `{url}`: {reason}")]
    Unreachable {
        /// Where.
        url: String,
        /// What the system said.
        reason: String,
    },
    /// It wants another key, or one at all.
    #[error("`{url}` lets nobody in: {reason}: {found}\nhint: give its key with --api-key-file, or as OPENAI_API_KEY")]
    Denied {
        /// Where.
        url: String,
        /// The kind of failure.
        reason: String,
        /// What was found.
        found: String,
    },
    /// It answers, but not what it was asked.
    #[error("`{url}` does not answer as it should: {reason}: {found}")]
    Refused {
        /// Where.
        url: String,
        /// The kind of failure.
        reason: String,
        /// What was found.
        found: String,
    },
    /// It answers so few requests that its numbers say nothing.
    #[error(
        "`{url}` answered {n_answered} of {n_requests} requests; {n_failed} of the others failed so: {reason}: {found}"
    )]
    Failing {
        /// Where.
        url: String,
        /// Whole answers.
        n_answered: usize,
        /// Requests that ended.
        n_requests: usize,
        /// Requests that failed in the most frequent way.
        n_failed: usize,
        /// That way.
        reason: String,
        /// What was found the first time.
        found: String,
    },
    /// The user wanted no more.
    #[error("interrupted")]
    Interrupted,
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, Route};

    #[test]
    fn root_folder_and_route_of_a_server_are_the_same_endpoint() {
        for url in ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/", "http://h:1/v1/chat/completions"] {
            assert_eq!(Endpoint::new(url).unwrap().url(Route::Chat), "http://h:1/v1/chat/completions", "{url}");
        }
        let route = |url: &str| Endpoint::new(url).unwrap().route;
        assert_eq!((route("http://h:1"), route("http://h:1/v1/models")), (None, None));
        assert_eq!(route("http://h/v1/chat/completions/"), Some(Route::Chat));
        let deep = Endpoint::new("https://h/api/v3/completions").unwrap();
        assert_eq!(deep.route, Some(Route::Completions));
        assert_eq!(deep.url(Route::Completions), "https://h/api/v3/completions");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for url in ["", "localhost:8080", "ftp://h/", "http:///v1", "not a url", "http://h/v1?key=1"] {
            assert!(Endpoint::new(url).is_err(), "{url}");
        }
    }

    #[test]
    fn the_key_is_not_shown() {
        let mut endpoint = Endpoint::new("http://h").unwrap();
        endpoint.api_key = Some("secret".into());
        assert!(!format!("{endpoint:?}").contains("secret"));
    }
}
