//! `taper doctor`: what there is to compute with.

use super::{exit::Exit, output::Output};
use crate::{
    backend::{BackendError, Candle, default_threads},
    hub::Cache,
    kernels::{Isa, instruction_sets},
    model::ARCHITECTURES,
    tensor::Dtype,
};
use serde::Serialize;
use std::path::PathBuf;

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    version: &'static str,
    os: &'static str,
    arch: &'static str,
    devices: Vec<Device>,
    instruction_sets: Vec<&'static str>,
    /// Which of them the kernels use; `scalar` is slow.
    isa: &'static str,
    /// Threads that a model gets unless `-t` says otherwise.
    default_threads: usize,
    /// Threads that this process may run at once.
    available_threads: usize,
    /// `None` where no home folder is known.
    cache: Option<PathBuf>,
    cache_exists: bool,
    architectures: Vec<&'static str>,
    types: Vec<&'static str>,
}

#[derive(Serialize)]
struct Device {
    device: &'static str,
    available: bool,
    /// Why not, where it is not.
    reason: Option<String>,
}

pub(crate) fn execute(args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let cache = Cache::of_process().ok().map(|cache| cache.path().to_owned());
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        os: std::env::consts::OS,
        arch: std::env::consts::ARCH,
        devices: vec![
            Device { device: "cpu", available: true, reason: None },
            device("cuda", Candle::cuda(0)),
            device("metal", Candle::metal()),
        ],
        instruction_sets: instruction_sets(),
        isa: Isa::detect().name(),
        default_threads: default_threads(),
        available_threads: std::thread::available_parallelism().map_or(1, |n| n.get()),
        cache_exists: cache.as_ref().is_some_and(|cache| cache.is_dir()),
        cache,
        architectures: ARCHITECTURES.iter().map(|row| row.name).collect(),
        types: Dtype::all().map(Dtype::name).collect(),
    };
    if args.json {
        output.json(&report)?;
    } else {
        output.answer(&report.to_text())?;
    }
    Ok(Exit::Done)
}

fn device(device: &'static str, opened: Result<Candle, BackendError>) -> Device {
    let reason = opened.err().map(|error| match error {
        BackendError::NoDevice { reason, .. } => reason,
        other => other.to_string(),
    });
    Device { device, available: reason.is_none(), reason }
}

impl Report {
    fn to_text(&self) -> String {
        let devices = self.devices.iter().map(|device| match &device.reason {
            None => format!("{:<15}{}: available\n", "device", device.device),
            Some(reason) => format!("{:<15}{}: {reason}\n", "device", device.device),
        });
        let rows = [
            ("version", format!("taper {} on {} {}", self.version, self.os, self.arch)),
            ("instructions", self.instruction_sets.join(" ")),
            ("kernels", self.kernels_text()),
            ("threads", format!("{} of {}", self.default_threads, self.available_threads)),
            ("cache", self.cache_text()),
            ("architectures", self.architectures.join(" ")),
            ("types", self.types.join(" ")),
        ];
        devices.chain(rows.iter().map(|(name, value)| format!("{name:<15}{value}\n"))).collect()
    }

    fn kernels_text(&self) -> String {
        match self.isa {
            "scalar" => "scalar: this processor has no instruction set that taper has fast kernels for".into(),
            isa => isa.into(),
        }
    }

    fn cache_text(&self) -> String {
        match &self.cache {
            Some(path) if self.cache_exists => path.display().to_string(),
            Some(path) => format!("{} (not there yet)", path.display()),
            None => "none: no home folder is known".into(),
        }
    }
}
