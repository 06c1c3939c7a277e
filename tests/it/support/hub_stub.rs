//! A Hub on the loopback interface: an API, and storage at another origin that it redirects to, with faults on demand.

use super::hash::{git_hash, sha256};
use super::tls::Encrypted;
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use std::{
    collections::VecDeque,
    io,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::{net::TcpListener, runtime::Runtime, time::sleep};
use tokio_rustls::TlsAcceptor;

/// Of everything in the stub.
pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// The server; it ends with it.
pub(crate) struct Stub {
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
    hub: String,
}

struct Shared {
    inner: Mutex<Inner>,
    storage: Mutex<String>,
}

#[derive(Default)]
struct Inner {
    files: Vec<File>,
    /// The next answers of the storage, one after the other.
    faults: VecDeque<Fault>,
    /// All answers of the storage that no fault is meant for.
    always: Option<Fault>,
    /// The next answers of the API.
    api_faults: VecDeque<Fault>,
    /// A token that alone may see files, and the code of the refusal.
    guard: Option<(String, &'static str)>,
    bytes_per_sec: Option<u64>,
    seen: Vec<Seen>,
    /// Of bodies of files.
    served_bytes: u64,
}

/// A file of the one repository, `o/r`.
#[derive(Clone)]
struct File {
    name: String,
    content: Bytes,
    large: bool,
    /// Its name in the cache.
    etag: String,
}

/// What an answer is instead.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// This status, with `Retry-After`.
    Status(u16, Option<String>),
    /// Nothing more after so many bytes, and the connection stays open.
    Stall(usize),
    /// The connection ends after so many bytes.
    Short(usize),
    /// The head announces other bytes than there are.
    Announce(u64),
    /// One bit is wrong.
    Flip,
    /// A page for people, as of a hotel's network.
    Page,
    /// All of it, whatever was asked for.
    NoRanges,
    /// Other bytes than were asked for; the head says so.
    WrongRange,
    /// The Hub promises other content than it has listed.
    Promise(String),
    /// A redirect.
    Redirect(String),
    /// More than was listed, without a length in the head.
    Endless,
    /// No answer at all.
    Hang,
    /// This body.
    Text(String),
    /// As it should be.
    Nothing,
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) storage: bool,
    pub(crate) authorization: Option<String>,
    pub(crate) user_agent: String,
    pub(crate) range: Option<String>,
}

impl Stub {
    pub(crate) fn start() -> Stub {
        Stub::with(None, None)
    }

    /// Each encrypted if it has what that needs; an encrypted storage is at `localhost` and all else at `127.0.0.1`.
    pub(crate) fn with(hub_acceptor: Option<TlsAcceptor>, storage_acceptor: Option<TlsAcceptor>) -> Stub {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let shared = Arc::new(Shared { inner: Mutex::default(), storage: Mutex::default() });
        let (hub, storage) = (Router::new().fallback(hub), Router::new().fallback(storage));
        let hub = serve(&runtime, hub.with_state(shared.clone()), "127.0.0.1", hub_acceptor);
        let host = if storage_acceptor.is_some() { "localhost" } else { "127.0.0.1" };
        *shared.storage.lock().unwrap() = serve(&runtime, storage.with_state(shared.clone()), host, storage_acceptor);
        Stub { shared, runtime: Some(runtime), hub }
    }

    pub(crate) fn endpoint(&self) -> String {
        self.hub.clone()
    }

    /// A large file, which the storage has.
    pub(crate) fn large(&self, name: &str, content: impl Into<Vec<u8>>) -> &Stub {
        self.file(name, content.into(), true)
    }

    /// A small one, which the Hub itself has.
    pub(crate) fn small(&self, name: &str, content: &str) -> &Stub {
        self.file(name, content.into(), false)
    }

    fn file(&self, name: &str, content: Vec<u8>, large: bool) -> &Stub {
        self.inner().files.retain(|file| file.name != name);
        let etag = if large { sha256(&content) } else { git_hash(&content) };
        self.inner().files.push(File { name: name.into(), content: content.into(), large, etag });
        self
    }

    /// The next answers with bytes of large files.
    pub(crate) fn faults(&self, faults: impl IntoIterator<Item = Fault>) -> &Stub {
        self.inner().faults = faults.into_iter().collect();
        self
    }

    pub(crate) fn always(&self, fault: Fault) -> &Stub {
        self.inner().always = Some(fault);
        self
    }

    pub(crate) fn api_faults(&self, faults: impl IntoIterator<Item = Fault>) -> &Stub {
        self.inner().api_faults = faults.into_iter().collect();
        self
    }

    /// Only those with this token may see files; others get the code.
    pub(crate) fn guard(&self, token: &str, code: &'static str) -> &Stub {
        self.inner().guard = Some((token.into(), code));
        self
    }

    pub(crate) fn pace(&self, bytes_per_sec: u64) -> &Stub {
        self.inner().bytes_per_sec = Some(bytes_per_sec);
        self
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.inner().seen.clone()
    }

    pub(crate) fn served_bytes(&self) -> u64 {
        self.inner().served_bytes
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.shared.inner.lock().unwrap()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

/// Bytes that look random and are the same each time.
pub(crate) fn noise(n_bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..n_bytes).map(|_| next()).collect()
}

/// Serves on the loopback interface; the address goes by the name of `host`.
fn serve(runtime: &Runtime, router: Router, host: &str, acceptor: Option<TlsAcceptor>) -> String {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = listener.local_addr().unwrap().port();
    match acceptor {
        None => {
            runtime.spawn(async move { axum::serve(listener, router).await });
            format!("http://{host}:{port}")
        }
        Some(acceptor) => {
            runtime.spawn(async move { axum::serve(Encrypted { listener, acceptor }, router).await });
            format!("https://{host}:{port}")
        }
    }
}

impl Shared {
    fn see(&self, request: &Request, storage: bool) -> MutexGuard<'_, Inner> {
        let text = |name| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let mut inner = self.inner.lock().unwrap();
        inner.seen.push(Seen {
            storage,
            authorization: text(header::AUTHORIZATION),
            user_agent: text(header::USER_AGENT).unwrap_or_default(),
            range: text(header::RANGE),
        });
        inner
    }
}

async fn hub(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let hangs = matches!(shared.inner.lock().unwrap().api_faults.front(), Some(Fault::Hang));
    if hangs {
        sleep(Duration::from_secs(3600)).await;
    }
    let mut inner = shared.see(&request, false);
    let path = request.uri().path().replace("%2F", "/").replace("%20", " ");
    if let Some(rest) = path.strip_prefix("/api/models/") {
        let fault = inner.api_faults.pop_front().unwrap_or(Fault::Nothing);
        return match fault {
            Fault::Nothing => listing(&inner, rest),
            Fault::Text(text) => text.into_response(),
            fault => broken(fault).unwrap_or_else(|| panic!("the API has no such fault")),
        };
    }
    let Some((_, name)) = path.strip_prefix("/o/r/resolve/").and_then(|rest| rest.split_once('/')) else {
        return refusal(404, "RepoNotFound");
    };
    let Some(file) = inner.files.iter().find(|file| file.name == name).cloned() else {
        return refusal(404, "EntryNotFound");
    };
    let sent = request.headers().get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    if let Some((token, code)) = &inner.guard
        && sent != Some(format!("Bearer {token}"))
    {
        return refusal(if sent.is_some() { 403 } else { 401 }, code);
    }
    let mut etag = file.etag.clone();
    let mut head = vec![("x-repo-commit", COMMIT.to_owned())];
    if !file.large {
        let answer = body(&file.content, request.headers(), Fault::Nothing, None);
        return (header_map(head.into_iter().chain([("etag", format!("\"{etag}\""))])), answer).into_response();
    }
    let mut target = format!("{}/blob/{etag}?signature=secret", shared.storage.lock().unwrap());
    match inner.faults.front() {
        Some(Fault::Promise(other)) => etag = other.clone(),
        Some(Fault::Redirect(other)) => target = other.clone(),
        _ => {}
    }
    if matches!(inner.faults.front(), Some(Fault::Promise(_) | Fault::Redirect(_))) {
        inner.faults.pop_front();
    }
    head.push(("x-linked-etag", format!("\"{etag}\"")));
    head.push(("x-linked-size", file.content.len().to_string()));
    head.push(("location", target));
    (StatusCode::FOUND, header_map(head)).into_response()
}

fn listing(inner: &Inner, rest: &str) -> Response {
    let Some(revision) = rest.strip_prefix("o/r/revision/") else {
        return refusal(401, "RepoNotFound");
    };
    if !["main", "v1", "refs/pr/1"].contains(&revision) && !COMMIT.starts_with(revision) {
        return refusal(404, "RevisionNotFound");
    }
    let siblings: Vec<_> = inner.files.iter().map(|file| {
        let (size, etag) = (file.content.len(), &file.etag);
        match file.large {
            true => serde_json::json!({"rfilename": file.name, "size": size, "blobId": "0".repeat(40), "lfs": {"sha256": etag, "size": size, "pointerSize": 130}}),
            false => serde_json::json!({"rfilename": file.name, "size": size, "blobId": etag}),
        }
    }).collect();
    let gated = inner.guard.as_ref().map_or(false.into(), |_| serde_json::Value::from("auto"));
    axum::Json(serde_json::json!({"id": "o/r", "sha": COMMIT, "gated": gated, "siblings": siblings})).into_response()
}

fn refusal(status: u16, code: &str) -> Response {
    let head = header_map([("x-error-code", code.to_owned()), ("x-error-message", format!("about {code}"))]);
    (StatusCode::from_u16(status).unwrap(), head, "refused").into_response()
}

fn header_map(pairs: impl IntoIterator<Item = (&'static str, String)>) -> HeaderMap {
    pairs.into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

async fn storage(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let mut inner = shared.see(&request, true);
    let fault = inner.faults.pop_front().or_else(|| inner.always.clone()).unwrap_or(Fault::Nothing);
    let hash = request.uri().path().trim_start_matches("/blob/").to_owned();
    let Some(file) = inner.files.iter().find(|file| file.etag == hash).cloned() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let bytes_per_sec = inner.bytes_per_sec;
    drop(inner);
    let counted = Some((shared, bytes_per_sec));
    body(&file.content, request.headers(), fault, counted)
}

/// An answer that needs no file.
fn broken(fault: Fault) -> Option<Response> {
    Some(match fault {
        Fault::Status(status, wait) => {
            let head = header_map(wait.map(|wait| ("retry-after", wait)));
            (StatusCode::from_u16(status).unwrap(), head, "broken").into_response()
        }
        Fault::Redirect(target) => (StatusCode::FOUND, header_map([("location", target)])).into_response(),
        Fault::Page => {
            (header_map([("content-type", "text/html; charset=utf-8".into())]), "<!DOCTYPE html><title>Log in</title>")
                .into_response()
        }
        _ => return None,
    })
}

type Counter = Option<(Arc<Shared>, Option<u64>)>;

/// The bytes that the request's range asks for, or what the fault makes of them.
fn body(content: &Bytes, head: &HeaderMap, fault: Fault, counter: Counter) -> Response {
    if let Some(response) = broken(fault.clone()) {
        return response;
    }
    let size = content.len();
    let asked = head.get(header::RANGE).and_then(|text| range(text.to_str().unwrap(), size));
    let range = if matches!(fault, Fault::NoRanges) { None } else { asked };
    let mut bytes = content.slice(range.clone().unwrap_or(0..size));
    let mut answer =
        vec![("content-length", bytes.len().to_string()), ("content-type", "application/octet-stream".into())];
    match (&range, &fault) {
        (Some(range), Fault::WrongRange) => {
            let start = if range.start == 0 { 1 } else { range.start / 2 };
            answer.push(("content-range", format!("bytes {start}-{}/{size}", start + range.len() - 1)));
            bytes = content.slice(start..start + range.len());
        }
        (Some(range), _) => answer.push(("content-range", format!("bytes {}-{}/{size}", range.start, range.end - 1))),
        _ => {}
    }
    let mut end = End::Done;
    match fault {
        Fault::Stall(after) => (bytes, end) = (bytes.slice(..after.min(bytes.len())), End::Stall),
        Fault::Short(after) => (bytes, end) = (bytes.slice(..after.min(bytes.len())), End::Break),
        Fault::Announce(announced) => (answer[0].1, end) = (announced.to_string(), End::Break),
        Fault::Flip if !bytes.is_empty() => {
            let mut flipped = bytes.to_vec();
            let at = flipped.len() / 2;
            flipped[at] ^= 4;
            bytes = flipped.into();
        }
        Fault::Endless => {
            bytes = [&bytes[..], &[7; 1000]].concat().into();
            drop(answer.remove(0));
        }
        _ => {}
    }
    let status = if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    (status, header_map(answer), Body::from_stream(chunks(bytes, end, counter))).into_response()
}

#[derive(Clone, Copy)]
enum End {
    Done,
    Stall,
    Break,
}

/// `bytes` in pieces, in time.
fn chunks(bytes: Bytes, end: End, counter: Counter) -> impl stream::Stream<Item = io::Result<Bytes>> + Send + 'static {
    const CHUNK: usize = 16 << 10;
    stream::unfold((bytes, counter, false), move |(mut bytes, counter, over)| async move {
        if bytes.is_empty() {
            return match end {
                End::Done => None,
                End::Stall => {
                    sleep(Duration::from_secs(3600)).await;
                    None
                }
                End::Break if over => None,
                End::Break => Some((Err(io::ErrorKind::ConnectionReset.into()), (bytes, counter, true))),
            };
        }
        let chunk = bytes.split_to(CHUNK.min(bytes.len()));
        if let Some((shared, bytes_per_sec)) = &counter {
            if let Some(rate) = bytes_per_sec {
                sleep(Duration::from_secs_f64(chunk.len() as f64 / *rate as f64)).await;
            }
            shared.inner.lock().unwrap().served_bytes += chunk.len() as u64;
        }
        Some((Ok(chunk), (bytes, counter, over)))
    })
}

fn range(text: &str, size: usize) -> Option<Range<usize>> {
    let (start, end) = text.strip_prefix("bytes=")?.split_once('-')?;
    let start = start.parse().ok()?;
    let end = if end.is_empty() { size } else { end.parse::<usize>().ok()? + 1 };
    (start < size).then(|| start..end.min(size))
}
