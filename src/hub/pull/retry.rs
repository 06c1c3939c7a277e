//! Trying again: what may work the next time, and how long to wait for it.

use super::error::PullError;
use super::settings::Patience;
use super::watch::{Event, Watch};
use std::{
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant, SystemTime},
};

/// Why an attempt failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// It may work the next time.
    Again {
        reason: String,
        /// What the server asks to wait.
        wait: Option<Duration>,
    },
    /// The server does not give parts of files.
    NoRanges,
    /// It will not work the next time either.
    Final(PullError),
}

/// Attempts in a row at the same thing.
pub(super) struct Retry<'a> {
    /// What is fetched, for messages.
    pub(super) what: &'a str,
    pub(super) patience: &'a Patience,
    pub(super) watch: &'a dyn Watch,
    pub(super) n_failed: u32,
}

/// A pause is never longer unless the server asks.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Who is asked to wait longer may as well come back later.
const LONGEST_ASKED: Duration = Duration::from_secs(600);
/// How often a pause looks whether it is still wanted.
const GLANCE: Duration = Duration::from_millis(50);

impl Failure {
    pub(super) fn again(reason: impl Into<String>) -> Failure {
        Failure::Again { reason: reason.into(), wait: None }
    }
}

impl From<PullError> for Failure {
    fn from(error: PullError) -> Failure {
        Failure::Final(error)
    }
}

impl Retry<'_> {
    /// Does `attempt` until it works.
    pub(super) fn run<T>(mut self, mut attempt: impl FnMut() -> Result<T, Failure>) -> Result<T, PullError> {
        loop {
            match attempt() {
                Ok(value) => return Ok(value),
                Err(failure) => self.pause(failure)?,
            }
        }
    }

    /// Forgets earlier failures, since something has come of it.
    pub(super) fn succeeded(&mut self) {
        self.n_failed = 0;
    }

    /// Waits for the next attempt, or tells that there is none.
    pub(super) fn pause(&mut self, failure: Failure) -> Result<(), PullError> {
        if self.watch.stopped() {
            return Err(PullError::Interrupted);
        }
        let (reason, asked) = match failure {
            Failure::Again { reason, wait } => (reason, wait),
            Failure::NoRanges => ("the server answers with other bytes than were asked for".into(), None),
            Failure::Final(error) => return Err(error),
        };
        self.n_failed += 1;
        let what = self.what.to_owned();
        if let Some(asked) = asked.filter(|&asked| asked > LONGEST_ASKED) {
            let reason =
                format!("{reason}\nhint: the server asks to come back in {} minutes", asked.as_secs().div_ceil(60));
            return Err(PullError::Network { what, reason });
        }
        if self.n_failed >= self.patience.n_attempts {
            let reason = format!("{reason} ({} attempts)", self.n_failed);
            return Err(PullError::Network { what, reason });
        }
        let wait = asked.unwrap_or_else(|| self.backoff());
        self.watch.tell(&Event::Retrying { what: self.what, reason: &reason, wait });
        self.sleep(wait)
    }

    /// Doubles from one failure to the next, a random part of it left out lest all clients come back at once.
    fn backoff(&self) -> Duration {
        let whole = self.patience.pause.saturating_mul(1 << (self.n_failed - 1).min(16)).min(LONGEST_PAUSE);
        // The standard library seeds it anew each time.
        let random = RandomState::new().hash_one(self.n_failed) as u32;
        whole.mul_f64(0.5 + 0.5 * f64::from(random) / f64::from(u32::MAX))
    }

    fn sleep(&self, wait: Duration) -> Result<(), PullError> {
        let until = Instant::now() + wait;
        loop {
            if self.watch.stopped() {
                return Err(PullError::Interrupted);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(GLANCE));
        }
    }
}

/// What the header `Retry-After` asks: seconds, or a date.
///
/// Source: RFC 9110, section 10.2.3.
pub(super) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date: SystemTime = jiff::fmt::rfc2822::parse(value).ok()?.timestamp().into();
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Silent;

    impl Watch for Silent {
        fn tell(&self, _: &Event<'_>) {}

        fn stopped(&self) -> bool {
            false
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_445_412_480);
        assert_eq!(retry_after(" 120 ", now), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:07 GMT", now), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:27:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", now), None);
        assert_eq!(retry_after("-1", now), None);
    }

    #[test]
    fn pauses_double_with_a_random_part_and_end() {
        let patience = Patience { n_attempts: 3, pause: Duration::from_secs(8), stall: Duration::MAX };
        let mut retry = Retry { what: "x", patience: &patience, watch: &Silent, n_failed: 0 };
        for (n_failed, whole) in [(1, 8), (2, 16), (3, 30), (4, 30), (40, 30)] {
            retry.n_failed = n_failed;
            let pauses: Vec<Duration> = (0..50).map(|_| retry.backoff()).collect();
            let (least, most) = (Duration::from_secs(whole) / 2, Duration::from_secs(whole));
            assert!(pauses.iter().all(|pause| (least..=most).contains(pause)), "{pauses:?}");
            assert!(pauses.iter().max() > pauses.iter().min());
        }
        retry.n_failed = 2;
        let error = retry.pause(Failure::again("no")).unwrap_err().to_string();
        assert_eq!(error, "cannot fetch x: no (3 attempts)");
        retry.n_failed = 0;
        let wait = Some(LONGEST_ASKED + Duration::from_secs(1));
        let error = retry.pause(Failure::Again { reason: "busy".into(), wait }).unwrap_err().to_string();
        assert!(error.contains("come back in 11 minutes"), "{error}");
    }
}
