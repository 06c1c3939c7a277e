//! What tests share.

pub(crate) mod gguf_writer;
