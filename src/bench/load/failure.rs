//! Why a request got no whole answer. These are results, not errors: a server under load may well fail.

use std::fmt;

/// Why a request got no whole answer, by kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// The server answered with this status.
    Status(u16),
    /// The answer was not complete in time.
    Timeout,
    /// No connection came about.
    Connection,
    /// The connection ended before an answer began.
    HungUp,
    /// The stream ended before the answer did.
    Truncated,
    /// What came is not a stream of events with JSON.
    Malformed,
    /// The stream reported an error.
    Reported,
    /// The answer ended without a token.
    Empty,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Status(status) => write!(f, "status {status}"),
            Failure::Timeout => f.write_str("timeout"),
            Failure::Connection => f.write_str("no connection"),
            Failure::HungUp => f.write_str("hung up"),
            Failure::Truncated => f.write_str("truncated"),
            Failure::Malformed => f.write_str("malformed"),
            Failure::Reported => f.write_str("reported by the server"),
            Failure::Empty => f.write_str("no token"),
        }
    }
}

/// A failure with what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) kind: Failure,
    pub(super) found: String,
}

impl Failed {
    pub(super) fn new(kind: Failure, found: &str) -> Failed {
        const MOST: usize = 200;
        let found = found.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST).collect();
        Failed { kind, found }
    }

    /// Of an error before the answer began.
    pub(super) fn before_answer(error: &ureq::Error) -> Failed {
        let kind = match error {
            ureq::Error::Timeout(_) => Failure::Timeout,
            ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => Failure::Timeout,
            ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Failure::Connection,
            ureq::Error::HostNotFound
            | ureq::Error::ConnectionFailed
            | ureq::Error::Tls(_)
            | ureq::Error::Rustls(_) => Failure::Connection,
            ureq::Error::Protocol(_) => Failure::Malformed,
            _ => Failure::HungUp,
        };
        Failed::new(kind, &error.to_string())
    }

    /// Of an error while the answer was read.
    pub(super) fn in_answer(error: &std::io::Error) -> Failed {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>());
        let timeout = error.kind() == std::io::ErrorKind::TimedOut || matches!(inner, Some(ureq::Error::Timeout(_)));
        Failed::new(if timeout { Failure::Timeout } else { Failure::Truncated }, &error.to_string())
    }
}
