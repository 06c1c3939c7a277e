//! Models of the Hugging Face Hub: what a MODEL argument means, which of a repository's files that asks for, and the
//! cache that Python's `huggingface_hub` shares.

mod cache;
mod error;
mod list;
mod location;
mod name;
mod reference;
mod repository;
mod select;

pub use cache::{Cache, Resolved};
pub use error::HubError;
pub use list::{CachedModel, CachedRevision, Listing};
pub use name::quantization;
pub use reference::{HubReference, Reference, Selector};
pub use repository::CachedFile;
pub use select::{ListedFile, SelectError, Selection, select};
