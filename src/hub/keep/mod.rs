//! Keeping the cache in order: removing models, pruning leftovers, hashing everything again.
//!
//! What is deleted goes in an order in which an interruption leaves a cache that `huggingface_hub` finds whole: what
//! names a revision, then its files, then blobs that nothing links to any more. A repository in which a download runs
//! is left alone, and nothing behind a link that leads out of the cache is ever touched.

mod contents;
mod deletion;
mod error;
mod execute;
mod locks;
mod prune;
mod remove;
mod store;
mod target;
mod verify;

pub use deletion::{Deletion, Item, ItemKind, Kept};
pub use error::KeepError;
pub use prune::Prune;
pub use target::Target;
pub use verify::{Check, State};
