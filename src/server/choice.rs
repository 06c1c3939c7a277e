//! One answer under way: updates of the engine become pieces for the client.

use super::{
    error::ApiError,
    tools::CallParser,
    wire::{Answer, Finish, Ids, Kind, Piece, Usage},
    worker::{Update, Updates},
};
use crate::engine::{Completion, EngineError, FinishReason, Part, TokenLogprobs};

/// One of the answers that a request asks for.
pub(super) struct Choice {
    /// Whether it is the first of its prompt.
    pub(super) is_first_of_prompt: bool,
    parser: Option<CallParser>,
    /// Those that no piece has taken along yet; `None` if they were not asked for.
    logprobs: Option<Vec<TokenLogprobs>>,
    /// The prompt, if the answer begins with it.
    echoed: String,
    /// The field of the request that says what the answer must fit.
    grammar_field: Option<&'static str>,
    n_before: usize,
    has_calls: bool,
}

impl Choice {
    pub(super) fn new(
        is_first_of_prompt: bool,
        parser: Option<CallParser>,
        wants_logprobs: bool,
        (echoed, grammar_field): (String, Option<&'static str>),
    ) -> Choice {
        let logprobs = wants_logprobs.then(Vec::new);
        Choice { is_first_of_prompt, parser, logprobs, echoed, grammar_field, n_before: 0, has_calls: false }
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
            Update::Token(token) => {
                self.logprobs.get_or_insert_default().push(token);
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
        piece.logprobs = self.logprobs.as_mut().map(std::mem::take);
        piece.n_before = self.n_before;
        self.n_before += piece.text.len();
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
