//! Deadlines of heads, bodies, answers and idle connections. They are absolute: a client that
//! sends or reads a little now and then wins no time.

use std::time::{Duration, Instant};

use landline::{Config, Request, Response, Result, Server};

use crate::harness::{Client, PATIENCE, Running, eventually};

/// Deadlines that are to pass.
const SHORT: Duration = Duration::from_millis(500);

/// No deadline of a test server is met later than this, however busy the machine.
const LATE: Duration = Duration::from_secs(10);

fn body(request: &Request) -> Result<Response> {
    Ok(Response::bytes("text/plain", request.body()?))
}

/// Only the deadline under test is short.
fn server(config: Config) -> Running {
    let routes = Server::builder()
        .config(config)
        .route("/", |_: &Request| "here")
        .route("/body", body)
        .route("/careless", |request: &Request| match request.body() {
            Ok(_) => "read",
            Err(error) if error.is_timeout() => "too slow",
            Err(_) => "malformed",
        })
        .route("/large", |_: &Request| Response::bytes("text/plain", vec![b'x'; 64 << 20]));
    Running::start(routes)
}

/// A writer that drips a byte of `text` again and again until the server ends its side.
fn drip(client: &mut Client, text: &[u8]) -> Duration {
    let start = Instant::now();
    client.stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut bytes = [0; 4096];
    for byte in text.iter().cycle() {
        assert!(start.elapsed() < LATE, "the deadline never passed");
        let sent = client.try_send([*byte]);
        match std::io::Read::read(&mut client.stream, &mut bytes) {
            Ok(0) => break,
            Ok(count) => client.buffer.extend_from_slice(&bytes[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => panic!("no end in good order: {error}"),
        }
        assert!(sent || !client.buffer.is_empty(), "cut without an answer");
    }
    client.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    start.elapsed()
}

fn expect_too_slow(client: &mut Client) {
    let reply = client.reply();
    assert_eq!((reply.status, reply.header("connection")), (408, Some("close")));
    client.expect_fin();
}

#[test]
fn a_head_that_drips_is_answered_408() {
    let server = server(Config::default().with_head_timeout(SHORT));
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: localhost\r\nX: ");
    let took = drip(&mut client, b"a");
    assert!(took >= SHORT / 2, "ended already after {took:?}");
    expect_too_slow(&mut client);
    let mut client = server.connect();
    drip(&mut client, b"GET / HTTP/1.1\r\nX-Header: with a value\r\n");
    expect_too_slow(&mut client);
    assert_eq!(server.connect().get("/").text(), "here");
}

#[test]
fn a_head_that_stops_is_answered_408() {
    let server = server(Config::default().with_head_timeout(SHORT));
    for start in ["G", "GET / HTTP/1.1\r\nHost: localhost\r\n", "\r\nGET"] {
        let mut client = server.connect();
        client.send(start);
        expect_too_slow(&mut client);
    }
    let mut client = server.connect();
    assert_eq!(client.get("/").text(), "here");
    client.send("GET / HTTP/1.1\r\n");
    expect_too_slow(&mut client);
    assert_eq!(server.connect().get("/").text(), "here");
}

/// Nothing was asked, so nothing is answered.
#[test]
fn a_connection_without_a_request_ends_without_a_word() {
    let server = server(Config::default().with_head_timeout(SHORT).with_keep_alive(SHORT));
    server.connect().expect_fin();
    let mut client = server.connect();
    client.send("\r\n\r\n");
    client.expect_fin();
    let mut client = server.connect();
    assert_eq!(client.get("/").text(), "here");
    client.expect_fin();
    eventually("the places are free again", || server.handle.connections() == 0);
}

#[test]
fn the_deadline_of_a_head_begins_with_its_first_byte() {
    // An idle connection outlives the deadline of a head, also with half a head behind the first
    // request: its time begins when it is read.
    let server = server(Config::default().with_head_timeout(Duration::from_millis(800)));
    let mut idle = server.connect();
    assert_eq!(idle.get("/").text(), "here");
    let mut half = server.connect();
    half.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HT");
    assert_eq!(half.reply().text(), "here");
    half.send("TP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(half.reply().text(), "here");
    half.send("G");
    expect_too_slow(&mut half);
    assert_eq!(idle.get("/").text(), "here", "idle for longer than a head may take");
}

#[test]
fn a_body_that_drips_or_stops_is_answered_408() {
    let server = server(Config::default().with_body_timeout(SHORT));
    let counted = "POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n";
    let mut client = server.connect();
    client.send(counted);
    drip(&mut client, b"x");
    expect_too_slow(&mut client);
    let chunked = "POST /body HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut client = server.connect();
    client.send(chunked);
    drip(&mut client, b"1\r\nx\r\n");
    expect_too_slow(&mut client);
    for request in [counted, chunked] {
        let mut client = server.connect();
        client.send(request);
        expect_too_slow(&mut client);
    }
    let mut waiting = server.connect();
    waiting.send(counted.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n"));
    assert_eq!(waiting.reply().status, 100);
    expect_too_slow(&mut waiting);
    assert_eq!(server.connect().get("/").text(), "here");
}

#[test]
fn a_handler_can_answer_a_slow_body_itself() {
    let server = server(Config::default().with_body_timeout(SHORT));
    let mut client = server.connect();
    client.send("POST /careless HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhe");
    let reply = client.reply();
    assert_eq!((reply.text(), reply.header("connection")), ("too slow", Some("close")));
    client.expect_fin();
}

/// Bytes that come after the deadline must not turn the answer into a reset.
#[test]
fn a_408_can_be_read_by_a_client_that_goes_on_sending() {
    let server = server(Config::default().with_head_timeout(SHORT));
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: localhost\r\nX: ");
    // The answer is there; what is sent now arrives after it.
    assert!(client.receive());
    for _ in 0..20 {
        client.send("aaaa");
    }
    expect_too_slow(&mut client);
}

#[test]
fn a_client_that_stops_reading_is_cut() {
    let server = server(Config::default().with_send_timeout(SHORT));
    let mut client = server.connect();
    client.send("GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n");
    eventually("the answer has begun", || server.handle.connections() == 1);
    eventually("the connection is cut", || server.handle.connections() == 0);
    assert_eq!(server.connect().get("/").text(), "here");
    while client.receive() {}
    assert!(client.buffer.len() < 64 << 20, "the whole answer came after all");
}

#[test]
fn a_client_that_reads_a_large_answer_gets_it_all() {
    let server = server(Config::default().with_send_timeout(SHORT));
    let mut client = server.connect();
    assert_eq!(client.get("/large").body.len(), 64 << 20);
    assert_eq!(client.get("/").text(), "here");
}

/// The thread does not wait for a slow reader, but what it has been sent still reaches it.
#[test]
fn the_last_answer_outlives_its_connection() {
    let body = |_: &Request| Response::bytes("text/plain", vec![b'x'; 300_000]);
    let server = Running::start(Server::builder().route("/body", body));
    for request in [
        "GET /body HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        "GET /body HTTP/1.0\r\n\r\n",
    ] {
        let mut client = server.connect();
        client.send(request);
        eventually("the request is in work", || server.handle.connections() == 1);
        eventually("the connection is over for the server", || server.handle.connections() == 0);
        assert_eq!(client.reply().body.len(), 300_000);
        client.expect_fin();
    }
}
