//! `taper tokenize`: text to token ids.

use super::{
    args::{ModelArgs, utf8},
    exit::Exit,
    output::Output,
};
use crate::{TokenId, text::Special};
use serde::Serialize;
use std::io::Read;

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// The text; without it standard input, to the byte
    text: Option<String>,
    #[command(flatten)]
    model: ModelArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Leave out what the model's rules put around a text
    #[arg(long)]
    no_bos: bool,
    /// Read what is written like a special token as that token
    #[arg(long)]
    special: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    ids: &'a [TokenId],
    pieces: &'a [String],
    count: usize,
}

pub(crate) fn execute(args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let tokenizer = args.model.open(output)?.tokenizer()?;
    let text = match &args.text {
        Some(text) => text.clone(),
        None => {
            let mut bytes = Vec::new();
            std::io::stdin().lock().read_to_end(&mut bytes)?;
            utf8(bytes, "standard input")?
        }
    };
    let special = if args.special { Special::Parse } else { Special::AsText };
    let ids = match args.no_bos {
        true => tokenizer.encode(&text, special)?,
        false => tokenizer.encode_framed(&text, special)?,
    };
    let pieces: Vec<String> = ids.iter().map(|&id| tokenizer.token_text(id)).collect();
    if args.json {
        output.json(&Report { ids: &ids, pieces: &pieces, count: ids.len() })?;
        return Ok(Exit::Done);
    }
    let rows = ids.iter().zip(&pieces).map(|(id, piece)| format!("{id:>8}  {piece:?}\n"));
    output.answer(&rows.collect::<String>())?;
    output.note(&format!("{} tokens", ids.len()));
    Ok(Exit::Done)
}
