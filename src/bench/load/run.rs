//! A load test at work: threads that ask, and one that collects.

use super::{
    Level, LoadError, Outcome, Plan, Route, Summary,
    client::{Client, TICK, attended},
    summary::Sample,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    },
    thread,
    time::{Duration, Instant},
};

/// Runs the levels of a plan, after requests that do not count. `done` hears how many requests of all levels have ended.
///
/// When `cancelled`, which is asked about every 50 ms, what has been measured until then is the result.
///
/// # Errors
/// [`LoadError`] if the plan makes no sense, nobody answers at its address or will not answer such requests, or it was
/// cancelled before it began. Requests that fail are part of the result.
pub fn run(plan: &Plan, cancelled: &dyn Fn() -> bool, done: &dyn Fn(usize)) -> Result<Outcome, LoadError> {
    plan.check()?;
    let plan = Arc::new(plan.clone());
    let asked = plan.clone();
    let client = attended(cancelled, move || Client::meet(&asked.endpoint, &asked.prompts))??;
    let mut levels: Vec<Summary> = Vec::new();
    for (i, &level) in plan.levels.iter().enumerate() {
        let n_before = i * plan.n_requests;
        let work = start(&plan, level, n_before, &client)?;
        let (samples, interrupted) = work.collect(plan.n_requests, cancelled, &|n| done(n_before + n));
        let summary = Summary::of(level, &samples, interrupted);
        // Who answers nobody will not do so with more clients.
        let is_end = interrupted || summary.n_answered == 0;
        levels.push(summary);
        if is_end {
            break;
        }
    }
    let is_used = |route: &Route| plan.prompts.iter().any(|prompt| client.route(prompt) == *route);
    let routes = [Route::Completions, Route::Chat].into_iter().filter(is_used).collect();
    Ok(Outcome { endpoint: plan.endpoint.clone(), model: client.model().into(), routes, levels })
}

/// What the threads of a level share.
struct Shared {
    plan: Arc<Plan>,
    /// When to send each request, after `start`; `None` if at once.
    schedule: Option<Vec<Duration>>,
    /// Requests of the levels before.
    n_before: usize,
    start: Instant,
    next: AtomicUsize,
    stopped: AtomicBool,
}

/// A level that is going on.
struct Work {
    shared: Arc<Shared>,
    samples: Receiver<Sample>,
}

fn start(plan: &Arc<Plan>, level: Level, n_before: usize, client: &Client) -> Result<Work, LoadError> {
    let (sender, samples) = mpsc::sync_channel(plan.n_requests.min(1024));
    let shared = Arc::new(Shared {
        plan: plan.clone(),
        schedule: plan.schedule(level),
        n_before,
        start: Instant::now(),
        next: AtomicUsize::new(0),
        stopped: AtomicBool::new(false),
    });
    let work = Work { shared, samples };
    for _ in 0..plan.n_threads(level) {
        let (client, shared, sender) = (client.another(), work.shared.clone(), sender.clone());
        let started = thread::Builder::new().spawn(move || ask_all(&client, &shared, &sender));
        started.map_err(|error| LoadError::Plan(format!("needs more threads than the system gives: {error}")))?;
    }
    Ok(work)
}

/// Takes requests until there are no more.
fn ask_all(client: &Client, shared: &Shared, samples: &SyncSender<Sample>) {
    let plan = &shared.plan;
    loop {
        let i = shared.next.fetch_add(1, Ordering::Relaxed);
        if i >= plan.n_requests || shared.stopped.load(Ordering::Relaxed) {
            return;
        }
        let due = match &shared.schedule {
            None => Instant::now(),
            Some(times) => {
                let Some(due) = shared.start.checked_add(times[i]) else { return };
                thread::sleep(due.saturating_duration_since(Instant::now()));
                due
            }
        };
        let prompt = &plan.prompts[(shared.n_before + i) % plan.prompts.len()];
        let result = client.ask(prompt, plan.wish, due);
        if samples.send(Sample { result, ended: shared.start.elapsed() }).is_err() {
            return;
        }
    }
}

impl Work {
    /// The samples of all requests, or of those that ended before the user wanted no more.
    fn collect(&self, n: usize, cancelled: &dyn Fn() -> bool, done: &dyn Fn(usize)) -> (Vec<Sample>, bool) {
        let mut samples = Vec::new();
        while samples.len() < n {
            match self.samples.recv_timeout(TICK) {
                Ok(sample) => {
                    samples.push(sample);
                    done(samples.len());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if cancelled() {
                break;
            }
        }
        let interrupted = samples.len() < n;
        (samples, interrupted)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // Threads that wait for an answer are left to themselves.
        self.shared.stopped.store(true, Ordering::Relaxed);
    }
}
