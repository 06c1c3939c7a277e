//! Sockets: TCP or in the file system, plain or TLS.

use super::{Address, app::App};
use axum::Router;
use futures_util::FutureExt;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulConnection, GracefulShutdown},
    service::TowerToHyperService,
};
use std::{io, pin::Pin, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;

/// How long a client may take for the handshake of TLS.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long to wait when the system has no more sockets.
const OUT_OF_SOCKETS: Duration = Duration::from_millis(50);
/// Bytes of the head of a request that are gathered at most; the read that brings more than that is taken whole.
const MOST_HEAD_BYTES: usize = 64 << 10;

/// A connection of any kind.
trait Stream: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Stream for T {}

type Connection = Pin<Box<dyn Stream>>;

enum Socket {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(tokio::net::UnixListener),
}

/// Takes connections.
pub(super) struct Listener {
    app: Arc<App>,
    socket: Socket,
    places: Arc<Semaphore>,
    /// Where clients find it.
    pub(super) url: String,
}

impl Listener {
    /// Opens the socket.
    ///
    /// # Errors
    /// If it is taken or not allowed.
    pub(super) async fn bind(app: Arc<App>) -> io::Result<Listener> {
        let scheme = if app.tls.is_some() { "https" } else { "http" };
        let (socket, url) = match &app.settings.address {
            Address::Tcp(address) => {
                let socket = TcpListener::bind(address).await.map_err(|error| named(&error, &address.to_string()))?;
                let url = format!("{scheme}://{}", socket.local_addr()?);
                (Socket::Tcp(socket), url)
            }
            Address::Unix(path) => (bind_unix(path)?, format!("unix:{}", path.display())),
        };
        let places = Arc::new(Semaphore::new(app.settings.n_connections));
        Ok(Listener { app, socket, places, url })
    }

    /// Takes connections until it is dropped, and serves each by `router` until `graceful` ends it.
    pub(super) async fn run(&self, router: &Router, graceful: &GracefulShutdown) {
        loop {
            // Without a place the next connection waits in the system's queue.
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { return };
            match self.accept().await {
                Ok(stream) => self.serve(stream, place, router, graceful),
                Err(error) => {
                    tracing::warn!(%error, "cannot take a connection");
                    sleep(OUT_OF_SOCKETS).await;
                }
            }
        }
    }

    /// Takes what waits in the system's queue, before that is closed: whoever is there gets an answer.
    pub(super) fn take_waiting(&self, router: &Router, graceful: &GracefulShutdown) {
        while let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            let Some(Ok(stream)) = self.accept().now_or_never() else { return };
            self.serve(stream, place, router, graceful);
        }
    }

    fn serve(&self, stream: Connection, place: OwnedSemaphorePermit, router: &Router, graceful: &GracefulShutdown) {
        let (app, router, watcher) = (Arc::clone(&self.app), router.clone(), graceful.watcher());
        tokio::spawn(async move {
            let stream: Connection = match &app.tls {
                None => stream,
                Some(tls) => match timeout(HANDSHAKE, tls.acceptor().accept(stream)).await {
                    Ok(Ok(stream)) => Box::pin(stream),
                    _ => return,
                },
            };
            // Clients come and go as they please.
            if let Err(error) = watcher.watch(connection(stream, router, app.settings.idle)).await {
                tracing::debug!(%error, "a connection broke");
            }
            drop(place);
        });
    }

    async fn accept(&self) -> io::Result<Connection> {
        Ok(match &self.socket {
            Socket::Tcp(socket) => {
                let (stream, _) = socket.accept().await?;
                // Each token is a small packet that somebody waits for.
                stream.set_nodelay(true)?;
                Box::pin(stream)
            }
            #[cfg(unix)]
            Socket::Unix(socket) => Box::pin(socket.accept().await?.0),
        })
    }
}

/// One connection.
fn connection(stream: Connection, router: Router, idle: Duration) -> impl GracefulConnection<Error = hyper::Error> {
    // A client that takes nothing gives its place up, as one that sends nothing does.
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(idle));
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(idle)
        .max_buf_size(MOST_HEAD_BYTES)
        .serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(router))
}

/// A socket in the file system, for its owner only.
#[cfg(unix)]
fn bind_unix(path: &std::path::Path) -> io::Result<Socket> {
    use std::os::unix::{fs::PermissionsExt, net::UnixStream};
    // One that a server before this one has left behind is in the way.
    if matches!(UnixStream::connect(path), Err(error) if error.kind() == io::ErrorKind::ConnectionRefused) {
        std::fs::remove_file(path)?;
    }
    let socket = tokio::net::UnixListener::bind(path).map_err(|error| named(&error, &path.display().to_string()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(Socket::Unix(socket))
}

#[cfg(not(unix))]
fn bind_unix(path: &std::path::Path) -> io::Result<Socket> {
    Err(named(&io::Error::from(io::ErrorKind::Unsupported), &path.display().to_string()))
}

fn named(error: &io::Error, address: &str) -> io::Error {
    io::Error::new(error.kind(), format!("cannot listen on `{address}`: {error}"))
}
