//! From a path to its handler: patterns, methods, failures of handlers, hosts and addresses.

use std::net::TcpListener;

use landline::{
    Error, ErrorKind, Handler, Method, Request, Response, Result, Server, delete, get, patch, put,
};

use crate::harness::{Client, Running, eventually};
use crate::logbook;

fn shown(name: &'static str) -> impl Handler {
    move |request: &Request| {
        let value = ["a", "b"].map(|name| request.param(name).unwrap_or("-").to_owned());
        format!("{name} {} {}", value[0], value[1])
    }
}

#[test]
fn parameters_take_what_their_kind_allows() {
    let routes = Server::builder()
        .route("/str/<a>", shown("str"))
        .route("/both/<str:a>/x/<int:b>", shown("both"))
        .route("/int/<int:a>", shown("int"))
        .route("/slug/<slug:a>", shown("slug"))
        .route("/uuid/<uuid:a>", shown("uuid"))
        .route("/mixed/user-<int:a>.json", shown("mixed"))
        .route("/path/<path:a>", shown("path"));
    let server = Running::start(routes);
    let mut client = server.connect();
    let id = "0123abcd-0123-4567-89AB-0123456789ab";
    let uuid = format!("/uuid/{id}");
    let rows = [
        ("/str/%E4%BD%A0%20%2B", "str 你 + -"),
        ("/both/x/x/7", "both x 7"),
        ("/int/18446744073709551615", "int 18446744073709551615 -"),
        ("/int/007", "int 007 -"),
        ("/slug/a-B_9", "slug a-B_9 -"),
        (&uuid, &format!("uuid {id} -")),
        ("/mixed/user-42.json", "mixed 42 -"),
        ("/path/a/b//c", "path a/b//c -"),
    ];
    for (target, expected) in rows {
        assert_eq!(client.get(target).text(), expected, "{target}");
    }
    let short = format!("/uuid/{}", &id[1..]);
    let missing = [
        "/str/",
        "/str",
        "/str/a/b",
        "/str/a%2Fb",
        "/both/x/x/y",
        "/int/18446744073709551616",
        "/int/-1",
        "/int/+1",
        "/int/1a",
        "/int/%D9%A1",
        "/slug/a.b",
        "/slug/%C3%A4",
        "/uuid/x",
        &short,
        "/mixed/user-.json",
        "/mixed/user-4.jsonx",
        "/path/",
        "/STR/a",
        "//str/a",
        "/str/a//",
        "/",
    ];
    for target in missing {
        let reply = client.get(target);
        assert_eq!((reply.status, reply.header("connection")), (404, None), "{target}");
    }
}

#[test]
fn a_trailing_slash_is_optional_both_ways() {
    let routes = Server::builder()
        .route("/", |_: &Request| "root")
        .route("/with/", |_: &Request| "with")
        .route("/without", |_: &Request| "without")
        .route("/chat/<a>/", shown("chat"))
        .route("/files/<path:a>/", shown("files"));
    let server = Running::start(routes);
    let mut client = server.connect();
    for (target, expected) in [
        ("/", "root"),
        ("/with", "with"),
        ("/with/", "with"),
        ("/without/", "without"),
        ("/without?a=/", "without"),
        ("/chat/x", "chat x -"),
        ("/chat/x/", "chat x -"),
        ("/files/a/b", "files a/b -"),
        ("/files/a/b/", "files a/b -"),
    ] {
        assert_eq!(client.get(target).text(), expected, "{target}");
    }
    assert_eq!(client.get("/with//").status, 404);
}

#[test]
fn the_first_route_that_fits_serves() {
    let routes = Server::builder()
        .route("/a/me", shown("me"))
        .route("/a/<int:a>", shown("int"))
        .route("/a/<a>", shown("str"))
        .route("/<path:a>", shown("rest"));
    let server = Running::start(routes);
    let mut client = server.connect();
    for (target, expected) in [
        ("/a/me", "me - -"),
        ("/a/7", "int 7 -"),
        ("/a/seven", "str seven -"),
        ("/a/b/c", "rest a/b/c -"),
    ] {
        assert_eq!(client.get(target).text(), expected, "{target}");
    }
}

#[test]
fn a_wrong_pattern_is_named_by_bind() {
    let bad = [
        "chat",
        "",
        "/a//b",
        "/<>",
        "/<1a>",
        "/<a-b>",
        "/<float:a>",
        "/<a",
        "/a>",
        "/<a><b>",
        "/<path:a>/b",
        "/x<path:a>",
        "/<a>/<a>",
        "/a?b",
        "/a#b",
        "/..",
        "/a\\b",
        "/%41",
    ];
    for pattern in bad {
        let error = Server::builder().route(pattern, |_: &Request| "").bind("127.0.0.1:0");
        let error = error.expect_err(pattern);
        assert_eq!(error.kind(), ErrorKind::Config, "{pattern}");
        assert!(error.to_string().contains(&format!("{pattern:?}")), "{pattern}: {error}");
    }
    for [first, second] in [["/a", "/a/"], ["/<a>", "/<str:b>"], ["/x/<int:a>/", "/x/<int:b>"]] {
        let routes = Server::builder().route(first, shown("")).route(second, shown(""));
        let error = routes.bind("127.0.0.1:0").expect_err(second);
        assert_eq!(error.kind(), ErrorKind::Config);
        let text = error.to_string();
        assert!(text.contains(first) && text.contains(second), "{text}");
    }
}

#[test]
fn each_method_has_its_handler() {
    let methods = get(|_: &Request| "got")
        .post(|_: &Request| "posted")
        .put(|_: &Request| "put")
        .on("PURGE".parse().unwrap(), |_: &Request| "purged");
    let routes = Server::builder()
        .route("/", methods)
        .route(
            "/own",
            get(|_: &Request| "got").on(Method::Head, |_: &Request| Response::empty(204)),
        )
        .route("/change", patch(|_: &Request| "patched").delete(|_: &Request| "deleted"))
        .route("/put", put(|_: &Request| "put"))
        .route("/delete", delete(|_: &Request| "deleted"))
        .route("/any", |request: &Request| request.method().to_string());
    let server = Running::start(routes);
    let mut client = server.connect();
    let ask = |client: &mut Client, method: &str, target: &str| {
        client.send(format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        client.reply_to(method)
    };
    for (method, target, expected) in [
        ("GET", "/", "got"),
        ("POST", "/", "posted"),
        ("PUT", "/", "put"),
        ("PURGE", "/", "purged"),
        ("PATCH", "/change", "patched"),
        ("DELETE", "/change", "deleted"),
        ("PUT", "/put", "put"),
        ("DELETE", "/delete", "deleted"),
        ("TRACE", "/any", "TRACE"),
        ("BREW", "/any", "BREW"),
        ("OPTIONS", "/any", "OPTIONS"),
    ] {
        assert_eq!(ask(&mut client, method, target).text(), expected, "{method} {target}");
    }
    let refused = ask(&mut client, "DELETE", "/");
    let allow = "GET, POST, PUT, PURGE, HEAD, OPTIONS";
    assert_eq!((refused.status, refused.header("allow")), (405, Some(allow)));
    assert_eq!(ask(&mut client, "HEAD", "/").header("content-length"), Some("3"));
    assert_eq!(ask(&mut client, "HEAD", "/own").status, 204);
    assert_eq!(ask(&mut client, "HEAD", "/change").status, 405);
    assert_eq!(client.get("/").text(), "got");
}

#[test]
fn a_failing_handler_is_answered_500_and_logged() {
    logbook::open();
    let fail = |_: &Request| -> Result<Response> { Err(Error::other("the till 4711 is empty")) };
    let routes = Server::builder().route("/fail", fail).route("/", |_: &Request| "here");
    let server = Running::start(routes);
    let mut client = server.connect();
    let reply = client.get("/fail");
    assert_eq!((reply.status, reply.header("connection")), (500, None));
    assert_eq!(reply.text(), "Something went wrong on the server.\n");
    assert_eq!(client.get("/").text(), "here", "the connection goes on");
    let peer = client.stream.local_addr().unwrap().to_string();
    let lines = logbook::lines_with(&["ERROR", "conn-", &peer, "the till 4711 is empty"]);
    assert_eq!(lines.len(), 1, "{lines:?}");
}

#[test]
fn a_panicking_handler_costs_its_connection_only() {
    logbook::open();
    let routes = Server::builder()
        .route("/panic", |request: &Request| -> String {
            panic!("panic {} in a handler, as it should in this test", request.query("n").unwrap())
        })
        .route("/", |_: &Request| "here");
    let server = Running::start(routes);
    let mut other = server.connect();
    assert_eq!(other.get("/").text(), "here");
    for n in 0..5 {
        let target = format!("/panic?n=4712-{n}");
        let reply =
            server.connect().refused(format!("GET {target} HTTP/1.1\r\nHost: a.localhost\r\n\r\n"));
        assert_eq!((reply.status, reply.text()), (500, "Something went wrong on the server.\n"));
        let words = format!("panic 4712-{n} in a handler");
        assert_eq!(logbook::lines_with(&["ERROR", &words]).len(), 1);
    }
    assert_eq!(other.get("/").text(), "here");
    eventually("only one connection is left", || server.handle.connections() == 1);
}

#[test]
fn what_a_handler_may_not_answer_becomes_500() {
    let routes = Server::builder()
        .route("/", |_: &Request| "here")
        .route("/marker", |_: &Request| Response::closed())
        .route("/status", |_: &Request| Response::text("x").with_status(101))
        .route("/number", |_: &Request| Response::empty(999))
        .route("/length", |_: &Request| Response::text("x").with_header("Content-Length", "99"))
        .route("/coding", |_: &Request| {
            Response::text("x").with_header("Transfer-Encoding", "chunked")
        })
        .route("/template", |request: &Request| request.render("missing.html", ()));
    let server = Running::start(routes);
    for target in ["/marker", "/status", "/number", "/length", "/coding", "/template"] {
        let reply = server.connect().get(target);
        let text = "Something went wrong on the server.\n";
        assert_eq!((reply.status, reply.text()), (500, text), "{target}");
    }
    assert_eq!(server.connect().get("/").text(), "here");
}

#[test]
fn several_listeners_serve_the_same_routes() {
    let server = Server::builder().route("/", |_: &Request| "here").bind("127.0.0.1:0").unwrap();
    let server = server.bind("127.0.0.1:0").unwrap().bind("127.0.0.2:0").unwrap();
    let (addresses, handle) = (server.local_addrs(), server.handle());
    assert_eq!(addresses.len(), 3);
    assert!(addresses.iter().all(|address| address.port() != 0));
    let thread = std::thread::spawn(move || server.run());
    for address in &addresses {
        assert_eq!(Client::new(*address).get("/").text(), "here");
    }
    handle.stop();
    thread.join().unwrap().unwrap();
    for address in addresses {
        assert!(std::net::TcpStream::connect(address).is_err(), "{address} is free again");
    }
}

#[test]
fn an_address_that_cannot_be_had_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let bind = |address: &str| Server::builder().bind(address).expect_err(address);
    for address in [taken.as_str(), "192.0.2.1:8000"] {
        let error = bind(address);
        assert_eq!(error.kind(), ErrorKind::Bind);
        assert_eq!(error.to_string(), format!("cannot listen on {address}"));
        assert!(error.chain().len() > error.to_string().len(), "the reason is there too");
    }
    for address in ["127.0.0.1", "127.0.0.1:x", "127.0.0.1:65536", "", "[::1:80"] {
        let error = bind(address);
        assert_eq!(error.kind(), ErrorKind::Bind, "{address}");
        assert!(error.to_string().contains(&format!("{address:?}")), "{error}");
    }
    let server = Server::builder().bind("127.0.0.1:0").unwrap();
    let error = server.bind(taken.as_str()).expect_err("taken");
    assert_eq!(error.kind(), ErrorKind::Bind);
}
