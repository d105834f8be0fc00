//! Text in requests: paths, queries and cookies, decoded or refused, never a 5xx.

use landline::{Cookie, Request, Response, Server};

use crate::harness::Running;

fn server() -> Running {
    let routes = Server::builder()
        .route("/q", |request: &Request| {
            let all: Vec<&str> = request.query_all("a").collect();
            format!("{:?} {all:?}", request.query("a"))
        })
        .route("/cookie", |request: &Request| format!("{:?}", request.cookie("a")))
        .route("/set", |_: &Request| {
            let cookie = Cookie::build(("a", "1")).path("/").http_only(true).build();
            Response::text("set").with_cookie(cookie).with_cookie(Cookie::new("b", "2"))
        })
        .route("/go", |_: &Request| Response::redirect("/there?q=\u{4f60} \"<>"))
        .route("/", |request: &Request| request.path().to_owned())
        .route("/<path:rest>", |request: &Request| request.path().to_owned());
    Running::start(routes)
}

#[test]
fn queries_are_decoded() {
    let server = server();
    let mut client = server.connect();
    let rows = [
        ("/q?a=hello", r#"Some("hello") ["hello"]"#),
        ("/q?a=%E4%BD%A0%e5%a5%bd", r#"Some("你好") ["你好"]"#),
        ("/q?a=a+b%20c%2B", r#"Some("a b c+") ["a b c+"]"#),
        ("/q?%61=1&a=2&b=3&a=", r#"Some("1") ["1", "2", ""]"#),
        ("/q?a", r#"Some("") [""]"#),
        ("/q?&&=&a=b=c&", r#"Some("b=c") ["b=c"]"#),
        ("/q?a=100%", r#"Some("100%") ["100%"]"#),
        ("/q?a=%zz%4", r#"Some("%zz%4") ["%zz%4"]"#),
        ("/q?a=%26%3D%23%3f", r##"Some("&=#?") ["&=#?"]"##),
        ("/q?a=%0d%0a", r#"Some("\r\n") ["\r\n"]"#),
        ("/q?a=?/../", r#"Some("?/../") ["?/../"]"#),
        ("/q?A=1", "None []"),
        ("/q?", "None []"),
        ("/q", "None []"),
    ];
    for (target, expected) in rows {
        let reply = client.get(target);
        assert_eq!((reply.status, reply.text()), (200, expected), "{target}");
    }
}

#[test]
fn queries_that_are_no_text_are_refused() {
    let server = server();
    let many = format!("/q?{}", "a&".repeat(1001));
    for target in ["/q?a=%ff", "/q?%c3=1", "/q?a=%00", "/q?a=%ed%a0%80", "/q?a%e4=%bd%a0", &many] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(server.connect().refused(request).status, 400, "{target}");
    }
    assert_eq!(server.connect().get(&format!("/q?{}", "b&".repeat(1000))).text(), "None []");
}

#[test]
fn paths_are_decoded() {
    let server = server();
    let mut client = server.connect();
    let rows = [
        ("/", "/"),
        ("/?", "/"),
        ("/a%20b+c", "/a b+c"),
        ("/%E4%BD%A0", "/你"),
        ("/a%2Fb", "/a/b"),
        ("/%25%32%65", "/%2e"),
        ("/.hidden/...", "/.hidden/..."),
        ("/a..b/..c", "/a..b/..c"),
        ("/a:b@c;d=e,f!$&'()*~", "/a:b@c;d=e,f!$&'()*~"),
    ];
    for (target, expected) in rows {
        let reply = client.get(target);
        assert_eq!((reply.status, reply.text()), (200, expected), "{target}");
    }
}

#[test]
fn a_path_never_leaves_its_tree() {
    let server = server();
    let bad = [
        "/..",
        "/../etc/passwd",
        "/a/../../b",
        "/./a",
        "/a/.",
        "/%2e%2e/etc/passwd",
        "/%2E%2e%2Fetc",
        "/.%2e/a",
        "/a%2f..%2f..%2fb",
        "/..%5c..%5cetc",
        "/a\\..\\b",
        "/%5C",
        "/%00",
        "/a%00.html",
        "/%0d%0aSet-Cookie:%20a=1",
        "/%1b%5b31m",
        "/%7f",
        "/%c0%ae%c0%ae/",
        "/%e0%80%ae",
        "/%ff",
        "/%",
        "/%4",
        "/%u002e",
    ];
    for target in bad {
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let reply = server.connect().refused(request);
        assert_eq!(reply.status, 400, "{target}");
        assert!(!reply.text().contains(target), "what was asked is not repeated");
    }
    assert_eq!(server.connect().get("/etc/passwd").text(), "/etc/passwd");
}

#[test]
fn an_absolute_target_is_a_path_on_its_host() {
    let server = server();
    let request = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut client = server.connect();
    for (target, path) in [
        ("http://localhost/a/b?c", "/a/b"),
        ("http://127.0.0.1:8000", "/"),
        ("HTTP://LOCALHOST?a", "/"),
        ("ws://localhost/%20", "/ "),
    ] {
        assert_eq!(client.ask(request(target)).text(), path);
    }
    for target in ["http://", "http:///a", "ftp://localhost/", "http://a b/", "http://u@localhost/"]
    {
        assert_eq!(server.connect().refused(request(target)).status, 400, "{target}");
    }
    let foreign = server.connect().refused(request("http://evil.example/"));
    assert_eq!(foreign.status, 421, "the host of the target counts, not the line");
}

#[test]
fn cookies_come_and_go() {
    let server = server();
    let mut client = server.connect();
    let ask = |lines: &str| format!("GET /cookie HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n");
    for (lines, expected) in [
        ("Cookie: a=1; b=2\r\n", r#"Some("1")"#),
        ("Cookie: b=2;a=\"x y\"\r\n", r#"Some("x y")"#),
        ("Cookie: b=2\r\nCookie: a=3=4\r\n", r#"Some("3=4")"#),
        ("Cookie: a=%E4; a=2\r\n", r#"Some("%E4")"#),
        ("Cookie: ;;=; a ; A=1\r\n", "None"),
        ("Cookie:\r\n", "None"),
        ("", "None"),
    ] {
        assert_eq!(client.ask(ask(lines)).text(), expected, "{lines}");
    }
    let reply = client.get("/set");
    let cookies: Vec<&str> =
        reply.head.lines().filter(|line| line.starts_with("Set-Cookie")).collect();
    assert_eq!(cookies, ["Set-Cookie: a=1; HttpOnly; Path=/", "Set-Cookie: b=2"]);
}

#[test]
fn a_redirect_is_ascii() {
    let server = server();
    let reply = server.connect().get("/go");
    let place = "/there?q=%E4%BD%A0%20%22%3C%3E";
    assert_eq!((reply.status, reply.header("location")), (302, Some(place)));
}
