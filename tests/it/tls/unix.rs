//! Unix sockets, and sockets that somebody else has opened.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use landline::{ErrorKind, Request, Server, require_websocket};

use super::certificates::Directory;
use crate::harness::{Client, PATIENCE, echo, patient};
use crate::logbook;

fn builder() -> landline::Builder {
    let builder = Server::builder().config(patient()).route("/ws", require_websocket(echo));
    builder.route("/peer", |request: &Request| request.peer().to_string())
}

fn ask(path: &Path, host: &str) -> String {
    let mut stream = UnixStream::connect(path).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET /peer HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn a_unix_socket_serves_http_and_websockets() {
    logbook::open();
    let directory = Directory::new();
    let path = directory.file("landline.sock");
    // No address, so no limit for each.
    let config = patient().with_max_connections_per_address(Some(1));
    let server = builder().config(config).bind_unix(&path, 0o660).unwrap();
    assert!(server.local_addrs().is_empty());
    assert!(format!("{server:?}").contains("landline.sock"));
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let handle = server.handle();
    let thread = std::thread::spawn(move || server.run());

    let stream = UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (mut client, _) = tungstenite::client("ws://any.example/ws", stream).unwrap();
    // Any host, as a proxy passes it on.
    assert!(ask(&path, "any.example").ends_with("0.0.0.0:0"));
    client.send("hello".into()).unwrap();
    assert_eq!(client.read().unwrap().into_text().unwrap(), "hello");
    client.close(None).unwrap();
    while client.read().is_ok() {}
    assert!(!logbook::lines_with(&[" unix \"GET /peer\" 200"]).is_empty());

    handle.stop();
    thread.join().unwrap().unwrap();
    assert!(!path.exists(), "it goes with the server");
}

#[test]
fn a_living_socket_is_not_stolen() {
    let directory = Directory::new();
    let path = directory.file("landline.sock");
    let first = builder().bind_unix(&path, 0o600).unwrap();
    let error = builder().bind_unix(&path, 0o600).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Bind);
    assert!(error.to_string().contains("another server listens there"), "{error}");
    assert!(std::fs::metadata(&path).unwrap().file_type().is_socket());
    drop(first);
    let left = UnixListener::bind(&path).unwrap();
    drop(left);
    assert!(builder().bind_unix(&path, 0o600).is_ok(), "a socket that nobody listens on");
}

#[test]
fn a_socket_that_was_handed_over_listens_on_when_the_server_stops() {
    let directory = Directory::new();
    let path = directory.file("landline.sock");
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let unix = UnixListener::bind(&path).unwrap();
    let address = tcp.local_addr().unwrap();
    for _ in 0..2 {
        let server = builder().build().unwrap();
        let server = server.bind_listener(tcp.try_clone().unwrap()).unwrap();
        let server = server.bind_listener(unix.try_clone().unwrap()).unwrap();
        assert_eq!(server.local_addrs(), [address]);
        let handle = server.handle();
        let thread = std::thread::spawn(move || server.run());
        let mut client = Client::new(address);
        assert_eq!(client.get("/peer").status, 200);
        assert!(ask(&path, "any.example").ends_with("0.0.0.0:0"));
        handle.stop();
        thread.join().unwrap().unwrap();
    }
    // Nobody serves it, and it is not refused either.
    Client::new(address);
    UnixStream::connect(&path).unwrap();
}

#[test]
fn only_what_listens_can_be_handed_over() {
    let (one, _other) = UnixStream::pair().unwrap();
    let error = builder().build().unwrap().bind_listener(one).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Bind);
    assert!(error.chain().contains("listens for streams"), "{}", error.chain());
}
