//! Attacks that aim at others through the server: foreign hosts, split responses, the log.
//!
//! Smuggling is in `http_head` and `http_body`, traversal in `http_text`, floods are in
//! `tests/process`.

use landline::{Request, Response, Server, get, post};

use crate::harness::{Client, Running};
use crate::logbook;

fn ask(server: &Running, target: &str, host: &str) -> u16 {
    let mut client = server.connect();
    client.ask(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")).status
}

/// A page of any site can give its own name the address 127.0.0.1 and come as that name.
#[test]
fn a_loopback_server_answers_to_loopback_names_only() {
    let server = Running::start(Server::builder().route("/", |_: &Request| "here"));
    let port = server.address.port();
    for host in [
        "localhost",
        "LocalHost:1",
        "127.0.0.1",
        "127.9.9.9",
        "[::1]:80",
        "a.localhost",
        "localhost.",
    ] {
        assert_eq!(ask(&server, "/", host), 200, "{host}");
    }
    assert_eq!(ask(&server, "/", &format!("127.0.0.1:{port}")), 200);
    let foreign = [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evillocalhost",
        "evil.example:80",
        "10.0.0.1",
        "0.0.0.0",
        "2130706433",
        "127.1",
        "[::2]",
        "[::ffff:10.0.0.1]",
    ];
    for host in foreign {
        for target in ["/", "/nothing", "*"] {
            let method = if target == "*" { "OPTIONS" } else { "GET" };
            let request = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            assert_eq!(server.connect().refused(request).status, 421, "{host} {target}");
        }
    }
    let mut handshake = server.connect();
    handshake.send(Client::handshake_head("/").replace("localhost", "evil.example"));
    assert_eq!(handshake.reply().status, 421);
}

#[test]
fn listed_hosts_are_answered_and_no_others() {
    let routes = Server::builder()
        .route("/", |request: &Request| request.host().to_owned())
        .allowed_hosts(["Chat.Example", ".in.example"]);
    let server = Running::start(routes);
    for host in ["chat.example", "CHAT.example:8000", "in.example", "a.b.in.example", "localhost"] {
        assert_eq!(ask(&server, "/", host), 200, "{host}");
    }
    for host in ["example", "xchat.example", "chat.example.evil", "evilin.example", "10.0.0.1"] {
        assert_eq!(ask(&server, "/", host), 421, "{host}");
    }
    let any = Server::builder().route("/", |_: &Request| "").allowed_hosts(["*"]);
    assert_eq!(ask(&Running::start(any), "/", "any.example"), 200);
}

#[test]
fn a_value_from_the_request_cannot_split_the_response() {
    logbook::open();
    let put = |name: &'static str| {
        move |request: &Request| {
            Response::text("body").with_header(name, request.query("v").unwrap_or(""))
        }
    };
    let routes = Server::builder()
        .route("/value", put("X-Split-4713"))
        .route("/name", |request: &Request| {
            Response::text("body").with_header(request.query("v").unwrap_or(""), "1")
        })
        .route("/go", |request: &Request| Response::redirect(request.query("v").unwrap_or("")))
        .route("/type", |request: &Request| Response::bytes(request.query("v").unwrap_or(""), "x"))
        .route("/cookie", |request: &Request| {
            let value = request.query("v").unwrap_or("").to_owned();
            Response::text("body").with_cookie(landline::Cookie::new("a", value))
        });
    let server = Running::start(routes);
    let attacks =
        ["x%0d%0aSet-Cookie:%20evil=1", "x%0aEvil:%201", "x%0dEvil:%201", "x%0d%0a%0d%0aevil"];
    for path in ["/value", "/name", "/go", "/type", "/cookie"] {
        for attack in attacks {
            let mut client = server.connect();
            let reply = client.get(&format!("{path}?v={attack}"));
            assert_eq!(reply.status, 500, "{path} {attack}: {}", reply.head);
            assert!(!reply.head.to_lowercase().contains("evil"), "{}", reply.head);
            assert_eq!(reply.text(), "Something went wrong on the server.\n");
            client.expect_fin();
        }
    }
    assert_eq!(logbook::lines_with(&["ERROR", "X-Split-4713"]).len(), attacks.len());
    for (target, name, expected) in [
        ("/value?v=a%20%22b%22", "X-Split-4713", "a \"b\""),
        ("/go?v=/a%20b", "Location", "/a%20b"),
        ("/cookie?v=1", "Set-Cookie", "a=1"),
    ] {
        assert_eq!(server.connect().get(target).header(name), Some(expected), "{target}");
    }
}

#[test]
fn methods_that_reach_through_a_server_are_not_served() {
    let routes =
        Server::builder().route("/", get(|_: &Request| "here").post(|_: &Request| "posted"));
    let server = Running::start(routes);
    for target in ["localhost:443", "evil.example:80", "http://evil.example/"] {
        let request = format!("CONNECT {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let reply = server.connect().refused(request);
        assert!(matches!(reply.status, 400 | 421), "{}", reply.status);
    }
    let mut client = server.connect();
    for method in ["TRACE", "TRACK", "CONNECT", "DEBUG"] {
        let request = format!("{method} / HTTP/1.1\r\nHost: localhost\r\nX-Secret: 4714\r\n\r\n");
        let reply = client.ask(request);
        assert_eq!(reply.status, 405, "{method}");
        assert!(!reply.text().contains("4714"), "nothing is sent back");
    }
    assert_eq!(client.get("/").text(), "here");
}

/// Neither a forged line nor a terminal's escape code, neither a token nor a password.
#[test]
fn the_log_holds_one_plain_line_for_each_request() {
    logbook::open();
    let routes = Server::builder()
        .route("/log-4715/<path:rest>", |_: &Request| "here")
        .route("/log-4715/post", post(|_: &Request| "posted"));
    let server = Running::start(routes);
    let mut client = server.connect();
    assert_eq!(client.get("/log-4715/%22%20200%20%3Cb%3E?token=secret-4715").status, 200);
    assert_eq!(server.connect().get("/log-4715/%1b%5b2J%0aroot").status, 400);
    assert_eq!(server.connect().get("/log-4715/\u{1b}[2J").status, 400);
    drop(server);
    let lines = logbook::lines_with(&["log-4715"]);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("\"GET /log-4715/%22%20200%20%3Cb%3E?...\" 200"), "{lines:?}");
    assert!(logbook::lines_with(&["secret-4715"]).is_empty());
    let all = logbook::lines_with(&[]);
    assert!(all.iter().all(|line| !line.contains(['\n', '\r', '\u{1b}'])), "{all:?}");
}

#[test]
fn what_a_peer_sent_is_never_sent_back_in_a_refusal() {
    let server = Running::start(Server::builder().route("/", |_: &Request| "here"));
    let script = "<script>4716</script>";
    let requests = [
        format!("GET /{script} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: {script}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: localhost\r\n{script}: 1\r\n\r\n"),
        format!("{script} / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        format!("GET / HTTP/{script}\r\nHost: localhost\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: {script}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nExpect: {script}\r\n\r\n"),
    ];
    for request in requests {
        let mut client = server.connect();
        let reply = client.ask(&request);
        assert!(reply.status >= 400, "{request}");
        assert!(!reply.head.contains("4716") && !reply.text().contains("4716"), "{request}");
        assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    }
}
