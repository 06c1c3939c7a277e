//! Tiny models with random weights, the same bytes on every machine, so that tests need no downloads and references
//! computed elsewhere stay valid.
//!
//! They are small but not smooth: head counts differ, norm weights are not 1, epsilon and rope base are unusual, and
//! everything that an implementation may assume by habit is set otherwise in at least one of them.

mod fill;
mod folder;
mod vocabulary;

use std::fmt;

use fill::{Random, between, weights};
use taper::tensor::Dtype;

use super::gguf_writer::GgufBuilder;

pub(crate) use folder::Windowed;

const N_LAYERS: usize = 2;
const D_MODEL: usize = 256;
const D_FF: usize = 512;
const N_HEADS: usize = 4;
const N_KV_HEADS: usize = 2;

/// Factors of the Llama 3 rule for rope base 10000, 64 values per head, factor 8, low 1, high 4 and an original context
/// of 64; those left out are 8. Literals, since powers differ between machines in the last bit.
const LLAMA3_FACTORS: [f32; 9] = [1.0, 1.0, 1.0, 1.0, 1.2939758, 1.8592789, 2.7651732, 4.357143, 7.667385];

/// A tiny model, before it is bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TinyModel {
    pub(crate) architecture: Architecture,
    pub(crate) types: Types,
    pub(crate) variant: Variant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Architecture {
    /// SPM vocabulary, own output matrix, 64 values per head, sizes that files leave out left out.
    Llama,
    /// BPE vocabulary, output tied to the embedding, biases on q, k and v.
    Qwen2,
    /// BPE vocabulary, tied, norms on q and k, 128 values per head, so that heads are wider than the model.
    Qwen3,
}

/// How the matrices are stored; vectors are always F32, as in real files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Types {
    Only(Dtype),
    /// Q4_K with the more sensitive matrices in Q6_K, as in the files that people download.
    Q4KM,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    Plain,
    /// Tied where the plain model has an output matrix, and the other way round.
    OtherTying,
    /// Biases on all four matrices of attention.
    Biased,
    /// Rope positions divided by 4; no rope base in the file, which means 10000.
    LinearRope,
    /// YaRN by a factor of 4 from an original context of 128.
    YarnRope,
    /// Factors for each rope frequency in the file, by the rule of Llama 3.
    Llama3Rope,
}

impl TinyModel {
    /// The plain model of an architecture.
    pub(crate) fn new(architecture: Architecture, types: Types) -> TinyModel {
        TinyModel { architecture, types, variant: Variant::Plain }
    }

    /// Every model that there are stored references for.
    pub(crate) fn all() -> Vec<TinyModel> {
        let architectures = [Architecture::Llama, Architecture::Qwen2, Architecture::Qwen3];
        let types = || Dtype::all().map(Types::Only).chain([Types::Q4KM]);
        let plain = architectures.into_iter().flat_map(|each| types().map(move |types| TinyModel::new(each, types)));
        let variants = [
            (Architecture::Llama, Variant::OtherTying),
            (Architecture::Llama, Variant::Biased),
            (Architecture::Llama, Variant::LinearRope),
            (Architecture::Llama, Variant::YarnRope),
            (Architecture::Llama, Variant::Llama3Rope),
            (Architecture::Qwen2, Variant::OtherTying),
            (Architecture::Qwen2, Variant::YarnRope),
            (Architecture::Qwen3, Variant::OtherTying),
        ];
        let float = Types::Only(Dtype::F32);
        plain.chain(variants.map(|(architecture, variant)| TinyModel { architecture, types: float, variant })).collect()
    }

    /// The bytes of the model's GGUF file.
    pub(crate) fn gguf(&self) -> Vec<u8> {
        self.gguf_with(|file| file)
    }

    /// The bytes of a file that says more.
    pub(crate) fn gguf_with(&self, more: impl FnOnce(GgufBuilder) -> GgufBuilder) -> Vec<u8> {
        let file = more(self.described(GgufBuilder::new()));
        let file = match self.architecture {
            Architecture::Llama => vocabulary::spm(file),
            Architecture::Qwen2 => vocabulary::bpe(file, "qwen2"),
            Architecture::Qwen3 => vocabulary::bpe(file, "gpt-2"),
        };
        let file = self.with_outer_tensors(file);
        (0..N_LAYERS).fold(file, |file, layer| self.with_layer(file, layer)).build()
    }

    fn described(&self, file: GgufBuilder) -> GgufBuilder {
        let arch = self.architecture.name();
        let key = |name: &str| format!("{arch}.{name}");
        let file = file
            .string("general.architecture", arch)
            .string("general.name", &format!("Tiny {self}"))
            .u32("general.file_type", self.types.file_type())
            .u32("general.quantization_version", 2)
            .u32(&key("context_length"), 512)
            .u32(&key("embedding_length"), D_MODEL as u32)
            .u32(&key("block_count"), N_LAYERS as u32)
            .u32(&key("feed_forward_length"), D_FF as u32)
            .u32(&key("attention.head_count"), N_HEADS as u32)
            .u32(&key("attention.head_count_kv"), N_KV_HEADS as u32)
            .f32(&key("attention.layer_norm_rms_epsilon"), 1e-3);
        let file = match self.architecture {
            Architecture::Qwen3 => file.u32(&key("attention.key_length"), 128).u32(&key("attention.value_length"), 128),
            Architecture::Llama | Architecture::Qwen2 => file,
        };
        self.with_rope(file)
    }

    fn with_rope(&self, file: GgufBuilder) -> GgufBuilder {
        let key = |name: &str| format!("{}.rope.{name}", self.architecture.name());
        let scaled =
            |file: GgufBuilder, kind: &str| file.string(&key("scaling.type"), kind).f32(&key("scaling.factor"), 4.0);
        match self.variant {
            Variant::LinearRope => scaled(file, "linear"),
            Variant::YarnRope => {
                scaled(file, "yarn").u32(&key("scaling.original_context_length"), 128).f32(&key("freq_base"), 3_000.0)
            }
            Variant::Llama3Rope => {
                let factors = LLAMA3_FACTORS.into_iter().chain([8.0; 32 - LLAMA3_FACTORS.len()]);
                let bytes: Vec<u8> = factors.flat_map(f32::to_le_bytes).collect();
                file.f32(&key("freq_base"), 10_000.0).tensor("rope_freqs.weight", Dtype::F32, &[32], &bytes)
            }
            Variant::Plain | Variant::OtherTying | Variant::Biased => file.f32(&key("freq_base"), 3_000.0),
        }
    }

    fn with_outer_tensors(&self, file: GgufBuilder) -> GgufBuilder {
        let n_vocab = match self.architecture {
            Architecture::Llama => vocabulary::SPM_TOKENS,
            Architecture::Qwen2 | Architecture::Qwen3 => vocabulary::BPE_TOKENS,
        };
        let file = self.with_matrix(file, "token_embd.weight", [n_vocab, D_MODEL]);
        let file = self.with_vector(file, "output_norm.weight", D_MODEL);
        let tied = (self.architecture == Architecture::Llama) == (self.variant == Variant::OtherTying);
        if tied { file } else { self.with_matrix(file, "output.weight", [n_vocab, D_MODEL]) }
    }

    fn with_layer(&self, file: GgufBuilder, layer: usize) -> GgufBuilder {
        let head_dim = if self.architecture == Architecture::Qwen3 { 128 } else { 64 };
        let (d_q, d_kv) = (N_HEADS * head_dim, N_KV_HEADS * head_dim);
        let matrices = [
            ("attn_q", [d_q, D_MODEL]),
            ("attn_k", [d_kv, D_MODEL]),
            ("attn_v", [d_kv, D_MODEL]),
            ("attn_output", [D_MODEL, d_q]),
            ("ffn_gate", [D_FF, D_MODEL]),
            ("ffn_up", [D_FF, D_MODEL]),
            ("ffn_down", [D_MODEL, D_FF]),
        ];
        let mut vectors = vec![("attn_norm.weight", D_MODEL), ("ffn_norm.weight", D_MODEL)];
        if self.architecture == Architecture::Qwen2 || self.variant == Variant::Biased {
            vectors.extend([("attn_q.bias", d_q), ("attn_k.bias", d_kv), ("attn_v.bias", d_kv)]);
        }
        if self.variant == Variant::Biased {
            vectors.push(("attn_output.bias", D_MODEL));
        }
        if self.architecture == Architecture::Qwen3 {
            vectors.extend([("attn_q_norm.weight", head_dim), ("attn_k_norm.weight", head_dim)]);
        }
        let file = matrices
            .into_iter()
            .fold(file, |file, (part, shape)| self.with_matrix(file, &format!("blk.{layer}.{part}.weight"), shape));
        vectors.into_iter().fold(file, |file, (part, n)| self.with_vector(file, &format!("blk.{layer}.{part}"), n))
    }

    /// `shape` is [rows, columns]. Scales are such that attention neither is flat nor picks a single position, and the
    /// logits have a standard deviation of 1.4.
    fn with_matrix(&self, file: GgufBuilder, name: &str, shape: [usize; 2]) -> GgufBuilder {
        let std = if name.starts_with("blk") { 0.06 } else { 0.085 };
        let dtype = self.types.of(name);
        file.tensor(name, dtype, &shape, &weights(dtype, shape[0] * shape[1], std, &mut self.random(name)))
    }

    /// Norms around 1, biases around 0.
    fn with_vector(&self, file: GgufBuilder, name: &str, n: usize) -> GgufBuilder {
        let (low, high) = if name.ends_with("bias") { (-0.5, 0.5) } else { (0.5, 1.5) };
        file.tensor(name, Dtype::F32, &[n], &between(low, high, n, &mut self.random(name)))
    }

    fn random(&self, tensor: &str) -> Random {
        Random::named(&format!("{} {tensor}", self.architecture.name()))
    }
}

/// The name that references are stored under, such as `llama-yarn-F32`.
impl fmt::Display for TinyModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variant = match self.variant {
            Variant::Plain => "",
            Variant::OtherTying => "-other-tying",
            Variant::Biased => "-biased",
            Variant::LinearRope => "-linear",
            Variant::YarnRope => "-yarn",
            Variant::Llama3Rope => "-llama3",
        };
        write!(f, "{}{variant}-{}", self.architecture.name(), self.types)
    }
}

impl Architecture {
    /// As `general.architecture` has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Architecture::Llama => "llama",
            Architecture::Qwen2 => "qwen2",
            Architecture::Qwen3 => "qwen3",
        }
    }
}

impl Types {
    fn of(self, tensor: &str) -> Dtype {
        let sensitive = ["output.weight", "blk.0.attn_v.weight", "blk.0.ffn_down.weight"];
        match self {
            Types::Only(dtype) => dtype,
            Types::Q4KM if sensitive.contains(&tensor) => Dtype::Q6_K,
            Types::Q4KM => Dtype::Q4_K,
        }
    }

    /// The number that `general.file_type` names the mixture with.
    fn file_type(self) -> u32 {
        match self {
            Types::Only(Dtype::F32) => 0,
            Types::Only(Dtype::F16) => 1,
            Types::Only(Dtype::Q4_0) => 2,
            Types::Only(Dtype::Q4_1) => 3,
            Types::Only(Dtype::Q8_0) => 7,
            Types::Only(Dtype::Q5_0) => 8,
            Types::Only(Dtype::Q5_1) => 9,
            Types::Only(Dtype::Q2_K) => 10,
            Types::Only(Dtype::Q3_K) => 11,
            Types::Only(Dtype::Q4_K) => 14,
            Types::Q4KM => 15,
            Types::Only(Dtype::Q5_K) => 16,
            Types::Only(Dtype::Q6_K) => 18,
            Types::Only(Dtype::BF16) => 32,
        }
    }
}

impl fmt::Display for Types {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Types::Only(dtype) => dtype.fmt(f),
            Types::Q4KM => f.write_str("Q4_K_M"),
        }
    }
}

/// Writes the models into a folder for the scripts under tests/reference.
#[test]
#[ignore = "a tool: TAPER_TINY_MODELS_DIR=FOLDER cargo test --test it write_tiny_models -- --ignored"]
fn write_tiny_models() {
    let folder = std::env::var_os("TAPER_TINY_MODELS_DIR").expect("TAPER_TINY_MODELS_DIR names the folder");
    let folder = std::path::Path::new(&folder);
    std::fs::create_dir_all(folder).expect("the folder can be made");
    for model in TinyModel::all() {
        std::fs::write(folder.join(format!("{model}.gguf")), model.gguf()).expect("the folder can be written");
    }
    for model in Windowed::ALL {
        let folder = folder.join(format!("windowed-{}", model.name()));
        std::fs::create_dir_all(&folder).expect("the folder can be made");
        model.write(&folder);
    }
}
