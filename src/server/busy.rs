//! How busy the served models are: told by the threads of their engines, read by whoever asks.

use crate::engine::Load;
use std::sync::{
    Arc, Mutex, PoisonError, Weak,
    atomic::{AtomicUsize, Ordering},
};

/// How busy one model is.
#[derive(Debug, Default)]
pub(super) struct Busy {
    n_in_flight: AtomicUsize,
    load: Mutex<Load>,
}

impl Busy {
    /// Requests that are waiting or worked on.
    pub(super) fn n_in_flight(&self) -> usize {
        self.n_in_flight.load(Ordering::Relaxed)
    }

    /// Places for `n` requests more; `None` if there would be more than `n_most`.
    pub(super) fn enter(self: &Arc<Busy>, n: usize, n_most: usize) -> Option<Vec<InFlight>> {
        let room = |in_flight: usize| (in_flight + n <= n_most).then_some(in_flight + n);
        self.n_in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).ok()?;
        Some((0..n).map(|_| InFlight(Arc::clone(self))).collect())
    }

    /// What the engine says after a step.
    pub(super) fn set_load(&self, load: Load) {
        *self.load.lock().unwrap_or_else(PoisonError::into_inner) = load;
    }

    /// The load as of now: the engine hears of new requests only between steps, which may take a while.
    fn load(&self) -> Load {
        let load = *self.load.lock().unwrap_or_else(PoisonError::into_inner);
        Load { n_waiting: self.n_in_flight().saturating_sub(load.n_running), ..load }
    }
}

/// One of the requests that are waiting or worked on.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Busy>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.n_in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All models that still have work: the one that is served, and those before it until their requests are answered.
#[derive(Debug, Default)]
pub(super) struct AllBusy(Mutex<Vec<Weak<Busy>>>);

impl AllBusy {
    pub(super) fn add(&self, busy: &Arc<Busy>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|busy| busy.strong_count() > 0);
        all.push(Arc::downgrade(busy));
    }

    /// Requests that are waiting or worked on.
    pub(super) fn n_in_flight(&self) -> usize {
        self.living().iter().map(|busy| busy.n_in_flight()).sum()
    }

    /// The loads of all together.
    pub(super) fn load(&self) -> Load {
        self.living().iter().fold(Load::default(), |sum, busy| {
            let load = busy.load();
            Load {
                n_waiting: sum.n_waiting + load.n_waiting,
                n_running: sum.n_running + load.n_running,
                n_held: sum.n_held + load.n_held,
                n_free: sum.n_free + load.n_free,
                n_positions: sum.n_positions + load.n_positions,
            }
        })
    }

    fn living(&self) -> Vec<Arc<Busy>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().filter_map(Weak::upgrade).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_counts_until_nobody_holds_it_and_never_takes_too_many() {
        let all = AllBusy::default();
        let (old, new) = (Arc::new(Busy::default()), Arc::new(Busy::default()));
        all.add(&old);
        all.add(&new);
        let places = old.enter(2, 3).expect("room for three");
        assert!(old.enter(2, 3).is_none());
        old.set_load(Load { n_waiting: 0, n_running: 1, n_held: 32, n_free: 20, n_positions: 64 });
        new.set_load(Load { n_waiting: 0, n_running: 0, n_held: 0, n_free: 60, n_positions: 64 });
        // One is known to the engine, the other is on its way to it.
        assert_eq!(all.load(), Load { n_waiting: 1, n_running: 1, n_held: 32, n_free: 80, n_positions: 128 });
        assert_eq!(all.n_in_flight(), 2);
        drop((old, places));
        assert_eq!(all.load().n_positions, 64);
    }
}
