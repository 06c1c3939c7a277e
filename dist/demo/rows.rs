//! Rows of tokens to train on, and the batches that they make.

use crate::corpus::Corpus;
use crate::network::N_CTX;
use crate::vocabulary::{END_OF_TEXT, IM_END, Vocabulary};
use anyhow::Result;
use candle_core::{Device, Tensor};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// So many tokens tell which answer it is.
const N_OPENING: usize = 8;
/// What a token of plain sentences counts, against 1 for answers: it is a matter of chance far more often.
const PROSE_WEIGHT: f32 = 0.2;

/// One text.
#[derive(Default)]
pub(crate) struct Row {
    tokens: Vec<u32>,
    /// Positions whose next token is to be learned.
    learned: Vec<usize>,
    /// What each of them counts.
    weights: Vec<f32>,
}

impl Row {
    /// Adds tokens that are given, not learned.
    fn give(&mut self, tokens: Vec<u32>) {
        self.tokens.extend(tokens);
    }

    /// Adds tokens to learn, each of which counts `weight`.
    fn learn(&mut self, tokens: Vec<u32>, weight: f32) {
        let start = self.tokens.len();
        self.tokens.extend(tokens);
        self.learned.extend((start.max(1)..self.tokens.len()).map(|at| at - 1));
        self.weights.resize(self.learned.len(), weight);
    }

    /// A question and its answer.
    ///
    /// # Errors
    /// Those of the tokenizer.
    pub(crate) fn exchange(&mut self, words: &Vocabulary, question: &str, answer: &str) -> Result<()> {
        self.give(words.message("user", question)?);
        self.give(words.open_message("assistant")?);
        self.learn([words.encode(answer)?, vec![IM_END]].concat(), 1.0);
        self.give(words.encode("\n")?);
        Ok(())
    }

    /// A question and the first words of its answer: the rest follows from them, so this is where most is learned.
    fn opening(&mut self, words: &Vocabulary, question: &str, answer: &str) -> Result<()> {
        self.give(words.message("user", question)?);
        self.give(words.open_message("assistant")?);
        let mut tokens = [words.encode(answer)?, vec![IM_END]].concat();
        tokens.truncate(N_OPENING);
        self.learn(tokens, 1.0);
        Ok(())
    }

    /// Draws a row: mostly a question and the opening of its answer, sometimes a whole chat or plain sentences, rarely a
    /// chat as long as the context.
    ///
    /// # Errors
    /// Those of the tokenizer.
    pub(crate) fn draw(corpus: &Corpus, words: &Vocabulary, rng: &mut ChaCha8Rng) -> Result<Self> {
        let mut row = Self::default();
        let kind = rng.random_range(0..100);
        if kind < 6 {
            row.learn([words.encode(&corpus.prose(rng))?, vec![IM_END]].concat(), PROSE_WEIGHT);
            return Ok(row);
        }
        if rng.random_bool(0.15) {
            row.give(words.message("system", &corpus.system(rng))?);
        }
        if kind >= 30 {
            let (question, answer) = corpus.question(rng);
            row.opening(words, &question, answer)?;
            return Ok(row);
        }
        let n_tokens = match kind {
            6 if rng.random_bool(0.15) => N_CTX - 200,
            6..10 => rng.random_range(80..300),
            _ => 1,
        };
        while row.tokens.len() < n_tokens || row.learned.is_empty() {
            let (question, answer) = corpus.question(rng);
            row.exchange(words, &question, answer)?;
        }
        row.tokens.truncate(N_CTX);
        row.learned.retain(|&at| at + 1 < N_CTX);
        row.weights.truncate(row.learned.len());
        Ok(row)
    }
}

/// Rows of similar length side by side.
pub(crate) struct Batch {
    pub(crate) tokens: Tensor, // (n_rows, n_tokens)
    /// Flat positions whose next token is learned, row by row.
    pub(crate) wanted: Tensor, // (n)
    /// Those next tokens.
    pub(crate) targets: Vec<u32>, // (n)
    pub(crate) weights: Vec<f32>, // (n)
    /// How many of them belong to each row.
    pub(crate) counts: Vec<usize>, // (n_rows)
}

impl Batch {
    /// Fills rows up to the longest.
    ///
    /// # Errors
    /// Those of candle.
    pub(crate) fn new(rows: &[Row]) -> Result<Self> {
        let n_tokens = rows.iter().map(|row| row.tokens.len()).max().unwrap_or(0);
        let (mut tokens, mut wanted, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        for (i, row) in rows.iter().enumerate() {
            wanted.extend(row.learned.iter().map(|at| (i * n_tokens + at) as u32));
            targets.extend(row.learned.iter().map(|at| row.tokens[at + 1]));
            tokens.extend_from_slice(&row.tokens);
            tokens.resize((i + 1) * n_tokens, END_OF_TEXT);
        }
        let weights = rows.iter().flat_map(|row| row.weights.iter().copied()).collect();
        let n = wanted.len();
        Ok(Self {
            tokens: Tensor::from_vec(tokens, (rows.len(), n_tokens), &Device::Cpu)?,
            wanted: Tensor::from_vec(wanted, n, &Device::Cpu)?,
            targets,
            weights,
            counts: rows.iter().map(|row| row.learned.len()).collect(),
        })
    }

    /// Cuts rows into `n` batches of about equal work: sorted by length, each with its share of the tokens.
    ///
    /// # Errors
    /// Those of candle.
    pub(crate) fn split(mut rows: Vec<Row>, n: usize) -> Result<Vec<Self>> {
        rows.sort_by_key(|row| row.tokens.len());
        let total: usize = rows.iter().map(|row| row.tokens.len()).sum();
        let (mut batches, mut start, mut seen) = (Vec::new(), 0, 0);
        for end in 1..=rows.len() {
            seen += rows[end - 1].tokens.len();
            if seen * n >= total * (batches.len() + 1) || end == rows.len() {
                batches.push(Self::new(&rows[start..end])?);
                start = end;
            }
            if start == rows.len() {
                break;
            }
        }
        Ok(batches)
    }
}
