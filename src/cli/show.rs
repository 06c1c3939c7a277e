//! `taper show`: what a model file says of itself.

use super::{
    args::open,
    exit::Exit,
    output::{Output, escaped},
};
use crate::{
    engine::ModelFiles,
    gguf::{Gguf, TensorInfo, Value},
    model::Source,
};
use serde::Serialize;
use serde_json::{Map, Value as Json};
use std::{collections::BTreeMap, path::PathBuf};

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// The model, as `run -m` takes it
    #[arg(env = "TAPER_MODEL", default_value = "demo")]
    model: String,
    /// Never open a socket: only what is on disk
    #[arg(long)]
    offline: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Also list every tensor
    #[arg(long)]
    tensors: bool,
}

#[derive(Serialize)]
struct Report {
    reference: String,
    path: Option<PathBuf>,
    format: String,
    architecture: Option<String>,
    name: Option<String>,
    quantization: Option<String>,
    n_parameters: usize,
    size_bytes: usize,
    n_ctx_train: Option<usize>,
    /// Tensors of each type.
    types: BTreeMap<String, usize>,
    has_chat_template: bool,
    /// Why taper cannot run it, where it cannot.
    problem: Option<String>,
    metadata: Map<String, Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tensors: Option<Vec<TensorReport>>,
}

#[derive(Serialize)]
struct TensorReport {
    name: String,
    r#type: String,
    /// Outermost dimension first.
    shape: Vec<usize>,
    size_bytes: Option<usize>,
}

pub(crate) fn execute(args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let files = open(&args.model, None, args.offline, output)?;
    let report = Report::new(&files, args.tensors);
    if args.json {
        output.json(&report)?;
    } else {
        output.answer(&report.to_text())?;
    }
    Ok(Exit::Done)
}

impl Report {
    fn new(files: &ModelFiles, tensors: bool) -> Report {
        let config = files.source().config();
        let mut report = Report {
            reference: files.reference().to_owned(),
            path: files.path().map(ToOwned::to_owned),
            format: "safetensors".into(),
            architecture: config.as_ref().ok().map(|config| config.architecture.name.to_owned()),
            name: None,
            quantization: files.quantization(),
            n_parameters: 0,
            size_bytes: 0,
            n_ctx_train: config.as_ref().ok().map(|config| config.n_ctx_train),
            types: BTreeMap::new(),
            has_chat_template: files.template_source().is_ok_and(|template| template.is_some()),
            problem: config.err().map(|error| error.to_string()),
            metadata: Map::new(),
            tensors: None,
        };
        match files.source() {
            Source::Gguf(gguf) => report.fill_from_gguf(gguf, tensors),
            Source::Safetensors(folder) => {
                let all = folder.tensors().map(|tensor| TensorReport {
                    name: tensor.name.to_owned(),
                    r#type: tensor.dtype,
                    shape: tensor.shape.to_vec(),
                    size_bytes: Some(tensor.n_bytes),
                });
                report.fill_tensors(all.collect(), tensors);
                report.size_bytes = folder.len_bytes();
            }
        }
        report
    }

    fn fill_from_gguf(&mut self, gguf: &Gguf, tensors: bool) {
        let text = |key| gguf.metadata().str(key).ok().flatten().map(str::to_owned);
        self.format = format!("GGUF version {}", gguf.version());
        self.architecture = text("general.architecture");
        self.name = text("general.name");
        self.metadata = gguf.metadata().iter().map(|(key, value)| (key.to_owned(), to_json(value))).collect();
        let unsupported = gguf.tensors().find(|tensor| tensor.dtype().is_none());
        let problem = unsupported.map(|tensor| format!("the tensor `{}` is {}", tensor.name, tensor.type_name()));
        self.problem = self.problem.take().or(problem);
        self.fill_tensors(gguf.tensors().map(of_gguf).collect(), tensors);
        self.size_bytes = gguf.len_bytes();
    }

    fn fill_tensors(&mut self, all: Vec<TensorReport>, listed: bool) {
        self.n_parameters = all.iter().map(|tensor| tensor.shape.iter().product::<usize>()).sum();
        for tensor in &all {
            *self.types.entry(tensor.r#type.clone()).or_default() += 1;
        }
        self.tensors = listed.then_some(all);
    }

    fn to_text(&self) -> String {
        let or_unknown = |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".into());
        let types: Vec<String> = self.types.iter().map(|(name, n)| format!("{n} {name}")).collect();
        let mut rows = vec![
            ("model", self.reference.clone()),
            ("name", or_unknown(&self.name)),
            ("format", self.format.clone()),
            ("architecture", or_unknown(&self.architecture)),
            ("quantization", or_unknown(&self.quantization)),
            ("parameters", self.n_parameters.to_string()),
            ("size", format!("{} bytes", self.size_bytes)),
            ("context", self.n_ctx_train.map_or("unknown".into(), |n| format!("{n} tokens"))),
            ("tensors", types.join(", ")),
            ("chat template", if self.has_chat_template { "yes" } else { "no" }.into()),
        ];
        rows.extend(self.problem.iter().map(|problem| ("cannot run", problem.clone())));
        let mut text: String = rows.iter().map(|(name, value)| format!("{name:<15}{}\n", escaped(value))).collect();
        if !self.metadata.is_empty() {
            text += "\nmetadata\n";
        }
        for (key, value) in &self.metadata {
            text += &format!("  {}  {}\n", escaped(key), shortened(&value.to_string()));
        }
        for tensor in self.tensors.iter().flatten() {
            text += &format!("  {:<40} {:<6} {:?}\n", escaped(&tensor.name), tensor.r#type, tensor.shape);
        }
        text
    }
}

fn of_gguf(tensor: &TensorInfo) -> TensorReport {
    TensorReport {
        name: tensor.name.clone(),
        r#type: tensor.type_name(),
        shape: tensor.shape.clone(),
        size_bytes: tensor.n_bytes,
    }
}

/// Longer arrays are told by their type and length.
const LONGEST_ARRAY: usize = 16;

fn to_json(value: &Value) -> Json {
    match value {
        Value::Bool(value) => Json::Bool(*value),
        Value::String(bytes) => Json::String(String::from_utf8_lossy(bytes).into_owned()),
        Value::Array(array) if array.len() > LONGEST_ARRAY => Json::String(value.type_name()),
        Value::Array(array) => Json::Array(array.iter().map(|value| to_json(&value)).collect()),
        number => match number.integer() {
            Some(n) => i64::try_from(n).map(Json::from).or(u64::try_from(n).map(Json::from)).unwrap_or(Json::Null),
            None => number.float().map_or(Json::Null, Json::from),
        },
    }
}

fn shortened(text: &str) -> String {
    const LONGEST: usize = 100;
    let text = escaped(text);
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}
