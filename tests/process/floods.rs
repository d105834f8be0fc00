//! Clients that send without end or without reading: memory stays, others are served.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use landline::{Config, Request, Response, Result};

use crate::counts::{alone, resident, routes};
use crate::harness::{Client, Running, eventually};

/// More than the clients and the threads of these tests need by themselves.
const SLACK: usize = 20 << 20;

/// Sends so many bytes of a pattern, or as many as the server takes.
fn pour(client: &mut Client, pattern: &[u8], total: usize) -> usize {
    let piece = pattern.repeat((64 << 10) / pattern.len());
    let mut sent = 0;
    while sent < total && client.try_send(&piece) {
        sent += piece.len();
    }
    sent
}

fn assert_small(before: usize) {
    let grown = resident().saturating_sub(before);
    assert!(grown < SLACK, "the process has grown by {} KiB", grown >> 10);
}

#[test]
fn three_hundred_half_open_heads_harm_nobody() {
    let _alone = alone();
    let before = resident();
    let server = Running::start(routes());
    let mut half: Vec<Client> = (0..300).map(|_| server.connect()).collect();
    for client in &mut half {
        client.send("GET / HTTP/1.1\r\nHost: localhost\r\nX: ");
    }
    for _ in 0..10 {
        assert_eq!(server.connect().get("/").text(), "here");
    }
    assert!(server.handle.connections() >= 300);
    assert_small(before);
    for client in &mut half {
        client.send("1\r\n\r\n");
        assert_eq!(client.reply().text(), "here", "they are no worse than others");
    }
    drop(half);
    eventually("their places are free", || server.handle.connections() == 0);
}

#[test]
fn a_header_line_of_200_mib_is_refused_early() {
    let _alone = alone();
    let server = Running::start(routes());
    assert_eq!(server.connect().get("/").text(), "here");
    let before = resident();
    for start in ["GET / HTTP/1.1\r\nHost: localhost\r\nX: ", "GET /"] {
        let mut client = server.connect();
        client.send(start);
        pour(&mut client, b"a", 200 << 20);
        let reply = client.reply();
        assert_eq!(reply.status, if start.len() > 10 { 431 } else { 414 });
        assert_small(before);
        client.expect_end();
    }
    assert_eq!(server.connect().get("/").text(), "here");
}

#[test]
fn header_lines_without_end_are_refused_early() {
    let _alone = alone();
    let server = Running::start(routes());
    let before = resident();
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: localhost\r\n");
    pour(&mut client, b"X: 1\r\n", 100 << 20);
    assert_eq!(client.reply().status, 431);
    assert_small(before);
    assert_eq!(server.connect().get("/").text(), "here");
}

#[test]
fn a_body_without_end_is_refused_at_its_limit() {
    let _alone = alone();
    let body = |request: &Request| -> Result<Response> {
        Ok(Response::text(request.body()?.len().to_string()))
    };
    let server = Running::start(routes().route("/body", body));
    let before = resident();
    for (chunk, status) in
        [("1\r\nx\r\n", 413), ("5;a=b\r\nhello\r\n", 413), ("0\r\nT: x\r\n", 400)]
    {
        let mut client = server.connect();
        client.send("POST /body HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
        pour(&mut client, chunk.as_bytes(), 50 << 20);
        assert_eq!(client.reply().status, status, "{chunk:?}");
        assert_small(before);
    }
    for endless in ["5;", "0\r\nT: "] {
        let mut client = server.connect();
        client.send("POST /body HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
        client.send(endless);
        pour(&mut client, b"a", 50 << 20);
        assert!(matches!(client.reply().status, 400 | 431), "{endless:?}");
        assert_small(before);
    }
    assert_eq!(server.connect().get("/").text(), "here");
}

#[test]
fn an_announced_length_is_not_allocated() {
    let _alone = alone();
    let body = |request: &Request| -> Result<Response> {
        Ok(Response::text(request.body()?.len().to_string()))
    };
    let config = Config::default().with_body_bytes(usize::MAX);
    let server = Running::start(routes().config(config).route("/body", body));
    let before = resident();
    let mut clients: Vec<Client> = (0..20).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(
            "POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000000000\r\n\r\nabc",
        );
    }
    assert_eq!(server.connect().get("/").text(), "here");
    assert_small(before);
    for client in &mut clients {
        client.finish();
        assert_eq!(client.reply().status, 400);
    }
}

/// One request is in work at a time, and its answers wait in the kernel's buffers only.
#[test]
fn a_pipelining_flood_without_reading_is_bounded_and_cut() {
    let _alone = alone();
    static WORKING: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    let work = |_: &Request| {
        MOST.fetch_max(WORKING.fetch_add(1, SeqCst) + 1, SeqCst);
        let response = Response::text("x".repeat(1000));
        WORKING.fetch_sub(1, SeqCst);
        response
    };
    let config = Config::default().with_send_timeout(Duration::from_millis(500));
    let server = Running::start(routes().config(config).route("/work", work));
    let before = resident();
    let mut client = server.connect();
    // Long enough that they do not all fit into the buffers of the kernel.
    let filler = "x".repeat(200);
    let request = format!("GET /work HTTP/1.1\r\nHost: localhost\r\nX: {filler}\r\n\r\n");
    let total = 300_000 * request.len();
    let sent = pour(&mut client, request.as_bytes(), total);
    eventually("the connection is cut", || server.handle.connections() == 0);
    assert!(sent < total, "all requests were taken");
    assert_eq!(MOST.load(SeqCst), 1);
    assert_small(before);
    assert_eq!(server.connect().get("/").text(), "here");
}

/// The same flood from a client that reads is served whole.
#[test]
fn a_pipelining_flood_that_is_read_is_served() {
    let _alone = alone();
    let server = Running::start(routes());
    let before = resident();
    let mut client = server.connect();
    let mut writer = Client { stream: client.stream.try_clone().unwrap(), buffer: Vec::new() };
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let count = 20_000;
    let thread = std::thread::spawn(move || {
        for _ in 0..count / 100 {
            writer.send(request.repeat(100));
        }
    });
    for _ in 0..count {
        assert_eq!(client.reply().status, 200);
    }
    thread.join().unwrap();
    assert_small(before);
}

/// Nobody waits for those who do not read: each costs one blocked thread.
#[test]
fn readers_that_stop_harm_nobody() {
    let _alone = alone();
    let large = |_: &Request| Response::reader("text/plain", std::io::repeat(b'x'), None);
    let config = Config::default().with_send_timeout(Duration::from_millis(500));
    let server = Running::start(routes().config(config).route("/large", large));
    let before = resident();
    let mut stuck: Vec<Client> = (0..50).map(|_| server.connect()).collect();
    for client in &mut stuck {
        client.send("GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }
    for _ in 0..10 {
        assert_eq!(server.connect().get("/").text(), "here");
    }
    eventually("all of them are cut", || server.handle.connections() == 0);
    assert_small(before);
}
