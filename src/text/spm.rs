//! SentencePiece's byte-pair variant: pairs are joined by the score of the token that they make.
//!
//! Source: Kudo and Richardson, "SentencePiece" (2018), with the fallback to bytes of Llama's vocabulary.

use super::TextError;
use super::bpe::character_lens;
use super::merge::Merger;
use super::piece::SPACE;
use super::vocabulary::Vocabulary;
use crate::TokenId;
use crate::gguf::Metadata;

/// Scores as priorities: the highest score is the least number.
pub(crate) struct Scores(Vec<u32>);

const SCORES: &str = "tokenizer.ggml.scores";

impl Scores {
    /// # Errors
    /// [`TextError::Damaged`] if there are fewer than tokens.
    pub(crate) fn read(metadata: &Metadata, n_vocab: usize) -> Result<Scores, TextError> {
        let Some(scores) = metadata.f32s(SCORES)? else { return Ok(Scores(vec![0; n_vocab])) };
        if scores.len() < n_vocab {
            let reason = format!("has {} elements, expected {n_vocab}, one per token", scores.len());
            return Err(TextError::Damaged { key: SCORES, reason });
        }
        Ok(Scores(scores.into_iter().map(priority).collect()))
    }
}

/// Descends as `score` ascends.
fn priority(score: f32) -> u32 {
    // Zero has two representations that must be equal.
    let bits = (score + 0.0).to_bits();
    if bits >> 31 == 1 { bits } else { !bits & (u32::MAX >> 1) }
}

/// Appends the tokens of `text` to `ids`; a space goes before it if `space_before`.
pub(crate) fn encode(
    text: &str,
    space_before: bool,
    vocabulary: &Vocabulary,
    scores: &Scores,
    unknown: Option<TokenId>,
    ids: &mut Vec<TokenId>,
) {
    let prefix = if space_before { SPACE } else { "" };
    let text = [prefix, &text.replace(' ', SPACE)].concat();
    let token = |symbol: &[u8]| vocabulary.find_plain(symbol);
    Merger::default().merge(
        text.as_bytes(),
        character_lens(text.as_bytes()),
        |both, _| token(both).map(|id| scores.0[id as usize]),
        |symbol| match token(symbol) {
            Some(id) => ids.push(id),
            None => ids.extend(symbol.iter().filter_map(|&byte| byte_token(vocabulary, byte).or(unknown))),
        },
    );
}

fn byte_token(vocabulary: &Vocabulary, byte: u8) -> Option<TokenId> {
    vocabulary.find_plain(format!("<0x{byte:02X}>").as_bytes()).or_else(|| vocabulary.find_plain(&[byte]))
}

#[cfg(test)]
mod tests {
    use super::priority;

    #[test]
    fn a_higher_score_comes_first() {
        let scores = [f32::INFINITY, 3.5, 1e-20, 0.0, -1e-20, -1.0, -1000.0, f32::NEG_INFINITY];
        assert!(scores.map(priority).is_sorted_by(|a, b| a < b));
        assert_eq!(priority(0.0), priority(-0.0));
    }
}
