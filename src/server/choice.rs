//! One answer under way: updates of the engine become pieces for the client.

use super::{
    error::ApiError,
    placed::{Echo, PlacedTokens},
    tools::CallParser,
    wire::{Answer, Finish, Ids, Kind, Piece, Usage},
    worker::{Update, Updates},
};
use crate::engine::{Completion, EngineError, FinishReason, Part};

/// One of the answers that a request asks for.
pub(super) struct Choice {
    /// Whether it is the first of its prompt.
    pub(super) is_first_of_prompt: bool,
    parser: Option<CallParser>,
    /// With their log-probabilities; `None` if they were not asked for.
    tokens: Option<PlacedTokens>,
    /// The prompt, if the answer begins with it.
    echoed: String,
    /// The field of the request that says what the answer must fit.
    grammar_field: Option<&'static str>,
    has_calls: bool,
}

impl Choice {
    pub(super) fn new(
        is_first_of_prompt: bool,
        parser: Option<CallParser>,
        tokens: Option<PlacedTokens>,
        (echo, grammar_field): (Option<&Echo>, Option<&'static str>),
    ) -> Choice {
        let echoed = echo.map(|echo| echo.text.clone()).unwrap_or_default();
        Choice { is_first_of_prompt, parser, tokens, echoed, grammar_field, has_calls: false }
    }

    /// What is wrong with a request of which the engine says `error`.
    pub(super) fn refusal(&self, error: EngineError, kind: Kind) -> ApiError {
        match (&error, self.grammar_field) {
            (EngineError::Grammar(error), Some(field)) => ApiError::of_grammar(error, field),
            _ => ApiError::of_engine(error, kind.prompt_field()),
        }
    }

    /// What there is to tell of a token or text; `None` if that is to wait.
    pub(super) fn hear(&mut self, update: Update) -> Result<Option<Piece>, EngineError> {
        let piece = match update {
            Update::Prompt(logprobs) => {
                if let Some(tokens) = &mut self.tokens {
                    tokens.push_prompt(logprobs);
                }
                Piece::default()
            }
            Update::Token(token) => {
                if let Some(tokens) = &mut self.tokens {
                    tokens.push(token);
                }
                return Ok(None);
            }
            Update::Text(Part::Reasoning, reasoning) => Piece { reasoning, ..Piece::default() },
            Update::Text(Part::Answer, text) => {
                let (text, calls) = match &mut self.parser {
                    Some(parser) => parser.push(&text),
                    None => (text, Vec::new()),
                };
                if text.is_empty() && calls.is_empty() {
                    return Ok(None);
                }
                Piece { text, calls, ..Piece::default() }
            }
            Update::Done(completion) => self.end(&completion),
            Update::Failed(error) => return Err(error),
        };
        Ok(Some(self.complete(piece)))
    }

    fn end(&mut self, completion: &Completion) -> Piece {
        let (text, calls) = self.parser.as_mut().map(CallParser::finish).unwrap_or_default();
        let finish_reason = match completion.finish_reason {
            FinishReason::Length => Finish::Length,
            _ if self.has_calls || !calls.is_empty() => Finish::ToolCalls,
            FinishReason::Stop | FinishReason::Cancelled => Finish::Stop,
        };
        Piece { text, calls, finish_reason: Some(finish_reason), ..Piece::default() }
    }

    /// Adds what goes along with every piece.
    fn complete(&mut self, mut piece: Piece) -> Piece {
        piece.text.insert_str(0, &std::mem::take(&mut self.echoed));
        piece.tokens = self.tokens.as_mut().map(PlacedTokens::take);
        self.has_calls |= !piece.calls.is_empty();
        piece
    }
}

/// The answers as one response, when all are there.
pub(super) async fn whole(ids: &Ids, mut choices: Vec<Choice>, mut updates: Updates) -> Result<Answer, ApiError> {
    let mut pieces = vec![Piece::default(); choices.len()];
    let mut usage = Usage::default();
    while let Some((index, update)) = updates.recv().await {
        let choice = &mut choices[index];
        if let Update::Done(completion) = &update {
            usage.add(completion, choice.is_first_of_prompt);
        }
        if let Some(piece) = choice.hear(update).map_err(|error| choice.refusal(error, ids.kind))? {
            pieces[index].append(piece);
        }
    }
    if pieces.iter().any(|piece| piece.finish_reason.is_none()) {
        return Err(ApiError::internal("the engine has ended"));
    }
    Ok(ids.answer(pieces, usage))
}
