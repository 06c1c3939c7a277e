//! Which tokens begin, end and frame a text: from the keys of the file, and from names that models agree on.

use super::TextError;
use super::vocabulary::{TokenKind, Vocabulary};
use crate::TokenId;
use crate::gguf::Metadata;

/// Tokens with a meaning.
pub(crate) struct Markers {
    pub(crate) bos: Option<TokenId>,
    pub(crate) eos: Option<TokenId>,
    pub(crate) unknown: Option<TokenId>,
    /// Put before a prompt.
    pub(crate) before: Vec<TokenId>,
    /// Put after a prompt.
    pub(crate) after: Vec<TokenId>,
    /// Those after which a model has said all it wanted, ascending.
    pub(crate) ends: Vec<TokenId>,
}

/// The tokens that hold where a file is silent, by vocabulary algorithm.
#[derive(Clone, Copy, Default)]
pub(crate) struct Defaults {
    pub(crate) bos: Option<TokenId>,
    pub(crate) eos: Option<TokenId>,
    pub(crate) unknown: Option<TokenId>,
    pub(crate) add_bos: bool,
}

/// Names that end a turn or a text in every vocabulary that has them, whatever else the file says.
const END_NAMES: &[&str] = &[
    "<|eot_id|>",
    "<|eom_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|calls|>",
    "<|flush|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "</s>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
    "[e~[",
];

/// Keys and names of what ends a piece of code that a model fills in; the first there is of each row.
const FILL_END: &[(&str, &[&str])] = &[
    ("tokenizer.ggml.fim_pad_token_id", &["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"]),
    ("tokenizer.ggml.fim_rep_token_id", &["<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"]),
    ("tokenizer.ggml.fim_sep_token_id", &["<|file_sep|>"]),
];

/// Names that structure a text to be filled in.
const FILL_NAMES: &[&str] = &[
    "<|fim_prefix|>",
    "<fim-prefix>",
    "<fim_prefix>",
    "<｜fim▁begin｜>",
    "<PRE>",
    "▁<PRE>",
    "<|code_prefix|>",
    "<|prefix|>",
    "<|fim_suffix|>",
    "<fim-suffix>",
    "<fim_suffix>",
    "<｜fim▁hole｜>",
    "<SUF>",
    "▁<SUF>",
    "<|code_suffix|>",
    "<|suffix|>",
    "<|fim_middle|>",
    "<fim-middle>",
    "<fim_middle>",
    "<｜fim▁end｜>",
    "<MID>",
    "▁<MID>",
    "<|code_middle|>",
    "<|middle|>",
];

/// Names that frame messages in the harmony format, and are part of what a model says.
const HARMONY_NAMES: &[&str] = &["<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"];

impl Markers {
    /// Reads the keys, and corrects the kinds of tokens whose names say what they are.
    ///
    /// # Errors
    /// [`TextError::Gguf`] if a key has a value of the wrong type.
    pub(crate) fn read(
        metadata: &Metadata,
        vocabulary: &mut Vocabulary,
        defaults: Defaults,
    ) -> Result<Markers, TextError> {
        let n_vocab = vocabulary.len();
        let token = |key: &str, default: Option<TokenId>| -> Result<Option<TokenId>, TextError> {
            let is_there = |id: &TokenId| (*id as usize) < n_vocab;
            Ok(metadata.u32(key)?.filter(is_there).or(default.filter(is_there)))
        };
        let bos = token("tokenizer.ggml.bos_token_id", defaults.bos)?;
        let eos = token("tokenizer.ggml.eos_token_id", defaults.eos)?;
        let unknown = token("tokenizer.ggml.unknown_token_id", defaults.unknown)?;
        let mut ends = correct_kinds(vocabulary);
        ends.extend(eos);
        for key in ["tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"] {
            ends.extend(token(key, None)?);
        }
        for (key, names) in FILL_END {
            ends.extend(token(key, names.iter().find_map(|name| vocabulary.find(name.as_bytes())))?);
        }
        ends.sort_unstable();
        ends.dedup();
        let add_bos = metadata.bool("tokenizer.ggml.add_bos_token")?.unwrap_or(defaults.add_bos);
        let add_eos = metadata.bool("tokenizer.ggml.add_eos_token")?.unwrap_or(false);
        let before = bos.filter(|_| add_bos).into_iter().collect();
        let after = eos.filter(|_| add_eos).into_iter().collect();
        Ok(Markers { bos, eos, unknown, before, after, ends })
    }
}

/// Sets the kinds of tokens by their names; gives those that end a turn.
fn correct_kinds(vocabulary: &mut Vocabulary) -> Vec<TokenId> {
    let ids = |names: &[&str], vocabulary: &Vocabulary| -> Vec<TokenId> {
        names.iter().filter_map(|name| vocabulary.find(name.as_bytes())).collect()
    };
    let ends = named_ends(|name| vocabulary.find(name.as_bytes()));
    let fill_ends = FILL_END.iter().filter_map(|(_, names)| ids(names, vocabulary).first().copied());
    let controls = [ends.clone(), fill_ends.collect(), ids(FILL_NAMES, vocabulary)].concat();
    for id in controls {
        vocabulary.set_kind(id, TokenKind::Control);
    }
    let mut harmony = ids(HARMONY_NAMES, vocabulary);
    harmony.extend(vocabulary.find(b"<|end|>").filter(|id| !ends.contains(id)));
    for id in harmony {
        vocabulary.set_kind(id, TokenKind::UserDefined);
    }
    ends
}

/// The tokens that end a turn by their names.
pub(crate) fn named_ends(find: impl Fn(&str) -> Option<TokenId>) -> Vec<TokenId> {
    let has = |name: &str| find(name).is_some();
    // In the harmony format `<|end|>` ends a message, after which the model may go on with the next.
    let is_harmony = (has("<|call|>") || has("<|calls|>")) && (has("<|return|>") || has("<|flush|>"));
    // In Gemma 4's vocabulary `</s>` is the HTML tag.
    let has_html = has("<|tool_response>");
    let is_other = |name: &str| name == "<|end|>" && is_harmony || name == "</s>" && has_html;
    END_NAMES.iter().filter(|name| !is_other(name)).filter_map(|name| find(name)).collect()
}
