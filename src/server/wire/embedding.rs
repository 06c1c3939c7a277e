//! Requests for vectors, and the answers to them.

use super::PromptField;
use crate::engine::Pooling;
use base64::{Engine, engine::general_purpose::STANDARD};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A request for the vectors of texts.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(rename = "EmbeddingRequest")]
pub(in crate::server) struct EmbeddingBody {
    pub(in crate::server) model: Option<String>,
    /// Texts, or their tokens.
    #[schemars(required)]
    pub(in crate::server) input: Option<PromptField>,
    pub(in crate::server) encoding_format: Option<Encoding>,
    /// Only so many elements of each vector, made length 1 again.
    #[schemars(range(min = 1))]
    pub(in crate::server) dimensions: Option<usize>,
    /// Else as the model's file says, else `mean`.
    pub(in crate::server) pooling: Option<PoolingField>,
}

/// How numbers are written.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::server) enum Encoding {
    #[default]
    Float,
    /// Of 32-bit floats, the lowest byte first.
    Base64,
}

/// Which tokens of a text its vector is made of.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::server) enum PoolingField {
    Mean,
    Last,
}

impl From<PoolingField> for Pooling {
    fn from(field: PoolingField) -> Pooling {
        match field {
            PoolingField::Mean => Pooling::Mean,
            PoolingField::Last => Pooling::Last,
        }
    }
}

/// The vectors of texts.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(in crate::server) struct EmbeddingAnswer {
    object: &'static str,
    data: Vec<Embedding>,
    model: String,
    usage: EmbeddingUsage,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
struct Embedding {
    object: &'static str,
    /// The place of the text among those of the request.
    index: usize,
    embedding: Vector,
}

/// A vector of length 1.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::server) enum Vector {
    Numbers(Vec<f32>),
    Base64(String),
}

#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
struct EmbeddingUsage {
    prompt_tokens: usize,
    total_tokens: usize,
}

impl EmbeddingAnswer {
    pub(in crate::server) fn new(
        model: String,
        vectors: impl Iterator<Item = Vector>,
        n_tokens: usize,
    ) -> EmbeddingAnswer {
        let data = vectors.enumerate().map(|(index, embedding)| Embedding { object: "embedding", index, embedding });
        let usage = EmbeddingUsage { prompt_tokens: n_tokens, total_tokens: n_tokens };
        EmbeddingAnswer { object: "list", data: data.collect(), model, usage }
    }
}

impl Encoding {
    pub(in crate::server) fn write(self, vector: Vec<f32>) -> Vector {
        match self {
            Encoding::Float => Vector::Numbers(vector),
            Encoding::Base64 => {
                let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
                Vector::Base64(STANDARD.encode(bytes))
            }
        }
    }
}
