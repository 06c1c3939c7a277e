//! Trains `demo`, the model inside taper, and writes it to `src/demo/demo.gguf`:
//!
//! ```text
//! cargo run --release --example train-demo
//! ```
//!
//! The text is in the files beside this one. The seed is fixed, every sum has one order, and so the same machine gives
//! the same file. `train-demo STEPS FILE` trains shorter and writes elsewhere.
#![allow(clippy::print_stderr, reason = "a program of its own, which says how far it is")]

mod corpus;
mod export;
mod network;
mod ops;
mod rows;
mod vocabulary;

use anyhow::{Context, Result, ensure};
use candle_core::backprop::GradStore;
use candle_core::{D, Device, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use corpus::Corpus;
use network::{D_MODEL, N_LAYERS, N_VOCAB, Network};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rows::{Batch, Row};
use std::f64::consts::{PI, TAU};
use std::process::Command;
use std::time::Instant;
use vocabulary::{IM_END, Vocabulary};

/// Tells candle to use one thread for an operation.
const ONE_THREAD: &str = "RAYON_NUM_THREADS";
const SEED: u64 = 1;
const N_STEPS: usize = 1200;
/// Rows in a step, on average.
const N_ROWS: usize = 56;
/// Rows are drawn for so many steps at once, so that those of a length can stand together.
const N_AHEAD: usize = 16;
/// A step is computed in this many pieces at once, whatever the machine, so that sums do not depend on it.
const N_PIECES: usize = 2;
/// Questions drawn anew to measure with.
const N_FRESH: usize = 480;
const PEAK_RATE: f64 = 1.5e-3;

/// Questions for the samples at the end.
const SAMPLES: [&str; 10] = [
    "how do I serve a model?",
    "who are you",
    "exit code 5",
    "How can I get JSON output?",
    "what is Q4_K_M",
    "how do I download a model",
    "what is the capital of France?",
    "hello",
    "use my gpu",
    "review this diff",
];

fn main() -> Result<()> {
    let start = Instant::now();
    let mut args = std::env::args().skip(1);
    if std::env::var_os(ONE_THREAD).is_none() {
        // The pieces run at the same time already; candle's own threads would only wait for each other.
        let status = Command::new(std::env::current_exe()?).args(args).env(ONE_THREAD, "1").status()?;
        ensure!(status.success(), "the training failed");
        return Ok(());
    }
    let n_steps = args.next().map_or(Ok(N_STEPS), |n| n.parse()).context("expected a number of steps")?;
    let file = args.next().unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/src/demo/demo.gguf").to_owned());

    let corpus = Corpus::parse(&[include_str!("help.txt"), include_str!("elsewhere.txt")], include_str!("prose.txt"))?;
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let words = Vocabulary::train(&vocabulary_text(&corpus, &mut rng), N_VOCAB)?;
    let weights = train(&corpus, &words, n_steps, &mut rng)?;

    let weights = export::quantize(&weights)?;
    let n_parameters: usize = weights.iter().map(|(_, weight)| weight.shape().elem_count()).sum();
    let bytes = export::file(&weights, &words)?;
    std::fs::write(&file, &bytes).with_context(|| format!("cannot write `{file}`"))?;
    let seconds = start.elapsed().as_secs();
    eprintln!("{file}: {n_parameters} parameters, {} bytes, after {seconds} s", bytes.len());
    let mut values = export::dequantize(&weights)?.into_iter();
    let network = Network::new(|name, _| values.next().with_context(|| format!("no weight for `{name}`")))?;
    report(&network, &corpus, &words)
}

/// Texts in the proportions in which the vocabulary should know them.
fn vocabulary_text(corpus: &Corpus, rng: &mut ChaCha8Rng) -> Vec<String> {
    let mut texts: Vec<_> = (0..6000).map(|_| corpus.question(rng).0).collect();
    texts.extend((0..600).map(|_| corpus.prose(rng)));
    texts.extend((0..8).flat_map(|_| corpus.topics.iter().map(|topic| topic.answer.clone())));
    texts.extend(["system\n", "user\n", "assistant\n"].iter().cycle().take(3000).map(ToString::to_string));
    texts
}

/// The weights after `n_steps`, named as in GGUF.
fn train(corpus: &Corpus, words: &Vocabulary, n_steps: usize, rng: &mut ChaCha8Rng) -> Result<Vec<(String, Tensor)>> {
    let start = Instant::now();
    let mut vars = Vec::new();
    let network = Network::new(|name, shape| {
        let var = Var::from_tensor(&initial(&name, shape, rng)?)?;
        vars.push((name, var.clone()));
        Ok(var.as_tensor().clone())
    })?;
    let params = ParamsAdamW { beta2: 0.98, weight_decay: 0.05, ..ParamsAdamW::default() };
    let mut optimizer = AdamW::new(vars.iter().map(|(_, var)| var.clone()).collect(), params)?;
    let held_out = Batch::split(held_out_rows(corpus, words)?, 8)?;
    let (mut loss, mut n_tokens, mut batches) = (0.0, 0, Vec::new());
    for step in 1..=n_steps {
        if batches.len() < N_PIECES {
            let rows = (0..N_ROWS * N_AHEAD).map(|_| Row::draw(corpus, words, rng)).collect::<Result<Vec<_>>>()?;
            batches = Batch::split(rows, N_PIECES * N_AHEAD)?;
            batches.shuffle(rng);
        }
        let pieces = batches.split_off(batches.len() - N_PIECES);
        n_tokens += pieces.iter().map(|piece| piece.tokens.elem_count()).sum::<usize>();
        optimizer.set_learning_rate(rate(step, n_steps));
        let (mean, grads) = gradients(&network, &pieces, &vars)?;
        optimizer.step(&grads)?;
        loss += mean / 25.0;
        if step % 25 == 0 {
            let held_out = evaluate(&network, &held_out)?;
            let seconds = start.elapsed().as_secs_f64();
            eprintln!(
                "step {step:4} of {n_steps}: loss {loss:.3}, held out {:.3} ({:.1} % right), {:.0} s, {:.0} tokens/s",
                held_out.loss,
                100.0 * held_out.right_fraction(),
                seconds,
                n_tokens as f64 / seconds
            );
            loss = 0.0;
        }
    }
    Ok(vars.into_iter().map(|(name, var)| (name, var.as_tensor().detach())).collect())
}

/// Normal values for a matrix, smaller where layers add up; ones for a norm.
fn initial(name: &str, shape: &[usize], rng: &mut ChaCha8Rng) -> Result<Tensor> {
    if shape.len() == 1 {
        return Ok(Tensor::ones(shape, candle_core::DType::F32, &Device::Cpu)?);
    }
    let adds_up = name.contains("attn_output") || name.contains("ffn_down");
    let scale = if adds_up { (2.0 * N_LAYERS as f64).powf(-0.5) } else { 1.0 } / (D_MODEL as f64).sqrt();
    let mut normal = || {
        let (u, v) = (1.0 - rng.random::<f64>(), rng.random::<f64>());
        ((-2.0 * u.ln()).sqrt() * (TAU * v).cos() * scale) as f32
    };
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| normal()).collect();
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

/// A short rise, then half a cosine.
fn rate(step: usize, n_steps: usize) -> f64 {
    let rise = (step as f64 / 60.0).min(1.0);
    let fall = 0.5 * (1.0 + (PI * step as f64 / n_steps as f64).cos());
    PEAK_RATE * rise * (0.02 + 0.98 * fall)
}

/// The weighted mean loss over all learned tokens and its gradients, batches in parallel, summed in their order.
fn gradients(network: &Network, batches: &[Batch], vars: &[(String, Var)]) -> Result<(f64, GradStore)> {
    let n: f32 = batches.iter().flat_map(|batch| &batch.weights).sum();
    let n = f64::from(n);
    let piece = |batch: &Batch| -> Result<(f64, GradStore)> {
        let logits = network.logits(&batch.tokens, &batch.wanted)?;
        let nll = ops::cross_entropy(&logits, &batch.targets)?;
        let weights = Tensor::new(batch.weights.as_slice(), &Device::Cpu)?;
        let loss = ((nll * weights)?.sum_all()? / n)?;
        Ok((f64::from(loss.to_scalar::<f32>()?), loss.backward()?))
    };
    let pieces = std::thread::scope(|scope| -> Result<Vec<_>> {
        let threads: Vec<_> = batches.iter().map(|batch| scope.spawn(|| piece(batch))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a piece does not panic")).collect()
    })?;
    let mut pieces = pieces.into_iter();
    let (mut loss, mut sum) = pieces.next().context("a step without rows")?;
    for (more, grads) in pieces {
        loss += more;
        for (_, var) in vars {
            if let (Some(left), Some(right)) = (sum.get(var), grads.get(var)) {
                let both = (left + right)?;
                sum.insert(var, both);
            }
        }
    }
    Ok((loss, sum))
}

/// How well held-out questions are answered.
struct Score {
    /// Mean negative log likelihood of the tokens of the right answers.
    loss: f64,
    /// For each question, whether greedy decoding gives exactly the right answer.
    right: Vec<bool>,
}

impl Score {
    fn right_fraction(&self) -> f64 {
        self.right.iter().filter(|right| **right).count() as f64 / self.right.len().max(1) as f64
    }
}

/// Scores every row. Greedy decoding gives the right answer just when each of its tokens is the likeliest after the
/// right ones before it, so one pass is enough.
fn evaluate(network: &Network, batches: &[Batch]) -> Result<Score> {
    let (mut score, mut n) = (Score { loss: 0.0, right: vec![] }, 0);
    for batch in batches {
        let logits = network.logits(&batch.tokens, &batch.wanted)?.detach();
        let nll = ops::cross_entropy(&logits, &batch.targets)?.to_vec1::<f32>()?;
        let best = logits.argmax(D::Minus1)?.to_vec1::<u32>()?;
        score.loss += nll.iter().map(|nll| f64::from(*nll)).sum::<f64>();
        n += nll.len();
        let mut at = 0;
        for count in &batch.counts {
            score.right.push(best[at..at + count] == batch.targets[at..at + count]);
            at += count;
        }
    }
    score.loss /= n.max(1) as f64;
    Ok(score)
}

/// The held-out questions of all topics with their answers.
fn held_out_rows(corpus: &Corpus, words: &Vocabulary) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for topic in &corpus.topics {
        for question in &topic.held_out {
            let mut row = Row::default();
            row.exchange(words, question, &topic.answer)?;
            rows.push(row);
        }
    }
    Ok(rows)
}

/// A question drawn as for training, but with dice of its own.
fn fresh_row(corpus: &Corpus, words: &Vocabulary, rng: &mut ChaCha8Rng) -> Result<Row> {
    let (question, answer) = corpus.question(rng);
    let mut row = Row::default();
    row.exchange(words, &question, answer)?;
    Ok(row)
}

/// Says which held-out questions fail, and shows samples.
fn report(network: &Network, corpus: &Corpus, words: &Vocabulary) -> Result<()> {
    let batches = held_out_rows(corpus, words)?.chunks(16).map(Batch::new).collect::<Result<Vec<_>>>()?;
    let score = evaluate(network, &batches)?;
    let questions = corpus.topics.iter().flat_map(|topic| &topic.held_out);
    for (question, _) in questions.zip(&score.right).filter(|(_, right)| !**right).take(60) {
        eprintln!("wrong: {question}\n     > {}", answer(network, words, question)?.replace('\n', "\n       "));
    }
    let n_right = score.right.iter().filter(|right| **right).count();
    eprintln!("held out, quantized: loss {:.3}, {n_right} of {} right", score.loss, score.right.len());
    let mut rng = ChaCha8Rng::seed_from_u64(SEED + 1);
    let fresh = (0..N_FRESH).map(|_| fresh_row(corpus, words, &mut rng)).collect::<Result<Vec<_>>>()?;
    let fresh = evaluate(network, &Batch::split(fresh, N_FRESH / 16)?)?;
    eprintln!("drawn anew from the templates: {:.1} % right", 100.0 * fresh.right_fraction());
    for question in SAMPLES {
        eprintln!("\n> {question}\n{}", answer(network, words, question)?);
    }
    for start in ["The sea", "In the morning the old man", "A good tool"] {
        eprintln!("\n(raw) {start}|{}", continuation(network, words, words.encode(start)?, 100)?);
    }
    Ok(())
}

/// The greedy answer to one question.
fn answer(network: &Network, words: &Vocabulary, question: &str) -> Result<String> {
    let prompt = [words.message("user", question)?, words.open_message("assistant")?].concat();
    continuation(network, words, prompt, 100)
}

/// Greedy continuation by at most `n` tokens, computed afresh for each: short enough here.
fn continuation(network: &Network, words: &Vocabulary, mut tokens: Vec<u32>, n: usize) -> Result<String> {
    let start = tokens.len();
    while tokens.len() < start + n {
        let row = Tensor::new(tokens.as_slice(), &Device::Cpu)?.unsqueeze(0)?;
        let last = Tensor::new(&[tokens.len() as u32 - 1], &Device::Cpu)?;
        let next = network.logits(&row, &last)?.argmax(D::Minus1)?.to_vec1::<u32>()?[0];
        if next == IM_END {
            break;
        }
        tokens.push(next);
    }
    words.decode(&tokens[start..])
}
