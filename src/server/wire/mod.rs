//! What goes over the wire: OpenAI's API, and the fields that vLLM and llama.cpp have beside it.

mod answer;
mod embedding;
mod request;
mod response;
mod sampling;

pub(super) use answer::{Answer, ChatAnswer, Finish, TextAnswer, Usage};
pub(super) use embedding::{EmbeddingAnswer, EmbeddingBody};
pub(super) use request::{
    Body, ChatRequest, LogprobsField, PromptField, ResponseFormat, TemplateRequest, TextRequest, Tool, ToolChoice,
    ToolMode, parse,
};
pub(super) use response::{Ids, Kind, Piece};
