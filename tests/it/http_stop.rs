//! How a server stops: in good order, at once, and what its clients see of it.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use landline::{Config, Request, Response, Result, Server, accept_websocket};

use crate::harness::{PATIENCE, Running};

/// A handler that says when it has begun and answers when it is told.
struct Gate {
    begun: Receiver<()>,
    release: Sender<()>,
}

fn echo(request: &Request) -> Result<Response> {
    let Some(ws) = request.websocket() else { return Ok(Response::text("here")) };
    for message in ws {
        ws.send(message?)?;
    }
    Ok(Response::closed())
}

fn server(grace: Duration) -> (Running, Gate) {
    let (begin, begun) = channel();
    let (release, released) = channel::<()>();
    let (begin, released) = (Mutex::new(begin), Mutex::new(released));
    let routes = Server::builder()
        .config(Config::default().with_shutdown_grace(grace))
        .route("/", accept_websocket(echo))
        .route("/gate", move |_: &Request| {
            begin.lock().unwrap_or_else(PoisonError::into_inner).send(()).unwrap();
            // An end without a word is an end as well: the test is over.
            let _ = released.lock().unwrap_or_else(PoisonError::into_inner).recv();
            "done"
        });
    (Running::start(routes), Gate { begun, release })
}

const GET: &str = "GET /gate HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[test]
fn idle_connections_end_at_once_and_new_ones_are_not_taken() {
    let (mut server, _gate) = server(PATIENCE);
    let mut fresh = server.connect();
    let mut idle = server.connect();
    assert_eq!(idle.get("/").text(), "here");
    // Both have been accepted when this one has been answered.
    assert_eq!(server.connect().get("/").text(), "here");
    let start = Instant::now();
    server.handle.stop();
    idle.expect_fin();
    fresh.expect_fin();
    server.join().unwrap();
    assert!(start.elapsed() < PATIENCE / 2, "the grace is not waited for");
    assert!(std::net::TcpStream::connect(server.address).is_err());
    assert_eq!(server.handle.connections(), 0);
}

#[test]
fn a_request_in_work_is_answered_and_is_the_last() {
    let (mut server, gate) = server(PATIENCE);
    let mut busy = server.connect();
    busy.send(GET.repeat(2));
    gate.begun.recv().unwrap();
    let mut idle = server.connect();
    assert_eq!(idle.get("/").text(), "here");
    server.handle.stop();
    // The stop has begun when the idle connection ends.
    idle.expect_fin();
    gate.release.send(()).unwrap();
    let reply = busy.reply();
    assert_eq!((reply.text(), reply.header("connection")), ("done", Some("close")));
    busy.expect_fin();
    server.join().unwrap();
}

#[test]
fn a_body_in_transit_may_still_come() {
    let (begin, begun) = channel();
    let begin = Mutex::new(begin);
    let routes = Server::builder().route("/", |_: &Request| "here").route(
        "/body",
        move |request: &Request| -> Result<Response> {
            begin.lock().unwrap().send(()).unwrap();
            Ok(Response::bytes("text/plain", request.body()?))
        },
    );
    let mut server = Running::start(routes);
    let mut half = server.connect();
    half.send("POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhe");
    begun.recv().unwrap();
    let mut idle = server.connect();
    assert_eq!(idle.get("/").text(), "here");
    server.handle.stop();
    idle.expect_fin();
    half.send("llo");
    let reply = half.reply();
    assert_eq!((reply.text(), reply.header("connection")), ("hello", Some("close")));
    half.expect_fin();
    server.join().unwrap();
}

#[test]
fn websockets_are_told_and_closed() {
    let (mut server, _gate) = server(PATIENCE);
    let mut clients: Vec<_> = (0..5).map(|_| server.websocket("/")).collect();
    server.handle.stop();
    server.handle.stop();
    for client in &mut clients {
        assert_eq!(client.expect_close(), (1001, "the server is stopping".to_owned()));
        client.send_close(1001, "");
        client.expect_fin();
    }
    server.join().unwrap();
}

#[test]
fn what_does_not_end_within_the_grace_is_cut() {
    let (mut server, gate) = server(Duration::from_millis(200));
    let mut busy = server.connect();
    busy.send(GET);
    gate.begun.recv().unwrap();
    server.handle.stop();
    busy.expect_end();
    drop(gate);
    server.join().unwrap();
}

#[test]
fn stop_now_cuts_everybody() {
    let (mut server, gate) = server(PATIENCE);
    let mut busy = server.connect();
    busy.send(GET);
    gate.begun.recv().unwrap();
    let mut idle = server.connect();
    assert_eq!(idle.get("/").text(), "here");
    let mut half = server.connect();
    half.send("GET / HT");
    let mut socket = server.websocket("/");
    let start = Instant::now();
    server.handle.stop_now();
    for client in [&mut busy, &mut idle, &mut half, &mut socket] {
        while client.receive() {}
    }
    assert!(idle.buffer.is_empty() && busy.buffer.is_empty());
    drop(gate);
    server.join().unwrap();
    assert!(start.elapsed() < PATIENCE / 2);
}

#[test]
fn a_second_stop_now_ends_a_patient_stop() {
    let (mut server, gate) = server(PATIENCE * 10);
    let mut busy = server.connect();
    busy.send(GET);
    gate.begun.recv().unwrap();
    server.handle.stop();
    server.handle.stop_now();
    busy.expect_end();
    drop(gate);
    server.join().unwrap();
}

/// `run` returns although a handler never does.
#[test]
fn a_handler_that_does_not_return_is_left_behind() {
    let (mut server, gate) = server(Duration::from_millis(100));
    let mut busy = server.connect();
    busy.send(GET);
    gate.begun.recv().unwrap();
    server.handle.stop();
    server.join().unwrap();
    assert_eq!(server.handle.connections(), 1, "it is still there");
    gate.release.send(()).unwrap();
    crate::harness::eventually("it ends at last", || server.handle.connections() == 0);
}

#[test]
fn a_stop_before_the_run_counts() {
    let routes = Server::builder().route("/", |_: &Request| "here");
    let server = routes.bind("127.0.0.1:0").unwrap();
    server.handle().stop();
    server.run().unwrap();
}
