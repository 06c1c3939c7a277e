//! taper runs language models on people's own machines: one binary, quantized inference on CPU, CUDA or Metal.
//!
//! This page is the map. Data goes down, and imports go down only:
//!
//! ```text
//! main → cli → { hub | bench · server → engine } → { model · sampling · text } → backend → { kernels · gguf }
//!                                                                                         → { hash · tensor }
//! ```
//!
//! Siblings in braces do not import each other; a test (`tests/it/layers.rs`) holds the crate to it. [`TokenId`] is the
//! one thing that all of them share.
//!
//! - [`cli`]: a file per subcommand, each `Args` and `execute`; `args.rs` has the flags that several share, `fetch.rs` finds
//!   or fetches models of the Hub, `output.rs` is the only place that prints, `exit.rs` has the exit codes, `repl.rs` is the
//!   chat on a terminal.
//! - [`hub`]: references to models (`owner/repo:QUANT@REVISION`), which files they mean, the cache on disk that Python's
//!   `huggingface_hub` shares (`keep/` puts it in order), and pins of what references stand for. [`hub::pull`] fetches
//!   models. It opens sockets to others, as do [`bench::load`], which asks servers, and `server/collector.rs`, which sends
//!   traces; nothing else does.
//! - [`server`]: OpenAI's API over HTTP, in front of an engine.
//! - [`engine`]: a model with its tokenizer answers requests: `files.rs` opens a model, `prompt.rs` makes prompts,
//!   `schedule.rs` works on several requests at once, `generate.rs` on one to its end, `score.rs` measures texts,
//!   `prompt_scores.rs` the prompts of requests, `embedding.rs` makes vectors of texts.
//! - [`mod@bench`]: measures a model and the machine, and compares the results with earlier ones.
//! - [`model`]: configurations, weights, the page table of the cache, and the forward pass, written once over
//!   [`backend::Backend`]. `architecture.rs` is the one table of what model files do not say.
//! - [`sampling`]: penalties, filters, draw; seeded.
//! - [`text`]: tokenizers that read the vocabulary where it lies in the file, streaming decoding, chat templates.
//! - [`backend`]: the operations of a layer on a device.
//! - [`kernels`]: the arithmetic on GGML blocks.
//! - [`gguf`]: the reader of model files. Their bytes come from strangers: what it hands out is checked.
//! - [`hash`]: SHA-256, and git's way of SHA-1.
//! - [`tensor`]: typed, shaped bytes that stay where they are, and which everything above passes around.

pub mod backend;
pub mod bench;
pub mod cli;
pub mod engine;
pub mod gguf;
pub mod hash;
pub mod hub;
pub mod kernels;
pub mod model;
pub mod sampling;
pub mod server;
pub mod tensor;
pub mod text;

/// The number of a token in a model's vocabulary.
pub type TokenId = u32;
