//! The limit of connections, and requests that announce or repeat too much.
//!
//! Floods whose memory is measured are in `tests/process`.

use std::sync::Arc;
use std::time::Duration;

use landline::{Config, Request, Response, Result, Server, accept_websocket};

use crate::harness::{Client, Running, eventually};

fn echo(request: &Request) -> Result<Response> {
    let Some(ws) = request.websocket() else { return Ok(Response::text("here")) };
    for message in ws {
        ws.send(message?)?;
    }
    Ok(Response::closed())
}

fn full(limit: usize) -> Running {
    let config = Config::default().with_max_connections(Some(limit));
    Running::start(Server::builder().config(config).route("/", accept_websocket(echo)))
}

fn expect_503(client: &mut Client) {
    let reply = client.reply();
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")));
    assert_eq!(reply.header("connection"), Some("close"));
    assert_eq!(reply.text(), "The server is full, please try again soon.\n");
    client.expect_fin();
}

#[test]
fn a_connection_over_the_limit_is_answered_503() {
    let server = full(2);
    let mut first = server.connect();
    assert_eq!(first.get("/").text(), "here");
    let mut socket = server.websocket("/");
    for _ in 0..3 {
        expect_503(&mut server.connect());
        let mut plain = server.connect();
        plain.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        expect_503(&mut plain);
        let mut handshake = server.connect();
        handshake.send(Client::handshake_head("/"));
        expect_503(&mut handshake);
    }
    assert_eq!((server.handle.connections(), server.handle.refused_clients()), (2, 9));
    assert_eq!(first.get("/").text(), "here");
    socket.send_text("still here");
    assert_eq!(socket.expect_text(), "still here");
}

#[test]
fn one_address_cannot_take_every_place() {
    let config = Config::default().with_max_connections_per_address(Some(2));
    let builder = Server::builder().config(config).route("/", |_: &Request| "here");
    let server = Running::start(builder);
    let mut first = server.connect();
    let mut second = server.connect();
    assert_eq!((first.get("/").text(), second.get("/").text()), ("here", "here"));
    expect_503(&mut server.connect());
    let mut other = Client::from_there(server.address);
    assert_eq!(other.get("/").text(), "here");
    drop(first);
    eventually("the place is free", || server.handle.connections() == 2);
    assert_eq!(server.connect().get("/").text(), "here");
}

#[test]
fn a_free_place_is_taken_again() {
    let server = full(1);
    for turn in 0..6 {
        let mut client = server.connect();
        match turn % 3 {
            0 => assert_eq!(client.get("/").text(), "here"),
            1 => assert_eq!(client.refused("nonsense\r\n\r\n").status, 400),
            _ => assert_eq!(client.handshake("/").status, 101),
        }
        expect_503(&mut server.connect());
        drop(client);
        eventually("the place is free", || server.handle.connections() == 0);
    }
}

/// The answer comes before the request has been read, and must outlive what is still sent.
#[test]
fn a_refused_client_reads_its_answer_whatever_it_sends() {
    let server = full(0);
    let head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n";
    for _ in 0..3 {
        let mut client = server.connect();
        client.send(head);
        client.send(vec![b'x'; 1_000_000]);
        expect_503(&mut client);
    }
    let mut slow = server.connect();
    for byte in head.bytes() {
        slow.send([byte]);
    }
    expect_503(&mut slow);
}

#[test]
fn many_refused_clients_all_read_their_answer() {
    let server = full(1);
    let mut inside = server.connect();
    assert_eq!(inside.get("/").text(), "here");
    let mut refused: Vec<Client> = (0..200).map(|_| server.connect()).collect();
    for client in &mut refused {
        client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }
    refused.iter_mut().for_each(expect_503);
    assert_eq!(inside.get("/").text(), "here");
}

#[test]
fn a_handler_that_is_busy_takes_one_place_only() {
    let (begun, release) =
        (Arc::new(std::sync::Barrier::new(2)), Arc::new(std::sync::Barrier::new(2)));
    let (inner_begun, inner_release) = (Arc::clone(&begun), Arc::clone(&release));
    let routes =
        Server::builder().route("/", |_: &Request| "here").route("/busy", move |_: &Request| {
            inner_begun.wait();
            inner_release.wait();
            "done"
        });
    let server = Running::start(routes);
    let mut busy = server.connect();
    busy.send(
        "GET /busy HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    );
    begun.wait();
    assert_eq!(server.handle.connections(), 1, "the second request waits for the first");
    for _ in 0..5 {
        assert_eq!(server.connect().get("/").text(), "here", "nobody else waits");
    }
    release.wait();
    assert_eq!(busy.reply().text(), "done");
    assert_eq!(busy.reply().text(), "here");
}

#[test]
fn an_announced_length_is_only_a_number() {
    let config =
        Config::default().with_body_bytes(usize::MAX).with_body_timeout(Duration::from_millis(500));
    let routes = Server::builder()
        .config(config)
        .route("/unread", |_: &Request| "unread")
        .route("/read", |request: &Request| request.body().map(|body| body.len().to_string()));
    let server = Running::start(routes);
    let head =
        |path: &str, lines: &str| format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n");
    for length in ["1000000000000000", "18446744073709551615"] {
        let lines = format!("Content-Length: {length}\r\n");
        let mut client = server.connect();
        let reply = client.ask(head("/unread", &lines) + "abc");
        assert_eq!((reply.text(), reply.header("connection")), ("unread", Some("close")));
        client.expect_fin();
        let mut client = server.connect();
        assert_eq!(client.refused(head("/read", &lines) + "abc").status, 408);
    }
    let chunk = head("/read", "Transfer-Encoding: chunked\r\n") + "fffffffffffffff\r\nabc";
    assert_eq!(server.connect().refused(chunk).status, 408);
    assert_eq!(server.connect().ask(head("/read", "Content-Length: 3\r\n") + "abc").text(), "3");
}

/// No host gives a thread a stack of 64 TiB.
#[test]
fn a_thread_that_cannot_be_started_is_answered_503() {
    let config = Config::default().with_stack_bytes(1 << 46);
    let routes = Server::builder().config(config).route("/", |_: &Request| "here");
    let server = Running::start(routes);
    for _ in 0..3 {
        let mut client = server.connect();
        client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        expect_503(&mut client);
        eventually("its place is free", || server.handle.connections() == 0);
    }
}

impl Client {
    /// A client with another address of this machine than all others.
    pub(crate) fn from_there(server: std::net::SocketAddr) -> Self {
        let there: std::net::SocketAddr = "127.0.0.2:0".parse().unwrap();
        let (family, kind) = (rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM);
        let socket = rustix::net::socket(family, kind, None).unwrap();
        rustix::net::bind(&socket, &there).unwrap();
        rustix::net::connect(&socket, &server).unwrap();
        let stream = std::net::TcpStream::from(socket);
        stream.set_read_timeout(Some(crate::harness::PATIENCE)).unwrap();
        Self { stream, buffer: Vec::new() }
    }
}
