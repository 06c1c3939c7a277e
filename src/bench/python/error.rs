//! Why a side has no numbers, a variant per remedy.

use std::{io, path::PathBuf, time::Duration};

/// Why a side of a comparison was not measured.
#[derive(Debug, thiserror::Error)]
pub enum SideError {
    /// The interpreter is not there or may not be run.
    #[error("cannot start `{}`: {source}\nhint: install Python 3, or name its path with --python", python.display())]
    NoPython {
        /// The interpreter.
        python: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It lacks packages.
    #[error(
        "`{python}` has no {}\nhint: {python} -m pip install {}",
        packages.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
        packages.join(" "), python = python.display()
    )]
    Missing {
        /// The interpreter.
        python: PathBuf,
        /// Names of distributions.
        packages: Vec<String>,
    },
    /// It was still at work when its time was over.
    #[error("no result after {} s: it was killed while {stage}", timeout.as_secs_f64())]
    Timeout {
        /// The time it had.
        timeout: Duration,
        /// What it was doing.
        stage: &'static str,
    },
    /// It ended without a result.
    #[error("ended while {stage}, {status}: {message}")]
    Crashed {
        /// What it was doing.
        stage: &'static str,
        /// How it ended.
        status: String,
        /// The last line it wrote to standard error.
        message: String,
    },
    /// It wrote something else than a result.
    #[error("its answer is not a result: {found}")]
    Rubbish {
        /// What was found and what was expected.
        found: String,
    },
    /// The user wanted no more.
    #[error("interrupted")]
    Interrupted,
}
