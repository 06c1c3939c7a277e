//! What goes over the wire: OpenAI's API, and the fields that vLLM and llama.cpp have beside it.

mod request;
mod response;
mod sampling;

pub(super) use request::{Body, LogprobsField, PromptField, ResponseFormat, Tool, ToolChoice, ToolMode, parse};
pub(super) use response::{Ids, Kind, Piece, Usage};
