//! What several areas share.

pub(crate) mod compare;
pub(crate) mod gguf_writer;
pub(crate) mod hash;
pub(crate) mod hub_cache;
pub(crate) mod hub_stub;
pub(crate) mod openai_stub;
pub(crate) mod tiny;
pub(crate) mod tls;
