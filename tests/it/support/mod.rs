//! What tests share.

pub(crate) mod compare;
pub(crate) mod gguf_writer;
pub(crate) mod tiny;
