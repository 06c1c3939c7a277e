//! A model that computes nothing, and a clock that stands still unless the model moves it.

use crate::support::tiny::{Architecture, TinyModel, Types};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use taper::{
    backend::DeviceInfo,
    bench::Clock,
    gguf::Gguf,
    model::{Batch, Config, Forward, ModelError, SequenceId, Source},
    tensor::{Bytes, Dtype},
};

/// Nanoseconds since the test began, moved by the model.
#[derive(Clone, Default)]
pub(super) struct FakeClock(Arc<AtomicU64>);

impl FakeClock {
    pub(super) fn advance(&self, time: Duration) {
        self.0.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// What is done in each pass, of so many rows.
pub(super) type Pass = Box<dyn FnMut(usize) + Send>;

/// Counts what it is asked, and does `pass`.
pub(super) struct FakeModel {
    config: Config,
    lens: HashMap<SequenceId, usize>,
    pass: Pass,
    /// Every batch that it was given.
    pub(super) batches: Arc<Mutex<Vec<Batch>>>,
    /// Whether it can go back only to the beginning, as models with a state can.
    pub(super) is_recurrent: bool,
}

/// A tiny model to take numbers from.
pub(super) fn source() -> Source {
    let bytes = TinyModel::new(Architecture::Llama, Types::Only(Dtype::Q8_0)).gguf();
    Source::Gguf(Gguf::from_bytes(Bytes::from(bytes)).unwrap())
}

impl FakeModel {
    pub(super) fn new(pass: Pass) -> FakeModel {
        let config = source().config().unwrap();
        FakeModel { config, lens: HashMap::new(), pass, batches: Arc::default(), is_recurrent: false }
    }
}

impl Forward for FakeModel {
    fn forward(&mut self, batch: &Batch, logits: &mut Vec<f32>) -> Result<(), ModelError> {
        self.batches.lock().unwrap().push(batch.clone());
        for row in &batch.rows {
            *self.lens.entry(row.sequence).or_default() += 1;
        }
        (self.pass)(batch.rows.len());
        logits.clear();
        // The fifth token is always the likeliest.
        let wanted = batch.rows.iter().filter(|row| row.wants_logits);
        wanted.for_each(|_| logits.extend((0..self.n_vocab()).map(|token| f32::from(u8::from(token == 5)))));
        Ok(())
    }

    fn hidden(&mut self, rows: &[usize], out: &mut Vec<f32>) -> Result<(), ModelError> {
        out.clear();
        out.resize(rows.len() * self.config.d_model, 1.0);
        Ok(())
    }

    fn len(&self, sequence: SequenceId) -> usize {
        self.lens.get(&sequence).copied().unwrap_or(0)
    }

    fn truncate(&mut self, sequence: SequenceId, len: usize) -> usize {
        let now = self.lens.entry(sequence).or_default();
        if len < *now {
            *now = if self.is_recurrent { 0 } else { len };
        }
        *now
    }

    fn fork(&mut self, _from: SequenceId, _to: SequenceId, _len: usize) -> usize {
        0
    }

    fn n_free(&self) -> usize {
        1 << 20
    }

    fn n_positions(&self) -> usize {
        usize::MAX
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn n_vocab(&self) -> usize {
        8
    }

    fn device(&self) -> DeviceInfo {
        DeviceInfo { device: "cpu".into(), isa: Some("scalar"), n_threads: 1 }
    }
}
