//! Integration tests: one module per area.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is what it is for")]
#![allow(clippy::print_stderr, reason = "a test that skips says so")]

mod bench;
mod bench_load;
mod bench_python;
mod cli;
mod cpu_backend;
mod demo;
mod dequantize;
mod embeddings;
mod engine;
mod gguf;
mod grammar;
mod hub;
mod kernels;
mod layers;
mod operator;
mod pull;
mod reference;
mod serve;
mod support;
mod template;
mod tokenizer;
mod windows;
