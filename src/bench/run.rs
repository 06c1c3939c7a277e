//! Carries out every test of a plan.

use super::{Clock, Lab, Plan, Sample, Test, machine};
use crate::{
    TokenId,
    backend::DeviceInfo,
    engine::{EngineError, OpenError},
    model::Forward,
};
use std::{ops::ControlFlow, time::Duration};

/// What the machine can do at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ceilings {
    /// Bytes of the model's weights that plain reading takes in.
    pub read_bytes_per_sec: f64,
    /// Multiplications and additions of 8-bit integers in registers.
    pub int8_operations_per_sec: f64,
}

/// What a test has given.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The test.
    pub test: Test,
    /// What has computed.
    pub device: DeviceInfo,
    /// How long loading the model took.
    pub load: Duration,
    /// The repetitions.
    pub samples: Vec<Sample>,
    /// What the machine could do around each of them; empty if that was not measured.
    pub ceilings: Vec<Ceilings>,
    /// The most memory that the process had during the test, where the system tells.
    pub peak_rss_bytes: Option<u64>,
    /// Energy that the processor took during the samples, where the system tells.
    pub joules: Option<f64>,
}

/// A model that has been loaded for a benchmark.
pub struct Loaded {
    /// The model.
    pub model: Box<dyn Forward>,
    /// What prompts are made of.
    pub tokens: Vec<TokenId>,
    /// How long it took.
    pub load: Duration,
}

/// What goes on around the tests. None of it is asked while a sample is taken, but for `stop`.
pub struct Watch<'a> {
    /// Takes the time.
    pub clock: &'a dyn Clock,
    /// Whether the user wants no more.
    pub stop: &'a dyn Fn() -> bool,
    /// Asked when a test has its samples: whether it needs more.
    pub more: &'a mut dyn FnMut(&Measured) -> bool,
    /// Told before each sample which one it is.
    pub progress: &'a mut dyn FnMut(&Test, usize),
    /// Measures what the processor can do with so many threads; asked where it computes.
    pub ceilings: &'a dyn Fn(usize) -> Option<Ceilings>,
}

/// Why a benchmark broke off.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The model cannot be loaded.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The model failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Carries out the tests of `plan` and puts what they give into `done`, also if it breaks off, because the user wants no
/// more or for an error. `load` loads the model for a number of threads.
///
/// # Errors
/// [`BenchError`] when the model cannot be loaded or fails.
pub fn run(
    plan: &Plan,
    load: &mut dyn FnMut(usize) -> Result<Loaded, OpenError>,
    watch: &mut Watch<'_>,
    done: &mut Vec<Measured>,
) -> Result<ControlFlow<()>, BenchError> {
    let tests = plan.tests();
    for tests in tests.chunk_by(|a, b| a.n_threads == b.n_threads) {
        if (watch.stop)() {
            return Ok(ControlFlow::Break(()));
        }
        let mut loaded = load(tests[0].n_threads)?;
        let device = loaded.model.device();
        let mut lab = Lab::new(loaded.model.as_mut(), &loaded.tokens, watch.clock, watch.stop);
        for &test in tests {
            let mut measured = Measured {
                test,
                device: device.clone(),
                load: loaded.load,
                samples: Vec::new(),
                ceilings: Vec::new(),
                peak_rss_bytes: None,
                joules: None,
            };
            let flow = measure(plan.n_samples, &mut lab, watch, &mut measured)?;
            if !measured.samples.is_empty() {
                done.push(measured);
            }
            if flow.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Takes the samples of one test.
fn measure(
    n_samples: usize,
    lab: &mut Lab<'_>,
    watch: &mut Watch<'_>,
    measured: &mut Measured,
) -> Result<ControlFlow<()>, BenchError> {
    let test = measured.test;
    machine::reset_peak_rss();
    (watch.progress)(&test, 0);
    let ControlFlow::Continue(mut ready) = lab.prepare(test)? else { return Ok(ControlFlow::Break(())) };
    let is_cpu = measured.device.device == "cpu";
    let ceilings = || if is_cpu { (watch.ceilings)(test.n_threads) } else { None };
    let mut before = ceilings();
    while measured.samples.len() < n_samples || (watch.more)(measured) {
        (watch.progress)(&test, measured.samples.len() + 1);
        let energy = machine::Energy::now();
        let ControlFlow::Continue(sample) = lab.sample(&mut ready)? else { return Ok(ControlFlow::Break(())) };
        let joules = energy.zip(machine::Energy::now()).map(|(before, after)| after.joules_since(&before));
        measured.joules = joules.map(|joules| joules + measured.joules.unwrap_or(0.0));
        measured.samples.push(sample);
        let after = ceilings();
        measured.ceilings.extend(before.zip(after).map(|(before, after)| before.mean(after)));
        before = after;
        measured.peak_rss_bytes = machine::peak_rss_bytes();
    }
    lab.clear(test);
    Ok(ControlFlow::Continue(()))
}

impl Ceilings {
    /// The middle between two measurements.
    fn mean(self, other: Ceilings) -> Ceilings {
        Ceilings {
            read_bytes_per_sec: (self.read_bytes_per_sec + other.read_bytes_per_sec) / 2.0,
            int8_operations_per_sec: (self.int8_operations_per_sec + other.int8_operations_per_sec) / 2.0,
        }
    }
}
