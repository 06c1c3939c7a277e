//! The one table of facts about architectures that model files do not carry.

use crate::backend::{Activation, Pairing};

/// What an architecture's name stands for.
#[derive(Debug, PartialEq)]
pub struct Architecture {
    /// The name in `general.architecture` of a GGUF file, and the prefix of its keys there.
    pub name: &'static str,
    /// Values of `model_type` in a config.json that mean the same.
    pub model_types: &'static [&'static str],
    /// Which elements of a head turn together, as GGUF files order them. (Safetensors always have halves.)
    pub pairing: Pairing,
    /// The activation of the feed-forward network.
    pub activation: Activation,
}

/// Every architecture that taper computes.
pub const ARCHITECTURES: &[Architecture] = &[
    Architecture {
        name: "llama",
        model_types: &["llama", "mistral"],
        pairing: Pairing::Adjacent,
        activation: Activation::Silu,
    },
    Architecture { name: "qwen2", model_types: &["qwen2"], pairing: Pairing::Halves, activation: Activation::Silu },
    Architecture { name: "qwen3", model_types: &["qwen3"], pairing: Pairing::Halves, activation: Activation::Silu },
];

impl Architecture {
    /// The architecture that GGUF files call `name`; `None` if taper does not compute it.
    pub fn by_name(name: &str) -> Option<&'static Architecture> {
        ARCHITECTURES.iter().find(|row| row.name == name)
    }

    /// The architecture that a config.json calls `model_type`; `None` if taper does not compute it.
    pub fn by_model_type(model_type: &str) -> Option<&'static Architecture> {
        ARCHITECTURES.iter().find(|row| row.model_types.contains(&model_type))
    }

    /// The names of all of them, for messages.
    pub fn names() -> String {
        ARCHITECTURES.iter().map(|row| row.name).collect::<Vec<_>>().join(", ")
    }
}
