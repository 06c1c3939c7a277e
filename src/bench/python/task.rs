//! What a process of Python is started for.

use super::{Job, N_COLD, Side, answer::Purpose, process::Call};
use crate::TokenId;
use std::{path::Path, process::Command};

/// What a process of Python is started for.
pub(super) struct Task<'a> {
    pub(super) side: Side,
    pub(super) job: &'a Job,
    /// Our tokens.
    pub(super) expected: &'a [TokenId],
    /// Where the weights are, or are to be put, in the format of the side.
    pub(super) folder: Option<&'a Path>,
    pub(super) purpose: Purpose,
}

impl<'a> Task<'a> {
    /// The process.
    pub(super) fn call(&self) -> Call<'a> {
        let Job { python, threads, timeout, .. } = self.job;
        let mut command = Command::new(python);
        let n = threads.to_string();
        command
            .args(["-c", &self.side.script()])
            .envs([("OMP_NUM_THREADS", &*n), ("MKL_NUM_THREADS", &n), ("OPENBLAS_NUM_THREADS", &n)])
            // The processor is compared, and the network is not asked for anything.
            .envs([("CUDA_VISIBLE_DEVICES", ""), ("HF_HUB_OFFLINE", "1"), ("PYTHONIOENCODING", "utf-8")]);
        Call { program: python, command, job: self.line(), timeout: *timeout }
    }

    fn line(&self) -> String {
        let Task { side, job, expected, folder, purpose } = self;
        let job = serde_json::json!({
            "model": job.model,
            "prompt": job.prompt,
            "n_gen": expected.len(),
            "n_cold": N_COLD.min(job.prompt.len()),
            "threads": job.threads,
            "repetitions": job.repetitions,
            "precision": side.precision(),
            "expected": expected,
            "folder": folder,
            "purpose": purpose,
        });
        format!("{job}\n")
    }
}
