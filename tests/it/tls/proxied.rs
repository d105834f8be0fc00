//! Proxies before TLS, and before Unix sockets.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use landline::{ProxyHeaders, RefusalReason, Request, Server};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::certificates::{Directory, usual};
use super::client::{Encrypted, get, try_get};
use crate::harness::{Client, PATIENCE, Running, patient};

fn builder() -> landline::Builder {
    let known =
        |request: &Request| format!("{} {} {}", request.peer(), request.client(), request.scheme());
    Server::builder().config(patient().with_max_connections_per_address(Some(1))).route("/", known)
}

/// TLS behind a PROXY header for 192.0.2.x.
fn behind_proxy(server: &Running, config: &Arc<ClientConfig>, last: u8) -> Encrypted {
    let mut stream = Client::stream(server.address);
    let header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02";
    stream.write_all(&[&header[..], &[last, 127, 0, 0, 1, 0x12, 0x67, 1, 187]].concat()).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let client = ClientConnection::new(Arc::clone(config), name).unwrap();
    StreamOwned::new(client, stream)
}

#[test]
fn a_proxy_header_comes_before_tls() {
    let (_directory, tls, config) = usual();
    let server = builder().trusted_proxies("127.0.0.1".parse().unwrap());
    let server = server.bind_tls("127.0.0.1:0", &tls).unwrap().expect_proxy_protocol();
    let address = server.local_addrs()[0];
    let server = Running::of(server, address);
    let mut first = behind_proxy(&server, &config, 7);
    write!(first, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = vec![0; 12];
    first.read_exact(&mut answer).unwrap();
    assert_eq!(answer, b"HTTP/1.1 200");
    let answer = get(&mut behind_proxy(&server, &config, 8), "/");
    assert!(answer.ends_with("192.0.2.8:4711 192.0.2.8 https"), "{answer}");
    // One too many of an address is told so in the words of TLS.
    let refused = try_get(&mut behind_proxy(&server, &config, 7), "/").unwrap_err();
    assert!(refused.to_string().contains("alert"), "{refused}");
}

/// The first byte of all that comes, until the connection ends in whatever way.
fn first_of_all(client: &mut Client) -> Option<u8> {
    let mut all = Vec::new();
    match client.stream.read_to_end(&mut all) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    all.first().copied()
}

#[test]
fn before_tls_nothing_but_a_good_header_will_do() {
    let (_directory, tls, config) = usual();
    let quick = patient().with_head_timeout(Duration::from_millis(300));
    let server = builder().config(quick).trusted_proxies("127.0.0.1".parse().unwrap());
    let server = server.bind_tls("127.0.0.1:0", &tls).unwrap().expect_proxy_protocol();
    let address = server.local_addrs()[0];
    let server = Running::of(server, address);
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(Arc::clone(&config), name).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    let header = |last: u8, family: u8| {
        let header = b"\r\n\r\n\0\r\nQUIT\n\x21".to_vec();
        [&header[..], &[family, 0, 12, 192, 0, 2, last, 127, 0, 0, 1, 0x12, 0x67, 1, 187]].concat()
    };
    let mut unsigned = header(7, 0x11);
    unsigned[9] = b'X';
    let mut endless = header(7, 0x11);
    endless[14..16].fill(0xff);
    for (what, start) in [
        ("no header", Vec::new()),
        ("rubbish", b"\0\x01rubbish".to_vec()),
        ("another signature", unsigned),
        ("a family that is none", header(7, 0x55)),
        ("a length without end", endless),
        ("a header of version 1 with rubbish", b"PROXY TCP4 x y 1 2\r\n".to_vec()),
        ("two of them", [header(7, 0x11), header(8, 0x11)].concat()),
    ] {
        let mut client = Client::new(server.address);
        client.try_send([start, hello.clone()].concat());
        // Record type 22 would be an answer to the handshake.
        let first = first_of_all(&mut client);
        assert!(first.is_none_or(|kind| kind == 21), "{what}: {first:?}");
    }
    let mut part = Client::new(server.address);
    part.send(&header(7, 0x11)[..20]);
    assert!(first_of_all(&mut part).is_none_or(|kind| kind == 21), "a part of a header");
    assert_eq!(server.handle.refused(RefusalReason::ProxyHeader), 7);
    // Within TLS it is no header any more, but a request that is none.
    let mut late = behind_proxy(&server, &config, 7);
    late.write_all(&header(6, 0x11)).unwrap();
    let mut answer = String::new();
    let _ = late.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}

#[test]
fn a_proxy_behind_a_unix_socket_is_trusted_by_name() {
    for (trusted, shown) in [
        ("unix", "0.0.0.0:0 192.0.2.7 https"),
        // Who trusts everybody believes the first.
        ("*", "0.0.0.0:0 6.6.6.6 https"),
        ("0.0.0.0/0", "0.0.0.0:0 0.0.0.0 http"),
        ("127.0.0.1", "0.0.0.0:0 0.0.0.0 http"),
    ] {
        let directory = Directory::new();
        let path = directory.file("landline.sock");
        let builder = builder().trusted_proxies(trusted.parse().unwrap());
        let server = builder.proxy_headers(ProxyHeaders::XForwarded).bind_unix(&path, 0o660);
        let server = server.unwrap();
        let handle = server.handle();
        let thread = std::thread::spawn(move || server.run());
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let fields = "X-Forwarded-For: 6.6.6.6, 192.0.2.7\r\nX-Forwarded-Proto: https";
        let head = "Host: localhost\r\nConnection: close";
        write!(stream, "GET / HTTP/1.1\r\n{head}\r\n{fields}\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with(shown), "{trusted}: {answer}");
        handle.stop_now();
        thread.join().unwrap().unwrap();
    }
}
