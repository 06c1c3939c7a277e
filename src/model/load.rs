//! Loading a model onto the device that is asked for.

use super::{Forward, ModelError, Source, Transformer};
use crate::{
    backend::{Backend, BackendError, CacheType, Candle, Compute, Cpu, DeviceChoice, default_threads},
    kernels::Isa,
};

impl Source {
    /// Loads the model where `compute` says, for at most `n_ctx` positions over all sequences.
    ///
    /// # Errors
    /// [`ModelError`] when the model is damaged or not supported, or the device is not there or has no room for it.
    pub fn load(&self, compute: Compute, n_ctx: usize) -> Result<Box<dyn Forward>, ModelError> {
        match compute.device {
            DeviceChoice::Auto => match Candle::cuda(0).or_else(|_| Candle::metal()) {
                Ok(gpu) => self.load_on(checked(gpu, compute)?, n_ctx),
                Err(_) => self.load_on(cpu(compute)?, n_ctx),
            },
            DeviceChoice::Cpu => self.load_on(cpu(compute)?, n_ctx),
            DeviceChoice::Cuda(number) => self.load_on(checked(Candle::cuda(number)?, compute)?, n_ctx),
            DeviceChoice::Metal => self.load_on(checked(Candle::metal()?, compute)?, n_ctx),
        }
    }

    /// Loads the model onto `backend`, as [`Source::load`].
    ///
    /// # Errors
    /// As [`Source::load`].
    pub fn load_on<B: Backend + 'static>(&self, backend: B, n_ctx: usize) -> Result<Box<dyn Forward>, ModelError> {
        Ok(Box::new(Transformer::load(self, backend, n_ctx)?))
    }
}

fn cpu(compute: Compute) -> Result<Cpu, BackendError> {
    let n_threads = compute.n_threads.unwrap_or_else(default_threads);
    Cpu::with(Isa::detect(), n_threads, compute.cache_type.unwrap_or_default())
}

/// A device that is not the CPU, unless what is asked for is the CPU's alone.
fn checked(gpu: Candle, compute: Compute) -> Result<Candle, BackendError> {
    match compute.cache_type {
        None | Some(CacheType::F32) => Ok(gpu),
        Some(cache_type) => Err(BackendError::CacheType { device: gpu.device().device, cache_type }),
    }
}
