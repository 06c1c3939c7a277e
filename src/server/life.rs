//! From the first request to the last.

use super::{
    Settings,
    app::{App, Loaded, Loader, StartError},
    listen::Listener,
    routes::router,
};
use hyper_util::server::graceful::GracefulShutdown;
use std::{io, sync::Arc, time::Duration};

/// Threads that speak with clients; computing is done elsewhere.
const TALKERS: usize = 2;
/// How often what was measured is put in order; without it, what nobody asks for piles up.
const UPKEEP: Duration = Duration::from_secs(5);
/// How long requests that are on their way over open connections get an answer, which tells them to go elsewhere; then
/// connections without a request are closed.
const LATE: Duration = Duration::from_secs(1);
/// Threads for templates, tokenizers and grammars at most.
const PREPARERS: usize = 16;

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// After all requests were answered.
    Drained,
    /// The time for that was over: so many requests were cut off.
    CutOff(usize),
    /// Asked a second time, at once.
    Interrupted,
}

/// What the system asks of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signal {
    End,
    #[cfg_attr(not(unix), expect(dead_code, reason = "only Unix has a signal for it"))]
    Reload,
}

/// Serves a model until the process is asked to end. `ready` is called with the address when requests can come.
///
/// # Errors
/// [`StartError`] when the address is taken, or a file of the settings cannot be used.
pub fn serve(
    settings: Settings,
    loaded: Loaded,
    loader: Loader,
    ready: impl FnOnce(&str),
) -> Result<Ended, StartError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(TALKERS)
        .max_blocking_threads(PREPARERS)
        .enable_all()
        .build()?;
    let app = Arc::new(App::new(settings, loaded, loader)?);
    allow_connections(app.settings.n_connections);
    let ended = runtime.block_on(live(Arc::clone(&app), ready))?;
    // What is left has been given its time.
    runtime.shutdown_background();
    if let Some(traces) = app.traces.as_ref().filter(|_| ended != Ended::Interrupted) {
        traces.end();
    }
    Ok(ended)
}

async fn live(app: Arc<App>, ready: impl FnOnce(&str)) -> io::Result<Ended> {
    let listener = Listener::bind(Arc::clone(&app)).await?;
    let mut signals = Signals::new()?;
    let router = router(Arc::clone(&app));
    let graceful = GracefulShutdown::new();
    tokio::spawn(keep_up(Arc::clone(&app)));
    ready(&listener.url);
    loop {
        tokio::select! {
            () = listener.run(&router, &graceful) => {}
            signal = signals.next() => match signal {
                Signal::Reload => reload(&app),
                Signal::End => break,
            },
        }
    }
    app.drain();
    let n = app.busy.n_in_flight();
    tracing::info!(n, "ending when the requests under way are answered");
    // From here on clients are refused, so that balancers turn to others.
    listener.take_waiting(&router, &graceful);
    drop(listener);
    let close = async {
        if graceful.count() > 0 {
            tokio::time::sleep(LATE).await;
        }
        graceful.shutdown().await;
    };
    let ended = tokio::select! {
        () = close => Ended::Drained,
        () = tokio::time::sleep(app.settings.drain) => Ended::CutOff(app.busy.n_in_flight()),
        () = signals.end() => Ended::Interrupted,
    };
    if let super::Address::Unix(path) = &app.settings.address {
        let _ = std::fs::remove_file(path);
    }
    Ok(ended)
}

/// Reads keys and model again, while requests go on.
fn reload(app: &Arc<App>) {
    let app = Arc::clone(app);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = app.reload() {
            tracing::error!(%error, "cannot reload");
        }
    });
}

/// Puts what was measured in order, for as long as the server lives.
async fn keep_up(app: Arc<App>) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        if let Some(metrics) = &app.metrics {
            metrics.run_upkeep();
        }
    }
}

/// Lets the process have as many sockets as connections are allowed, where the system's limit is a soft one.
#[cfg(unix)]
fn allow_connections(n: usize) {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    /// Files that are open beside the connections.
    const OTHERS: u64 = 128;
    let wanted = n as u64 + OTHERS;
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    let raised = wanted.min(hard);
    if soft < raised && setrlimit(Resource::RLIMIT_NOFILE, raised, hard).is_err() || raised < wanted {
        tracing::warn!(connections = n, limit = soft.max(raised), "the system allows fewer open files than that needs");
    }
}

#[cfg(not(unix))]
fn allow_connections(_: usize) {}

/// The signals that a server hears.
struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    hang_up: tokio::signal::unix::Signal,
    #[cfg(windows)]
    interrupt: tokio::signal::windows::CtrlC,
    #[cfg(windows)]
    close: tokio::signal::windows::CtrlClose,
    #[cfg(windows)]
    shutdown: tokio::signal::windows::CtrlShutdown,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::End,
            _ = self.interrupt.recv() => Signal::End,
            _ = self.hang_up.recv() => Signal::Reload,
        }
    }
}

#[cfg(windows)]
impl Signals {
    fn new() -> io::Result<Signals> {
        use tokio::signal::windows::{ctrl_c, ctrl_close, ctrl_shutdown};
        Ok(Signals { interrupt: ctrl_c()?, close: ctrl_close()?, shutdown: ctrl_shutdown()? })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::End,
            _ = self.close.recv() => Signal::End,
            _ = self.shutdown.recv() => Signal::End,
        }
    }
}

impl Signals {
    /// Waits until the process is asked to end.
    async fn end(&mut self) {
        while self.next().await != Signal::End {}
    }
}
