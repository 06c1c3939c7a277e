//! One request from its prompt to the end of its answer.

use super::{Completion, Engine, EngineError, Event, Request};
use std::ops::ControlFlow;

/// Hears what happens, and says whether to go on.
pub type Sink<'a> = dyn FnMut(Event<'_>) -> ControlFlow<()> + 'a;

impl Engine {
    /// Continues the prompt of `request`. What the cache holds of it already is not computed again. Other requests that
    /// the engine has taken go on meanwhile, unheard.
    ///
    /// # Errors
    /// [`EngineError::PromptTooLong`] or [`EngineError::EmptyPrompt`] before anything is computed;
    /// [`EngineError::NotANumber`] or [`EngineError::Model`] when the model fails.
    pub fn generate(&mut self, request: &Request, sink: &mut Sink<'_>) -> Result<Completion, EngineError> {
        let job = self.submit(request.clone())?;
        loop {
            let finished =
                self.step(&mut |id, event| if id == job { sink(event) } else { ControlFlow::Continue(()) })?;
            if let Some((_, outcome)) = finished.into_iter().find(|(id, _)| *id == job) {
                return outcome;
            }
        }
    }
}
