//! Settings that are changed while a server runs: who has begun ends with what it began with.

use landline::{Config, Origins, PublishApi, Request, Server, Templates, require_websocket};

use crate::harness::{Client, Running, echo, eventually, patient};

fn server(config: Config) -> Running {
    let templates = Templates::new().with_source("page.html", "old").unwrap();
    let builder = Server::builder()
        .config(config)
        .templates(templates)
        .route("/", |_: &Request| "here")
        .route("/body", body_length)
        .route("/page", |request: &Request| request.render("page.html", ()))
        .route("/ws", require_websocket(echo));
    Running::start(builder)
}

fn body_length(request: &Request) -> landline::Result<String> {
    Ok(request.body()?.len().to_string())
}

fn handshake(origin: &str, host: &str) -> String {
    let head = Client::handshake_head("/ws");
    head.replace("Host: localhost", &format!("Host: {host}\r\nOrigin: {origin}"))
}

#[test]
fn limits_count_for_connections_to_come() {
    let server = server(patient().with_message_bytes(4));
    let mut open = server.websocket("/ws");
    server.handle.reload_config(patient().with_message_bytes(8));
    let mut next = server.websocket("/ws");
    next.expect_echo("12345678");
    open.expect_echo("1234");
    open.send_text("12345");
    assert_eq!(open.expect_close().0, 1009, "it keeps what it began with");
    next.send_text("123456789");
    assert_eq!(next.expect_close().0, 1009);
}

#[test]
fn a_connection_with_old_limits_ends_with_its_next_answer() {
    let server = server(patient());
    let mut kept = server.connect();
    assert_eq!(kept.get("/").header("connection"), None);
    server.handle.reload_config(patient());
    assert_eq!(kept.get("/").header("connection"), None, "the same limits change nothing");
    server.handle.reload_config(patient().with_body_bytes(4711));
    let reply = kept.get("/");
    assert_eq!((reply.text(), reply.header("connection")), ("here", Some("close")));
    kept.expect_end();
    let mut next = server.connect();
    assert_eq!(next.get("/").header("connection"), None);
    assert_eq!(next.get("/").text(), "here");
}

/// nginx, for one, asks for a WebSocket on a connection that it has kept from requests before.
#[test]
fn a_connection_from_before_asks_for_a_websocket_with_the_limits_in_force() {
    let server = server(patient().with_message_bytes(4).with_body_bytes(4));
    let mut kept = server.connect();
    kept.get("/");
    let mut silent = server.connect();
    let mut posts = server.connect();
    posts.get("/");
    server.handle.reload_config(patient().with_message_bytes(9).with_body_bytes(9));
    // Once more, so that what the connection began with is two reloads away.
    server.handle.reload_config(patient().with_message_bytes(8).with_body_bytes(8));
    for client in [&mut kept, &mut silent] {
        assert_eq!(client.ask(Client::handshake_head("/ws")).status, 101);
        client.expect_echo("12345678");
        client.send_text("123456789");
        assert_eq!(client.expect_close().0, 1009);
    }
    let body = "POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\n12345678";
    assert_eq!(posts.ask(body).text(), "8");
}

#[test]
fn the_limit_of_connections_counts_at_once_and_ends_nobody() {
    let server = server(patient());
    let mut open: Vec<Client> = (0..3).map(|_| server.websocket("/ws")).collect();
    server.handle.reload_config(patient().with_max_connections(Some(2)));
    assert_eq!(server.connect().reply().status, 503);
    open.iter_mut().for_each(|client| client.expect_echo("still here"));
    open.truncate(1);
    eventually("they are gone", || server.handle.connections() == 1);
    let mut second = server.websocket("/ws");
    second.expect_echo("there is room");
    assert_eq!(server.connect().reply().status, 503);
    server.handle.reload_config(patient());
    assert_eq!(server.connect().get("/").status, 200);
}

#[test]
fn a_limit_for_each_address_counts_those_that_come_after_it() {
    let server = server(patient());
    let mut before = server.websocket("/ws");
    server.handle.reload_config(patient().with_max_connections_per_address(Some(1)));
    let mut after = server.websocket("/ws");
    assert_eq!(server.connect().reply().status, 503);
    // Those that were not counted are not taken off the count.
    before.say_goodbye();
    eventually("it is gone", || server.handle.connections() == 1);
    assert_eq!(server.connect().reply().status, 503);
    after.expect_echo("here");
    server.handle.reload_config(patient());
    assert_eq!(server.connect().get("/").status, 200);
}

#[test]
fn templates_origins_and_hosts_count_for_the_next_request() {
    let server = server(patient());
    let mut kept = server.connect();
    assert_eq!(kept.get("/page").text(), "old");
    let templates = Templates::new().with_source("page.html", "new").unwrap();
    server.handle.reload_templates(templates);
    let reply = kept.get("/page");
    assert_eq!((reply.text(), reply.header("connection")), ("new", None), "it stays open");

    let page = "https://page.example";
    let status = |origin: &str, host: &str| server.connect().ask(handshake(origin, host)).status;
    assert_eq!(status(page, "localhost"), 403);
    let mut open = server.websocket("/ws");
    server.handle.reload_origins(Origins::list(["page.example"]).unwrap());
    assert_eq!(status(page, "localhost"), 101);
    server.handle.reload_origins(Origins::same_host());
    assert_eq!(status(page, "localhost"), 403);
    open.expect_echo("still open");

    assert_eq!(status(page, "page.example"), 421);
    server.handle.reload_allowed_hosts(Some(vec!["page.example".into()]));
    assert_eq!(status(page, "page.example"), 101);
    server.handle.reload_allowed_hosts(None);
    assert_eq!(status(page, "page.example"), 421);
    assert_eq!(kept.get("/page").text(), "new");
}

#[test]
fn a_key_is_changed_in_every_clone() {
    let (old, new) = ("old-key-of-16-characters", "new-key-of-16-characters");
    let api = PublishApi::with_key(old).unwrap();
    let builder = Server::builder().route("/publish", api.clone()).route("/send", api.by_get());
    let server = Running::start(builder);
    let ask = |path: &str, key: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\n\r\n");
        server.connect().ask(head).status
    };
    let send = "/send?message=x&everybody=true";
    assert_eq!((ask(send, old), ask(send, new)), (200, 401));
    api.reload_access(&PublishApi::with_key(new).unwrap());
    assert_eq!((ask(send, old), ask(send, new)), (401, 200));
    api.reload_access(&PublishApi::closed("no more"));
    assert_eq!((ask(send, new), ask("/publish", new)), (403, 405));
}
