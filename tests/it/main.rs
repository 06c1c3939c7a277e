//! Integration tests: one module per area.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is what it is for")]

mod gguf;
mod support;
