//! An endpoint that speaks OpenAI's API.
//!
//! A request passes `guard.rs` (who may, how much) to a handler, which makes requests for the engine of it (`generate.rs`)
//! and hands them to the thread that owns the engine (`worker.rs`). What the engine reports comes back through a channel
//! and becomes pieces of an answer (`choice.rs`), sent whole or as a stream (`stream.rs`). `wire/` has the forms of the
//! API, `openapi.rs` describes it by them, `listen.rs` has the sockets, `life.rs` the end. Operators see it through
//! `record.rs` (a line in the log), `spans.rs` (a trace), `metrics.rs` and `busy.rs`.

mod app;
mod busy;
mod choice;
mod collector;
mod embeddings;
mod error;
mod generate;
mod guard;
mod keys;
mod life;
mod listen;
mod metrics;
mod models;
mod openapi;
mod placed;
mod record;
mod routes;
mod spans;
mod stream;
mod text;
mod tls;
mod tools;
mod wire;
mod worker;

pub use app::{Loaded, Loader, StartError};
pub use life::{Ended, serve};

use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Answers to one prompt at most.
const MOST_CHOICES: usize = 32;
/// Likeliest tokens beside each at most.
const MOST_LOGPROBS: usize = 20;

/// Where the server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// An address and port; port 0 takes a free one.
    Tcp(SocketAddr),
    /// A socket in the file system, on systems that have such.
    Unix(PathBuf),
}

/// Files of a server that speaks TLS.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The chain of certificates, PEM.
    pub certificates: PathBuf,
    /// The key of the first of them, PEM.
    pub key: PathBuf,
}

/// Where traces go.
#[derive(Clone, Debug)]
pub struct Tracing {
    /// The base of the collector's address; `None` takes it from the variables that OpenTelemetry has for it.
    pub endpoint: Option<String>,
}

/// How a model is served.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where.
    pub address: Address,
    /// Over TLS, or plain.
    pub tls: Option<TlsFiles>,
    /// A key a line; without keys everybody may ask.
    pub keys_file: Option<PathBuf>,
    /// A key a line of those who may reload the model; without it nobody may.
    pub admin_keys_file: Option<PathBuf>,
    /// Names beside `localhost` by which browsers may call this server; addresses always may.
    pub hosts: Vec<String>,
    /// Origins whose pages may use this server; `*` for all.
    pub origins: Vec<String>,
    /// Requests a minute for each key, or for everybody without keys; `None` for any number.
    pub rate_limit: Option<u32>,
    /// Requests that are worked on at once.
    pub n_parallel: usize,
    /// Requests that may wait beside them.
    pub n_queue: usize,
    /// Bytes of the body of a request at most.
    pub max_body_bytes: usize,
    /// How long a request may take to arrive, and a connection to stay idle.
    pub idle: Duration,
    /// How long requests under way may take to finish when the server ends.
    pub drain: Duration,
    /// How often a stream without news shows that it lives.
    pub ping: Duration,
    /// Connections at once at most.
    pub n_connections: usize,
    /// Whether the log has what is asked and answered.
    pub log_text: bool,
    /// Traces, if they are wanted.
    pub tracing: Option<Tracing>,
}

impl Settings {
    /// Requests that are taken at once at most.
    fn n_most(&self) -> usize {
        self.n_parallel + self.n_queue
    }
}
