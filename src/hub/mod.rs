//! Models of the Hugging Face Hub: what a MODEL argument means, which of a repository's files that asks for, and the
//! cache that Python's `huggingface_hub` shares: finding models in it, keeping it in order, pinning what is in it. [`pull`]
//! fills it from the network; nothing else opens a socket.

mod cache;
mod error;
mod keep;
mod list;
mod location;
mod name;
mod pins;
pub mod pull;
mod reference;
mod repository;
mod select;

pub use cache::{Cache, Resolved};
pub use error::{HubError, shell_word};
pub use keep::{Check, Deletion, Item, ItemKind, KeepError, Kept, Prune, State, Target};
pub use list::{CachedChoice, CachedModel, CachedRevision, Listing};
pub use name::quantization;
pub use pins::{PinError, PinnedFile, PinnedModel, Pins};
pub use reference::{HubReference, Reference, Selector};
pub use repository::CachedFile;
pub use select::{ListedFile, SelectError, Selection, select};
