//! Clients that misuse TLS, and ends that must not be taken for others.

use std::io::{ErrorKind, Read, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;

use landline::{ClientAuth, Request, Response, Server, Tls, require_websocket};
use rustls::HandshakeKind;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::{ClientConfig, SignatureScheme};

use super::certificates::{Authority, Directory, usual};
use super::client::{Secure, echoes, get, try_get};
use crate::harness::{Client, echo, eventually, patient};

fn server() -> landline::Builder {
    let builder = Server::builder().config(patient()).route("/", |_: &Request| "here");
    builder.route("/ws", require_websocket(echo))
}

/// Each asks for one in return; who sends them in a row, and nothing else, means no good.
#[test]
fn a_flood_of_new_keys_ends_the_connection() {
    let (_directory, tls, config) = usual();
    let server = Secure::start(server(), &tls);
    let mut client = server.websocket(&config, "/ws");
    let stream = client.get_mut();
    let mut flood = || {
        for _ in 0..100 {
            stream.conn.refresh_traffic_keys().expect("a client may");
            stream.flush()?;
        }
        stream.read(&mut [0; 10])
    };
    let error = flood().expect_err("ended by the server");
    let is_ended = ![ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind());
    assert!(is_ended, "{error}");
    eventually("its place is free", || server.handle.connections() == 0);
    echoes(&mut server.websocket(&config, "/ws"), "others are served");
}

/// In TLS 1.2 a client may ask for another handshake; it gets none, and loses nothing else.
#[test]
fn renegotiation_is_refused() {
    let (directory, authority) = (Directory::new(), Authority::new("tests"));
    let settings = authority.vouch(&["localhost"]).settings(&directory, "server");
    let server = Secure::start(server(), &Tls::load(settings).unwrap());
    let ca = directory.write("ca.pem", &authority.pem);
    let child = Command::new("openssl")
        .args(["s_client", "-tls1_2", "-servername", "localhost", "-CAfile"])
        .args([ca.to_str().unwrap(), "-connect", &server.address.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    // A host without it has other tests.
    let Ok(mut child) = child else { return };
    let mut stdin = child.stdin.take().expect("a pipe");
    eventually("it has a connection", || server.handle.connections() == 1);
    // On a line of its own it is an order to openssl.
    stdin.write_all(b"R\n").expect("taken");
    let output = child.wait_with_output().expect("it ends by itself");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("no renegotiation"), "{said}");
    assert!(get(&mut server.connect(&authority.client()), "/").ends_with("here"));
}

#[test]
fn who_shows_a_certificate_shows_it_each_time() {
    let (directory, ours, theirs) =
        (Directory::new(), Authority::new("servers"), Authority::new("clients"));
    let authorities = directory.write("clients.pem", &theirs.pem);
    let settings = ours.vouch(&["localhost"]).settings(&directory, "server");
    let settings = settings.client_certificates(&authorities, ClientAuth::Required);
    let server = Secure::start(server(), &Tls::load(settings).unwrap());
    let known = theirs.vouch(&["till-7"]);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let config = ours.client_with(&[version], Some(&known));
        for _ in 0..2 {
            let mut stream = server.connect(&config);
            get(&mut stream, "/");
            assert_eq!(stream.conn.handshake_kind(), Some(HandshakeKind::Full));
        }
    }
}

/// A body that breaks off ends in a reset, which nobody can take for the end of the whole.
#[test]
fn an_answer_that_breaks_off_has_no_goodbye() {
    struct Torn(usize);
    impl Read for Torn {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0 += 1;
            match self.0 {
                1 => {
                    buffer[..5].copy_from_slice(b"begun");
                    Ok(5)
                }
                _ => Err(std::io::Error::other("the tape is torn")),
            }
        }
    }
    let (_directory, tls, config) = usual();
    let torn = |_: &Request| Response::reader("text/plain", Torn(0), None);
    let server = Secure::start(server().route("/torn", torn), &tls);
    let mut stream = server.connect(&config);
    // Without a length the end of the stream is that of the body.
    stream.write_all(b"GET /torn HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
    let error = stream.read_to_end(&mut Vec::new()).expect_err("no end that was meant");
    let is_lost = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset].contains(&error.kind());
    assert!(is_lost, "{error}");
}

/// A client that checks one kind of signature alone.
fn only(config: &ClientConfig, scheme: SignatureScheme, authority: &Authority) -> ClientConfig {
    let mut provider = config.crypto_provider().as_ref().clone();
    let known = provider.signature_verification_algorithms;
    let mapping = known.mapping.iter().filter(|(name, _)| *name == scheme).copied();
    let mapping: &'static [_] = Vec::leak(mapping.collect());
    provider.signature_verification_algorithms =
        WebPkiSupportedAlgorithms { all: known.all, mapping };
    authority.client_of(provider)
}

#[test]
fn of_two_certificates_for_a_name_a_client_gets_the_one_that_it_can_check() {
    let (directory, authority) = (Directory::new(), Authority::new("tests"));
    let modern = authority.vouch_by(&["localhost"], &rcgen::PKCS_ED25519);
    let (chain, key) = authority.vouch(&["localhost"]).write(&directory, "usual");
    let settings = modern.settings(&directory, "modern").certificate(chain, key);
    let tls = Tls::load(settings).unwrap();
    let server = Secure::start(server(), &tls);
    for scheme in [SignatureScheme::ED25519, SignatureScheme::ECDSA_NISTP256_SHA256] {
        let config = Arc::new(only(&authority.client(), scheme, &authority));
        assert!(get(&mut server.connect(&config), "/").ends_with("here"), "{scheme:?}");
    }
}

/// Each has a thread of its own until the deadline.
#[test]
fn those_who_do_not_shake_hands_hold_up_nobody() {
    let (_directory, tls, config) = usual();
    let server = Secure::start(server(), &tls);
    let mut idle: Vec<Client> = (0..200).map(|_| Client::new(server.address)).collect();
    idle.iter_mut().step_by(2).for_each(|client| client.send([22, 3, 1, 2, 0]));
    eventually("all have come", || server.handle.connections() == 200);
    for _ in 0..20 {
        assert!(
            try_get(&mut server.connect(&config), "/").is_ok_and(|text| text.ends_with("here"))
        );
    }
    assert!(server.handle.connections() >= 200, "they are still there");
}
