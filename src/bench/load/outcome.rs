//! What came of a load test as a whole.

use super::{Endpoint, LoadError, Route, Summary};

/// Of so many requests of a level one at least is to be answered, so that its numbers say something.
const ONE_OF: usize = 10;

/// What came of a load test.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Who was asked.
    pub endpoint: Endpoint,
    /// The model that was asked for.
    pub model: String,
    /// Where prompts were sent.
    pub routes: Vec<Route>,
    /// The levels, as far as it got: after one without any answer there are no others.
    pub levels: Vec<Summary>,
}

impl Outcome {
    /// Whether the user wanted no more before the end.
    pub fn is_interrupted(&self) -> bool {
        self.levels.iter().any(|level| level.interrupted)
    }

    /// Whether the server answered enough for its numbers to be believed.
    ///
    /// # Errors
    /// [`LoadError::Failing`] if less than one request in ten of a level got a whole answer.
    pub fn verdict(&self) -> Result<(), LoadError> {
        let fails = |level: &&Summary| level.n_answered * ONE_OF < level.n_requests;
        let Some(level) = self.levels.iter().find(fails) else { return Ok(()) };
        let most = level.failures.iter().max_by_key(|(_, failures)| failures.n);
        most.map_or(Ok(()), |(reason, failures)| {
            Err(LoadError::Failing {
                url: self.endpoint.url(self.routes.first().copied().unwrap_or(Route::Completions)),
                n_answered: level.n_answered,
                n_requests: level.n_requests,
                n_failed: failures.n,
                reason: reason.clone(),
                found: failures.example.clone(),
            })
        })
    }
}
