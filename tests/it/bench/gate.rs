//! Verdicts: a slow-down is found and noise is not, with a clock that the test moves and with delays on the real one.

use super::fake::{FakeClock, FakeModel, source};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{fs, thread, time::Duration};
use taper::backend::CacheType;
use taper::bench::{
    Ceilings, Clock, Format, Loaded, Measured, Origin, Plan, Report, Row, Subject, Traffic, Wall, Watch,
    gate::{Baseline, Gate, Verdict},
    run,
};
use tempfile::TempDir;

const MAX_REGRESS: f64 = 0.05;

fn plan() -> Plan {
    Plan { n_prompt: vec![64], n_gen: vec![0], n_depth: vec![0], n_batch: vec![1], n_threads: vec![1], n_samples: 5 }
}

/// A machine that is a share slower than another and scatters.
#[derive(Clone, Copy)]
struct Simulated {
    /// Time of a pass over that of the baseline.
    slowness: f64,
    /// Standard deviation of a pass, as a share.
    noise: f64,
    /// How much slower the whole machine is.
    machine: f64,
    seed: u64,
}

impl Simulated {
    /// Runs the plan on this machine, with the gate if there is one.
    fn run(self, gate: &mut Option<Gate>) -> Measured {
        let clock = FakeClock::default();
        let moved = clock.clone();
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let mut ceiling_rng = ChaCha8Rng::seed_from_u64(self.seed + 1_000_000);
        let mut load = |_| {
            let (moved, mut rng) = (moved.clone(), ChaCha8Rng::seed_from_u64(rng.random()));
            let model = FakeModel::new(Box::new(move |_| {
                let mut factor = self.slowness * self.machine * (1.0 + self.noise * normal(&mut rng));
                // Now and then something else has the processor.
                if rng.random_range(0..20) == 0 {
                    factor *= 1.3;
                }
                moved.advance(Duration::from_secs_f64(0.1 * factor));
            }));
            Ok(Loaded { model: Box::new(model), tokens: vec![1, 2, 3], load: Duration::ZERO })
        };
        let ceiling_rng = std::cell::RefCell::new(&mut ceiling_rng);
        let mut watch = Watch {
            clock: &clock,
            stop: &|| false,
            more: &mut |measured| gate.as_mut().is_some_and(|gate| gate.wants_more(measured, clock.now())),
            progress: &mut |_, _| {},
            ceilings: &|_| {
                let scatter = 1.0 + self.noise * normal(&mut ceiling_rng.borrow_mut());
                let per_sec = 1e12 / self.machine * scatter;
                Some(Ceilings { read_bytes_per_sec: per_sec, int8_operations_per_sec: per_sec })
            },
        };
        measured(&mut load, &mut watch)
    }
}

/// A draw from the standard normal distribution.
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    // Box and Muller.
    let (u, v) = (1.0 - rng.random::<f64>(), rng.random::<f64>());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

type Load<'a> = dyn FnMut(usize) -> Result<Loaded, taper::engine::OpenError> + 'a;

fn measured(load: &mut Load<'_>, watch: &mut Watch<'_>) -> Measured {
    let mut done = Vec::new();
    assert!(run(&plan(), load, watch, &mut done).unwrap().is_continue());
    done.pop().unwrap()
}

/// What `measured` leaves for later runs, by way of a file.
fn baseline(measured: &Measured, traffic: &Traffic, folder: &TempDir) -> Baseline {
    let row = Row::new(measured, traffic, &Origin::now(), &Subject::default());
    let text = Format::Json.render(&Report { rows: vec![row], ..Report::default() }).unwrap();
    let path = folder.path().join("base.json");
    fs::write(&path, text).unwrap();
    Baseline::read(&path).unwrap()
}

/// How many of `n` pairs of runs get each verdict, and how many samples the second runs took on average.
fn verdicts(n: u64, later: Simulated) -> (Vec<Verdict>, f64) {
    let traffic = Traffic::of(&source(), CacheType::F16).unwrap();
    let folder = TempDir::new().unwrap();
    let mut n_samples = 0;
    let verdicts = (0..n).map(|seed| {
        let first = Simulated { slowness: 1.0, noise: later.noise, machine: 1.0, seed };
        let baseline = baseline(&first.run(&mut None), &traffic, &folder);
        let mut gate = Some(Gate::new(baseline, MAX_REGRESS, Duration::from_secs(4), 1));
        let second = Simulated { seed: seed + 10_000, ..later }.run(&mut gate);
        n_samples += second.samples.len();
        gate.unwrap().compare(&second).unwrap().verdict
    });
    let verdicts = verdicts.collect();
    (verdicts, n_samples as f64 / n as f64)
}

fn count(verdicts: &[Verdict], verdict: Verdict) -> usize {
    verdicts.iter().filter(|&&found| found == verdict).count()
}

const STEADY: Simulated = Simulated { slowness: 1.0, noise: 0.01, machine: 1.0, seed: 0 };

#[test]
fn a_slow_down_of_ten_percent_is_found() {
    let (verdicts, n_samples) = verdicts(100, Simulated { slowness: 1.0 / 0.9, ..STEADY });
    assert!(count(&verdicts, Verdict::Slower) >= 98, "{} found", count(&verdicts, Verdict::Slower));
    assert_eq!(count(&verdicts, Verdict::Pass), 0);
    assert!(n_samples < 20.0, "{n_samples} samples");
}

#[test]
fn one_percent_of_noise_is_not_flagged() {
    let (verdicts, n_samples) = verdicts(100, STEADY);
    assert_eq!(count(&verdicts, Verdict::Slower), 0);
    assert!(count(&verdicts, Verdict::Pass) >= 98, "{} passed", count(&verdicts, Verdict::Pass));
    assert!(n_samples < 7.0, "{n_samples} samples");
}

#[test]
fn five_percent_of_noise_convicts_nobody_who_is_innocent() {
    let (verdicts, _) = verdicts(60, Simulated { noise: 0.05, ..STEADY });
    assert!(count(&verdicts, Verdict::Slower) <= 1);
}

#[test]
fn a_machine_that_is_slower_as_a_whole_is_not_our_fault() {
    let (verdicts, _) = verdicts(60, Simulated { machine: 1.15, ..STEADY });
    assert_eq!(count(&verdicts, Verdict::Slower), 0);
    assert!(count(&verdicts, Verdict::Pass) >= 59);
}

#[test]
fn the_budget_ends_what_cannot_be_decided() {
    let (verdicts, n_samples) = verdicts(10, Simulated { slowness: 1.0 / 0.95, noise: 0.1, ..STEADY });
    assert!(count(&verdicts, Verdict::Undecided) >= 5, "{verdicts:?}");
    // 4 s of passes of a tenth of a second beyond the five of the plan, and the one that was under way.
    assert!(n_samples <= 5.0 + 41.0, "{n_samples} samples");
}

/// Runs the plan on the real clock, with a model that waits.
fn delayed(pass: Duration, gate: &mut Option<Gate>) -> Measured {
    let clock = Wall::new();
    let mut load = |_| {
        let model = FakeModel::new(Box::new(move |_| thread::sleep(pass)));
        Ok(Loaded { model: Box::new(model), tokens: vec![1, 2, 3], load: Duration::ZERO })
    };
    let mut watch = Watch {
        clock: &clock,
        stop: &|| false,
        more: &mut |measured| gate.as_mut().is_some_and(|gate| gate.wants_more(measured, clock.now())),
        progress: &mut |_, _| {},
        ceilings: &|_| None,
    };
    measured(&mut load, &mut watch)
}

#[test]
fn a_delay_of_ten_percent_is_found_and_none_is_not() {
    let traffic = Traffic::of(&source(), CacheType::F16).unwrap();
    let folder = TempDir::new().unwrap();
    // So long that waking up late, as happens on a busy machine, is little beside a tenth of it.
    let usual = Duration::from_millis(250);
    let base = baseline(&delayed(usual, &mut None), &traffic, &folder);
    for (pass, expected) in [(usual, Verdict::Pass), (usual.mul_f64(1.0 / 0.9), Verdict::Slower)] {
        let mut gate = Some(Gate::new(base.clone(), MAX_REGRESS, Duration::from_secs(10), 1));
        let measured = delayed(pass, &mut gate);
        let comparison = gate.unwrap().compare(&measured).unwrap();
        assert_eq!(comparison.verdict, expected, "{pass:?}: {comparison:?}");
    }
}
