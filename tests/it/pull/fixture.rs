//! A cache to fill from a stub.

use crate::support::hash::sha256;
use crate::support::hub_cache::hub;
use crate::support::hub_stub::{COMMIT, Stub, noise};
use std::{
    fs,
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use taper::hub::{
    Cache,
    pull::{Event, Hub, PullError, Settings, Watch},
};
use tempfile::TempDir;

pub(super) struct Fixture {
    pub(super) stub: Stub,
    pub(super) folder: TempDir,
    pub(super) token: Option<&'static str>,
    pub(super) stall: Duration,
    pub(super) watcher: Watcher,
}

/// Takes notes; loses patience when so many bytes have arrived.
pub(super) struct Watcher {
    events: Mutex<Vec<String>>,
    done_bytes: AtomicU64,
    pub(super) stop_at: u64,
}

/// Of the one large file of most tests.
pub(super) const NAME: &str = "r-Q4_K_M.gguf";

impl Watch for Watcher {
    fn tell(&self, event: &Event<'_>) {
        if let Event::Progress { done_bytes, .. } = event {
            self.done_bytes.store(*done_bytes, Ordering::Relaxed);
        }
        self.events.lock().unwrap().push(serde_json::to_string(event).unwrap());
    }

    fn stopped(&self) -> bool {
        self.done_bytes.load(Ordering::Relaxed) >= self.stop_at
    }
}

impl Watcher {
    pub(super) fn events(&self) -> Vec<String> {
        self.events.lock().unwrap().clone()
    }
}

impl Fixture {
    pub(super) fn new() -> Fixture {
        let watcher = Watcher { events: Mutex::default(), done_bytes: AtomicU64::new(0), stop_at: u64::MAX };
        let folder = tempfile::tempdir().unwrap();
        Fixture { stub: Stub::start(), folder, token: None, stall: Duration::from_secs(3), watcher }
    }

    /// With one large file of so many bytes.
    pub(super) fn of(n_bytes: usize) -> (Fixture, Vec<u8>) {
        let (fixture, content) = (Fixture::new(), noise(n_bytes, 1));
        fixture.stub.large(NAME, content.clone());
        (fixture, content)
    }

    pub(super) fn hub(&self) -> Hub {
        let variable = |name: &str| match name {
            "HF_ENDPOINT" => Some(self.stub.endpoint().into()),
            "HF_TOKEN" => self.token.map(Into::into),
            _ => None,
        };
        let mut settings = Settings::of_environment(variable, None, None).unwrap();
        settings.patience.n_attempts = 4;
        settings.patience.pause = Duration::from_millis(2);
        settings.patience.stall = self.stall;
        Hub::new(settings, Cache::new(self.folder.path()))
    }

    pub(super) fn pull(&self, reference: &str) -> Result<PathBuf, PullError> {
        let connection = self.hub();
        let plan = connection.plan(&hub(reference), &self.watcher)?;
        connection.fetch(&plan, &self.watcher)?;
        Ok(plan.path().to_owned())
    }

    /// The files below `blobs`, with their sizes.
    pub(super) fn blobs(&self) -> Vec<(String, u64)> {
        let entries = fs::read_dir(self.repo().join("blobs")).into_iter().flatten().map(Result::unwrap);
        let mut found: Vec<_> =
            entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().len())).collect();
        found.sort();
        found
    }

    pub(super) fn repo(&self) -> PathBuf {
        self.folder.path().join("models--o--r")
    }

    pub(super) fn has_event(&self, name: &str) -> bool {
        self.watcher.events().iter().any(|event| event.contains(&format!("\"event\":\"{name}\"")))
    }

    /// That a pull works and the file is what it should be.
    #[track_caller]
    pub(super) fn arrives(&self, content: &[u8]) {
        let path = self.pull("o/r").unwrap_or_else(|error| panic!("{error}"));
        assert!(fs::read(&path).unwrap() == content);
        if cfg!(unix) {
            assert_eq!(self.blobs(), [(sha256(content), content.len() as u64)]);
        }
        assert_eq!(fs::read_to_string(self.repo().join("refs/main")).unwrap(), COMMIT);
    }

    /// That a pull fails, and nothing looks like a file of the model.
    #[track_caller]
    pub(super) fn fails(&self) -> PullError {
        let error = self.pull("o/r").unwrap_err();
        assert!(!self.repo().join("snapshots").exists(), "{error}");
        assert!(!self.repo().join("refs/main").exists(), "{error}");
        assert!(self.blobs().iter().all(|(name, _)| name.contains(".taper-")), "{:?}", self.blobs());
        error
    }
}
