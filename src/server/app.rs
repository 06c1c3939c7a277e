//! What all requests share: the model, the settings, and whether the server takes more.

use super::{
    Settings, busy::AllBusy, error::ApiError, keys::Keys, spans::Traces, tls::Tls, tools::CallFormat, worker::Worker,
};
use crate::{
    TokenId,
    engine::{
        Constraint, Engine, EngineError, Grammar, GrammarError, Grammars, ModelFiles, OpenError, Pooling, Prompter,
    },
    sampling::SamplingParams,
};
use anyhow::Context;
use metrics_exporter_prometheus::PrometheusHandle;
use std::{
    io,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock, TryLockError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

/// A loaded model, before it is served.
pub struct Loaded {
    /// How clients call it.
    pub name: String,
    /// Its files.
    pub files: ModelFiles,
    /// With as many places as there may be requests at once.
    pub engine: Engine,
    /// Makes its prompts.
    pub prompter: Prompter,
}

/// Loads the model, again whenever it is to be swapped.
pub type Loader = Box<dyn Fn() -> anyhow::Result<Loaded> + Send + Sync>;

/// A model that is served.
pub(super) struct Model {
    pub(super) name: String,
    pub(super) prompter: Prompter,
    pub(super) sampling: SamplingParams,
    pub(super) call_format: CallFormat,
    pub(super) worker: Worker,
    pub(super) n_ctx: usize,
    pub(super) n_vocab: usize,
    pub(super) d_model: usize,
    /// How it makes vectors of texts where a request does not say it.
    pub(super) pooling: Pooling,
    pub(super) created: u64,
    /// Made when the first request needs it: it takes a while for a large vocabulary.
    grammars: OnceLock<Result<Grammars, String>>,
}

impl Model {
    pub(super) fn start(loaded: Loaded, n_most: usize) -> Result<Model, StartError> {
        let Loaded { name, files, engine, prompter } = loaded;
        let template = files.template_source()?.unwrap_or_default();
        Ok(Model {
            sampling: files.sampling()?,
            call_format: CallFormat::of_template(&template),
            n_ctx: engine.n_ctx(),
            n_vocab: engine.model().n_vocab(),
            d_model: engine.model().config().d_model,
            // A model that was not trained for it says more in all its tokens than in one.
            pooling: files.pooling()?.unwrap_or(Pooling::Mean),
            worker: Worker::start(&name, engine, n_most)?,
            name,
            created: now(),
            prompter,
            grammars: OnceLock::new(),
        })
    }

    /// Refuses a prompt, the field `param` of a request, that the engine would not take.
    pub(super) fn check_prompt(&self, tokens: &[TokenId], param: &str) -> Result<(), ApiError> {
        if let Some(token) = tokens.iter().find(|token| **token as usize >= self.n_vocab) {
            let message = format!("`{param}` has the token {token}, the vocabulary has {}", self.n_vocab);
            return Err(ApiError::invalid(param, message));
        }
        let (n_prompt, n_ctx) = (tokens.len(), self.n_ctx);
        match n_prompt {
            0 => Err(ApiError::of_engine(EngineError::EmptyPrompt, param)),
            n if n > n_ctx => Err(ApiError::of_engine(EngineError::PromptTooLong { n_prompt, n_ctx }, param)),
            _ => Ok(()),
        }
    }

    /// A constraint to `grammar`.
    pub(super) fn constraint(&self, grammar: &Grammar) -> Result<Constraint, GrammarError> {
        let grammars =
            self.grammars.get_or_init(|| Grammars::new(self.prompter.tokenizer()).map_err(|e| e.to_string()));
        match grammars {
            Ok(grammars) => grammars.compile(grammar),
            Err(error) => Err(GrammarError::Malformed(error.clone())),
        }
    }
}

/// Why a model cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its files are damaged.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The system gives no thread, socket or file.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What all requests share.
pub(super) struct App {
    pub(super) settings: Settings,
    pub(super) keys: Keys,
    /// Of those who may reload the model; `None` if nobody may.
    pub(super) admin_keys: Option<Keys>,
    pub(super) tls: Option<Tls>,
    pub(super) metrics: Option<PrometheusHandle>,
    pub(super) traces: Option<Arc<Traces>>,
    pub(super) busy: AllBusy,
    model: RwLock<Arc<Model>>,
    loader: Loader,
    /// Held while a model is loaded: two at once would take the memory of three.
    loading: Mutex<()>,
    draining: AtomicBool,
    n_named: AtomicU64,
}

/// Why there is no new model.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReloadError {
    /// One is being loaded already.
    #[error("the model is being loaded already")]
    UnderWay,
    /// The keys or the model cannot be loaded.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
}

impl App {
    /// Reads the keys, and takes the model into service.
    ///
    /// # Errors
    /// If a file of the settings cannot be used, or the collector of traces has no address.
    pub(super) fn new(settings: Settings, loaded: Loaded, loader: Loader) -> Result<App, StartError> {
        let keys = Keys::read(settings.keys_file.clone(), settings.rate_limit)?;
        let admin_keys = settings.admin_keys_file.clone().map(|file| Keys::read(Some(file), None)).transpose()?;
        let tls = settings.tls.clone().map(Tls::read).transpose()?;
        let traces = settings.tracing.as_ref().map(Traces::start).transpose()?.map(Arc::new);
        // Before the model, which makes its instruments.
        let metrics = super::metrics::recorder();
        let model = Model::start(loaded, settings.n_most())?;
        let busy = AllBusy::default();
        busy.add(model.worker.busy());
        Ok(App {
            settings,
            keys,
            admin_keys,
            tls,
            metrics,
            traces,
            busy,
            model: RwLock::new(Arc::new(model)),
            loader,
            loading: Mutex::new(()),
            draining: AtomicBool::new(false),
            n_named: AtomicU64::new(0),
        })
    }

    /// The model that is served now. Who holds it can finish with it after another has taken its place.
    pub(super) fn model(&self) -> Arc<Model> {
        Arc::clone(&self.model.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The model by the name that a client gives; none means whichever there is.
    pub(super) fn model_named(&self, name: Option<&str>) -> Result<Arc<Model>, ApiError> {
        let model = self.model();
        match name {
            Some(name) if name != model.name && !name.is_empty() => {
                let message = format!("there is no model `{name}`, only `{}`", model.name);
                Err(ApiError::no_model(message))
            }
            _ => Ok(model),
        }
    }

    /// Reads keys and certificates and loads the model anew, and serves it from now on; requests under way end with the old
    /// one. What cannot be read stays as it was, and what comes after it.
    ///
    /// # Errors
    /// [`ReloadError`].
    pub(super) fn reload(&self) -> Result<(), ReloadError> {
        let _loading = match self.loading.try_lock() {
            Ok(loading) => loading,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(ReloadError::UnderWay),
        };
        self.keys.reload().context("the keys stay as they were")?;
        self.admin_keys.as_ref().map_or(Ok(()), Keys::reload).context("the admin's keys stay as they were")?;
        self.tls.as_ref().map_or(Ok(()), Tls::reload).context("the certificates stay as they were")?;
        let model = (self.loader)().and_then(|loaded| Ok(Model::start(loaded, self.settings.n_most())?));
        let model = model.context("the model stays as it was")?;
        tracing::info!(model = model.name, "reloaded");
        self.busy.add(model.worker.busy());
        *self.model.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(model);
        Ok(())
    }

    /// Takes no more requests.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether no more requests are taken.
    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// A name that no other request of this process has.
    pub(super) fn new_id(&self) -> String {
        static STARTED: OnceLock<u64> = OnceLock::new();
        let started = STARTED.get_or_init(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            since.as_nanos() as u64 ^ u64::from(std::process::id()) << 40
        });
        format!("{started:016x}{:08x}", self.n_named.fetch_add(1, Ordering::Relaxed))
    }
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
