//! The exit codes, and which error leads to which.

use crate::{
    backend::BackendError,
    bench::{
        BenchError,
        gate::{GateError, Regression},
        load::LoadError,
        python::{HereError, SideError},
    },
    engine::{EngineError, GrammarError, OpenError},
    gguf::GgufError,
    hub::{HubError, KeepError, PinError, pull::PullError},
    model::ModelError,
    server::StartError,
    text::{TemplateError, TextError},
};
use std::{error::Error, io, process::ExitCode};

/// How the process ends. The numbers are a contract with scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// Failed, none of the below.
    Failed = 1,
    /// The command line or a request is wrong.
    Usage = 2,
    /// No such model, file, quantization or revision.
    NotFound = 3,
    /// The network or the Hub failed, after retries.
    Network = 4,
    /// Access denied: gated or private, or the token is bad.
    Denied = 5,
    /// A file is damaged, malformed or not supported.
    Damaged = 6,
    /// Not enough disk or memory, or no such device.
    NoRoom = 7,
    /// The prompt does not fit the context.
    ContextFull = 8,
    /// The output is not what was demanded.
    Demand = 9,
    /// A benchmark is slower than allowed.
    Slower = 10,
    /// Interrupted.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Files are not what they should be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct DamagedError(pub(crate) String);

/// The command line asks for what cannot be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

impl Exit {
    /// The exit code for an error, by the first of its causes that has one.
    pub(crate) fn of(error: &anyhow::Error) -> Exit {
        error.chain().find_map(known).unwrap_or(Exit::Failed)
    }
}

fn known(error: &(dyn Error + 'static)) -> Option<Exit> {
    if error.is::<UsageError>() {
        return Some(Exit::Usage);
    }
    if error.is::<DamagedError>() {
        return Some(Exit::Damaged);
    }
    if error.is::<Regression>() {
        return Some(Exit::Slower);
    }
    if matches!(error.downcast_ref(), Some(SideError::Interrupted)) {
        return Some(Exit::Interrupted);
    }
    let here = || error.downcast_ref::<HereError>().and_then(of_here);
    let load = || error.downcast_ref::<LoadError>().map(of_load);
    let bench = || error.downcast_ref::<BenchError>().map(of_bench);
    let gate = || error.downcast_ref::<GateError>().and_then(of_gate);
    let open = error.downcast_ref::<OpenError>().map(of_open);
    let engine = || error.downcast_ref::<EngineError>().map(of_engine);
    let hub = || error.downcast_ref::<HubError>().map(of_hub);
    let keep = || error.downcast_ref::<KeepError>().map(of_keep);
    let pins = || error.downcast_ref::<PinError>().map(of_pins);
    let pull = || error.downcast_ref::<PullError>().map(of_pull);
    let start = || error.downcast_ref::<StartError>().and_then(of_start);
    let grammar = || error.downcast_ref::<GrammarError>().map(of_grammar);
    let text = || error.is::<TextError>().then_some(Exit::Damaged);
    let io = || error.downcast_ref::<io::Error>().and_then(of_io);
    open.or_else(engine)
        .or_else(here)
        .or_else(bench)
        .or_else(load)
        .or_else(gate)
        .or_else(hub)
        .or_else(keep)
        .or_else(pins)
        .or_else(pull)
        .or_else(start)
        .or_else(grammar)
        .or_else(text)
        .or_else(io)
}

fn of_io(error: &io::Error) -> Option<Exit> {
    match error.kind() {
        io::ErrorKind::NotFound => Some(Exit::NotFound),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::OutOfMemory => Some(Exit::NoRoom),
        _ => None,
    }
}

fn of_gguf(error: &GgufError) -> Exit {
    match error {
        GgufError::Io { source, .. } => of_io(source).unwrap_or(Exit::Failed),
        GgufError::MissingPart { .. } => Exit::NotFound,
        _ => Exit::Damaged,
    }
}

fn of_model(error: &ModelError) -> Exit {
    match error {
        ModelError::Gguf(error) => of_gguf(error),
        ModelError::Backend(error) => of_backend(error),
        ModelError::Io { error, .. } => of_io(error).unwrap_or(Exit::Failed),
        ModelError::ContextFull { .. } => Exit::ContextFull,
        _ => Exit::Damaged,
    }
}

fn of_backend(error: &BackendError) -> Exit {
    match error {
        BackendError::NoDevice { .. } | BackendError::OutOfMemory { .. } => Exit::NoRoom,
        BackendError::CacheType { .. } => Exit::Usage,
        BackendError::Device(_) => Exit::Failed,
    }
}

fn of_engine(error: &EngineError) -> Exit {
    match error {
        EngineError::EmptyPrompt => Exit::Usage,
        EngineError::Grammar(error) => of_grammar(error),
        EngineError::PromptTooLong { .. } => Exit::ContextFull,
        EngineError::NotANumber => Exit::Damaged,
        EngineError::Lost(_) => Exit::Failed,
        EngineError::Model(error) => of_model(error),
    }
}

fn of_start(error: &StartError) -> Option<Exit> {
    match error {
        StartError::Open(error) => Some(of_open(error)),
        StartError::Io(error) => of_io(error),
    }
}

fn of_grammar(error: &GrammarError) -> Exit {
    match error {
        GrammarError::Malformed(_) => Exit::Usage,
        GrammarError::Lost(_) => Exit::Demand,
    }
}

fn of_open(error: &OpenError) -> Exit {
    match error {
        OpenError::Gguf(error) => of_gguf(error),
        OpenError::Model(error) => of_model(error),
        OpenError::Text(_) => Exit::Damaged,
        OpenError::Template(error) => of_template(error),
    }
}

fn of_template(error: &TemplateError) -> Exit {
    match error {
        TemplateError::Raised(_) => Exit::Usage,
        _ => Exit::Damaged,
    }
}

fn of_load(error: &LoadError) -> Exit {
    match error {
        LoadError::Url { .. } | LoadError::Plan(_) => Exit::Usage,
        LoadError::Unreachable { .. } | LoadError::Refused { .. } | LoadError::Failing { .. } => Exit::Network,
        LoadError::Denied { .. } => Exit::Denied,
        LoadError::Interrupted => Exit::Interrupted,
    }
}

fn of_here(error: &HereError) -> Option<Exit> {
    match error {
        HereError::Job(_) => Some(Exit::Usage),
        HereError::Open(error) => Some(of_open(error)),
        HereError::Engine(error) => Some(of_engine(error)),
        // A closed pipe has its own way out.
        HereError::Io(_) => None,
    }
}

fn of_bench(error: &BenchError) -> Exit {
    match error {
        BenchError::Open(error) => of_open(error),
        BenchError::Engine(error) => of_engine(error),
    }
}

fn of_gate(error: &GateError) -> Option<Exit> {
    match error {
        // Its cause tells.
        GateError::Io { .. } => None,
        GateError::Malformed { .. } => Some(Exit::Damaged),
        GateError::NothingInCommon | GateError::OtherModel { .. } => Some(Exit::Usage),
    }
}

fn of_hub(error: &HubError) -> Exit {
    match error {
        HubError::Malformed { .. } => Exit::Usage,
        HubError::Damaged { .. } => Exit::Damaged,
        HubError::Io { source, .. } => of_io(source).unwrap_or(Exit::Failed),
        _ => Exit::NotFound,
    }
}

fn of_keep(error: &KeepError) -> Exit {
    match error {
        KeepError::NotOfCache { .. } => Exit::Usage,
        KeepError::NotThere { .. } | KeepError::NotSelected { .. } => Exit::NotFound,
        KeepError::Hub(error) => of_hub(error),
        KeepError::Io { source, .. } => of_io(source).unwrap_or(Exit::Failed),
        KeepError::InUse { .. } | KeepError::NotPlain { .. } => Exit::Failed,
    }
}

fn of_pins(error: &PinError) -> Exit {
    match error {
        PinError::Hub(error) => of_hub(error),
        PinError::Io { source, .. } => of_io(source).unwrap_or(Exit::Failed),
        _ => Exit::Damaged,
    }
}

fn of_pull(error: &PullError) -> Exit {
    match error {
        PullError::Setup { .. } => Exit::Usage,
        PullError::Cache(error) => of_hub(error),
        PullError::Offline(_)
        | PullError::NoRepository { .. }
        | PullError::NoRevision { .. }
        | PullError::NoFile { .. }
        | PullError::NotSelected { .. } => Exit::NotFound,
        PullError::Denied { .. } => Exit::Denied,
        PullError::Network { .. } => Exit::Network,
        PullError::Damaged { .. } => Exit::Damaged,
        PullError::NoSpace { .. } => Exit::NoRoom,
        // It is the cache that is not there, and not the model.
        PullError::Write { source, .. } => of_io(source).filter(|&exit| exit != Exit::NotFound).unwrap_or(Exit::Failed),
        PullError::Interrupted => Exit::Interrupted,
    }
}
