//! The thread that owns the engine. Handlers send it requests and hear of them through channels.

use super::metrics::Meter;
use crate::engine::{Completion, Engine, EngineError, Event, JobId, Part, Request, STACK_BYTES, TokenLogprobs};
use std::{
    collections::HashMap,
    io,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    process::abort,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What happens to one of the requests of a client. How much can pile up for a slow reader is bounded by the length of its
/// answer.
#[derive(Debug)]
pub(super) enum Update {
    /// A token with its log-probabilities, where they were asked for.
    Token(TokenLogprobs),
    /// Text that is complete.
    Text(Part, String),
    /// The end.
    Done(Box<Completion>),
    /// The end, too soon.
    Failed(EngineError),
}

/// Updates with the number of the request among those that were submitted together.
pub(super) type Updates = UnboundedReceiver<(usize, Update)>;

/// A running engine. Its thread ends when the last handle is gone and all requests are answered.
#[derive(Clone)]
pub(super) struct Worker {
    jobs: mpsc::Sender<Submitted>,
    n_in_flight: Arc<AtomicUsize>,
    n_most: usize,
}

struct Submitted {
    request: Request,
    listener: Listener,
}

/// Who hears of a request.
struct Listener {
    index: usize,
    updates: UnboundedSender<(usize, Update)>,
    _place: Arc<Place>,
    meter: Meter,
}

/// One of the places of the requests that are waiting or worked on; it is taken as long as this is there.
pub(super) struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Worker {
    /// Starts a thread for `engine`, which is never given more than `n_most` requests.
    pub(super) fn start(engine: Engine, n_most: usize) -> io::Result<Worker> {
        let (jobs, received) = mpsc::channel();
        thread::Builder::new().name("engine".into()).stack_size(STACK_BYTES).spawn(move || {
            let work = Work { engine, listeners: HashMap::new() };
            // Without it the server would be there and answer nobody.
            if catch_unwind(AssertUnwindSafe(|| work.run(&received))).is_err() {
                abort();
            }
        })?;
        Ok(Worker { jobs, n_in_flight: Arc::default(), n_most })
    }

    /// Whether a request would be refused.
    pub(super) fn is_full(&self) -> bool {
        self.n_in_flight.load(Ordering::Relaxed) >= self.n_most
    }

    /// Requests that are waiting or worked on.
    pub(super) fn n_in_flight(&self) -> usize {
        self.n_in_flight.load(Ordering::Relaxed)
    }

    /// Takes `n` places; `None` if there are not as many.
    pub(super) fn places(&self, n: usize) -> Option<Vec<Arc<Place>>> {
        let room = |in_flight: usize| (in_flight + n <= self.n_most).then_some(in_flight + n);
        self.n_in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).ok()?;
        Some((0..n).map(|_| Arc::new(Place(Arc::clone(&self.n_in_flight)))).collect())
    }

    /// Hands requests over, each with its place. They are cancelled when the updates are dropped.
    pub(super) fn submit(&self, requests: impl IntoIterator<Item = (Request, Arc<Place>)>) -> Updates {
        let (sender, updates) = unbounded_channel();
        for (index, (request, place)) in requests.into_iter().enumerate() {
            let meter = Meter::start(request.prompt.len());
            let listener = Listener { index, updates: sender.clone(), _place: place, meter };
            // The thread lives as long as this handle; if it is gone, so is the process.
            let _ = self.jobs.send(Submitted { request, listener });
        }
        updates
    }
}

struct Work {
    engine: Engine,
    listeners: HashMap<JobId, Listener>,
}

impl Work {
    /// Works until nobody can send more requests and all are answered.
    fn run(mut self, received: &mpsc::Receiver<Submitted>) {
        loop {
            // Without work the thread sleeps.
            if self.listeners.is_empty() {
                let Ok(submitted) = received.recv() else { return };
                self.take(submitted);
            }
            while let Ok(submitted) = received.try_recv() {
                self.take(submitted);
            }
            for (id, listener) in &self.listeners {
                if listener.updates.is_closed() {
                    self.engine.cancel(*id);
                }
            }
            self.step();
            super::metrics::report_load(&self.engine.load());
        }
    }

    fn take(&mut self, Submitted { request, listener }: Submitted) {
        match self.engine.submit(request) {
            Ok(id) => _ = self.listeners.insert(id, listener),
            Err(error) => listener.tell(Update::Failed(error)),
        }
    }

    fn step(&mut self) {
        let listeners = &mut self.listeners;
        let stepped = self.engine.step(&mut |id, event| match listeners.get_mut(&id) {
            Some(listener) => listener.hear(event),
            None => ControlFlow::Break(()),
        });
        match stepped {
            Ok(finished) => {
                for (id, outcome) in finished {
                    let Some(listener) = self.listeners.remove(&id) else { continue };
                    match outcome {
                        Ok(completion) => {
                            listener.meter.finish(&completion);
                            listener.tell(Update::Done(Box::new(completion)));
                        }
                        Err(error) => listener.tell(Update::Failed(error)),
                    }
                }
            }
            // All requests are lost. The engine is empty then, and the next ones may fare better.
            Err(error) => {
                tracing::error!(%error, "the model failed");
                for (_, listener) in self.listeners.drain() {
                    listener.tell(Update::Failed(EngineError::Lost(error.to_string())));
                }
            }
        }
    }
}

impl Listener {
    fn hear(&mut self, event: Event<'_>) -> ControlFlow<()> {
        let update = match event {
            Event::Prompt { .. } => return self.flow(),
            Event::Token(logprobs) => Update::Token(logprobs.clone()),
            Event::Text(part, text) => {
                self.meter.text();
                Update::Text(part, text.to_owned())
            }
        };
        self.tell(update);
        self.flow()
    }

    /// Whether anybody still listens.
    fn flow(&self) -> ControlFlow<()> {
        if self.updates.is_closed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn tell(&self, update: Update) {
        // Who has left needs no answer.
        let _ = self.updates.send((self.index, update));
    }
}
