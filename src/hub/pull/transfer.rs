//! Moving the bytes of one file: connections that take parts of it in order, one thread that hashes what has arrived
//! without a gap, and one that watches over them.

use super::client::told;
use super::error::PullError;
use super::partial::Partial;
use super::ranges::Ranges;
use super::retry::{Failure, Retry};
use super::source::Source;
use super::watch::{Event, Watch};
use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    ops::{Range, RangeInclusive},
    path::Path,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// Connections for one file, once the server has shown that it gives parts.
pub(super) const N_CONNECTIONS: usize = 6;
/// Of a file that one connection fetches at a time: so much that the request costs little, and so little that all
/// connections have something to do.
const PIECE: RangeInclusive<u64> = 1 << 20..=16 << 20;
const BUFFER: usize = 256 << 10;
/// What the hasher reads at once.
const HASHED: u64 = 1 << 20;
/// How often progress is told.
const GLANCE: Duration = Duration::from_millis(100);
/// How soon what has arrived is made safe: early, for those who interrupt early, then ever more seldom.
const FIRST_SAVE: Duration = Duration::from_millis(40);
const LONGEST_SAVE: Duration = Duration::from_secs(2);

/// A transfer under way.
pub(super) struct Transfer<'a> {
    source: &'a Source<'a>,
    watch: &'a dyn Watch,
    /// The file, for messages.
    name: &'a str,
    what: String,
    path: &'a Path,
    /// Held while writing: the system lets one write to a file at a time and the others spin, where they would better sleep.
    writing: Mutex<()>,
    state: Mutex<State>,
    /// Told when there is more to hash, or none any more.
    grown: Condvar,
    /// Told when the watching thread has something to do.
    turned: Condvar,
}

struct State {
    done: Ranges,
    queue: VecDeque<Range<u64>>,
    mode: Mode,
    /// The first failure that no attempt has overcome.
    failure: Option<PullError>,
    /// In hexadecimal digits, once all is hashed.
    hash: Option<String>,
}

/// Whether the server gives parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Not tried yet: one connection only.
    Unknown,
    Parts,
    /// All or nothing, by one connection, from the start after each failure.
    Whole,
}

impl<'a> Transfer<'a> {
    /// Fetches what `partial` lacks, and hashes all of it. The hash is in hexadecimal digits.
    pub(super) fn run(
        source: &'a Source<'a>,
        name: &'a str,
        partial: &mut Partial,
        watch: &'a dyn Watch,
    ) -> Result<String, PullError> {
        let path = partial.path().to_owned();
        let done = partial.done().clone();
        let piece = (source.size_bytes / (4 * N_CONNECTIONS as u64)).clamp(*PIECE.start(), *PIECE.end());
        let queue = done.missing(source.size_bytes, piece).collect();
        let state = State { done, queue, mode: Mode::Unknown, failure: None, hash: None };
        let what = format!("`{name}` of `{}` from {}", source.asked.repo, source.client.host());
        let transfer = Transfer {
            source,
            watch,
            name,
            what,
            path: &path,
            writing: Mutex::new(()),
            state: Mutex::new(state),
            grown: Condvar::new(),
            turned: Condvar::new(),
        };
        thread::scope(|scope| {
            scope.spawn(|| transfer.guarded(Transfer::hash));
            scope.spawn(|| transfer.guarded(Transfer::work));
            let spawn = || drop(scope.spawn(|| transfer.guarded(Transfer::work)));
            transfer.supervise(partial, spawn);
        });
        let State { done, failure, hash, .. } = transfer.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let outcome = failure.map_or(Ok(()), Err).and_then(|()| hash.ok_or(PullError::Interrupted));
        if outcome.is_err() {
            // What has arrived is worth keeping, but the failure is what the user must hear of.
            let _ = partial.rescue(done);
        }
        outcome
    }

    /// Tells progress, saves it, starts more connections, and sees to it that all comes to an end.
    fn supervise(&self, partial: &mut Partial, spawn: impl Fn()) {
        let mut alone = true;
        let (mut interval, mut saved) = (FIRST_SAVE, Instant::now());
        loop {
            let (over, done) = {
                let waiting = |state: &mut State| !(state.is_over() || alone && state.mode == Mode::Parts);
                let woken = self.turned.wait_timeout_while(self.lock(), GLANCE.min(interval), waiting);
                let (state, _) = woken.unwrap_or_else(PoisonError::into_inner);
                if alone && state.mode == Mode::Parts {
                    (0..state.queue.len().min(N_CONNECTIONS - 1)).for_each(|_| spawn());
                    alone = false;
                }
                (state.is_over(), state.done.clone())
            };
            let (file, size_bytes) = (self.name, self.source.size_bytes);
            self.watch.tell(&Event::Progress { file, size_bytes, done_bytes: done.len() });
            if over {
                return;
            }
            if self.watch.stopped() {
                return self.fail(PullError::Interrupted);
            }
            if saved.elapsed() >= interval {
                if let Err(error) = partial.save(done) {
                    return self.fail(error);
                }
                (interval, saved) = (LONGEST_SAVE.min(2 * interval), Instant::now());
            }
        }
    }

    /// Fetches piece after piece.
    fn work(&self) -> Result<(), PullError> {
        let mut file = File::options().write(true).open(self.path).map_err(PullError::write(self.path))?;
        let mut buffer = vec![0; BUFFER];
        let mut retry = Retry { what: &self.what, patience: &self.source.client.patience, watch: self, n_failed: 0 };
        while let Some(mut piece) = self.take() {
            while !piece.is_empty() {
                let start = piece.start;
                let fetched = self.fetch(&mut file, &mut buffer, &mut piece);
                if self.lock().is_over() {
                    return Ok(());
                }
                if piece.start > start && self.lock().mode != Mode::Whole {
                    retry.succeeded();
                }
                match fetched {
                    Ok(()) => {}
                    Err(Failure::NoRanges) if self.turn_to_whole() => piece = 0..self.source.size_bytes,
                    Err(failure) => {
                        retry.pause(failure)?;
                        if self.lock().mode == Mode::Whole {
                            piece.start = 0;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Fetches the bytes of `piece` and takes from its start those that are written.
    fn fetch(&self, file: &mut File, buffer: &mut [u8], piece: &mut Range<u64>) -> Result<(), Failure> {
        let whole = *piece == (0..self.source.size_bytes);
        let answer = self.source.open((!whole).then(|| piece.clone()))?;
        if !whole {
            self.turn_to_parts();
        }
        let stall = self.source.client.patience.stall;
        let broken = |error: io::Error| Failure::again(format!("the connection broke: {}", told(&error, stall)));
        let mut reader = answer.body.into_reader();
        file.seek(SeekFrom::Start(piece.start)).map_err(PullError::write(self.path))?;
        while !piece.is_empty() {
            let most = buffer.len().min(usize::try_from(piece.end - piece.start).unwrap_or(usize::MAX));
            let n = reader.read(&mut buffer[..most]).map_err(broken)?;
            if n == 0 {
                return Err(Failure::again(format!("it ended {} bytes too early", piece.end - piece.start)));
            }
            self.write(file, &buffer[..n])?;
            if !self.note(piece.start..piece.start + n as u64) {
                return Ok(());
            }
            piece.start += n as u64;
        }
        // A connection serves again once its answer is read to the end; if more comes, it does not matter to the hash.
        let _ = reader.read(&mut buffer[..1]);
        Ok(())
    }

    fn write(&self, file: &mut File, bytes: &[u8]) -> Result<(), PullError> {
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(bytes).map_err(|error| self.not_written(error))
    }

    /// Hashes what arrives, in the order of the file.
    fn hash(&self) -> Result<(), PullError> {
        let read = |source| PullError::Cache(crate::hub::HubError::Io { path: self.path.into(), source });
        let mut file = File::open(self.path).map_err(read)?;
        let mut hasher = self.source.digest.hasher(self.source.size_bytes);
        let mut buffer = Vec::with_capacity(HASHED as usize);
        let mut at = 0;
        while at < self.source.size_bytes {
            let Some(end) = self.wait_beyond(at) else { return Ok(()) };
            buffer.clear();
            (&mut file).take(HASHED.min(end - at)).read_to_end(&mut buffer).map_err(read)?;
            if buffer.is_empty() {
                return Err(read(io::ErrorKind::UnexpectedEof.into()));
            }
            hasher.update(&buffer);
            at += buffer.len() as u64;
        }
        self.lock().hash = Some(hasher.finish());
        self.turned.notify_all();
        Ok(())
    }

    /// The end of what is there without a gap, once it is beyond `at`; `None` when no more will come.
    fn wait_beyond(&self, at: u64) -> Option<u64> {
        let waiting = |state: &mut State| state.failure.is_none() && state.done.prefix() <= at;
        let state = self.grown.wait_while(self.lock(), waiting).unwrap_or_else(PoisonError::into_inner);
        state.failure.is_none().then(|| state.done.prefix())
    }

    /// Does `part` of the work; its failure is that of the whole.
    fn guarded(&self, part: impl Fn(&Self) -> Result<(), PullError>) {
        if let Err(error) = part(self) {
            self.fail(error);
        }
    }

    fn fail(&self, error: PullError) {
        self.lock().failure.get_or_insert(error);
        self.grown.notify_all();
        self.turned.notify_all();
    }

    fn take(&self) -> Option<Range<u64>> {
        let mut state = self.lock();
        if state.is_over() { None } else { state.queue.pop_front() }
    }

    /// Notes bytes that are written; false when nobody wants any more.
    fn note(&self, range: Range<u64>) -> bool {
        let mut state = self.lock();
        let before = state.done.prefix();
        state.done.insert(range);
        if state.done.prefix() > before {
            self.grown.notify_one();
        }
        !state.is_over()
    }

    fn turn_to_parts(&self) {
        let mut state = self.lock();
        if state.mode == Mode::Unknown {
            state.mode = Mode::Parts;
            self.turned.notify_all();
        }
    }

    /// Gives up parts, unless the server has given some already.
    fn turn_to_whole(&self) -> bool {
        let mut state = self.lock();
        let turned = state.mode == Mode::Unknown;
        if turned {
            state.mode = Mode::Whole;
            state.queue.clear();
        }
        turned
    }

    fn not_written(&self, source: io::Error) -> PullError {
        if source.kind() != io::ErrorKind::StorageFull {
            return PullError::write(self.path)(source);
        }
        let needed = self.source.size_bytes - self.lock().done.len();
        let folder = self.path.parent().unwrap_or(self.path);
        PullError::NoSpace { path: folder.into(), needed, available: fs4::available_space(folder).unwrap_or(0) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// To its own connections a transfer is also stopped when another of them has failed.
impl Watch for Transfer<'_> {
    fn tell(&self, event: &Event<'_>) {
        self.watch.tell(event);
    }

    fn stopped(&self) -> bool {
        self.watch.stopped() || self.lock().is_over()
    }
}

impl State {
    fn is_over(&self) -> bool {
        self.failure.is_some() || self.hash.is_some()
    }
}
