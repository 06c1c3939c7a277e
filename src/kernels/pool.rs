//! Threads that share the work of one operation.
//!
//! An operation lasts as little as some microseconds, so workers wait for the next one spinning, and sleep when none has
//! come for a while. Which thread does which piece is left to chance: results never depend on it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How long a thread spins before it sleeps. Waking takes some 50 µs; between two tokens there is often less than this.
const PATIENCE: Duration = Duration::from_micros(200);

/// One round, as the gate counts them.
const ROUND: usize = 1 << 16;
/// Whether workers may still join the round.
const OPEN: usize = 1 << 15;
/// The workers in the round.
const INSIDE: usize = OPEN - 1;

/// A piece of work for thread `usize` of the pool.
type Work<'a> = &'a (dyn Fn(usize) + Sync + 'a);

/// The calling thread and some workers.
#[derive(Debug)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    /// The work of the round under way: a `*const Work`, whose lifetime is the round.
    work: AtomicPtr<()>,
    /// The number of the round in units of [`ROUND`], [`OPEN`] while workers may join it, and how many are in it.
    gate: AtomicUsize,
    /// Of each worker, whether it sleeps or is about to.
    asleep: Vec<AtomicBool>,
    has_panicked: AtomicBool,
    ends: AtomicBool,
}

impl Pool {
    /// A pool of `n_threads`, the caller included; at least one.
    ///
    /// # Errors
    /// When the operating system gives no more threads.
    pub(crate) fn new(n_threads: usize) -> std::io::Result<Pool> {
        let n_workers = n_threads.saturating_sub(1);
        let shared = Arc::new(Shared {
            work: AtomicPtr::default(),
            gate: AtomicUsize::new(0),
            asleep: (0..n_workers).map(|_| AtomicBool::new(false)).collect(),
            has_panicked: AtomicBool::new(false),
            ends: AtomicBool::new(false),
        });
        let mut pool = Pool { shared, workers: Vec::with_capacity(n_workers) };
        for worker in 0..n_workers {
            let shared = pool.shared.clone();
            let builder = thread::Builder::new().name(format!("taper-{}", worker + 1));
            pool.workers.push(builder.spawn(move || shared.serve(worker))?);
        }
        Ok(pool)
    }

    /// Threads, the caller included.
    pub(crate) fn n_threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Does the pieces `0..n_pieces`, each once, by `piece(thread, piece)`; returns when all are done.
    ///
    /// # Panics
    /// If a piece does.
    pub(crate) fn each(&mut self, n_pieces: usize, piece: impl Fn(usize, usize) + Sync) {
        if self.workers.is_empty() || n_pieces <= 1 {
            return (0..n_pieces).for_each(|i| piece(0, i));
        }
        let next = AtomicUsize::new(0);
        self.round(&|thread| {
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                if i >= n_pieces {
                    return;
                }
                piece(thread, i);
            }
        });
    }

    /// Calls `work` once on this thread, and on each worker that comes before this thread is done: one that the system
    /// has put aside holds up nobody.
    fn round(&mut self, work: Work) {
        let shared = &*self.shared;
        shared.work.store((&raw const work).cast_mut().cast(), Ordering::Relaxed);
        shared.start(OPEN);
        for (worker, asleep) in self.workers.iter().zip(&shared.asleep) {
            if asleep.load(Ordering::SeqCst) {
                worker.thread().unpark();
            }
        }
        let own = catch_unwind(AssertUnwindSafe(|| work(0)));
        // `work` must outlive its use by the others, however it ended here.
        shared.gate.fetch_and(!OPEN, Ordering::AcqRel);
        let mut patience = Patience::new();
        while shared.gate.load(Ordering::Acquire) & INSIDE > 0 {
            if patience.is_over() {
                thread::yield_now();
            }
        }
        if let Err(panic) = own {
            resume_unwind(panic);
        }
        assert!(!shared.has_panicked.swap(false, Ordering::Relaxed), "a thread of the pool has panicked");
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::Relaxed);
        self.shared.start(0);
        for worker in self.workers.drain(..) {
            worker.thread().unpark();
            // A worker catches its panics, so there is nothing to learn from the result.
            let _ = worker.join();
        }
    }
}

impl Shared {
    /// Begins the next round, with nobody inside.
    fn start(&self, open: usize) {
        let round = (self.gate.load(Ordering::Relaxed) / ROUND).wrapping_add(1).wrapping_mul(ROUND);
        // Sequentially consistent, as is what a worker does before it sleeps: one of the two sees the other.
        self.gate.store(round | open, Ordering::SeqCst);
    }

    /// What a worker does until the pool ends.
    fn serve(&self, worker: usize) {
        let mut seen = 0;
        loop {
            seen = self.wait(worker, seen);
            if self.ends.load(Ordering::Relaxed) {
                return;
            }
            if !self.joins(seen) {
                continue;
            }
            let result = catch_unwind(AssertUnwindSafe(|| self.work()(worker + 1)));
            if result.is_err() {
                self.has_panicked.store(true, Ordering::Relaxed);
            }
            self.gate.fetch_sub(1, Ordering::Release);
        }
    }

    /// Goes into round `round`, unless that is closed.
    fn joins(&self, round: usize) -> bool {
        let join = |gate: usize| (gate / ROUND == round && gate & OPEN > 0).then_some(gate + 1);
        self.gate.fetch_update(Ordering::AcqRel, Ordering::Relaxed, join).is_ok()
    }

    /// The work of the round under way, for a worker that has joined it.
    #[expect(unsafe_code, reason = "threads that outlive a round borrow what lives as long as the round")]
    fn work(&self) -> Work<'_> {
        let work = self.work.load(Ordering::Relaxed).cast::<Work>();
        // SAFETY: `Pool::round` stored a pointer to a `Work` of its own before it opened the round, which this worker has
        // joined; and it does not return, nor start another, before this worker has left.
        unsafe { *work }
    }

    /// Waits for a round after `seen`; gives its number.
    fn wait(&self, worker: usize, seen: usize) -> usize {
        let mut patience = Patience::new();
        loop {
            let round = self.gate.load(Ordering::Acquire) / ROUND;
            if round != seen {
                return round;
            }
            if patience.is_over() {
                self.asleep[worker].store(true, Ordering::SeqCst);
                if self.gate.load(Ordering::SeqCst) / ROUND == seen {
                    thread::park();
                }
                self.asleep[worker].store(false, Ordering::Relaxed);
            }
        }
    }
}

/// Spins, and says when that has gone on for long.
struct Patience {
    start: Instant,
    turns: u32,
}

impl Patience {
    fn new() -> Patience {
        Patience { start: Instant::now(), turns: 0 }
    }

    /// Spins for a moment, until [`PATIENCE`] is over.
    fn is_over(&mut self) -> bool {
        std::hint::spin_loop();
        self.turns = self.turns.wrapping_add(1);
        // Looking at the clock costs as much as some turns.
        self.turns.is_multiple_of(64) && self.start.elapsed() > PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_done_once_however_many_threads_there_are() {
        for n_threads in [0, 1, 2, 5] {
            let mut pool = Pool::new(n_threads).expect("threads");
            for n_pieces in (0..40).chain([1000]) {
                let done: Vec<AtomicUsize> = (0..n_pieces).map(|_| AtomicUsize::new(0)).collect();
                pool.each(n_pieces, |thread, piece| {
                    assert!(thread < n_threads.max(1));
                    done[piece].fetch_add(1, Ordering::Relaxed);
                });
                assert!(done.iter().all(|n| n.load(Ordering::Relaxed) == 1));
            }
        }
    }

    #[test]
    fn workers_that_sleep_wake_up() {
        let mut pool = Pool::new(3).expect("threads");
        for _ in 0..5 {
            let deadline = Instant::now() + Duration::from_secs(20);
            while !pool.shared.asleep.iter().all(|asleep| asleep.load(Ordering::SeqCst)) {
                assert!(Instant::now() < deadline, "a worker keeps spinning");
                thread::yield_now();
            }
            let seen = AtomicUsize::new(0);
            // Each stays until all have come.
            pool.round(&|_| {
                seen.fetch_add(1, Ordering::Relaxed);
                while seen.load(Ordering::Relaxed) < 3 {
                    assert!(Instant::now() < deadline, "a worker sleeps on");
                    thread::yield_now();
                }
            });
            assert_eq!(seen.into_inner(), 3);
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_goes_on() {
        let mut pool = Pool::new(2).expect("threads");
        for thread in [0, 1] {
            let n_here = AtomicUsize::new(0);
            let meet_and_fail = |own| {
                n_here.fetch_add(1, Ordering::Relaxed);
                while n_here.load(Ordering::Relaxed) < 2 {
                    thread::yield_now();
                }
                assert_ne!(own, thread);
            };
            assert!(catch_unwind(AssertUnwindSafe(|| pool.round(&meet_and_fail))).is_err());
        }
        pool.each(4, |_, _| {});
    }
}
