//! Servers under load: any that answers as OpenAI's does, over HTTP, in a stream.
//!
//! [`run()`] sends the prompts of a [`Plan`] and measures what a client feels: the time to the first token, between tokens
//! and to the end. [`alone()`] measures a server with one request at a time, for a comparison with our own engine.
//!
//! Threads block, one for each request in flight: what is measured is the server, and a client that does nothing but wait
//! needs nothing cleverer.

mod alone;
mod client;
mod endpoint;
mod failure;
mod outcome;
mod percentiles;
mod plan;
mod prompts;
mod run;
mod stream;
mod summary;
mod table;

pub use alone::{Alone, alone};
pub use endpoint::{Endpoint, LoadError, Route};
pub use failure::Failure;
pub use outcome::Outcome;
pub use percentiles::Percentiles;
pub use plan::{Arrivals, Level, Plan, Wish};
pub use prompts::{Prompt, PromptError, parse_prompts, synthetic_prompts};
pub use run::run;
pub use summary::{Counted, Failures, Summary};
pub use table::{notes, table};
