//! The thread that owns the engine. Handlers send it requests and hear of them through channels.

use super::{
    busy::{Busy, InFlight},
    metrics::{Instruments, Meter},
    record::{Answered, Record},
};
use crate::engine::{Completion, Engine, EngineError, Event, JobId, Part, Request, STACK_BYTES, TokenLogprobs};
use std::{
    collections::HashMap,
    io,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    process::abort,
    sync::{Arc, mpsc},
    thread,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What happens to one of the requests of a client. How much can pile up for a slow reader is bounded by the length of its
/// answer.
#[derive(Debug)]
pub(super) enum Update {
    /// The log-probabilities of the prompt's tokens but the first, where they were asked for.
    Prompt(Vec<TokenLogprobs>),
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
    model: Arc<str>,
    jobs: mpsc::Sender<Submitted>,
    busy: Arc<Busy>,
    instruments: Arc<Instruments>,
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
    /// Counts the request as long as it is there.
    place: Arc<InFlight>,
    meter: Meter,
    record: Arc<Record>,
    /// What is not known of it yet, from what was asked for.
    answered: Answered,
}

impl Worker {
    /// Starts a thread for the engine of `model`, which is never given more than `n_most` requests.
    pub(super) fn start(model: &str, engine: Engine, n_most: usize) -> io::Result<Worker> {
        let (jobs, received) = mpsc::channel();
        let busy = Arc::<Busy>::default();
        busy.set_load(engine.load());
        let work = Work { engine, listeners: HashMap::new(), busy: Arc::clone(&busy) };
        thread::Builder::new().name("engine".into()).stack_size(STACK_BYTES).spawn(move || {
            // Without it the server would be there and answer nobody.
            if catch_unwind(AssertUnwindSafe(|| work.run(&received))).is_err() {
                abort();
            }
        })?;
        Ok(Worker { model: model.into(), jobs, busy, instruments: Arc::new(Instruments::of(model)), n_most })
    }

    /// Whether a request would be refused.
    pub(super) fn is_full(&self) -> bool {
        self.busy.n_in_flight() >= self.n_most
    }

    /// How busy it is.
    pub(super) fn busy(&self) -> &Arc<Busy> {
        &self.busy
    }

    /// Takes `n` places; `None` if there are not as many.
    pub(super) fn places(&self, n: usize) -> Option<Vec<Arc<InFlight>>> {
        let places = self.busy.enter(n, self.n_most)?;
        Some(places.into_iter().map(Arc::new).collect())
    }

    /// Hands requests over, each with its place. They are cancelled when the updates are dropped, and `record` takes down
    /// what becomes of them.
    pub(super) fn submit(
        &self,
        requests: impl IntoIterator<Item = (Request, Arc<InFlight>)>,
        record: &Arc<Record>,
    ) -> Updates {
        let (updates, received) = unbounded_channel();
        for (index, (request, place)) in requests.into_iter().enumerate() {
            let meter = Meter::start(Arc::clone(&self.instruments), request.prompt.len());
            let answered = Answered::of(&self.model, &request);
            let (updates, record) = (updates.clone(), Arc::clone(record));
            let listener = Listener { index, updates, place, meter, record, answered };
            // The thread lives as long as this handle; if it is gone, so is the process.
            let _ = self.jobs.send(Submitted { request, listener });
        }
        received
    }
}

struct Work {
    engine: Engine,
    listeners: HashMap<JobId, Listener>,
    busy: Arc<Busy>,
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
            self.busy.set_load(self.engine.load());
        }
    }

    fn take(&mut self, Submitted { request, mut listener }: Submitted) {
        listener.meter.take();
        match self.engine.submit(request) {
            Ok(id) => _ = self.listeners.insert(id, listener),
            Err(error) => listener.fail(error),
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
                        Ok(completion) => listener.finish(completion),
                        Err(error) => listener.fail(error),
                    }
                }
            }
            // All requests are lost. The engine is empty then, and the next ones may fare better.
            Err(error) => {
                tracing::error!(%error, "the model failed");
                for (_, listener) in self.listeners.drain() {
                    listener.fail(EngineError::Lost(error.to_string()));
                }
            }
        }
    }
}

impl Listener {
    fn hear(&mut self, event: Event<'_>) -> ControlFlow<()> {
        let update = match event {
            Event::Prompt { .. } => return self.flow(),
            Event::PromptLogprobs(logprobs) => Update::Prompt(logprobs.to_vec()),
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

    fn finish(self, completion: Completion) {
        let phases = self.meter.finish(&completion);
        self.record.answer(self.answered.clone().done(phases, &completion));
        self.end(Update::Done(Box::new(completion)));
    }

    fn fail(self, error: EngineError) {
        self.meter.fail();
        self.end(Update::Failed(error));
    }

    /// Tells the last of it. By then the place is free, and the record is with whoever sends the answer.
    fn end(self, update: Update) {
        let Listener { index, updates, place, record, .. } = self;
        drop((place, record));
        let _ = updates.send((index, update));
    }

    fn tell(&self, update: Update) {
        // Who has left needs no answer.
        let _ = self.updates.send((self.index, update));
    }
}
