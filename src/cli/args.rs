//! Flags that several subcommands share, and what they stand for.

use super::{exit::UsageError, fetch, output::Output, pins::Locked};
use crate::{
    backend::{CacheType, Compute, DeviceChoice},
    engine::ModelFiles,
    hub::Reference,
    sampling::SamplingParams,
};
use anyhow::Context;
use clap::builder::NonEmptyStringValueParser;
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    str::FromStr,
};

/// Which model.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ModelArgs {
    /// A .gguf file, a folder with safetensors, `owner/repo[:QUANT][@REVISION]` of the Hub, or `demo`
    #[arg(short, long, value_name = "MODEL", env = "TAPER_MODEL", default_value = "demo", help_heading = "Model")]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) model: String,
    /// Never open a socket: only what is on disk
    #[arg(long, help_heading = "Model")]
    pub(crate) offline: bool,
    /// Only what this lock file pins; every file is hashed before it is used, about a second for 1 to 2 GB
    #[arg(long, value_name = "FILE", help_heading = "Model")]
    locked: Option<PathBuf>,
}

/// On what the model runs.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ComputeArgs {
    /// The most tokens of prompt and answer together [default: what the model was trained for]
    #[arg(short, long, value_name = "N", value_parser = positive, help_heading = "Compute")]
    pub(crate) ctx_size: Option<usize>,
    /// Threads on the CPU [default: physical cores]
    #[arg(short, long, value_name = "N", value_parser = positive, help_heading = "Compute")]
    threads: Option<usize>,
    /// Where to compute: auto, cpu, cuda, cuda:N or metal
    #[arg(long, value_name = "DEVICE", default_value = "auto", value_parser = DeviceChoice::from_str)]
    #[arg(help_heading = "Compute")]
    device: DeviceChoice,
    /// How the CPU stores keys and values: f16, f32 or q8_0, half as large as f16 [default: f16]
    #[arg(long, value_name = "TYPE", value_parser = CacheType::from_str, help_heading = "Compute")]
    cache_type: Option<CacheType>,
}

impl ComputeArgs {
    /// Whether the device is left to us.
    pub(crate) fn is_auto(&self) -> bool {
        self.device == DeviceChoice::Auto
    }

    /// The device, its threads and its cache.
    pub(crate) fn compute(&self) -> Compute {
        Compute { device: self.device, n_threads: self.threads, cache_type: self.cache_type }
    }
}

/// How tokens are chosen.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct SamplingArgs {
    /// Temperature; 0 takes the likeliest token [default: the model's, else 0.8]
    #[arg(long, value_name = "F", value_parser = at_least_zero, help_heading = "Sampling")]
    temp: Option<f32>,
    /// Keep the N likeliest tokens, 0 for all [default: the model's, else 40]
    #[arg(long, value_name = "N", help_heading = "Sampling")]
    top_k: Option<usize>,
    /// Keep the likeliest tokens that add up to this probability [default: the model's, else 0.95]
    #[arg(long, value_name = "F", value_parser = zero_to_one, help_heading = "Sampling")]
    top_p: Option<f32>,
    /// Keep tokens at least this share as likely as the likeliest [default: the model's, else 0.05]
    #[arg(long, value_name = "F", value_parser = zero_to_one, help_heading = "Sampling")]
    min_p: Option<f32>,
    /// Divide the logits of recent tokens; 1 does nothing [default: the model's, else 1]
    #[arg(long, value_name = "F", value_parser = above_zero, help_heading = "Sampling")]
    repeat_penalty: Option<f32>,
    /// Seed of the draws; the same seed gives the same answer
    #[arg(short, long, value_name = "N", default_value_t = 0, help_heading = "Sampling")]
    seed: u64,
}

impl ModelArgs {
    /// Finds the model, fetches it if need be, and reads its headers.
    pub(crate) fn open(&self, output: &Output) -> anyhow::Result<ModelFiles> {
        open(&self.model, self.locked.as_deref(), self.offline, output)
    }

    /// The flags that ask for the same model.
    pub(crate) fn flags(&self) -> Vec<OsString> {
        let mut flags = vec![format!("--model={}", self.model).into()];
        flags.extend(self.offline.then(|| "--offline".into()));
        flags.extend(self.locked.iter().flat_map(|file| ["--locked".into(), file.into()]));
        flags
    }
}

/// Finds the model called `name`, fetches it from the Hub if the cache lacks it, makes sure that it is what a lock file
/// pins, and reads its headers.
pub(crate) fn open(name: &str, locked: Option<&Path>, offline: bool, output: &Output) -> anyhow::Result<ModelFiles> {
    let reference = Reference::parse(name, Path::exists)?;
    let locked = locked.map(Locked::read).transpose()?;
    let files = match &reference {
        // Part of the binary, whose bytes nobody else can change.
        Reference::Demo => ModelFiles::demo()?,
        Reference::Path(path) => {
            locked.map_or(Ok(()), |locked| locked.check_path(path, output))?;
            ModelFiles::open(path)?
        }
        Reference::Hub(hub) => {
            let wanted = locked.as_ref().map_or(Ok(hub.clone()), |locked| locked.at_commit(hub))?;
            let resolved = fetch::find(&wanted, offline, output)?;
            locked.map_or(Ok(()), |locked| locked.check(hub, &resolved, output))?;
            ModelFiles::open(&resolved.path)?.with_revision(resolved.revision)
        }
    };
    Ok(files.with_reference(reference.to_string()))
}

impl SamplingArgs {
    /// The flags over what the model recommends.
    pub(crate) fn params(&self, recommended: SamplingParams) -> SamplingParams {
        SamplingParams {
            temperature: self.temp.unwrap_or(recommended.temperature),
            top_k: self.top_k.unwrap_or(recommended.top_k),
            top_p: self.top_p.unwrap_or(recommended.top_p),
            min_p: self.min_p.unwrap_or(recommended.min_p),
            repeat_penalty: self.repeat_penalty.unwrap_or(recommended.repeat_penalty),
            seed: self.seed,
            ..recommended
        }
    }
}

/// Reads a text file, as `what`.
pub(crate) fn read_text(path: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    utf8(bytes, &format!("`{}`", path.display()))
}

/// Takes bytes for the text that they must be.
pub(crate) fn utf8(bytes: Vec<u8>, what: &str) -> anyhow::Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let byte = error.as_bytes()[at];
        UsageError(format!("{what} is not UTF-8 text: byte 0x{byte:02x} at offset {at}")).into()
    })
}

/// A number above 0.
pub(crate) fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("expected a whole number above 0".into()),
        Ok(n) => Ok(n),
    }
}

fn number(text: &str, fits: impl Fn(f32) -> bool, expected: &str) -> Result<f32, String> {
    text.parse().ok().filter(|&n: &f32| n.is_finite() && fits(n)).ok_or_else(|| format!("expected {expected}"))
}

fn at_least_zero(text: &str) -> Result<f32, String> {
    number(text, |n| n >= 0.0, "a number of at least 0")
}

fn above_zero(text: &str) -> Result<f32, String> {
    number(text, |n| n > 0.0, "a number above 0")
}

fn zero_to_one(text: &str) -> Result<f32, String> {
    number(text, |n| (0.0..=1.0).contains(&n), "a number from 0 to 1")
}
