//! Where the numbers of a report come from: this program, this machine, this moment.

use super::Machine;
use serde::Serialize;

/// What made a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// The commit that this binary was built from, where the build said.
    pub build_commit: Option<&'static str>,
    /// The version of taper.
    pub version: &'static str,
    /// The machine.
    #[serde(flatten)]
    pub machine: Machine,
    /// When the benchmark began, as RFC 3339 has it.
    pub test_time: String,
}

impl Origin {
    /// This program on this machine now.
    pub fn now() -> Origin {
        Origin {
            build_commit: option_env!("GIT_COMMIT"),
            version: env!("CARGO_PKG_VERSION"),
            machine: Machine::this(),
            test_time: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        }
    }

    /// The program, as `taper 0.1.0 (12ab34cd)`.
    pub fn program(&self) -> String {
        let commit = self.build_commit.map(|commit| format!(" ({commit})")).unwrap_or_default();
        format!("taper {}{commit}", self.version)
    }
}
