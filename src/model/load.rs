//! Loading a model onto the device that is asked for.

use super::{Forward, ModelError, Source, Transformer};
use crate::backend::{Backend, BackendError, Candle, Compute, Cpu, DeviceChoice, default_threads};

impl Source {
    /// Loads the model where `compute` says, for at most `n_ctx` positions over all sequences.
    ///
    /// # Errors
    /// [`ModelError`] when the model is damaged or not supported, or the device is not there or has no room for it.
    pub fn load(&self, compute: Compute, n_ctx: usize) -> Result<Box<dyn Forward>, ModelError> {
        match compute.device {
            DeviceChoice::Auto => match Candle::cuda(0).or_else(|_| Candle::metal()) {
                Ok(gpu) => self.load_on(gpu, n_ctx),
                Err(_) => self.load_on(cpu(compute)?, n_ctx),
            },
            DeviceChoice::Cpu => self.load_on(cpu(compute)?, n_ctx),
            DeviceChoice::Cuda(number) => self.load_on(Candle::cuda(number)?, n_ctx),
            DeviceChoice::Metal => self.load_on(Candle::metal()?, n_ctx),
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
    Cpu::new(compute.n_threads.unwrap_or_else(default_threads))
}
