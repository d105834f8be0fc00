//! The opening handshake: what is refused and how, and what a handler may do before it accepts.

use landline::{
    Cookie, Error, ErrorKind, Origins, Request, Response, Result, Server, WebSocket,
    accept_websocket, require_websocket,
};

use crate::harness::{Client, Running, echo, patient, tell, websocket_server};

/// A handshake on `/ws` in which every line can be replaced.
const GOOD: &str = "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// The handshake with further header lines.
fn with_lines(lines: &str) -> String {
    format!("{}{lines}\r\n\r\n", &GOOD[..GOOD.len() - 2])
}

fn both_ways(request: &Request) -> Result<Response> {
    match request.websocket() {
        Some(ws) => echo(request, ws).map(|()| Response::closed()),
        None => Ok(Response::text("plain")),
    }
}

fn everything() -> Running {
    Running::start(
        Server::builder()
            .route("/ws", require_websocket(echo))
            .route("/echo", require_websocket(echo))
            .route("/both", accept_websocket(both_ways))
            .route("/plain", |request: &Request| {
                assert!(!request.is_websocket() && request.websocket().is_none());
                "plain"
            })
            .route("/old", require_websocket(echo).reject_status(400)),
    )
}

#[test]
fn plain_http_on_a_websocket_route_is_told_to_upgrade() {
    let server = everything();
    let mut client = server.connect();
    let reply = client.get("/ws");
    assert_eq!(reply.status, 426);
    assert_eq!(reply.header("upgrade"), Some("websocket"));
    assert!(reply.header("connection").is_some_and(|value| value.contains("Upgrade")));
    assert_eq!(reply.header("sec-websocket-version"), Some("13"));
    assert!(reply.text().contains("WebSocket"));
    assert_eq!(client.get("/old").status, 400, "dwebsocket's status");
    client.handshake("/ws");
    client.expect_echo("the same connection");
    client.say_goodbye();
}

#[test]
fn bad_handshakes_are_refused_each_with_its_status() {
    let server = everything();
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let rows = [
        ("no key", GOOD.replace(key, ""), 400),
        ("a key of three letters", GOOD.replace("dGhlIHNhbXBsZSBub25jZQ==", "zzz"), 400),
        (
            "a key of 15 bytes",
            GOOD.replace("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j"),
            400,
        ),
        ("an empty key", GOOD.replace("dGhlIHNhbXBsZSBub25jZQ==", ""), 400),
        ("two keys", GOOD.replace(key, &key.repeat(2)), 400),
        ("no version", GOOD.replace("Sec-WebSocket-Version: 13\r\n", ""), 426),
        ("version 8", GOOD.replace("Version: 13", "Version: 8"), 426),
        ("version 013", GOOD.replace("Version: 13", "Version: 013"), 426),
        ("POST", GOOD.replace("GET", "POST"), 405),
        ("HEAD", GOOD.replace("GET", "HEAD"), 405),
        ("an unknown path", GOOD.replace("/ws", "/nowhere"), 404),
        ("HTTP/1.0", GOOD.replace("HTTP/1.1", "HTTP/1.0"), 400),
        ("a body", format!("{}abc", with_lines("Content-Length: 3")), 400),
        ("a chunked body", format!("{}0\r\n\r\n", with_lines("Transfer-Encoding: chunked")), 400),
        ("bad subprotocols", with_lines("Sec-WebSocket-Protocol: a b"), 400),
        ("a route without WebSocket", GOOD.replace("/ws", "/plain"), 400),
    ];
    for (what, head, status) in rows {
        let mut client = server.connect();
        client.send(&head);
        let reply = client.reply_to(if what == "HEAD" { "HEAD" } else { "GET" });
        assert_eq!(reply.status, status, "{what}");
        match status {
            426 => assert_eq!(reply.header("sec-websocket-version"), Some("13"), "{what}"),
            405 => assert_eq!(reply.header("allow"), Some("GET"), "{what}"),
            _ => {}
        }
        client.finish();
        client.expect_end();
    }
    for good in [GOOD.to_owned(), with_lines("Content-Length: 0")] {
        assert_eq!(server.connect().ask(good).status, 101);
    }
    server.serves_the_next();
}

#[test]
fn the_answer_to_a_handshake_is_exact() {
    let server = everything();
    let reply = server.connect().ask(GOOD);
    assert!(reply.head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{}", reply.head);
    assert_eq!(reply.header("upgrade"), Some("websocket"));
    assert_eq!(reply.header("connection"), Some("Upgrade"));
    assert_eq!(reply.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    for absent in ["content-length", "transfer-encoding", "sec-websocket-extensions"] {
        assert_eq!(reply.header(absent), None);
    }
}

#[test]
fn token_lists_are_read_as_lists() {
    let server = everything();
    for (from, to) in [
        ("Connection: Upgrade", "Connection: keep-alive, Upgrade"),
        ("Connection: Upgrade", "connection: keep-alive\r\nCONNECTION: UPGRADE"),
        ("Upgrade: websocket", "Upgrade: h2c, WebSocket"),
        ("Upgrade: websocket", "Upgrade:websocket"),
    ] {
        let mut client = server.connect();
        assert_eq!(client.ask(GOOD.replace(from, to)).status, 101, "{to}");
        client.expect_echo("hello");
    }
}

#[test]
fn without_connection_upgrade_it_is_plain_http() {
    let server = everything();
    for to in ["Connection: keep-alive", "Connection: upgraded"] {
        let plain = GOOD.replace("Connection: Upgrade", to);
        assert_eq!(server.connect().ask(&plain).status, 426);
        let reply = server.connect().ask(plain.replace("/ws", "/both"));
        assert_eq!((reply.status, reply.text()), (200, "plain"));
        let reply = server.connect().ask(plain.replace("/ws", "/plain"));
        assert_eq!((reply.status, reply.text()), (200, "plain"));
    }
}

#[test]
fn accept_all_opens_plain_routes() {
    let builder = Server::builder().accept_all(true).route("/plain", both_ways);
    let server = Running::start(builder);
    let mut client = server.websocket("/plain");
    client.expect_echo("hello");
    client.say_goodbye();
    assert_eq!(server.connect().get("/plain").text(), "plain");
}

/// The status that a page of an origin gets.
fn status_of(server: &Running, host: &str, origin: &str) -> u16 {
    let line = format!("Origin: {origin}");
    let head = with_lines(&line).replace("Host: localhost", &format!("Host: {host}"));
    server.connect().ask(head).status
}

fn with_origins(origins: Origins) -> Running {
    let builder = Server::builder().origins(origins).allowed_hosts(["a.example"]);
    Running::start(builder.route("/ws", require_websocket(echo)))
}

#[test]
fn pages_of_other_hosts_are_refused() {
    let server = with_origins(Origins::same_host());
    for (host, origin) in [
        ("a.example", "http://a.example"),
        ("a.example", "https://A.example"),
        ("a.example:80", "http://a.example"),
        ("localhost:8000", "http://localhost:8000"),
    ] {
        assert_eq!(status_of(&server, host, origin), 101, "{origin} at {host}");
    }
    for (host, origin) in [
        ("a.example", "http://evil.example"),
        ("a.example", "http://a.example.evil.example"),
        ("a.example", "http://evil-a.example"),
        ("a.example", "http://a.example:8080"),
        ("a.example", "http://a.example@evil.example"),
        ("a.example", "http://a.example/"),
        ("a.example", "null"),
        ("a.example", ""),
        ("a.example", "http://a.example\r\nOrigin: http://evil.example"),
        ("localhost:8000", "http://localhost"),
    ] {
        assert_eq!(status_of(&server, host, origin), 403, "{origin} at {host}");
    }
    assert_eq!(server.connect().ask(GOOD).status, 101, "no origin is no browser");
}

#[test]
fn origins_can_be_listed_or_all_be_allowed() {
    let server = with_origins(Origins::list(["https://b.example"]).unwrap());
    for (origin, status) in [
        ("https://b.example", 101),
        ("http://localhost", 101),
        ("http://b.example", 403),
        ("https://sub.b.example", 403),
        ("null", 403),
    ] {
        assert_eq!(status_of(&server, "localhost", origin), status, "{origin}");
    }
    let server = with_origins(Origins::any());
    for origin in ["null", "http://evil.example"] {
        assert_eq!(status_of(&server, "localhost", origin), 101, "{origin}");
    }
}

#[test]
fn frames_behind_the_handshake_are_not_lost_wherever_the_bytes_are_cut() {
    let server = everything();
    let mut bytes = GOOD.as_bytes().to_vec();
    bytes.extend(Client::frame(0x81, b"one"));
    bytes.extend(Client::frame(0x82, &[0, 255]));
    for cut in 0..=bytes.len() {
        let mut client = server.connect();
        client.send(&bytes[..cut]);
        client.send(&bytes[cut..]);
        assert_eq!(client.reply().status, 101, "cut at {cut}");
        assert_eq!(client.expect_text(), "one", "cut at {cut}");
        assert_eq!(client.expect_binary(), [0, 255], "cut at {cut}");
    }
    let mut client = server.connect();
    for byte in bytes {
        client.send([byte]);
    }
    assert_eq!(client.reply().status, 101);
    assert_eq!(client.expect_text(), "one");
}

fn guarded(request: &Request) -> Result<Response> {
    match request.query("do") {
        Some("login") => Ok(Response::redirect("/login")),
        Some("deny") => {
            let cookie = Cookie::new("visitor", "7");
            Ok(Response::text("who are you?").with_status(401).with_cookie(cookie))
        }
        Some("fail") => Err(Error::other("the key is under the mat")),
        Some("panic") => panic!("of a handler"),
        _ => both_ways(request),
    }
}

#[test]
fn a_handler_may_answer_instead_of_accepting() {
    let server = Running::start(Server::builder().route("/ws", accept_websocket(guarded)));
    let mut client = server.connect();
    let reply = client.ask(GOOD.replace("/ws", "/ws?do=deny"));
    assert_eq!((reply.status, reply.text()), (401, "who are you?"));
    assert_eq!(reply.header("set-cookie"), Some("visitor=7"));
    assert_eq!(reply.header("upgrade"), None);
    let reply = client.ask(GOOD.replace("/ws", "/ws?do=login"));
    assert_eq!((reply.status, reply.header("location")), (302, Some("/login")));
    let reply = client.ask(GOOD.replace("/ws", "/ws?do=fail"));
    assert_eq!(reply.status, 500);
    assert!(!reply.text().contains("mat"), "no internals: {}", reply.text());
    client.handshake("/ws");
    client.expect_echo("at last, on the same connection");
    client.say_goodbye();
    assert_eq!(server.connect().ask(GOOD.replace("/ws", "/ws?do=panic")).status, 500);
    assert_eq!(server.connect().ask(GOOD).status, 101);
}

#[test]
fn a_declined_handshake_keeps_what_was_sent_behind_it() {
    let server = Running::start(Server::builder().route("/ws", accept_websocket(guarded)));
    let mut client = server.connect();
    let declined = GOOD.replace("/ws", "/ws?do=deny");
    client.send(format!("{declined}GET /ws HTTP/1.1\r\nHost: localhost\r\n\r\n{declined}"));
    assert_eq!(client.reply().status, 401);
    assert_eq!(client.reply().text(), "plain");
    assert_eq!(client.reply().status, 401);
    // Frames behind a declined handshake are no request.
    client.send(declined.as_bytes());
    client.send_text("hello");
    assert_eq!(client.reply().status, 401);
    assert_eq!(client.reply().status, 400);
    client.finish();
    client.expect_end();
}

#[test]
fn accept_with_chooses_a_subprotocol_and_adds_headers() {
    let (tell, told) = tell();
    let server = websocket_server(patient(), move |_, ws: &WebSocket| {
        tell.send(ws.subprotocols().to_vec()).unwrap();
        for (protocol, header) in [
            (Some("v3"), ("X-A", "b")),
            (None, ("X-A", "b\r\nX-C: d")),
            (None, ("Connection", "close")),
        ] {
            let error = ws.accept_with(protocol, &[header]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol);
        }
        ws.accept_with(Some("v2"), &[("Set-Cookie", "a=b"), ("X-A", "b")])?;
        let error = ws.accept_with(Some("v2"), &[]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        ws.send("accepted once")
    });
    let mut client = server.connect();
    let reply =
        client.ask(with_lines("Sec-WebSocket-Protocol: v1, v2\r\nSec-WebSocket-Protocol: v4"));
    assert_eq!(told.next(), ["v1", "v2", "v4"]);
    assert_eq!(reply.status, 101);
    assert_eq!(reply.header("sec-websocket-protocol"), Some("v2"));
    assert_eq!((reply.header("set-cookie"), reply.header("x-a")), (Some("a=b"), Some("b")));
    assert_eq!(client.expect_text(), "accepted once");
    assert_eq!(client.answer_close(), (1000, String::new()));
}

#[test]
fn a_wrapper_chooses_its_best_subprotocol() {
    let spoken = ["best", "good"];
    let server = Running::start(
        Server::builder()
            .route("/ws", require_websocket(echo).subprotocols(spoken))
            .route("/both", accept_websocket(both_ways).subprotocols(spoken)),
    );
    for path in ["/ws", "/both"] {
        for (offer, chosen) in
            [("good, best", Some("best")), ("other, good", Some("good")), ("other", None)]
        {
            let head = with_lines(&format!("Sec-WebSocket-Protocol: {offer}"));
            let reply = server.connect().ask(head.replace("/ws", path));
            assert_eq!(reply.header("sec-websocket-protocol"), chosen, "{path}: {offer}");
        }
    }
}

#[test]
fn a_handler_that_never_uses_its_socket_is_accepted_and_ended() {
    let server = Running::start(
        Server::builder()
            .route("/require", require_websocket(|_, _| Ok(())))
            .route("/over", accept_websocket(|_: &Request| Response::closed()))
            .route("/http", accept_websocket(|_: &Request| "not interested")),
    );
    for path in ["/require", "/over"] {
        assert_eq!(server.websocket(path).answer_close(), (1000, String::new()), "{path}");
    }
    let mut client = server.connect();
    let reply = client.ask(Client::handshake_head("/http"));
    assert_eq!((reply.status, reply.text()), (200, "not interested"));
    assert_eq!(client.get("/over").status, 500, "the end of no session");
}

#[test]
fn the_first_use_accepts_whatever_it_is() {
    type Use = fn(&WebSocket);
    let uses: [(&str, Use); 7] = [
        ("wait", |ws| drop(ws.wait())),
        ("read", |ws| drop(ws.read())),
        ("count", |ws| assert_eq!(ws.count_messages(), 0)),
        ("has", |ws| assert!(!ws.has_messages())),
        ("send", |ws| ws.send("hello").unwrap()),
        ("close", |ws| ws.close(3000, "").unwrap()),
        ("sender", |ws| drop(ws.sender())),
    ];
    for (name, first) in uses {
        let handler = accept_websocket(move |request: &Request| {
            let ws = request.websocket().expect("a handshake");
            assert!(!ws.is_closed() && ws.closed().is_none(), "asking does not accept");
            first(ws);
            assert!(ws.accept_with(None, &[]).is_err(), "{name} has accepted");
            // The answer that comes too late is dropped, not written into the frames.
            Response::text("too late")
        });
        let server = Running::start(Server::builder().route("/ws", handler));
        let mut client = server.websocket("/ws");
        let mut code = 1000;
        match name {
            "wait" => client.send_text("go on"),
            "send" => assert_eq!(client.expect_text(), "hello"),
            "close" => code = 3000,
            _ => {}
        }
        assert_eq!(client.answer_close().0, code, "{name}");
    }
}
