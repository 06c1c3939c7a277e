//! The GGUF reader: maps a file, checks every number in its header, and hands out metadata and tensors without copying.
//!
//! Source: the GGUF specification (`docs/gguf.md` in the ggml repository). What is refused here need not be checked
//! again above: sizes fit the file, names are unique and UTF-8, strings lie inside, every tensor of a known type has
//! exactly the bytes that its shape asks for.

mod array;
mod cursor;
mod error;
mod file;
mod header;
mod looks;
mod metadata;
mod shards;
mod tensor_info;
mod types;
mod value;

pub use array::{Array, Numbers, StringArray};
pub use error::GgufError;
pub use file::Gguf;
pub use metadata::Metadata;
pub use tensor_info::TensorInfo;
pub use value::{Value, ValueType};
