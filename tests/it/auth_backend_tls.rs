//! The question to another server over TLS: whom it believes, and that nothing goes to anybody else.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use landline::{BackendAuth, Server, get};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::harness::{PATIENCE, Reply, Running};
use crate::program::Program;
use crate::tls::certificates::{Authority, Directory, Pair};

const ANNA: &str = "HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{\"user\": \"anna\"}";

/// A server behind TLS that says who somebody is.
struct Backend {
    address: SocketAddr,
    /// How many questions it could read.
    asked: Arc<AtomicUsize>,
}

impl Backend {
    fn start(pair: &Pair, answer: &'static str) -> Self {
        let chain = CertificateDer::pem_slice_iter(pair.chain.as_bytes()).map(Result::unwrap);
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let config = Arc::new(config.with_single_cert(chain.collect(), key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        // It ends with the process; its connections end with their clients.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let session = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = StreamOwned::new(session, stream.unwrap());
                let mut head = [0; 4096];
                if stream.read(&mut head).is_ok_and(|count| count > 0) {
                    counter.fetch_add(1, Ordering::SeqCst);
                    let _ = stream.write_all(answer.as_bytes());
                    let _ = stream.flush();
                }
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn by_name(&self) -> String {
        format!("https://localhost:{}/who/", self.address.port())
    }
}

fn serve(backend: BackendAuth) -> Running {
    let keep = backend.keep(Duration::ZERO, Duration::ZERO).timeout(PATIENCE);
    Running::start(Server::builder().route("/", get(|_: &_| "in")).authenticate(keep))
}

fn ask(client: &mut crate::harness::Client) -> Reply {
    client.ask("GET / HTTP/1.1\r\nHost: localhost\r\nCookie: sessionid=1\r\n\r\n")
}

#[test]
fn only_a_certificate_that_is_vouched_for_and_fits_is_believed() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    for (pair, what, is_good) in [
        (ours.vouch(&["localhost"]), "right", true),
        (ours.vouch(&["other.example"]), "of another name", false),
        (ours.vouch_between(&["localhost"], (2020, 2021)), "expired", false),
        (ours.vouch_between(&["localhost"], (2998, 2999)), "not valid yet", false),
        (theirs.vouch(&["localhost"]), "of another authority", false),
    ] {
        let backend = Backend::start(&pair, ANNA);
        let trusting = BackendAuth::new(backend.by_name()).unwrap().authorities(&ours.pem).unwrap();
        let server = serve(trusting);
        let reply = ask(&mut server.connect());
        let expected = if is_good { (200, 1) } else { (503, 0) };
        assert_eq!((reply.status, backend.asked()), expected, "{what}");
        // Those that are known to all do not vouch for an intranet.
        let strict = serve(BackendAuth::new(backend.by_name()).unwrap());
        assert_eq!(ask(&mut strict.connect()).status, 503, "{what}");
        assert_eq!(backend.asked(), usize::from(is_good), "no cookie went to a stranger: {what}");
    }
}

#[test]
fn an_address_is_a_name_too_and_plain_words_are_no_tls() {
    let ours = Authority::new("ours");
    let backend = Backend::start(&ours.vouch(&["127.0.0.1"]), ANNA);
    let asking = |url: String| BackendAuth::new(url).unwrap().authorities(&ours.pem).unwrap();
    let right = serve(asking(format!("https://{}/", backend.address)));
    assert_eq!(ask(&mut right.connect()).status, 200);
    let wrong = serve(asking(backend.by_name()));
    assert_eq!(ask(&mut wrong.connect()).status, 503, "the certificate is for the address alone");
    let plain = serve(asking(format!("http://{}/", backend.address)));
    assert_eq!(ask(&mut plain.connect()).status, 503);
    assert_eq!(backend.asked(), 1);
}

#[test]
fn an_answer_over_tls_is_held_to_the_same_rules() {
    let ours = Authority::new("ours");
    let elsewhere =
        "HTTP/1.1 302 Found\r\nLocation: https://localhost:1/\r\nContent-Length: 0\r\n\r\n";
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"user\": \"anna\"}";
    for answer in [elsewhere, cut, "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", ""] {
        let backend = Backend::start(&ours.vouch(&["localhost"]), answer);
        let asking = BackendAuth::new(backend.by_name()).unwrap().authorities(&ours.pem).unwrap();
        let server = serve(asking);
        assert_eq!(ask(&mut server.connect()).status, 503, "{answer}");
        assert_eq!(backend.asked(), 1, "{answer}");
    }
}

#[test]
fn the_binary_is_told_the_authority_by_a_file() {
    let (ours, directory) = (Authority::new("ours"), Directory::new());
    let backend = Backend::start(&ours.vouch(&["localhost"]), ANNA);
    let (file, url) = (directory.write("ca.pem", &ours.pem), backend.by_name());
    let ca = ["--auth-backend-ca-certs", file.to_str().unwrap()];
    let program = Program::serve(&["--auth-backend-url", &url, ca[0], ca[1]]);
    assert_eq!(ask(&mut program.connect()).status, 200);
    let without = Program::serve(&["--auth-backend-url", &url]);
    assert_eq!(ask(&mut without.connect()).status, 503);
    without.logged("does not say who somebody is");
    let empty = directory.write("empty.pem", "");
    for (args, words) in [
        (vec!["check", "--auth-backend-url", &url, ca[0], "/nothing/there"], "/nothing/there"),
        (
            vec!["check", "--auth-backend-url", &url, ca[0], empty.to_str().unwrap()],
            "no certificate",
        ),
        (vec!["check", ca[0], ca[1]], "does nothing without --auth-backend-url"),
    ] {
        let ended = crate::program::run(&args);
        assert!(ended.code == Some(1) && ended.stderr.contains(words), "{}", ended.stderr);
    }
}
