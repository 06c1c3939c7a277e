//! What tests share.

pub(crate) mod gguf_writer;
pub(crate) mod hub_cache;
