//! Clients that behave as badly as they can. Whatever they do, the others are answered, nothing is left behind, and nothing
//! panics.

use super::super::serve::{Server, question, with};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    process::Stdio,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

/// A server, what it wrote to stderr, and its answer to a question while nobody else asks.
struct Victim {
    server: Server,
    log: tempfile::NamedTempFile,
    expected: String,
    n_parallel: usize,
}

impl Victim {
    fn start(n_parallel: usize, flags: &[&str]) -> Victim {
        let log = tempfile::NamedTempFile::new().unwrap();
        let file = log.reopen().unwrap();
        let parallel = n_parallel.to_string();
        let flags = [&["--parallel", &parallel], flags].concat();
        let server = Server::launch(&flags, |command| _ = command.stderr(Stdio::from(file)));
        let expected = answer(&server);
        Victim { server, log, expected, n_parallel }
    }

    /// Asks again and again while `chaos` goes on, and gives how often.
    fn while_others(&self, chaos: impl FnOnce()) -> usize {
        let (over, n) = (AtomicBool::new(false), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        assert_eq!(answer(&self.server), self.expected);
                        n.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            chaos();
            over.store(true, Ordering::Relaxed);
        });
        n.into_inner()
    }

    /// What finished requests left in the cache goes when others leave more, so that after enough others only those have
    /// something: a sequence that nobody owns any more would stay.
    fn has_lost_no_block(&self) {
        let n_kept = 4 * self.n_parallel;
        let mut n_most = 0;
        for i in 0..n_kept {
            // More than a block, or the next request would go on with it.
            let body = json!({ "prompt": format!("{i} {}", "serve ".repeat(40)), "max_tokens": 1 });
            let (status, answer) = self.server.post("/v1/completions", &body);
            assert_eq!(status, 200, "{answer}");
            n_most += answer["usage"]["prompt_tokens"].as_u64().unwrap().next_multiple_of(32);
        }
        let [positions, free] = ["", "_free"].map(|name| self.server.metric(&format!("taper:cache_positions{name}{{")));
        assert!(positions - free <= n_most as f64, "{free} of {positions} positions are free, {n_most} may be in use");
    }

    /// Nothing is left of what was asked, and the server works as before.
    fn is_unharmed(&self) {
        self.server.wait("an empty server", |server| {
            let names = ["vllm:num_requests_running", "vllm:num_requests_waiting", "taper:cache_positions_held"];
            names.iter().all(|name| server.metric(&format!("{name}{{")) == 0.0)
        });
        assert_eq!(self.server.metric("vllm:kv_cache_usage_perc{"), 0.0);
        assert_eq!(answer(&self.server), self.expected);
        self.has_lost_no_block();
        let text = fs::read_to_string(self.log.path()).unwrap();
        assert!(!text.contains("panicked"), "{text}");
    }
}

fn answer(server: &Server) -> String {
    let body = with(question("exit code 5"), json!({ "max_tokens": 12 }));
    let (status, answer) = server.post("/v1/chat/completions", &body);
    assert_eq!(status, 200, "{answer}");
    answer["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
}

fn post(path: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    (head + &body).into_bytes()
}

#[test]
fn clients_that_hang_up_at_any_moment_leave_nothing_behind() {
    let victim = Victim::start(4, &["--queue", "64"]);
    let hang_up = |seed: u64| {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        for _ in 0..25 {
            let body = json!({
                "prompt": "how do I serve a model? ".repeat(random.random_range(1..40)),
                "n": random.random_range(1..4), "max_tokens": random.random_range(1..300), "ignore_eos": true,
                "stream": random.random_bool(0.7), "logprobs": random.random_range(0..3),
                "echo": random.random_bool(0.3),
            });
            let request = post("/v1/completions", &body);
            let mut stream = TcpStream::connect(victim.server.address()).unwrap();
            // A part of the request, or all of it and a part of the answer.
            let n = if random.random_bool(0.2) { random.random_range(0..request.len()) } else { request.len() };
            stream.write_all(&request[..n]).unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(random.random_range(1..120)))).unwrap();
            let mut answer = vec![0; random.random_range(1..20_000)];
            let _ = stream.read_exact(&mut answer);
            if random.random_bool(0.3) {
                let _ = stream.shutdown(if random.random_bool(0.5) { Shutdown::Write } else { Shutdown::Both });
            }
        }
    };
    let n = victim.while_others(|| {
        thread::scope(|scope| (0..8).for_each(|seed| _ = scope.spawn(move || hang_up(seed))));
    });
    assert!(n > 3, "others were answered {n} times");
    victim.is_unharmed();
}

#[test]
fn clients_that_send_a_byte_at_a_time_are_cut_off_and_hold_nobody_up() {
    let victim = Victim::start(8, &["--idle-seconds", "2"]);
    let requests = [
        post("/v1/chat/completions", &question("a")),
        b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nX-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
            .to_vec(),
    ];
    let drip = |request: &[u8], started: Instant| {
        let mut stream = TcpStream::connect(victim.server.address()).unwrap();
        for byte in request {
            thread::sleep(Duration::from_millis(100));
            // One that is closed takes no more.
            if stream.write_all(&[*byte]).is_err() {
                break;
            }
        }
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(!rest.starts_with(b"HTTP/1.1 200"));
        assert!(started.elapsed() < Duration::from_secs(30));
    };
    let n = victim.while_others(|| {
        let started = Instant::now();
        thread::scope(|scope| {
            for request in requests.iter().cycle().take(40) {
                scope.spawn(move || drip(request, started));
            }
        });
    });
    assert!(n > 3, "others were answered {n} times");
    victim.is_unharmed();
}

/// Connections at once, as many as the system lets one process have.
fn many_connections(server: &Server, n: usize) -> Vec<TcpStream> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let wanted = (n as u64 + 512).min(hard);
    if soft < wanted {
        setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).unwrap();
    }
    let n = n.min(usize::try_from(wanted.max(soft)).unwrap() - 256);
    (0..n).map(|_| TcpStream::connect(server.address()).unwrap()).collect()
}

#[test]
fn a_thousand_clients_at_once_are_all_answered() {
    let victim = Victim::start(8, &["--queue", "1024"]);
    let mut connections = many_connections(&victim.server, 1000);
    assert_eq!(answer(&victim.server), victim.expected);
    let request = post("/v1/completions", &json!({ "prompt": "a", "max_tokens": 2, "ignore_eos": true }));
    for connection in &mut connections {
        connection.write_all(&request).unwrap();
    }
    for connection in &mut connections {
        let mut status = [0; 12];
        connection.read_exact(&mut status).unwrap();
        assert_eq!(&status, b"HTTP/1.1 200");
    }
    drop(connections);
    victim.is_unharmed();
}

#[test]
fn more_clients_than_are_let_in_wait_until_others_are_gone() {
    let victim = Victim::start(8, &["--max-connections", "50", "--idle-seconds", "1"]);
    let connections = many_connections(&victim.server, 300);
    // Behind six times fifty that say nothing for a second.
    assert_eq!(answer(&victim.server), victim.expected);
    drop(connections);
    victim.is_unharmed();
}

#[test]
fn clients_that_do_not_read_hold_nobody_up_and_lose_their_place() {
    let victim = Victim::start(64, &["--idle-seconds", "2", "--log-format", "json"]);
    // Every token comes with a kilobyte about the likeliest, so that no buffer takes all of it.
    let body = json!({
        "prompt": "a", "n": 16, "max_tokens": 1500, "ignore_eos": true, "stream": true, "logprobs": 20,
    });
    let mut lazy: Vec<TcpStream> = (0..2).map(|_| TcpStream::connect(victim.server.address()).unwrap()).collect();
    lazy.iter_mut().for_each(|stream| stream.write_all(&post("/v1/completions", &body)).unwrap());
    let n = victim.while_others(|| {
        victim.server.wait("the end of what nobody reads", |_| {
            fs::read_to_string(victim.log.path()).unwrap().matches("client left").count() == 2
        });
    });
    assert!(n > 3, "others were answered {n} times");
    victim.is_unharmed();
    drop(lazy);
}
