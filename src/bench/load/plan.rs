//! What a load test sends, and when.

use super::{Endpoint, LoadError, Prompt, Route, prompts::n_repeated};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::time::Duration;

/// How requests that come at a rate are spread over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// At equal distances.
    Constant,
    /// As independent users come: the distances are exponentially distributed.
    Poisson,
}

/// How much at once.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "load", rename_all = "snake_case")]
pub enum Level {
    /// So many clients, each of which asks again as soon as it has its answer.
    Concurrency {
        /// Clients.
        #[serde(rename = "concurrency")]
        n: usize,
    },
    /// Requests come whether or not the ones before are answered. Their times count from when they were to be sent, so
    /// that a server which stalls is charged for everyone who would have waited.
    Rate {
        /// Requests per second.
        #[serde(rename = "rate_per_sec")]
        per_sec: f64,
        /// How they are spread.
        arrivals: Arrivals,
    },
}

/// What is asked for beside the prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The most tokens of an answer.
    pub max_tokens: usize,
    /// Whether the answer goes on where the model would end it; not all servers know how.
    pub ignore_end: bool,
}

/// A load test: each level sends the same number of requests.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whom to ask.
    pub endpoint: Endpoint,
    /// One after the other.
    pub levels: Vec<Level>,
    /// Requests of each level.
    pub n_requests: usize,
    /// Sent in turn; later levels go on where the ones before have ended, so that a server's cache of prompts helps as
    /// little as there are prompts.
    pub prompts: Vec<Prompt>,
    /// What each asks for.
    pub wish: Wish,
    /// The most requests in flight at a [`Level::Rate`]; later ones wait, and their time runs.
    pub max_in_flight: usize,
    /// Of the arrivals.
    pub seed: u64,
}

/// More threads than this are no longer a measurement of the server.
const MAX_THREADS: usize = 4096;

impl Plan {
    /// Refuses what cannot be carried out.
    ///
    /// # Errors
    /// [`LoadError::Plan`].
    pub fn check(&self) -> Result<(), LoadError> {
        let wrong = |text: &str| Err(LoadError::Plan(text.into()));
        if self.prompts.is_empty() {
            return wrong("has no prompts");
        }
        if self.endpoint.route == Some(Route::Completions) && !self.prompts.iter().all(Prompt::is_text) {
            return wrong("has messages of chats, which are not for `/completions`");
        }
        if self.n_requests == 0 || self.wish.max_tokens == 0 || self.max_in_flight == 0 {
            return wrong(
                "sends nothing: the numbers of requests, of tokens, and of requests in flight are at least `1`",
            );
        }
        for level in &self.levels {
            match level {
                Level::Concurrency { n } if !(1..=MAX_THREADS).contains(n) => {
                    return Err(LoadError::Plan(format!("has a concurrency of `{n}`, expected 1 to {MAX_THREADS}")));
                }
                Level::Rate { per_sec, .. } if !(per_sec.is_finite() && *per_sec > 0.0) => {
                    return Err(LoadError::Plan(format!("has a rate of `{per_sec}`, expected requests per second")));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// How many requests repeat the prompt of one before: a server that keeps prompts answers those sooner.
    pub fn n_repeated(&self) -> usize {
        n_repeated(&self.prompts, self.levels.len().saturating_mul(self.n_requests))
    }

    /// Threads that a level needs.
    pub(super) fn n_threads(&self, level: Level) -> usize {
        let most = match level {
            Level::Concurrency { n } => n,
            Level::Rate { .. } => self.max_in_flight.min(MAX_THREADS),
        };
        most.min(self.n_requests)
    }

    /// When each request of a level is to be sent, after its start; `None` if whenever a client is free.
    pub(super) fn schedule(&self, level: Level) -> Option<Vec<Duration>> {
        let Level::Rate { per_sec, arrivals } = level else { return None };
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let mut gap = || match arrivals {
            Arrivals::Constant => 1.0 / per_sec,
            // The inverse of the exponential distribution; 1 − u is never 0.
            Arrivals::Poisson => -(1.0 - rng.random::<f64>()).ln() / per_sec,
        };
        let mut at = 0.0;
        let mut times = Vec::with_capacity(self.n_requests);
        for _ in 0..self.n_requests {
            times.push(Duration::try_from_secs_f64(at).unwrap_or(Duration::MAX));
            at += gap();
        }
        Some(times)
    }
}

#[cfg(test)]
mod tests {
    use super::{Arrivals, Duration, Endpoint, Level, Plan, Prompt, Wish};

    fn plan(n_requests: usize) -> Plan {
        Plan {
            endpoint: Endpoint::new("http://h").unwrap(),
            levels: Vec::new(),
            n_requests,
            prompts: vec![Prompt::Text("x".into())],
            wish: Wish { max_tokens: 1, ignore_end: false },
            max_in_flight: 8,
            seed: 1,
        }
    }

    #[test]
    fn constant_arrivals_are_equally_far_apart() {
        let times = plan(4).schedule(Level::Rate { per_sec: 4.0, arrivals: Arrivals::Constant }).unwrap();
        assert_eq!(times, [0, 250, 500, 750].map(Duration::from_millis));
    }

    #[test]
    fn poisson_arrivals_have_the_mean_and_the_spread_of_the_exponential_distribution() {
        let times = plan(20_001).schedule(Level::Rate { per_sec: 10.0, arrivals: Arrivals::Poisson }).unwrap();
        let gaps: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let deviation = (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64).sqrt();
        assert!((mean - 0.1).abs() < 0.003 && (deviation - 0.1).abs() < 0.005, "{mean} {deviation}");
    }

    #[test]
    fn clients_have_no_schedule_and_no_more_threads_than_requests() {
        let level = Level::Concurrency { n: 16 };
        assert_eq!(plan(4).schedule(level), None);
        assert_eq!(plan(4).n_threads(level), 4);
    }

    #[test]
    fn nothing_to_send_is_refused() {
        assert!(plan(1).check().is_ok() && plan(0).check().is_err());
        let zero = Level::Rate { per_sec: 0.0, arrivals: Arrivals::Constant };
        assert!(Plan { levels: vec![zero], ..plan(1) }.check().is_err());
        assert!(Plan { levels: vec![Level::Concurrency { n: 0 }], ..plan(1) }.check().is_err());
    }
}
