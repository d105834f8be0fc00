//! Exchanges of requests and responses on one connection: order, keeping and closing it, methods
//! without a body, and what every response carries.

use std::collections::BTreeSet;
use std::sync::Mutex;

use landline::{Request, Response, Result, Server, get, post};

use crate::harness::{Client, Running};

fn body(request: &Request) -> Result<Response> {
    Ok(Response::bytes("text/plain", request.body()?.to_vec()))
}

fn server() -> Running {
    let routes = Server::builder()
        .route("/", get(|_: &Request| "here"))
        .route("/n/<int:n>", |request: &Request| request.param("n").unwrap_or("").to_owned())
        .route("/body", post(body))
        .route("/ignored", |_: &Request| "unread")
        .route("/empty", |_: &Request| Response::empty(204))
        .route("/unchanged", |_: &Request| Response::text("not sent").with_status(304))
        .route("/bye", |_: &Request| Response::text("bye").with_header("Connection", "close"));
    Running::start(routes)
}

fn request(line: &str, lines: &str) -> String {
    format!("{line}\r\nHost: localhost\r\n{lines}\r\n")
}

#[test]
fn http_1_1_is_kept_until_somebody_says_close() {
    let server = server();
    let mut client = server.connect();
    for lines in ["", "Connection: keep-alive\r\n", "Connection: x-close\r\n"] {
        let reply = client.ask(request("GET / HTTP/1.1", lines));
        assert_eq!((reply.text(), reply.header("connection")), ("here", None));
    }
    for lines in [
        "Connection: close\r\n",
        "Connection: x, CLOSE\r\n",
        "Connection: x\r\nConnection: close\r\n",
    ] {
        let mut client = server.connect();
        let reply = client.ask(request("GET / HTTP/1.1", lines));
        assert_eq!((reply.text(), reply.header("connection")), ("here", Some("close")));
        client.expect_fin();
    }
    let reply = client.get("/bye");
    assert_eq!((reply.text(), reply.header("connection")), ("bye", Some("close")));
    client.expect_fin();
}

#[test]
fn http_1_0_is_closed_unless_it_asks_otherwise() {
    let server = server();
    for lines in ["", "Connection: keep-alive, close\r\n"] {
        let mut client = server.connect();
        let reply = client.ask(request("GET / HTTP/1.0", lines));
        assert!(reply.head.starts_with("HTTP/1.0 200 "), "{}", reply.head);
        assert_eq!((reply.text(), reply.header("connection")), ("here", Some("close")));
        client.expect_fin();
    }
    let mut client = server.connect();
    for _ in 0..3 {
        let reply = client.ask(request("GET / HTTP/1.0", "Connection: Keep-Alive\r\n"));
        assert_eq!((reply.text(), reply.header("connection")), ("here", Some("keep-alive")));
    }
    assert_eq!(client.ask(request("GET / HTTP/1.0", "")).text(), "here");
    client.expect_fin();
}

#[test]
fn what_follows_a_request_that_closes_is_not_served() {
    let server = server();
    let mut client = server.connect();
    let last = request("GET /n/1 HTTP/1.1", "Connection: close\r\n");
    client.send(last + &request("GET /n/2 HTTP/1.1", ""));
    assert_eq!(client.reply().text(), "1");
    client.expect_fin();
}

#[test]
fn a_hundred_requests_in_one_write_are_answered_in_order() {
    let server = server();
    let mut client = server.connect();
    let all: String = (0..100).map(|n| request(&format!("GET /n/{n} HTTP/1.1"), "")).collect();
    client.send(all);
    for n in 0..100 {
        assert_eq!(client.reply().text(), n.to_string());
    }
    assert_eq!(client.get("/").text(), "here");
}

#[test]
fn pipelined_requests_with_bodies_arrive_byte_by_byte() {
    let server = server();
    let mut client = server.connect();
    let mut all = String::new();
    for n in 0..5 {
        all += &request("POST /body HTTP/1.1", "Content-Length: 2\r\n");
        all += &format!("a{n}\r\n");
        all += &request("POST /body HTTP/1.1", "Transfer-Encoding: chunked\r\n");
        all += &format!("2;x=y\r\nb{n}\r\n0\r\nTrailer: x\r\n\r\n\r\n");
        all += &request(&format!("GET /n/{n} HTTP/1.1"), "");
    }
    for byte in all.bytes() {
        client.send([byte]);
    }
    for n in 0..5 {
        for expected in [format!("a{n}"), format!("b{n}"), n.to_string()] {
            assert_eq!(client.reply().text(), expected);
        }
    }
}

#[test]
fn head_is_get_without_the_body() {
    let server = server();
    let mut client = server.connect();
    let full = client.get("/");
    client.send(request("HEAD / HTTP/1.1", ""));
    let head = client.reply_to("HEAD");
    assert_eq!((head.status, head.header("content-length")), (200, Some("4")));
    assert_eq!(head.header("content-type"), full.header("content-type"));
    client.send(request("HEAD /nothing HTTP/1.1", ""));
    assert_eq!(client.reply_to("HEAD").status, 404);
    assert_eq!(client.get("/").text(), "here", "no byte of a body came in between");
}

#[test]
fn statuses_without_a_body_have_none() {
    let server = server();
    let mut client = server.connect();
    for (target, status) in [("/empty", 204), ("/unchanged", 304), ("/empty", 204)] {
        let reply = client.get(target);
        assert_eq!((reply.status, reply.header("content-length")), (status, None));
        assert_eq!(reply.header("transfer-encoding"), None);
    }
    assert_eq!(client.get("/").text(), "here");
}

#[test]
fn options_and_wrong_methods_name_what_is_allowed() {
    let server = server();
    let mut client = server.connect();
    let reply = client.ask(request("OPTIONS / HTTP/1.1", ""));
    assert_eq!((reply.status, reply.header("allow")), (204, Some("GET, HEAD, OPTIONS")));
    for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW", "get"] {
        let reply = client.ask(request(&format!("{method} / HTTP/1.1"), ""));
        assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD, OPTIONS")));
        assert_eq!(reply.header("connection"), None, "{method}");
    }
    let reply = client.get("/body");
    assert_eq!((reply.status, reply.header("allow")), (405, Some("POST, OPTIONS")));
    client.send(request("HEAD /body HTTP/1.1", ""));
    assert_eq!(client.reply_to("HEAD").status, 405);
    assert_eq!(client.get("/").text(), "here");
}

#[test]
fn options_of_the_whole_server_is_answered() {
    let server = server();
    let mut client = server.connect();
    let reply = client.ask(request("OPTIONS * HTTP/1.1", ""));
    assert_eq!(reply.status, 204, "{}", reply.head);
    assert_eq!(client.get("/").text(), "here");
}

#[test]
fn an_unread_body_that_has_come_is_skipped() {
    let server = server();
    let mut client = server.connect();
    for target in ["/ignored", "/n/7", "/nothing"] {
        let line = format!("POST {target} HTTP/1.1");
        client.send(
            request(&line, "Content-Length: 30\r\n") + "GET /n/1 HTTP/1.1\r\nHost: x\r\n\r\n",
        );
        let status = client.reply().status;
        assert_eq!(status, if target == "/nothing" { 404 } else { 200 });
        let chunks = "5\r\nhello\r\n0\r\n\r\n";
        client.send(request(&line, "Transfer-Encoding: chunked\r\n") + chunks);
        assert_eq!(client.reply().status, status);
    }
    assert_eq!(client.get("/").text(), "here");
}

/// Where the next request begins is not known, so the connection ends after the answer.
#[test]
fn an_unread_body_that_has_not_come_ends_the_connection() {
    let server = server();
    let mut client = server.connect();
    client.send(request("POST /ignored HTTP/1.1", "Content-Length: 31\r\n"));
    let reply = client.reply();
    assert_eq!((reply.text(), reply.header("connection")), ("unread", Some("close")));
    client.send("GET /n/1 HTTP/1.1\r\nHost: x\r\n\r\n");
    client.expect_fin();
    let mut client = server.connect();
    client.send(request("POST /ignored HTTP/1.1", "Transfer-Encoding: chunked\r\n") + "5\r\nhel");
    assert_eq!(client.reply().header("connection"), Some("close"));
    client.expect_fin();
}

#[test]
fn an_unread_malformed_body_ends_the_connection() {
    let server = server();
    let mut client = server.connect();
    let hidden = request("GET /n/1 HTTP/1.1", "");
    client.send(
        request("POST /ignored HTTP/1.1", "Transfer-Encoding: chunked\r\n")
            + "x\r\n0\r\n\r\n"
            + &hidden,
    );
    let reply = client.reply();
    assert_eq!((reply.text(), reply.header("connection")), ("unread", Some("close")));
    client.expect_fin();
}

#[test]
fn a_client_that_waits_for_continue_gets_it_when_the_body_is_wanted() {
    let server = server();
    let mut client = server.connect();
    let lines = "Content-Length: 5\r\nExpect: 100-Continue\r\n";
    for _ in 0..2 {
        client.send(request("POST /body HTTP/1.1", lines));
        let interim = client.reply();
        assert_eq!(interim.head, "HTTP/1.1 100 Continue\r\n\r\n");
        client.send("hello");
        assert_eq!(client.reply().text(), "hello");
    }
    let chunked = "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n";
    client.send(request("POST /body HTTP/1.1", chunked));
    assert_eq!(client.reply().status, 100);
    client.send("2\r\nab\r\n0\r\n\r\n");
    assert_eq!(client.reply().text(), "ab");
}

#[test]
fn continue_is_not_sent_where_nobody_waits_for_it() {
    let server = server();
    let lines = "Content-Length: 5\r\nExpect: 100-continue\r\n";
    let unread = server.connect().ask(request("POST /ignored HTTP/1.1", lines));
    assert_eq!((unread.text(), unread.header("connection")), ("unread", Some("close")));
    let missing = server.connect().ask(request("POST /nothing HTTP/1.1", lines));
    assert_eq!(missing.status, 404);
    let mut client = server.connect();
    client.send(request("POST /body HTTP/1.1", lines) + "hello");
    assert_eq!(client.reply().text(), "hello", "the body has come already");
    client.send(request("POST /body HTTP/1.1", "Expect: 100-continue\r\nContent-Length: 0\r\n"));
    assert_eq!(client.reply().status, 200, "there is no body to wait for");
    let long = "Content-Length: 9999999\r\nExpect: 100-continue\r\n";
    assert_eq!(client.refused(request("POST /body HTTP/1.1", long)).status, 413);
    let mut old = server.connect();
    old.send(request("POST /body HTTP/1.0", lines));
    old.send("hello");
    assert_eq!(old.reply().text(), "hello");
}

#[test]
fn every_response_is_dated_once_and_forbids_guessing() {
    let server = server();
    let mut client = server.connect();
    for target in ["/", "/nothing", "/empty", "/n/1"] {
        let reply = client.get(target);
        // `header` fails if a name is there twice.
        let date = reply.header("date").expect("a date");
        assert!(date.len() == 29 && date.ends_with(" GMT"), "{date}");
        assert_eq!(reply.header("server"), Some("landline"));
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    }
    let refused = client.refused("GET\r\n\r\n");
    assert!(refused.header("date").is_some(), "{}", refused.head);
}

/// Head and body in two writes would be two segments, and one recv would see the first alone.
#[test]
fn a_small_response_comes_in_one_piece() {
    let server = server();
    let mut client = server.connect();
    for target in ["/", "/nothing", "/n/123"].iter().cycle().take(150) {
        client.send(request(&format!("GET {target} HTTP/1.1"), ""));
        assert!(client.receive());
        let first = client.buffer.len();
        let reply = client.reply();
        assert_eq!(reply.head.len() + reply.body.len(), first, "{target}");
    }
}

#[test]
fn all_requests_of_a_connection_share_its_number_and_thread() {
    static SEEN: Mutex<BTreeSet<(u64, String)>> = Mutex::new(BTreeSet::new());
    let note = |request: &Request| {
        // As the system calls it: the name of birth is the same for all, since a thread has several
        // connections, one after the other.
        let name = std::fs::read_to_string("/proc/thread-self/comm").unwrap();
        assert_eq!(request.peer().ip(), std::net::Ipv4Addr::LOCALHOST);
        SEEN.lock().unwrap().insert((request.conn_id(), name));
        "noted"
    };
    let server = Running::start(Server::builder().route("/", note));
    let mut clients: [Client; 3] = std::array::from_fn(|_| server.connect());
    for turn in 0..9 {
        assert_eq!(clients[turn % 3].get("/").text(), "noted");
    }
    let seen = SEEN.lock().unwrap();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|(id, name)| *name == format!("conn-{id}\n")), "{seen:?}");
}
