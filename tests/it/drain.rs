//! A stop that load balancers and clients can bear: first it says so, then it takes its time.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use landline::{Config, Request, Response, Server, WebSocket, require_websocket};

use crate::harness::{Client, PATIENCE, Running, echo, eventually, patient, tell};

/// Longer than any test: what ends within it has not waited for it.
const LONG: Duration = Duration::from_secs(3600);

fn server(config: Config) -> Running {
    let routes = Server::builder().config(config).route("/ws", require_websocket(echo));
    Running::start(routes.route("/", |_: &Request| "here"))
}

#[test]
fn while_a_load_balancer_takes_note_everybody_is_served_and_answers_are_the_last() {
    let mut server = server(patient().with_drain_delay(LONG));
    let mut open = server.websocket("/ws");
    let mut kept = server.connect();
    assert_eq!(kept.get("/").header("connection"), None);
    assert!(!server.handle.is_draining());
    server.handle.stop();
    assert!(server.handle.is_draining());
    let reply = kept.get("/");
    assert_eq!((reply.text(), reply.header("connection")), ("here", Some("close")));
    kept.expect_fin();
    let mut fresh = server.connect();
    let reply = fresh.get("/");
    assert_eq!((reply.text(), reply.header("connection")), ("here", Some("close")));
    let mut late = server.websocket("/ws");
    for client in [&mut open, &mut late] {
        client.expect_echo("still there");
    }
    server.handle.stop_now();
    server.join().unwrap();
    for mut client in [open, late] {
        client.expect_end();
    }
}

#[test]
fn after_the_delay_the_server_ends() {
    let mut server = server(patient().with_drain_delay(Duration::from_millis(100)));
    let mut client = server.websocket("/ws");
    server.handle.stop();
    server.handle.stop();
    assert_eq!(client.answer_close(), (1001, "the server is stopping".to_owned()));
    server.join().unwrap();
    assert!(std::net::TcpStream::connect(server.address).is_err(), "nobody listens");
}

/// The clients that something has come for.
fn spoken_to(clients: &[Client]) -> HashSet<usize> {
    let has_bytes = |client: &Client| {
        client.stream.set_nonblocking(true).unwrap();
        let has_bytes = client.stream.peek(&mut [0]).is_ok();
        client.stream.set_nonblocking(false).unwrap();
        has_bytes
    };
    (0..clients.len()).filter(|number| has_bytes(&clients[*number])).collect()
}

#[test]
fn in_a_spread_drain_one_is_told_and_the_others_are_served() {
    const CLIENTS: usize = 400;
    // One in half a second.
    let mut server = server(patient().with_drain_time(Some(PATIENCE * 10)));
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| server.websocket("/ws")).collect();
    server.handle.stop();
    let mut told = HashSet::new();
    eventually("some are told", || {
        told = spoken_to(&clients);
        told.len() >= 4
    });
    assert!(told.iter().any(|number| *number >= 4), "in another order than they came: {told:?}");
    let mut still_there = 0;
    for (number, client) in clients.iter_mut().enumerate() {
        if told.contains(&number) {
            assert_eq!(client.answer_close(), (1001, "the server is stopping".to_owned()));
            continue;
        }
        client.send_text("hello");
        match client.next_frame().first {
            0x81 => still_there += 1,
            first => assert_eq!(first, 0x88),
        }
    }
    assert!(still_there > CLIENTS / 2, "{still_there}");
    assert!(server.handle.is_draining());
    assert!(std::net::TcpStream::connect(server.address).is_err(), "nobody listens");
    server.handle.stop_now();
    server.join().unwrap();
}

#[test]
fn at_the_end_of_a_spread_drain_everybody_has_been_told() {
    let mut server = server(patient().with_drain_time(Some(Duration::from_millis(300))));
    let mut clients: Vec<_> = (0..100).map(|_| server.websocket("/ws")).collect();
    server.handle.stop();
    for client in &mut clients {
        assert_eq!(client.answer_close().0, 1001);
    }
    server.join().unwrap();
    assert_eq!(server.handle.connections(), 0);
}

/// What is queued for a slow client goes out before its close frame.
#[test]
fn what_is_queued_comes_before_the_end() {
    const BYTES: usize = 600_000;
    let (tell, told) = tell();
    let handler = move |_: &Request, ws: &WebSocket| {
        let sender = ws.sender()?;
        for byte in 0..=u8::MAX {
            ws.send(vec![byte; BYTES])?;
            if sender.queued_bytes() > 0 {
                tell.send(byte).unwrap();
                break;
            }
        }
        while ws.wait()?.is_some() {}
        Ok(())
    };
    let config = patient().with_drain_time(Some(Duration::from_millis(50)));
    let routes = Server::builder().config(config).route("/ws", require_websocket(handler));
    let mut server = Running::start(routes);
    let mut client = Client::new(server.address);
    client.hold_little();
    client.handshake("/ws");
    let last = told.next();
    server.handle.stop();
    eventually("nobody listens", || std::net::TcpStream::connect(server.address).is_err());
    for byte in 0..=last {
        assert_eq!(client.expect_binary(), vec![byte; BYTES]);
    }
    assert_eq!(client.answer_close().0, 1001);
    server.join().unwrap();
}

#[test]
fn a_kept_connection_gets_one_more_answer_while_the_drain_is_spread() {
    let (begin, begun) = channel();
    let begin = Mutex::new(begin);
    let config = patient().with_drain_time(Some(LONG));
    let routes = Server::builder().config(config).route("/ws", require_websocket(echo)).route(
        "/",
        move |_: &Request| {
            begin.lock().unwrap().send(()).unwrap();
            Response::text("here")
        },
    );
    let mut server = Running::start(routes);
    let mut kept = server.connect();
    assert_eq!(kept.get("/").header("connection"), None);
    begun.recv().unwrap();
    // Of many one is told first, and hardly this one.
    let _others: Vec<_> = (0..20).map(|_| server.websocket("/ws")).collect();
    server.handle.stop();
    eventually("nobody listens", || std::net::TcpStream::connect(server.address).is_err());
    let reply = kept.get("/");
    assert_eq!((reply.text(), reply.header("connection")), ("here", Some("close")));
    kept.expect_fin();
    server.handle.stop_now();
    server.join().unwrap();
}
