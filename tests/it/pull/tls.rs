//! Who is trusted, and who gets to see the token.

use super::cli::{outcome, taper};
use super::fixture::NAME;
use super::proxy::proxy;
use crate::support::hub_stub::{Fault, Stub, noise};
use crate::support::tls::{Authority, Validity};
use assert_cmd::Command;
use std::{fs, path::Path, sync::atomic::Ordering};
use tempfile::TempDir;

/// Each names a file with the certificates to trust.
const VARIABLES: [&str; 3] = ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"];
const TOKEN: &str = "hf_secret";

/// An authority, its certificate in a file `ca.pem`, and room for a cache.
fn example() -> (Authority, TempDir) {
    let (authority, folder) = (Authority::new("an authority of our own"), tempfile::tempdir().unwrap());
    authority.write(&folder.path().join("ca.pem"));
    (authority, folder)
}

/// `taper pull o/r` with a token and the authority in `ca.pem` of the folder.
fn pull(stub: &Stub, folder: &Path) -> Command {
    let mut command = taper(stub, &folder.join("hub"), &["pull", "o/r"]);
    for name in VARIABLES {
        command.env_remove(name);
    }
    command.env("SSL_CERT_FILE", folder.join("ca.pem")).env("HF_TOKEN", TOKEN);
    command
}

/// That a pull fails for a reason which `part` is of, and that nothing is in the cache afterwards.
#[track_caller]
fn fails(command: &mut Command, folder: &Path, part: &str) {
    let (code, stdout, stderr) = outcome(command);
    assert_eq!((code, stdout.as_str()), (4, ""), "{stderr}");
    assert!(stderr.contains(part) && !stderr.contains(TOKEN), "{stderr}");
    assert!(!folder.join("hub/models--o--r/snapshots").exists());
}

#[test]
fn an_authority_of_ones_own_is_trusted_and_the_token_stays_at_the_hub() {
    let (authority, folder) = example();
    let certify = |name: &str| Some(authority.certify(&[name], Validity::Good));
    let content = noise(20 << 20, 1);
    for name in VARIABLES {
        // The storage is another host, as far as names go.
        let stub = Stub::with(certify("127.0.0.1"), certify("localhost"));
        stub.large(NAME, content.clone());
        let mut command = pull(&stub, folder.path());
        command.env_remove("SSL_CERT_FILE").env(name, folder.path().join("ca.pem"));
        let (code, stdout, stderr) = outcome(&mut command);
        assert_eq!(code, 0, "{name}: {stderr}");
        assert!(fs::read(stdout.trim()).unwrap() == content);
        let seen = stub.seen();
        assert!(seen.iter().any(|request| request.storage) && seen.iter().any(|request| !request.storage));
        for request in seen {
            let expected = if request.storage { None } else { Some(format!("Bearer {TOKEN}")) };
            assert_eq!(request.authorization, expected, "{request:?}");
        }
        fs::remove_dir_all(folder.path().join("hub")).unwrap();
    }
}

#[test]
fn strangers_are_not_trusted_and_hear_nothing() {
    let (authority, folder) = example();
    let other = Authority::new("a stranger");
    let good = || Some(authority.certify(&["127.0.0.1"], Validity::Good));
    for (acceptor, reason) in [
        (Some(other.certify(&["127.0.0.1"], Validity::Good)), "UnknownIssuer"),
        (Some(authority.certify(&["hub.example"], Validity::Good)), "not valid for name"),
        (Some(authority.certify(&["127.0.0.1"], Validity::Expired)), "certificate expired"),
        (None, "no trusted connection"),
    ] {
        let stub = Stub::with(acceptor.clone(), None);
        stub.large(NAME, noise(5000, 1));
        let mut command = pull(&stub, folder.path());
        command.env("HF_ENDPOINT", stub.endpoint().replace("http:", "https:"));
        fails(&mut command, folder.path(), reason);
        fails(&mut command, folder.path(), "from `127.0.0.1`: no trusted connection: ");
        fails(&mut command, folder.path(), "hint: behind a proxy that has its own certificates, set SSL_CERT_FILE");
        assert_eq!(stub.seen().len(), 0, "{reason}");

        let Some(acceptor) = acceptor else { continue };
        let stub = Stub::with(good(), Some(acceptor));
        stub.large(NAME, noise(5000, 1));
        fails(&mut pull(&stub, folder.path()), folder.path(), "from `localhost`: no trusted connection: ");
        assert!(stub.seen().iter().all(|request| !request.storage), "{reason}");
    }
    let stub = Stub::with(good(), None);
    let mut command = pull(&stub, folder.path());
    fails(command.env_remove("SSL_CERT_FILE"), folder.path(), "UnknownIssuer");
    assert_eq!(stub.seen().len(), 0);
}

#[test]
fn a_way_that_leaves_encryption_is_not_taken() {
    let (authority, folder) = example();
    let secure = || Stub::with(Some(authority.certify(&["127.0.0.1"], Validity::Good)), None);
    let stub = secure();
    stub.large(NAME, noise(5000, 1));
    fails(&mut pull(&stub, folder.path()), folder.path(), "redirects to a place without encryption");
    assert!(stub.seen().iter().all(|request| !request.storage));

    let plain = Stub::start();
    plain.large(NAME, noise(5000, 1));
    stub.api_faults([Fault::Redirect(format!("{}/api/models/o/r/revision/main", plain.endpoint()))]);
    fails(&mut pull(&stub, folder.path()), folder.path(), "redirects to a place without encryption");
    assert_eq!(plain.seen().len(), 0);
}

#[test]
fn a_proxy_between_sees_no_token() {
    let (authority, folder) = example();
    let (address, n_asked) = proxy();
    let certify = |name: &str| Some(authority.certify(&[name], Validity::Good));
    let stub = Stub::with(certify("127.0.0.1"), certify("localhost"));
    stub.large(NAME, noise(5000, 1));
    let (code, _, stderr) = outcome(pull(&stub, folder.path()).env("HTTPS_PROXY", address));
    assert_eq!(code, 0, "{stderr}");
    // The tunnels to the Hub and to the storage; what is in them is encrypted.
    assert_eq!(n_asked.load(Ordering::Relaxed), 2);
}
