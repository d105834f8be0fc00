//! Threads serve one connection after another, and those without one are few and do not stay.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Read};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use landline::{Request, Response, Result, Server, Templates};

use crate::counts::{alone, routes, server_threads, spare_threads};
use crate::harness::{Client, Running, eventually};

/// Threads that may wait for a connection.
const MOST: usize = 64;

/// Well below the time that one waits.
const AT_ONCE: Duration = Duration::from_secs(5);

/// Connections that are all open at the same time, each served.
fn burst(server: &Running, count: usize) {
    let mut clients: Vec<Client> = (0..count).map(|_| server.connect()).collect();
    for (turn, client) in clients.iter_mut().enumerate() {
        if turn % 2 == 0 {
            assert_eq!(client.get("/").text(), "here");
        } else {
            client.handshake("/");
            client.expect_echo("hello");
        }
    }
    assert!(server_threads() > count, "a thread for each of them");
    drop(clients);
    eventually("the places are free", || server.handle.connections() == 0);
}

#[test]
fn after_a_burst_few_threads_wait_and_not_for_long() {
    let _alone = alone();
    let server = Running::start(routes());
    for _ in 0..2 {
        burst(&server, 3 * MOST);
        eventually("no connection has a thread", || server_threads() == 2);
        eventually("few wait", || (1..=MOST).contains(&spare_threads()));
    }
    eventually("all have ended", || spare_threads() == 0);
    assert_eq!(server.connect().get("/").text(), "here");
}

#[test]
fn a_thread_that_waits_takes_the_next_connection() {
    let _alone = alone();
    let who = |_: &Request| format!("{:?}", thread::current().id());
    let server = Running::start(Server::builder().route("/", who));
    let mut seen = HashSet::new();
    eventually("a thread has a second connection", || {
        !seen.insert(server.connect().get("/").text().to_owned())
    });
}

/// It has touched more of its stack than a WebSocket for hours should keep.
#[test]
fn a_thread_that_has_rendered_a_template_is_not_used_again() {
    let _alone = alone();
    let who = |_: &Request| format!("{:?}", thread::current().id());
    let page = |request: &Request| -> Result<Response> {
        let thread = format!("{:?}", thread::current().id());
        request.render("page", BTreeMap::from([("thread", thread)]))
    };
    let templates = Templates::new().with_source("page", "{{ thread }}").unwrap();
    let routes = Server::builder().templates(templates).route("/", who).route("/page", page);
    let server = Running::start(routes);
    for _ in 0..20 {
        let rendered = server.connect().get("/page").text().to_owned();
        eventually("the place is free", || server.handle.connections() == 0);
        assert_ne!(server.connect().get("/").text(), rendered);
    }
}

/// The panic has touched more of its stack, and may have left thread-locals of the application half
/// changed.
#[test]
fn a_thread_whose_handler_or_body_has_panicked_is_not_used_again() {
    struct Wild;
    impl Read for Wild {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            panic!("this body panics in a test")
        }
    }
    let _alone = alone();
    let (note, noted) = channel();
    let note = Mutex::new(note);
    let who = |_: &Request| format!("{:?}", thread::current().id());
    let wild = move |request: &Request| -> Response {
        note.lock().unwrap().send(format!("{:?}", thread::current().id())).unwrap();
        match request.query("in") {
            Some("body") => Response::reader("text/plain", Wild, None),
            _ => panic!("this handler panics in a test"),
        }
    };
    let server = Running::start(Server::builder().route("/", who).route("/wild", wild));
    for _ in 0..10 {
        for place in ["handler", "body"] {
            let mut client = server.connect();
            client.send(format!("GET /wild?in={place} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
            while client.receive() {}
            drop(client);
            eventually("the place is free", || server.handle.connections() == 0);
            assert_ne!(server.connect().get("/").text(), noted.recv().unwrap(), "{place}");
        }
    }
}

/// Arrivals of several clients at once, while threads begin and end to wait.
#[test]
fn no_arrival_is_lost() {
    let _alone = alone();
    let server = Running::start(routes());
    let start = Barrier::new(8);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                start.wait();
                for _ in 0..100 {
                    assert_eq!(server.connect().get("/").text(), "here");
                }
            });
        }
    });
    eventually("the places are free", || server.handle.connections() == 0);
    assert_eq!(server.handle.refused_clients(), 0);
}

#[test]
fn a_handler_that_panics_harms_no_later_connection() {
    let _alone = alone();
    let wild = |_: &Request| -> &'static str { panic!("this handler panics in a test") };
    let server =
        Running::start(Server::builder().route("/wild", wild).route("/", |_: &Request| "x"));
    for _ in 0..30 {
        assert_eq!(server.connect().get("/wild").status, 500);
        assert_eq!(server.connect().get("/").text(), "x");
    }
    eventually("the places are free", || server.handle.connections() == 0);
}

#[test]
fn a_stop_does_not_wait_for_those_who_wait() {
    let _alone = alone();
    eventually("the last test is over", || spare_threads() == 0);
    for stop_now in [false, true] {
        let mut server = Running::start(routes());
        burst(&server, 20);
        eventually("they wait", || spare_threads() > 0);
        let start = Instant::now();
        let handle = server.handle.clone();
        if stop_now {
            handle.stop_now()
        } else {
            handle.stop()
        }
        server.join().unwrap();
        eventually("none is left", || spare_threads() == 0);
        assert!(start.elapsed() < AT_ONCE, "they have ended by themselves");
    }
}

/// What an application has given to the server is gone with it, whoever still waits.
#[test]
fn a_thread_that_waits_holds_nothing_of_the_application() {
    let _alone = alone();
    let held = Arc::new(());
    let handler = {
        let held = Arc::clone(&held);
        move |_: &Request| {
            assert!(Arc::strong_count(&held) > 1);
            "here"
        }
    };
    let mut server = Running::start(Server::builder().route("/", handler));
    assert_eq!(server.connect().get("/").text(), "here");
    eventually("it waits", || spare_threads() > 0);
    server.handle.stop();
    server.join().unwrap();
    drop(server);
    eventually("it is gone", || Arc::strong_count(&held) == 1);
}
