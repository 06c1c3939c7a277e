//! How byte-pair tokenizers cut text into words before they merge: the table behind `tokenizer.ggml.pre`.
//!
//! The rules are those of each model's own `tokenizer.json`; the names are those that llama.cpp's converter writes.

use super::TextError;
use super::pattern::Split;
use super::rules::{
    ASCII_TRIPLES, BLOOM, DEEPSEEK3, GPT2, GPT4O, JAIS2, KIMI_K2, LLAMA3, NEWLINES, NUMBER_TRIPLES, NUMBERS, QWEN2,
    QWEN35, SEED_CODER, SIGNS_AND_GRAVE, SIGNS_BUT_GRAVE, SINGLE_NUMBERS, SPACED_PUNCTUATION, SPACED_WORDS, SPARK,
    TEKKEN, UFAKZEKA, YOUTU,
};
use super::scripts::{
    CASED_WORDS, CJK_AND_HANGUL, DEEPSEEK_SIGNS, HAN_AND_KANA, SOUTH_EAST_AND_EAST_ASIAN, YOUTU_SCRIPTS,
};

/// What a name in `tokenizer.ggml.pre` stands for.
pub(crate) struct Pretokenizer {
    /// The names that mean this.
    names: &'static [&'static str],
    /// How text is cut.
    pub(crate) splits: &'static [Split],
    /// How the vocabulary writes bytes.
    pub(crate) alphabet: Alphabet,
    /// Which words are not merged where the vocabulary has them whole.
    pub(crate) whole: Whole,
    /// Whether a file that does not say has a token for the beginning put before the text.
    pub(crate) add_bos: bool,
}

/// How the strings of a byte-pair vocabulary write bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alphabet {
    /// A printable character for each byte, as GPT-2 has it.
    Bytes,
    /// UTF-8 with `▁` for a space, and `<0x0A>` tokens for what is lacking.
    Characters,
}

/// Words that are looked up whole before any merge.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whole {
    Never,
    Newlines,
    Always,
}

/// The pre-tokenizer called `name`.
///
/// # Errors
/// [`TextError::UnknownPretokenizer`], which lists the names that are known.
pub(crate) fn named(name: &str) -> Result<&'static Pretokenizer, TextError> {
    PRETOKENIZERS.iter().find(|row| row.names.contains(&name)).ok_or_else(|| TextError::UnknownPretokenizer {
        name: name.into(),
        known: PRETOKENIZERS.iter().flat_map(|row| row.names).copied().collect::<Vec<_>>().join(", "),
    })
}

const fn row(names: &'static [&'static str], splits: &'static [Split]) -> Pretokenizer {
    Pretokenizer { names, splits, alphabet: Alphabet::Bytes, whole: Whole::Never, add_bos: false }
}

impl Pretokenizer {
    const fn whole_words(self) -> Pretokenizer {
        Pretokenizer { whole: Whole::Always, ..self }
    }

    const fn with_bos(self) -> Pretokenizer {
        Pretokenizer { add_bos: true, ..self }
    }

    const fn characters(self, whole: Whole) -> Pretokenizer {
        Pretokenizer { alphabet: Alphabet::Characters, whole, ..self }
    }
}

static PRETOKENIZERS: &[Pretokenizer] = &[
    row(&["default"], &[SIGNS_BUT_GRAVE, GPT2, NUMBERS, ASCII_TRIPLES]),
    row(
        &["llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano"],
        &[LLAMA3],
    )
    .whole_words()
    .with_bos(),
    row(&["dbrx", "smaug-bpe", "chatglm-bpe"], &[LLAMA3]),
    row(&["glm4", "glm5"], &[LLAMA3]).whole_words(),
    row(&["minicpm5"], &[NUMBER_TRIPLES, LLAMA3]).whole_words(),
    row(&["jais-2"], &[JAIS2]),
    row(
        &[
            "gpt-2",
            "phi-2",
            "jina-es",
            "jina-de",
            "jina-v2-es",
            "jina-v2-de",
            "jina-v1-en",
            "jina-v2-code",
            "roberta-bpe",
            "gigachat",
            "a.x-4.0",
            "mellum",
            "modern-bert",
            "mpt",
            "olmo",
            "jais",
            "trillion",
            "granite-docling",
            "exaone4",
        ],
        &[GPT2],
    ),
    row(
        &["starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b", "mellum2"],
        &[SINGLE_NUMBERS, GPT2],
    ),
    row(&["falcon"], &[SIGNS_AND_GRAVE, GPT2, ASCII_TRIPLES]),
    row(
        &[
            "qwen2",
            "deepseek-r1-qwen",
            "kormo",
            "f2llmv2",
            "megrez",
            "stablelm2",
            "hunyuan",
            "solar-open",
            "grok-2",
            "bailingmoe",
            "bailingmoe2",
            "llada-moe",
        ],
        &[QWEN2],
    ),
    row(&["laguna"], &[Split::Lines, QWEN2]),
    row(&["qwen35"], &[QWEN35]),
    row(&["ufakzeka"], &[UFAKZEKA]),
    row(&["seed-coder"], &[SEED_CODER]),
    row(&["gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"], &[GPT4O]),
    row(&["granite-embed-multi-97m"], &[GPT4O]).whole_words(),
    row(&["tiny_aya", "cohere2moe"], &[Split::DigitGroups, GPT4O]),
    row(&["tekken"], &[TEKKEN]).whole_words().with_bos(),
    row(&["youtu"], &[YOUTU_SCRIPTS, YOUTU]).whole_words(),
    row(&["kimi-k2"], &[KIMI_K2]),
    row(&["superbpe"], &[Split::DigitGroups]),
    row(&["deepseek-llm"], &[NEWLINES, CASED_WORDS, DEEPSEEK_SIGNS, Split::TrailingSpace, CJK_AND_HANGUL, NUMBERS]),
    row(&["deepseek-coder"], &[NEWLINES, SPACED_WORDS, SPACED_PUNCTUATION, CJK_AND_HANGUL, SINGLE_NUMBERS]),
    row(&["deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"], &[NUMBER_TRIPLES, HAN_AND_KANA, DEEPSEEK3]),
    row(&["spark2_5"], &[NUMBER_TRIPLES, HAN_AND_KANA, SPARK, SINGLE_NUMBERS]),
    row(&["afmoe"], &[Split::DigitGroups, SOUTH_EAST_AND_EAST_ASIAN, DEEPSEEK3]),
    row(&["poro-chat", "bloom", "gpt3-finnish"], &[BLOOM]),
    row(&["viking"], &[BLOOM, SINGLE_NUMBERS]),
    row(&["gemma4", "granite-embed-multi-311m"], &[Split::Lines]).characters(Whole::Newlines).with_bos(),
    row(&["sarvam-moe"], &[Split::Lines]).characters(Whole::Never),
];

#[cfg(test)]
mod tests {
    use super::{PRETOKENIZERS, named};
    use proptest::prelude::{Strategy, prop, prop_assert_eq, proptest};
    use std::collections::HashSet;
    use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
    use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer, SplitDelimiterBehavior};

    const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
    const DEEPSEEK: &str = r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##;

    /// The regular expressions that models publish, one after the other.
    const PUBLISHED: &[(&str, &[&str])] = &[
        ("gpt-2", &[GPT2]),
        ("default", &[r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"]),
        ("falcon", &[r"[\p{P}\$\+<=>\^~\|`]+", GPT2, "[0-9][0-9][0-9]"]),
        ("starcoder", &[r"\p{N}", GPT2]),
        (
            "llama-bpe",
            &[
                r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            ],
        ),
        (
            "jais-2",
            &[
                r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}",
            ],
        ),
        (
            "qwen2",
            &[
                r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            ],
        ),
        (
            "bailingmoe",
            &[
                r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
            ],
        ),
        (
            "qwen35",
            &[
                r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            ],
        ),
        ("ufakzeka", &[r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"]),
        (
            "seed-coder",
            &[
                r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+",
            ],
        ),
        (
            "gpt-4o",
            &[
                r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            ],
        ),
        (
            "tekken",
            &[
                r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            ],
        ),
        ("deepseek-v3", &[r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", DEEPSEEK]),
        (
            "laguna",
            &[
                r"[^\n]+|[\n]+",
                r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            ],
        ),
        ("bloom", &[" ?[^(\\s|.,!?…。，、।۔،)]+"]),
    ];

    /// The words of `text` by the regular expressions of the `tokenizers` library.
    fn by_regex(splits: &[Split], text: &str) -> Vec<String> {
        let mut pieces = PreTokenizedString::from(text);
        for split in splits {
            split.pre_tokenize(&mut pieces).expect("a regular expression that can be matched");
        }
        let words = pieces.get_splits(OffsetReferential::Original, OffsetType::Byte);
        words.into_iter().map(|(word, ..)| word.to_owned()).filter(|word| !word.is_empty()).collect()
    }

    fn texts() -> impl Strategy<Value = String> {
        let signs = vec![
            "'s", "'LL", "'", " ", "  ", "\t", "\n", "\r\n", "\u{a0}", "\u{3000}", "a", "Ab", "ABC", "é", "É", "ß",
            "1", "12", "1234567", "½", ".", "!?", "/", "$", "`", "_", "«", "。", "世界", "か", "한", "ि", "\u{301}",
            "ʰ", "ǅ", "🙂", "\0",
        ];
        let part = proptest::prop_oneof![4 => prop::sample::select(signs).prop_map(str::to_owned), 1 => "\\PC"];
        prop::collection::vec(part, 0..16).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn words_are_those_of_the_published_regular_expressions(text in texts()) {
            static SPLITS: std::sync::LazyLock<Vec<(&str, Vec<Split>)>> = std::sync::LazyLock::new(|| {
                let isolate = |regex: &&str| {
                    let pattern = SplitPattern::Regex(regex.to_string());
                    Split::new(pattern, SplitDelimiterBehavior::Isolated, false).expect("a valid regular expression")
                };
                PUBLISHED.iter().map(|(name, regexes)| (*name, regexes.iter().map(isolate).collect())).collect()
            });
            for (name, splits) in &*SPLITS {
                let mut words = Vec::new();
                let pretokenizer = named(name).expect("a name of the table");
                super::super::pattern::split(pretokenizer.splits, &text, &mut |word| words.push(word.to_owned()));
                prop_assert_eq!(words, by_regex(splits, &text), "{}", name);
            }
        }
    }

    #[test]
    fn each_name_means_one_thing() {
        let names: Vec<_> = PRETOKENIZERS.iter().flat_map(|row| row.names).collect();
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
        assert!(named("Qwen2").is_err());
    }
}
