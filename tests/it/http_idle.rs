//! Connections between two requests: they end when they have been idle for too long, and what a
//! client sends at that very moment is answered whole or not at all.

use std::io::ErrorKind;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use landline::{Config, Request, Response, Result, Server};

use crate::harness::{Client, PATIENCE, Running};

/// How long a connection of these tests may be idle.
const SHORT: Duration = Duration::from_millis(500);

const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn short() -> Config {
    Config::default().with_keep_alive(SHORT)
}

#[test]
fn a_request_in_work_is_not_idle() {
    let (begin, begun) = channel();
    let (release, released) = channel::<()>();
    let (begin, released) = (Mutex::new(begin), Mutex::new(released));
    let gate = move |request: &Request| -> Result<Response> {
        begin.lock().unwrap().send(()).unwrap();
        // An end without a word is an end as well: the test is over.
        let _ = released.lock().unwrap().recv();
        Ok(Response::bytes("text/plain", request.body()?))
    };
    let routes = Server::builder().config(short()).route("/", |_: &Request| "here");
    let server = Running::start(routes.route("/gate", gate));
    let mut busy = server.connect();
    let head = "POST /gate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n";
    for turn in 0..2 {
        busy.send(format!("{head}he"));
        begun.recv().unwrap();
        // The time has passed for one that began later.
        let mut idle = server.connect();
        assert_eq!(idle.get("/").text(), "here");
        idle.expect_fin();
        release.send(()).unwrap();
        busy.send("llo");
        let reply = busy.reply();
        assert_eq!((reply.text(), reply.header("connection")), ("hello", None), "{turn}");
    }
    assert_eq!(busy.get("/").text(), "here", "its time begins with the last answer");
    busy.expect_fin();
}

#[test]
fn requests_in_pieces_and_in_a_row_begin_the_time_anew() {
    let server = Running::start(Server::builder().route("/", |_: &Request| "here"));
    let mut client = server.connect();
    for byte in GET.repeat(2).bytes() {
        client.send([byte]);
    }
    client.send(GET.repeat(3));
    let (start, end) = GET.split_at(20);
    client.send(format!("{GET}\r\n{start}"));
    client.send(format!("{end}\r\n\r\n{GET}"));
    for _ in 0..8 {
        assert_eq!(client.reply().text(), "here");
    }
    assert!(client.buffer.is_empty());
}

#[test]
fn empty_lines_do_not_lengthen_the_idle_time() {
    let server = Running::start(Server::builder().config(short()).route("/", |_: &Request| "x"));
    let mut client = server.connect();
    assert_eq!(client.get("/").text(), "x");
    for byte in "\r\n\r\n".bytes() {
        client.send([byte]);
        client.stream.set_read_timeout(Some(SHORT / 3)).unwrap();
        match std::io::Read::read(&mut client.stream, &mut [0; 16]) {
            Ok(count) => return assert_eq!(count, 0, "nothing was asked"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
    client.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    client.expect_fin();
}

/// Answered whole, or ended without a byte of an answer, which tells the client to ask again.
#[test]
fn a_request_at_the_end_of_the_idle_time_is_answered_whole_or_not_at_all() {
    let server = Running::start(Server::builder().config(short()).route("/", |_: &Request| "here"));
    let ask_after = |time: Duration, in_pieces: bool| {
        let mut client = server.connect();
        assert_eq!(client.get("/").text(), "here");
        client.stream.set_read_timeout(Some(time)).unwrap();
        match std::io::Read::read(&mut client.stream, &mut [0; 16]) {
            Ok(count) => return assert_eq!(count, 0, "nothing was asked"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        client.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (start, end) = GET.split_at(if in_pieces { 20 } else { 0 });
        let is_sent = client.try_send(start) && client.try_send(end);
        while is_sent && !client.buffer.ends_with(b"here") && client.receive() {}
        if !client.buffer.is_empty() {
            assert_eq!(client.reply().text(), "here");
        }
    };
    thread::scope(|scope| {
        for turn in 0..40 {
            scope.spawn(move || {
                ask_after(SHORT / 2 + Duration::from_millis(12 * turn), turn % 2 == 1)
            });
        }
    });
    assert_eq!(server.connect().get("/").text(), "here");
}

#[test]
fn a_stop_ends_what_is_idle_whatever_it_has_sent() {
    let mut server = Running::start(Server::builder().route("/", |_: &Request| "here"));
    let mut clients: Vec<Client> = (0..20).map(|_| server.connect()).collect();
    for (turn, client) in clients.iter_mut().enumerate() {
        if turn % 2 == 0 {
            assert_eq!(client.get("/").text(), "here");
        }
        client.send(["", "\r\n", "\r"][turn % 3]);
    }
    // All have been accepted when this one has been answered.
    assert_eq!(server.connect().get("/").text(), "here");
    server.handle.stop();
    clients.iter_mut().for_each(Client::expect_end);
    server.join().unwrap();
}
