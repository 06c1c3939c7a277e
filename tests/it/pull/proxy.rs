//! Ways to the Hub that the environment prescribes.

use super::fixture::Fixture;
use crate::support::hub_cache::hub;
use std::{
    io::{self, BufRead, BufReader, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};
use taper::hub::{
    Cache,
    pull::{Hub, Settings},
};

/// A proxy that knows CONNECT, and how often it was asked by somebody with the right password.
pub(super) fn proxy() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://me:p%40ss@{}", listener.local_addr().unwrap());
    let n_asked = Arc::new(AtomicUsize::new(0));
    let counted = n_asked.clone();
    thread::spawn(move || {
        for client in listener.incoming() {
            let counted = counted.clone();
            thread::spawn(move || tunnel(client.unwrap(), &counted));
        }
    });
    (address, n_asked)
}

fn tunnel(mut client: TcpStream, n_asked: &AtomicUsize) -> io::Result<()> {
    let lines = BufReader::new(client.try_clone()?).lines().map_while(Result::ok);
    // To the empty line, or what is left of the head would go through the tunnel.
    let lines: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let target = lines[0].strip_prefix("CONNECT ").unwrap().split_once(' ').unwrap().0;
    // `me:p@ss` in base64.
    if !lines.iter().any(|line| line.eq_ignore_ascii_case("proxy-authorization: Basic bWU6cEBzcw==")) {
        return client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
    }
    n_asked.fetch_add(1, Ordering::Relaxed);
    let mut server = TcpStream::connect(target)?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let (mut from, mut to) = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || io::copy(&mut from, &mut to).and_then(|_| to.shutdown(Shutdown::Write)));
    io::copy(&mut client, &mut server).and_then(|_| server.shutdown(Shutdown::Write))
}

#[test]
fn proxies_are_used_where_they_are_meant_to_be() {
    let (address, n_asked) = proxy();
    for (variables, used) in [
        (vec![("HTTP_PROXY", address.as_str())], true),
        (vec![("all_proxy", address.as_str()), ("NO_PROXY", "localhost,10.0.0.1")], true),
        (vec![("HTTP_PROXY", address.as_str()), ("no_proxy", "localhost, 127.0.0.1")], false),
        (vec![("HTTPS_PROXY", address.as_str())], false),
    ] {
        let (fixture, _) = Fixture::of(5000);
        let before = n_asked.load(Ordering::Relaxed);
        let variable = |name: &str| match name {
            "HF_ENDPOINT" => Some(fixture.stub.endpoint().into()),
            _ => variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()),
        };
        let settings = Settings::of_environment(variable, None, None).unwrap();
        let connection = Hub::new(settings, Cache::new(fixture.folder.path()));
        let plan = connection.plan(&hub("o/r"), &fixture.watcher).unwrap();
        connection.fetch(&plan, &fixture.watcher).unwrap();
        assert_eq!(n_asked.load(Ordering::Relaxed) > before, used, "{variables:?}");
    }
}
