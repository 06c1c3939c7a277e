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
    /// Counts the rounds; a change starts one.
    round: AtomicUsize,
    /// Workers that have not finished the round.
    n_busy: AtomicUsize,
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
            round: AtomicUsize::new(0),
            n_busy: AtomicUsize::new(0),
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

    /// Calls `work` once on each thread.
    fn round(&mut self, work: Work) {
        let shared = &*self.shared;
        shared.work.store((&raw const work).cast_mut().cast(), Ordering::Relaxed);
        shared.n_busy.store(self.workers.len(), Ordering::Relaxed);
        // Sequentially consistent, as is what a worker does before it sleeps: one of the two sees the other.
        shared.round.fetch_add(1, Ordering::SeqCst);
        for (worker, asleep) in self.workers.iter().zip(&shared.asleep) {
            if asleep.load(Ordering::SeqCst) {
                worker.thread().unpark();
            }
        }
        let own = catch_unwind(AssertUnwindSafe(|| work(0)));
        // `work` must outlive its use by the others, however it ended here.
        let mut patience = Patience::new();
        while shared.n_busy.load(Ordering::Acquire) > 0 {
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
        self.shared.round.fetch_add(1, Ordering::SeqCst);
        for worker in self.workers.drain(..) {
            worker.thread().unpark();
            // A worker catches its panics, so there is nothing to learn from the result.
            let _ = worker.join();
        }
    }
}

impl Shared {
    /// What a worker does until the pool ends.
    fn serve(&self, worker: usize) {
        let mut seen = 0;
        loop {
            self.wait(worker, seen);
            seen = seen.wrapping_add(1);
            if self.ends.load(Ordering::Relaxed) {
                return;
            }
            let result = catch_unwind(AssertUnwindSafe(|| self.work()(worker + 1)));
            if result.is_err() {
                self.has_panicked.store(true, Ordering::Relaxed);
            }
            self.n_busy.fetch_sub(1, Ordering::Release);
        }
    }

    /// The work of the round under way, for a worker that has not finished it.
    #[expect(unsafe_code, reason = "threads that outlive a round borrow what lives as long as the round")]
    fn work(&self) -> Work<'_> {
        let work = self.work.load(Ordering::Relaxed).cast::<Work>();
        // SAFETY: `Pool::round` stored a pointer to a `Work` of its own before it started the round, which the worker has
        // seen start; and it does not return, nor start another, before this worker has finished.
        unsafe { *work }
    }

    /// Waits for the round after `seen`.
    fn wait(&self, worker: usize, seen: usize) {
        let mut patience = Patience::new();
        while self.round.load(Ordering::Acquire) == seen {
            if patience.is_over() {
                self.asleep[worker].store(true, Ordering::SeqCst);
                if self.round.load(Ordering::SeqCst) == seen {
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
            pool.round(&|_| {
                seen.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(seen.into_inner(), 3);
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_goes_on() {
        let mut pool = Pool::new(2).expect("threads");
        for thread in [0, 1] {
            let failed = catch_unwind(AssertUnwindSafe(|| pool.round(&|own| assert_ne!(own, thread))));
            assert!(failed.is_err());
        }
        pool.each(4, |_, _| {});
    }
}
