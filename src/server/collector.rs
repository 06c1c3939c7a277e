//! The connection to a collector of traces, by the HTTP client that is here anyway.

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use ureq::tls::{RootCerts, TlsConfig};

/// How long the collector may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// What it answers is short.
const MOST_BYTES: u64 = 1 << 20;

/// Sends to the collector, from the thread that gathers traces; it waits there and nowhere else.
#[derive(Debug)]
pub(super) struct Collector {
    agent: ureq::Agent,
    /// Whether the last attempt failed: one that goes on failing is told once.
    fails: AtomicBool,
}

impl Collector {
    pub(super) fn new() -> Collector {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            .tls_config(tls)
            .user_agent(concat!("taper/", env!("CARGO_PKG_VERSION")));
        Collector { agent: config.build().new_agent(), fails: AtomicBool::new(false) }
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ureq::Error> {
        let (parts, body) = request.into_parts();
        let response = self.agent.run(Request::from_parts(parts, &body[..]))?;
        let (parts, mut body) = response.into_parts();
        let bytes = body.with_config().limit(MOST_BYTES).read_to_vec()?;
        Ok(Response::from_parts(parts, bytes.into()))
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let uri = request.uri().clone();
        let outcome = self.send(request);
        let problem = match &outcome {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("it answers {}", response.status())),
            Err(error) => Some(error.to_string()),
        };
        let failed = self.fails.swap(problem.is_some(), Ordering::Relaxed);
        if let Some(error) = problem.filter(|_| !failed) {
            tracing::warn!(collector = %uri, error, "traces are lost");
        }
        Ok(outcome?)
    }
}
