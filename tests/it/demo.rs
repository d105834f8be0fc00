//! Each route of the demo: status, type, headers, and that it gives back what it got unharmed.

use crate::program::Program;

const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

#[test]
fn every_route_has_its_status_and_type() {
    let program = Program::serve(&[]);
    let mut client = program.connect();
    for (path, status, kind) in [
        ("/", 200, HTML),
        ("/index/", 200, HTML),
        ("/index", 200, HTML),
        ("/index2/", 200, HTML),
        ("/index2", 200, HTML),
        ("/echo", 200, HTML),
        ("/echo/", 200, HTML),
        ("/echo?other=1", 200, HTML),
        ("/echo?message=", 200, TEXT),
        ("/echo?message=hello", 200, TEXT),
        ("/echo_once", 426, TEXT),
        ("/chat/", 200, HTML),
        ("/chat", 200, HTML),
        ("/chat/lobby/", 200, HTML),
        ("/chat/lobby", 200, HTML),
        ("/ws/chat/lobby/", 426, TEXT),
        ("/static/landline.js", 200, "text/javascript; charset=utf-8"),
        ("/static/line.js", 200, "text/javascript; charset=utf-8"),
        ("/static/chat.js", 200, "text/javascript; charset=utf-8"),
        ("/static/ws4redis.js", 200, "text/javascript; charset=utf-8"),
        ("/ws/chatroom/", 426, TEXT),
        ("/ws/", 404, TEXT),
        ("/static/landline.css", 200, "text/css; charset=utf-8"),
        ("/static/chat.css", 200, "text/css; charset=utf-8"),
        ("/static/landline.svg", 200, "image/svg+xml"),
        ("/favicon.ico", 200, "image/svg+xml"),
        ("/static/", 404, TEXT),
        ("/static/base.html", 404, TEXT),
        ("/nothing", 404, TEXT),
    ] {
        let reply = client.get(path);
        assert_eq!(reply.status, status, "{path}");
        assert_eq!(reply.header("content-type"), Some(kind), "{path}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(reply.body.is_empty(), path == "/echo?message=", "{path}");
    }
}

#[test]
fn pages_guard_themselves() {
    let program = Program::serve(&[]);
    let mut client = program.connect();
    let policy = "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; \
                  base-uri 'none'; object-src 'none'; frame-ancestors 'none'; form-action 'self'";
    for path in ["/", "/index/", "/index2/", "/echo", "/chat/", "/chat/lobby/"] {
        let reply = client.get(path);
        assert_eq!(reply.header("content-security-policy"), Some(policy), "{path}");
        assert_eq!(reply.header("referrer-policy"), Some("no-referrer"), "{path}");
        assert_eq!(reply.header("cache-control"), Some("no-cache"), "{path}");
    }
}

#[test]
fn pages_name_the_version_and_the_address_asked_for() {
    let program = Program::serve(&[]);
    let host = format!("localhost:{}", program.addresses[0].port());
    let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let reply = program.connect().ask(head);
    assert!(reply.text().contains(&format!("<code id=\"address\">{host}</code>")));
    let version = concat!("<span id=\"version\">", env!("CARGO_PKG_VERSION"), "</span>");
    assert!(reply.text().contains(version));
    for path in ["/index/", "/index2/", "/chat/"] {
        assert!(reply.text().contains(&format!("class=\"card door\" href=\"{path}\"")), "{path}");
    }
}

#[test]
fn a_request_without_a_host_gets_the_page_too() {
    let program = Program::serve(&[]);
    let reply = program.connect().ask("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(reply.status, 200);
}

#[test]
fn echo_by_http_gives_back_text_as_text() {
    let program = Program::serve(&[]);
    let mut client = program.connect();
    for (query, text) in [
        ("hello", "hello"),
        ("%E4%BD%A0%E5%A5%BD", "你好"),
        ("a+b%2B%26%3D", "a b+&="),
        ("%3Cscript%3Ealert(1)%3C/script%3E", "<script>alert(1)</script>"),
        ("a%0D%0ASet-Cookie:%20x=y", "a\r\nSet-Cookie: x=y"),
        ("first&message=second", "first"),
    ] {
        let reply = client.get(&format!("/echo?message={query}"));
        assert_eq!((reply.status, reply.text()), (200, text), "{query}");
        assert_eq!(reply.header("content-type"), Some(TEXT));
        assert_eq!(reply.header("set-cookie"), None);
    }
    for query in ["%FF", "%00"] {
        assert_eq!(program.connect().get(&format!("/echo?message={query}")).status, 400);
    }
}

#[test]
fn only_get_and_head_are_served() {
    let program = Program::serve(&[]);
    let mut client = program.connect();
    let pages = ["/", "/index/", "/index2/", "/echo", "/chat/", "/chat/lobby/"];
    for path in pages.into_iter().chain(["/static/landline.js", "/favicon.ico"]) {
        let get = client.get(path);
        client.send(format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        let head = client.reply_to("HEAD");
        assert_eq!(
            (head.status, head.header("content-length")),
            (200, get.header("content-length"))
        );
        let post = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
        let reply = client.ask(post);
        assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD, OPTIONS")));
    }
}

#[test]
fn echo_once_answers_once_and_closes() {
    let program = Program::serve(&[]);
    let mut client = program.websocket("/echo_once");
    client.send_text("你好");
    client.send_text("more");
    assert_eq!(client.expect_text(), "你好");
    assert_eq!(client.expect_close(), (1000, String::new()));
    client.send_close(1000, "");
    client.expect_end();
}

#[test]
fn echo_answers_all_in_order_and_in_kind() {
    let program = Program::serve(&[]);
    let mut client = program.websocket("/echo");
    for number in 0..100 {
        client.send_text(&format!("message {number}"));
    }
    for number in 0..100 {
        assert_eq!(client.expect_text(), format!("message {number}"));
    }
    client.send_binary(&[0, 159, 255]);
    assert_eq!(client.expect_binary(), [0, 159, 255]);
    client.send_text("");
    assert_eq!(client.expect_text(), "");
    client.send_close(1000, "bye");
    assert_eq!(client.expect_close(), (1000, "bye".to_owned()));
    client.expect_end();
}

#[test]
fn facilities_take_listeners_and_deny_publishing() {
    let program = Program::serve(&[]);
    for path in ["/ws/chatroom/", "/ws/chat/", "/ws/a%20b?subscribe-broadcast&echo"] {
        let mut client = program.websocket(path);
        client.send_text("hello");
        assert_eq!(client.answer_close().0, 1008, "{path}");
    }
    // Below the path of the chat's sockets there are only these.
    let head = crate::harness::Client::handshake_head("/ws/chat/a/b/");
    assert_eq!(program.connect().ask(head).status, 404);
    for flag in ["publish-broadcast", "publish-user", "subscribe-user"] {
        let head = crate::harness::Client::handshake_head(&format!("/ws/chatroom/?{flag}"));
        assert_eq!(program.connect().ask(head).status, 403, "{flag}");
    }
}

#[test]
fn pages_do_not_speak_websocket() {
    let program = Program::serve(&[]);
    let head = crate::harness::Client::handshake_head("/index/");
    let reply = program.connect().ask(head);
    assert_eq!((reply.status, reply.header("content-type")), (400, Some(TEXT)));
}
