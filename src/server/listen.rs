//! Sockets: TCP or in the file system, plain or TLS.

use super::{Address, Settings, TlsFiles};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use std::{io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::Semaphore,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

/// How long a client may take for the handshake of TLS.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long to wait when the system has no more sockets.
const OUT_OF_SOCKETS: Duration = Duration::from_millis(50);

/// A connection of any kind.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

enum Socket {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(tokio::net::UnixListener),
}

/// Takes connections.
pub(super) struct Listener {
    socket: Socket,
    tls: Option<TlsAcceptor>,
    places: Arc<Semaphore>,
    idle: Duration,
    /// Where clients find it.
    pub(super) url: String,
}

impl Listener {
    /// Opens the socket.
    ///
    /// # Errors
    /// If it is taken or not allowed, or the files for TLS cannot be used.
    pub(super) async fn bind(settings: &Settings) -> io::Result<Listener> {
        let tls = settings.tls.as_ref().map(acceptor).transpose()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (socket, url) = match &settings.address {
            Address::Tcp(address) => {
                let socket = TcpListener::bind(address).await.map_err(|error| named(&error, &address.to_string()))?;
                let url = format!("{scheme}://{}", socket.local_addr()?);
                (Socket::Tcp(socket), url)
            }
            Address::Unix(path) => (bind_unix(path)?, format!("unix:{}", path.display())),
        };
        let places = Arc::new(Semaphore::new(settings.n_connections));
        Ok(Listener { socket, tls, places, idle: settings.idle, url })
    }

    /// Takes connections until it is dropped, and serves each by `router` until `graceful` ends it.
    pub(super) async fn run(&self, router: &axum::Router, graceful: &GracefulShutdown) {
        loop {
            // Without a place the next connection waits in the system's queue.
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { return };
            let stream = match self.accept().await {
                Ok(stream) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot take a connection");
                    tokio::time::sleep(OUT_OF_SOCKETS).await;
                    continue;
                }
            };
            let (tls, idle, router, watcher) = (self.tls.clone(), self.idle, router.clone(), graceful.watcher());
            tokio::spawn(async move {
                match tls {
                    None => converse(stream, router, watcher, idle).await,
                    Some(tls) => {
                        if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
                            converse(Box::new(stream), router, watcher, idle).await;
                        }
                    }
                }
                drop(place);
            });
        }
    }

    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match &self.socket {
            Socket::Tcp(socket) => {
                let (stream, _) = socket.accept().await?;
                // Each token is a small packet that somebody waits for.
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
            #[cfg(unix)]
            Socket::Unix(socket) => Box::new(socket.accept().await?.0),
        })
    }
}

/// Serves one connection to its end.
async fn converse(stream: Box<dyn Stream>, router: axum::Router, watcher: Watcher, idle: Duration) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(idle)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // Clients come and go as they please.
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection broke");
    }
}

fn acceptor(files: &TlsFiles) -> io::Result<TlsAcceptor> {
    let wrong = |path: &std::path::Path, error: &dyn std::fmt::Display| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("`{}`: {error}", path.display()))
    };
    let certificates: Vec<CertificateDer> = CertificateDer::pem_file_iter(&files.certificates)
        .and_then(Iterator::collect)
        .map_err(|error| wrong(&files.certificates, &error))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| wrong(&files.key, &error))?;
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key);
    Ok(TlsAcceptor::from(Arc::new(config.map_err(|error| wrong(&files.certificates, &error))?)))
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
