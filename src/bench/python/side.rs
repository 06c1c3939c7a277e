//! The engines in Python that are compared with.

use serde::Serialize;

/// What every script begins with.
const COMMON: &str = include_str!("side.py");
const TRANSFORMERS: &str = include_str!("transformers_side.py");
const LLAMA_CPP: &str = include_str!("llama_cpp_side.py");

/// An engine in Python with one way to keep the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// `transformers` on weights dequantized to bf16.
    TransformersBf16,
    /// `transformers` on weights dequantized to f32.
    TransformersF32,
    /// `llama-cpp-python` as it is by default, which rearranges weights at load.
    LlamaCpp,
    /// `llama-cpp-python` with the weights as the file has them, which for some types and machines is faster.
    LlamaCppUnpacked,
}

impl Side {
    /// The sides of a package, or all of them without a name; `None` if no side is called so.
    pub fn of_package(name: Option<&str>) -> Option<&'static [Side]> {
        const ALL: [Side; 4] = [Side::TransformersBf16, Side::TransformersF32, Side::LlamaCpp, Side::LlamaCppUnpacked];
        match name {
            None => Some(&ALL),
            Some("transformers") => Some(&ALL[..2]),
            Some("llama-cpp-python") => Some(&ALL[2..]),
            Some(_) => None,
        }
    }

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Side::TransformersBf16 => "transformers bf16",
            Side::TransformersF32 => "transformers f32",
            Side::LlamaCpp => "llama-cpp-python",
            Side::LlamaCppUnpacked => "llama-cpp-python, no repacking",
        }
    }

    /// What the script is told about weights.
    pub(super) fn precision(self) -> &'static str {
        match self {
            Side::TransformersBf16 => "bfloat16",
            Side::TransformersF32 => "float32",
            Side::LlamaCpp => "file",
            Side::LlamaCppUnpacked => "unpacked",
        }
    }

    /// The text of the script.
    pub(super) fn script(self) -> String {
        let own = match self {
            Side::TransformersBf16 | Side::TransformersF32 => TRANSFORMERS,
            Side::LlamaCpp | Side::LlamaCppUnpacked => LLAMA_CPP,
        };
        [COMMON, own].join("\n")
    }

    /// Whether it has a format of its own, which it loads faster than GGUF.
    pub(super) fn converts(self) -> bool {
        matches!(self, Side::TransformersBf16 | Side::TransformersF32)
    }
}
