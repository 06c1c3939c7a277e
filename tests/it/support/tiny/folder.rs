//! Tiny models as folders of safetensors, as transformers reads and writes them, some of them with sliding windows.

use super::{Architecture, TinyModel, Types};
use safetensors::tensor::{Dtype as Stored, TensorView, serialize_to_file};
use serde_json::json;
use std::path::Path;
use taper::{gguf::Gguf, tensor::Dtype};

/// A tiny model with sliding windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Windowed {
    /// 24 positions in both layers.
    Mistral,
    /// 40 positions, from layer 1 on.
    Qwen2,
    /// 33 positions in layer 0 alone.
    Qwen3,
}

/// Parts of a layer, as GGUF and as transformers call them.
const NAMES: [(&str, &str); 14] = [
    ("token_embd", "model.embed_tokens"),
    ("output_norm", "model.norm"),
    ("output", "lm_head"),
    ("attn_norm", "input_layernorm"),
    ("ffn_norm", "post_attention_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("attn_q_norm", "self_attn.q_norm"),
    ("attn_k_norm", "self_attn.k_norm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

impl Windowed {
    pub(crate) const ALL: [Windowed; 3] = [Windowed::Mistral, Windowed::Qwen2, Windowed::Qwen3];

    /// What transformers calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Windowed::Mistral => "mistral",
            Windowed::Qwen2 => "qwen2",
            Windowed::Qwen3 => "qwen3",
        }
    }

    /// Its config.json.
    pub(crate) fn config(self) -> serde_json::Value {
        let mut config = json!({
            "architectures": [self.name()[..1].to_uppercase() + &self.name()[1..] + "ForCausalLM"],
            "model_type": self.name(),
            "vocab_size": if self == Windowed::Mistral { 320 } else { 293 },
            "hidden_size": 256,
            "intermediate_size": 512,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": if self == Windowed::Qwen3 { 128 } else { 64 },
            "max_position_embeddings": 512,
            "rms_norm_eps": 1e-3,
            "rope_theta": 3000.0,
            "hidden_act": "silu",
            "tie_word_embeddings": self != Windowed::Mistral,
        });
        let window = match self {
            Windowed::Mistral => json!({"sliding_window": 24}),
            Windowed::Qwen2 => json!({"sliding_window": 40, "use_sliding_window": true, "max_window_layers": 1}),
            Windowed::Qwen3 => json!({
                "sliding_window": 33,
                "use_sliding_window": true,
                "layer_types": ["sliding_attention", "full_attention"],
            }),
        };
        let window = window.as_object().expect("an object").clone();
        config.as_object_mut().expect("an object").extend(window);
        config
    }

    /// Writes config.json and model.safetensors to `folder`.
    pub(crate) fn write(self, folder: &Path) {
        self.write_with(folder, &self.config());
    }

    /// The same weights with another configuration.
    pub(crate) fn write_with(self, folder: &Path, config: &serde_json::Value) {
        let architecture = match self {
            Windowed::Mistral => Architecture::Llama,
            Windowed::Qwen2 => Architecture::Qwen2,
            Windowed::Qwen3 => Architecture::Qwen3,
        };
        let bytes = TinyModel::new(architecture, Types::Only(Dtype::F32)).gguf();
        let gguf = Gguf::from_bytes(bytes.into()).expect("a tiny model is whole");
        let tensors: Vec<_> = gguf
            .tensors()
            .map(|info| gguf.tensor(&info.name).expect("sound").expect("listed"))
            .map(|tensor| (name_of(&tensor.name), tensor))
            .collect();
        let views = tensors.iter().map(|(name, tensor)| {
            let view = TensorView::new(Stored::F32, tensor.shape.clone(), &tensor.data);
            (name, view.expect("as many bytes as its shape says"))
        });
        let format = [("format".to_owned(), "pt".to_owned())].into();
        std::fs::write(folder.join("config.json"), config.to_string()).expect("the folder can be written");
        serialize_to_file(views, Some(format), &folder.join("model.safetensors")).expect("the folder can be written");
    }
}

/// What transformers calls the tensor `name` of a GGUF file.
fn name_of(name: &str) -> String {
    let (layer, rest) = match name.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) {
        Some((layer, rest)) => (format!("model.layers.{layer}."), rest),
        None => (String::new(), name),
    };
    let (part, kind) = rest.split_once('.').expect("a part and what of it");
    let (_, part) = NAMES.iter().find(|(theirs, _)| *theirs == part).expect("a part that models have");
    format!("{layer}{part}.{kind}")
}
