//! Who may come in, whoever finds it out: what is covered, what a refusal is, who is asked.

use std::time::{Duration, SystemTime};

use landline::{
    Admission, Auth, Builder, Consumer, Context, Denial, Error, Hub, Identity, Networks, Origins,
    PublishApi, Request, Result, Server, TrustedHeader, Verdict, accept_websocket, consumer,
    facility, get, require_websocket,
};

use crate::harness::{Client, PATIENCE, Reply, Running, echo};

/// Knows `X-User`; `-` is nobody.
fn by_name(request: &Request) -> Result<Verdict> {
    Ok(match request.header("x-user") {
        None => Verdict::NotMine,
        Some("-") => Verdict::Refused(Denial::unauthorized("Nobody has this name.")),
        Some("banned") => Verdict::Refused(Denial::forbidden("You are banned.")),
        Some("broken") => return Err(Error::other("the book burns: hunter2")),
        Some("panic") => panic!("on purpose"),
        Some("over") => {
            let past = SystemTime::now() - Duration::from_secs(1);
            Verdict::Known(Identity::default().user("over").with_expiry(past))
        }
        Some(name) => Verdict::Known(Identity::default().user(name).groups(["g1"]).session("s1")),
    })
}

/// Knows `X-Badge`, and says what it asks for.
struct ByBadge;

impl landline::Authenticator for ByBadge {
    fn authenticate(&self, request: &Request) -> Result<Verdict> {
        let badge = request.header("x-badge");
        Ok(badge.map_or(Verdict::NotMine, |badge| match badge {
            "4711" => Verdict::Known(Identity::default().user("badge")),
            _ => Verdict::Refused(Denial::unauthorized("This badge is not known.")),
        }))
    }

    fn challenge(&self) -> Option<String> {
        Some("Badge realm=\"door\"".into())
    }
}

fn name(request: &Request) -> String {
    request.identity().and_then(Identity::name).unwrap_or("nobody").to_owned()
}

fn hello(request: &Request) -> String {
    format!("hello {}", name(request))
}

fn greet(request: &Request, ws: &landline::WebSocket) -> Result<()> {
    ws.send(hello(request))?;
    echo(request, ws)
}

fn routes() -> Builder {
    Server::builder()
        .route("/", get(hello))
        .route("/both", accept_websocket(|request: &Request| hello(request)))
        .route("/ws", require_websocket(greet))
        .route("/echo", require_websocket(echo).authenticate(Auth::open()))
        .route("/open", get(hello).authenticate(Auth::open()))
        .route("/badge", get(hello).authenticate(ByBadge))
        .route("/post", get(hello).post(|request: &Request| hello(request)))
}

fn with(head: &str, line: &str) -> String {
    head.replacen("\r\n", &format!("\r\n{line}\r\n"), 1)
}

fn ask(server: &Running, path: &str, line: &str) -> Reply {
    let line = if line.is_empty() { String::new() } else { format!("{line}\r\n") };
    server.connect().ask(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{line}\r\n"))
}

fn handshake(server: &Running, path: &str, line: &str) -> (Client, Reply) {
    let mut client = server.connect();
    let reply = client.ask(with(&Client::handshake_head(path), line));
    (client, reply)
}

#[test]
fn nobody_comes_in_unknown_neither_by_http_nor_by_websocket() {
    let server = Running::start(routes().authenticate(Auth::new(by_name).or(ByBadge)));
    for path in ["/", "/both", "/ws", "/post"] {
        let reply = ask(&server, path, "");
        assert_eq!(reply.status, 401, "{path}");
        assert_eq!(reply.header("www-authenticate"), Some("Badge realm=\"door\""), "{path}");
    }
    let (mut client, reply) = handshake(&server, "/ws", "X-Other: 1");
    assert_eq!(reply.status, 401);
    assert_eq!(reply.text(), "You have to say who you are to come in here.\n");
    // The connection goes on, and the next handshake may be a better one.
    let reply = client.ask(with(&Client::handshake_head("/ws"), "X-User: anna"));
    assert_eq!(reply.status, 101);
    assert_eq!(client.expect_text(), "hello anna");
    assert_eq!(ask(&server, "/", "X-User: anna").text(), "hello anna");
    assert_eq!(ask(&server, "/", "X-Badge: 4711").text(), "hello badge");
    // What is not there is not for them to hide.
    assert_eq!(ask(&server, "/nothing", "").status, 404);
}

#[test]
fn the_first_that_finds_credentials_decides() {
    let server = Running::start(routes().authenticate(Auth::new(by_name).or(ByBadge)));
    let both = "X-User: anna\r\nX-Badge: 4711";
    assert_eq!(ask(&server, "/", both).text(), "hello anna");
    let reply = ask(&server, "/", "X-User: -\r\nX-Badge: 4711");
    assert_eq!(
        (reply.status, reply.header("www-authenticate")),
        (403, None),
        "it asks for nothing"
    );
    let reply = ask(&server, "/", "X-Badge: 1");
    assert_eq!(reply.status, 401);
    assert_eq!(reply.header("www-authenticate"), Some("Badge realm=\"door\""));
    assert_eq!(reply.text(), "This badge is not known.\n");
    assert_eq!(ask(&server, "/", "X-User: banned").status, 403);
}

#[test]
fn a_route_has_its_own_rule_and_an_open_one_asks_nobody() {
    let server = Running::start(routes().authenticate(by_name));
    assert_eq!(ask(&server, "/open", "X-User: banned").text(), "hello nobody");
    assert_eq!(ask(&server, "/badge", "X-User: anna").status, 401);
    assert_eq!(ask(&server, "/badge", "X-Badge: 4711").text(), "hello badge");
    server.serves_the_next();
}

#[test]
fn optional_lets_strangers_in_and_wrong_credentials_not() {
    let server = Running::start(routes().authenticate(Auth::new(by_name).optional()));
    assert_eq!(ask(&server, "/", "").text(), "hello nobody");
    assert_eq!(ask(&server, "/", "X-User: anna").text(), "hello anna");
    assert_eq!(ask(&server, "/", "X-User: -").status, 403);
    assert_eq!(handshake(&server, "/ws", "X-User: -").1.status, 403);
    assert_eq!(handshake(&server, "/ws", "X-Other: 1").1.status, 101);
}

#[test]
fn it_can_be_for_some_paths_only() {
    let server = Running::start(routes().authenticate(Auth::new(by_name).under(["/ws", "/both/"])));
    assert_eq!(ask(&server, "/", "").status, 200);
    for path in ["/ws", "/ws/", "/both", "/%62oth"] {
        assert_eq!(ask(&server, path, "").status, 403, "{path}");
    }
}

#[test]
fn what_cannot_be_found_out_is_refused() {
    let server = Running::start(routes().authenticate(by_name));
    let reply = ask(&server, "/", "X-User: broken");
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")));
    assert!(!reply.text().contains("hunter2"), "{}", reply.text());
    assert_eq!(handshake(&server, "/ws", "X-User: broken").1.status, 503);
    assert_eq!(ask(&server, "/", "X-User: panic").status, 500);
    assert_eq!(ask(&server, "/", "X-User: over").status, 403);
    server.serves_the_next();
    assert_eq!(ask(&server, "/", "X-User: anna").text(), "hello anna");
}

#[test]
fn a_page_of_elsewhere_cannot_act_in_somebodys_name() {
    let origins = Origins::list(["https://friend.example"]).unwrap();
    let server = Running::start(routes().origins(origins).authenticate(by_name));
    let post = |line: &str| {
        let head = format!(
            "POST /post HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nX-User: anna\r\n{line}\r\n"
        );
        server.connect().ask(head).status
    };
    assert_eq!(post("Origin: https://evil.example\r\n"), 403);
    assert_eq!(post("Origin: null\r\n"), 403);
    assert_eq!(post("Origin: https://friend.example\r\n"), 200);
    assert_eq!(post("Origin: http://localhost\r\n"), 200);
    assert_eq!(post(""), 200);
    assert_eq!(ask(&server, "/post", "X-User: anna\r\nOrigin: https://evil.example").status, 200);
    let line = "X-User: anna\r\nOrigin: https://evil.example";
    assert_eq!(handshake(&server, "/ws", line).1.status, 403);
}

#[test]
fn a_handshake_may_have_to_name_its_page() {
    let server = Running::start(routes().origins(Origins::same_host().and_required()));
    let shake = |line: &str| handshake(&server, "/ws", line).1.status;
    assert_eq!(shake("X: y"), 403);
    assert_eq!(shake("Origin: http://localhost"), 101);
    assert_eq!(shake("Origin: https://evil.example"), 403);
    assert_eq!(ask(&server, "/", "").status, 200, "plain HTTP is no handshake");
}

#[test]
fn publishing_is_for_its_own_key_to_say() {
    let key = "0123456789abcdef";
    let builder = routes().route("/publish", PublishApi::with_key(key).unwrap());
    let server = Running::start(builder.authenticate(by_name));
    let body = "everybody=true&message=x";
    let reply = server.connect().ask(format!(
        "POST /publish HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    assert_eq!(reply.status, 200, "{}", reply.text());
}

#[test]
fn who_may_come_in_can_be_changed_while_it_runs() {
    let server = Running::start(routes());
    let mut early = server.websocket("/ws");
    assert_eq!(early.expect_text(), "hello nobody");
    server.handle.reload_auth(Some(Auth::new(by_name)));
    assert_eq!(ask(&server, "/", "").status, 403);
    early.expect_echo("whoever is in stays");
    server.handle.reload_auth(None);
    assert_eq!(ask(&server, "/", "").status, 200);
}

/// Tells who its client is.
struct Teller;

impl Consumer for Teller {
    fn connect(&mut self, ctx: &Context<'_>) -> Result<Admission> {
        let identity = ctx.request().identity();
        Ok(match identity.filter(|identity| identity.is_in("g1")) {
            Some(_) => Admission::accept(),
            None => Admission::reject(),
        })
    }

    fn receive_text(&mut self, ctx: &Context<'_>, _text: &str) -> Result<()> {
        ctx.send(name(ctx.request()))
    }
}

#[test]
fn a_consumer_and_a_facility_know_who_it_is() {
    let hub = Hub::new();
    let builder = Server::builder()
        .hub(hub.clone())
        .route("/consumer", consumer(|_| Teller).authenticate(Auth::new(by_name).or(ByBadge)))
        .route("/news/<facility>/", facility().authenticate(by_name));
    let server = Running::start(builder);
    let (mut client, reply) = handshake(&server, "/consumer", "X-User: anna");
    assert_eq!(reply.status, 101);
    client.send_text("who?");
    assert_eq!(client.expect_text(), "anna");
    assert_eq!(handshake(&server, "/consumer", "X-Badge: 4711").1.status, 403);
    let path = "/news/x/?subscribe-user&subscribe-group&subscribe-session";
    assert_eq!(handshake(&server, path, "X-Other: 1").1.status, 403);
    let (mut client, reply) = handshake(&server, path, "X-User: anna");
    assert_eq!(reply.status, 101);
    for publisher in [
        hub.publisher("x").users(["anna"]),
        hub.publisher("x").groups(["g1"]),
        hub.publisher("x").sessions(["s1"]),
    ] {
        publisher.send("for you").unwrap();
        assert_eq!(client.expect_text(), "for you");
    }
}

#[test]
fn a_header_counts_if_the_proxy_sends_it() {
    let trusting = |proxies: &[&str]| {
        let proxies = Networks::list(proxies).unwrap();
        let header = TrustedHeader::new("X-Remote-User", proxies).unwrap();
        let header = header.groups_header("X-Remote-Groups").unwrap();
        Running::start(routes().authenticate(Auth::new(header).optional()))
    };
    let server = trusting(&["10.0.0.0/8", "127.0.0.1"]);
    assert_eq!(ask(&server, "/", "X-Remote-User: anna").text(), "hello anna");
    assert_eq!(ask(&server, "/", "x-remote-user:  Änne ").text(), "hello Änne");
    assert_eq!(ask(&server, "/", "X-Remote-User:").text(), "hello nobody");
    assert_eq!(ask(&server, "/", "X-Remote-Groups: a, b").text(), "hello nobody");
    let twice = "X-Remote-User: anna\r\nX-Remote-User: ben";
    assert_eq!(ask(&server, "/", twice).status, 403);
    let too_long = format!("X-Remote-User: {}", "x".repeat(257));
    assert_eq!(ask(&server, "/", &too_long).status, 403);
    let others = trusting(&["10.0.0.0/8", "::1"]);
    assert_eq!(ask(&others, "/", "").text(), "hello nobody");
    for forged in ["X-Remote-User: anna", "X-Remote-User:", "X-Remote-Groups: admins"] {
        assert_eq!(ask(&others, "/", forged).status, 403, "{forged}");
        assert_eq!(handshake(&others, "/ws", forged).1.status, 403, "{forged}");
    }
    assert!(TrustedHeader::new("X Y", Networks::none()).is_err());
}

#[test]
fn a_proxy_behind_a_unix_socket_is_named_by_its_word() {
    use std::io::{Read, Write};
    for (proxies, status) in [("unix", "200"), ("127.0.0.1", "403"), ("0.0.0.0/0", "403")] {
        let path = format!("landline-header-{}-{}", std::process::id(), proxies.len());
        let path = std::env::temp_dir().join(path);
        let header = TrustedHeader::new("X-Remote-User", proxies.parse().unwrap()).unwrap();
        let server = routes().authenticate(header).bind_unix(&path, 0o600).unwrap();
        let handle = server.handle();
        let thread = std::thread::spawn(move || server.run());
        let mut stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Remote-User: anna\r\n\r\n";
        stream.write_all(head).unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer[9..], status.as_bytes(), "{proxies}");
        handle.stop_now();
        thread.join().unwrap().unwrap();
        let _ = std::fs::remove_file(path);
    }
}
