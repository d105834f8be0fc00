//! Publishing by HTTP: what reaches whom, what is answered, and that nothing wrong harms others.

use std::time::Duration;

use landline::{
    Config, Hub, PublishApi, Request, Result, Server, WebSocket, facility, require_websocket,
};
use serde_json::{Value, json};

use crate::harness::{Client, Reply, Running, eventually, tell};
use crate::publisher::who;

pub(crate) const JSON: &str = "application/json";
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// A server whose sockets join the group of their path, and the routes to publish.
fn server_with(api: &PublishApi, config: Config, hub: &Hub) -> Running {
    let builder = Server::builder().config(config).hub(hub.clone());
    let builder = builder.route("/ws/<room>", require_websocket(room));
    let builder = builder.route("/facility/<path:facility>/", facility().identify(who));
    let builder = builder.route("/api/publish", api.clone()).route("/send/", api.by_get());
    Running::start(builder)
}

pub(crate) fn server(api: &PublishApi, hub: &Hub) -> Running {
    server_with(api, Config::default(), hub)
}

fn room(request: &Request, ws: &WebSocket) -> Result<()> {
    ws.join(request.param("room").unwrap_or_default())?;
    while ws.wait()?.is_some() {}
    Ok(())
}

/// A client that is a member already, and its number.
pub(crate) fn member(server: &Running, hub: &Hub, room: &str) -> (Client, u64) {
    let before: Vec<u64> = ids(hub, room);
    let client = server.websocket(&format!("/ws/{room}"));
    eventually("it is a member", || hub.group(room).len() > before.len());
    let id = ids(hub, room).into_iter().find(|id| !before.contains(id));
    (client, id.expect("one more"))
}

fn ids(hub: &Hub, room: &str) -> Vec<u64> {
    hub.group(room).members().iter().map(|member| member.conn_id()).collect()
}

/// A request in bytes; `head` holds whole lines.
pub(crate) fn request(method: &str, target: &str, head: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{head}\r\n"
    );
    [head.as_bytes(), body].concat()
}

pub(crate) fn post(target: &str, kind: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    request("POST", target, &format!("Content-Type: {kind}\r\n"), body.as_ref())
}

pub(crate) fn post_json(body: &Value) -> Vec<u8> {
    post("/api/publish", JSON, body.to_string())
}

pub(crate) fn keyed(key: &str, body: &Value) -> Vec<u8> {
    let head = format!("Content-Type: {JSON}\r\nIdempotency-Key: {key}\r\n");
    request("POST", "/api/publish", &head, body.to_string().as_bytes())
}

/// The body of a reply, which is JSON and says so, whatever its status.
pub(crate) fn said(reply: &Reply) -> Value {
    assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    serde_json::from_slice(&reply.body).expect("JSON")
}

/// The counts of a publish that succeeded: members and written.
pub(crate) fn counts(reply: &Reply) -> (u64, u64) {
    let said = said(reply);
    assert_eq!(reply.status, 200, "{said}");
    (said["members"].as_u64().unwrap(), said["written"].as_u64().unwrap())
}

/// The sentence and the field of a refusal.
pub(crate) fn refused(reply: &Reply, status: u16) -> (String, Value) {
    let said = said(reply);
    assert_eq!(reply.status, status, "{said}");
    let error = said["error"].as_str().expect("a sentence").to_owned();
    assert!(error.ends_with('.'), "{error}");
    (error, said["field"].clone())
}

#[test]
fn a_message_reaches_the_group_and_the_answer_says_how_many() {
    let hub = Hub::new();
    let server = server(&PublishApi::open(), &hub);
    let (mut one, _) = member(&server, &hub, "a");
    let (mut two, _) = member(&server, &hub, "a");
    let (mut other, _) = member(&server, &hub, "b");
    let reply = server.connect().ask(post_json(&json!({ "group": "a", "message": "你好" })));
    let expected = json!({ "members": 2, "written": 2, "queued": 0, "dropped": 0, "gone": 0 });
    assert_eq!((reply.status, said(&reply)), (200, expected));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!((one.expect_text(), two.expect_text()), ("你好".into(), "你好".into()));
    let reply = server.connect().ask(post_json(&json!({ "group": "nobody", "message": "x" })));
    assert_eq!(counts(&reply), (0, 0));
    hub.group("b").send("only b").unwrap();
    assert_eq!(other.expect_text(), "only b");
}

#[test]
fn every_target_reaches_its_own() {
    let hub = Hub::new();
    let server = server(&PublishApi::open(), &hub);
    let (mut one, first) = member(&server, &hub, "a");
    let (mut two, second) = member(&server, &hub, "a");
    let (mut other, _) = member(&server, &hub, "b");
    let mut client = server.connect();
    let mut publish = |body: Value| counts(&client.ask(post_json(&body)));
    assert_eq!(publish(json!({ "group": ["a", "b", "a"], "message": "1" })), (3, 3));
    assert_eq!(publish(json!({ "conn": first, "message": "2" })), (1, 1));
    assert_eq!(publish(json!({ "everybody": true, "message": "3" })), (3, 3));
    assert_eq!(publish(json!({ "group": "a", "except": first, "message": "4" })), (1, 1));
    assert_eq!(publish(json!({ "everybody": true, "except": second, "message": "5" })), (2, 2));
    let texts = |client: &mut Client, number: usize| -> Vec<String> {
        (0..number).map(|_| client.expect_text()).collect()
    };
    assert_eq!(texts(&mut one, 4), ["1", "2", "3", "5"]);
    assert_eq!(texts(&mut two, 3), ["1", "3", "4"]);
    assert_eq!(texts(&mut other, 3), ["1", "3", "5"]);
}

#[test]
fn a_facility_is_reached_by_its_channels() {
    let hub = Hub::new();
    let server = server(&PublishApi::open(), &hub);
    let listen = |query: &str| server.websocket(&format!("/facility/news/?{query}"));
    let mut all = listen("subscribe-broadcast");
    let mut anna = listen("subscribe-user&user=anna");
    let mut staff = listen("subscribe-group&groups=staff");
    let mut session = listen("subscribe-session&session=k1");
    let mut client = server.connect();
    let mut publish = |body: Value| counts(&client.ask(post_json(&body)));
    assert_eq!(publish(json!({ "facility": "news", "message": "1" })), (1, 1));
    let some = json!({
        "facility": "news/", "users": ["anna", "bert"], "groups": ["staff"], "sessions": ["k1"],
        "expire": 0, "message": "2",
    });
    assert_eq!(publish(some), (3, 3));
    assert_eq!(counts(&server.connect().get("/send/?facility=news&message=4")), (1, 1));
    let raw = post("/api/publish?facility=news&users=anna", "application/octet-stream", b"\xff");
    assert_eq!(counts(&server.connect().ask(raw)), (1, 1));
    assert_eq!([all.expect_text(), all.expect_text()], ["1", "4"]);
    assert_eq!((anna.expect_text(), anna.expect_binary()), ("2".into(), b"\xff".to_vec()));
    assert_eq!([staff.expect_text(), session.expect_text()], ["2", "2"]);
    // What is stored is for those who come later; what expires at once is not.
    assert_eq!(listen("subscribe-broadcast").expect_text(), "4");
    let mut late = listen("subscribe-session&session=k1");
    hub.publisher("news").sessions(["k1"]).send("end").unwrap();
    assert_eq!(late.expect_text(), "end");
}

#[test]
fn a_listener_of_a_facility_can_be_left_out() {
    let (tell, told) = tell();
    let listen = facility().identify(move |request| {
        tell.send(request.conn_id()).unwrap();
        who(request)
    });
    let builder = Server::builder().route("/api/publish", PublishApi::open());
    let server = Running::start(builder.route("/<facility>/", listen));
    let (mut one, first) = (server.websocket("/news"), told.next());
    let (mut two, _) = (server.websocket("/news"), told.next());
    for body in [
        json!({ "facility": "news", "except": first, "message": "not for one" }),
        json!({ "facility": "news", "users": ["anna"], "except": first, "message": "nobody" }),
        json!({ "everybody": true, "message": "end" }),
    ] {
        assert_eq!(server.connect().ask(post_json(&body)).status, 200);
    }
    assert_eq!(one.expect_text(), "end");
    assert_eq!([two.expect_text(), two.expect_text()], ["not for one", "end"]);
}

#[test]
fn each_content_type_is_read_and_binary_stays_binary() {
    let hub = Hub::new();
    let server = server(&PublishApi::open(), &hub);
    let (mut one, id) = member(&server, &hub, "a");
    let mut client = server.connect();
    let bytes = [0xff, 0, b'\r', b'\n', 0x80];
    let target = format!("/api/publish?conn={id}");
    for (target, kind, body) in [
        ("/api/publish", FORM, &b"group=a&message=x+%E4%BD%A0%26"[..]),
        ("/api/publish/?group=a", "application/octet-stream", &bytes),
        ("/api/publish?group=a&group=b", "text/plain; charset=utf-8", "t 你".as_bytes()),
        (&target, "application/octet-stream", b"text"),
        ("/api/publish?everybody=true", "text/plain", b""),
    ] {
        assert_eq!(counts(&client.ask(post(target, kind, body))), (1, 1), "{target} {kind}");
    }
    assert_eq!(one.expect_text(), "x 你&");
    assert_eq!(one.expect_binary(), bytes);
    assert_eq!(one.expect_text(), "t 你");
    assert_eq!(one.expect_binary(), b"text");
    assert_eq!(one.expect_text(), "");
}

#[test]
fn a_batch_is_answered_in_its_order() {
    let hub = Hub::new();
    let server = server(&PublishApi::open(), &hub);
    let (mut one, _) = member(&server, &hub, "a");
    let list = json!([
        { "group": "a", "message": "1" },
        { "group": "nobody", "message": "2" },
        { "everybody": true, "message": "3" },
    ]);
    for body in [list.clone(), json!({ "messages": list })] {
        let reply = server.connect().ask(post_json(&body));
        let results = said(&reply)["results"].clone();
        let written: Vec<_> =
            results.as_array().unwrap().iter().map(|one| &one["written"]).collect();
        assert_eq!(written, [1, 0, 1]);
        assert_eq!([one.expect_text(), one.expect_text()], ["1", "3"]);
    }
}

#[test]
fn nothing_of_a_bad_batch_is_published() {
    let hub = Hub::new();
    let config = Config::default().with_message_bytes(100);
    let server = server_with(&PublishApi::open(), config, &hub);
    let (mut one, _) = member(&server, &hub, "a");
    let good = json!({ "group": "a", "message": "never" });
    let mut client = server.connect();
    for (wrong, status, field) in [
        (json!({ "group": "a", "message": {} }), 400, json!("message")),
        (json!({ "message": "x" }), 400, Value::Null),
        (json!({ "group": "a\nb", "message": "x" }), 400, json!("group")),
        (json!({ "conn": 0, "message": "x" }), 404, json!("conn")),
        (json!({ "grup": "a", "message": "x" }), 400, json!("grup")),
        (json!("x"), 400, Value::Null),
        (json!({ "group": "a", "message": "x".repeat(101) }), 413, json!("message")),
    ] {
        let reply = client.ask(post_json(&json!([good, good, wrong, good])));
        let (error, blamed) = refused(&reply, status);
        assert_eq!(blamed, field, "{error}");
        assert_eq!(said(&reply)["index"], 2, "{error}");
    }
    hub.group("a").send("the first").unwrap();
    assert_eq!(one.expect_text(), "the first");
}

#[test]
fn bad_input_is_named_and_harms_nobody() {
    let hub = Hub::new();
    let server = server_with(&PublishApi::open(), Config::default().with_message_bytes(1000), &hub);
    let (mut one, _) = member(&server, &hub, "a");
    let mut client = server.connect();
    let long = "x".repeat(256);
    let deep = "[".repeat(100_000);
    for (number, (body, status, field, words)) in [
        ("", 400, None, "is empty"),
        ("no json", 400, None, "is not the expected JSON"),
        ("{\"group\": \"a\", \"message\": \"x\"", 400, None, "at line 1 column"),
        ("{\"group\": \"a\", \"group\": \"b\", \"message\": \"x\"}", 400, None, "twice"),
        ("\"text\"", 400, None, "must be a JSON object or array, not a string"),
        ("17", 400, None, "not a number"),
        ("null", 400, None, "not null"),
        ("[]", 400, None, "is empty"),
        (deep.as_str(), 400, None, "is not the expected JSON"),
        (r#"{"message": "x"}"#, 400, None, "Say where to publish"),
        (r#"{"group": "a"}"#, 400, Some("message"), "is missing"),
        (r#"{"group": "a", "message": {"a": 1}}"#, 400, Some("message"), "not an object"),
        (r#"{"group": "a", "message": 1}"#, 400, Some("message"), "not a number"),
        (r#"{"group": "a", "message": ["x"]}"#, 400, Some("message"), "not an array"),
        (r#"{"group": "", "message": "x"}"#, 400, Some("group"), "is empty"),
        (r#"{"group": "a\u0007", "message": "x"}"#, 400, Some("group"), "control characters"),
        (&format!(r#"{{"group": "{long}", "message": "x"}}"#), 400, Some("group"), "255"),
        (r#"{"group": "a", "mesage": "x"}"#, 400, Some("mesage"), "no field \"mesage\""),
        (r#"{"facility": "", "message": "x"}"#, 400, Some("facility"), "no name"),
        (r#"{"facility": "/", "users": "u", "message": "x"}"#, 400, Some("users"), "no name"),
        (r#"{"facility": "f\u0000", "message": "x"}"#, 400, Some("facility"), "control"),
        (r#"{"facility": "f", "groups": [""], "message": "x"}"#, 400, Some("groups"), "no name"),
        (r#"{"facility": "f", "expire": "1", "message": "x"}"#, 400, Some("expire"), "number"),
        (r#"{"conn": 1000000, "message": "x"}"#, 404, Some("conn"), "connection 1000000"),
        (
            &format!(r#"{{"group": "a", "message": "{}"}}"#, "x".repeat(1001)),
            413,
            Some("message"),
            "1000 bytes",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let reply = client.ask(post("/api/publish", JSON, body));
        let (error, blamed) = refused(&reply, status);
        assert_eq!(blamed.as_str(), field, "{error}");
        assert!(error.contains(words), "{error}");
        let good = json!({ "group": "a", "message": number.to_string() });
        assert_eq!(counts(&client.ask(post_json(&good))), (1, 1), "after {error}");
        assert_eq!(one.expect_text(), number.to_string());
    }
}

#[test]
fn what_the_server_itself_refuses_is_json_too() {
    let hub = Hub::new();
    let config = Config::default().with_body_bytes(100).with_body_timeout(Duration::ZERO);
    let server = server_with(&PublishApi::open(), config, &hub);
    let head = |length: &str| {
        format!(
            "POST /api/publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: {JSON}\r\n{length}\r\n\r\n"
        )
    };
    let chunked = "Transfer-Encoding: chunked";
    for (bytes, status) in [
        (head("Content-Length: 101"), 413),
        (format!("{}ff\r\n", head(chunked)), 413),
        (format!("{}zz\r\n", head(chunked)), 400),
        (head("Content-Length: 10"), 408),
        (head("Content-Length: 0").replace("localhost", "evil.example"), 421),
    ] {
        let mut client = server.connect();
        let reply = client.ask(&bytes);
        refused(&reply, status);
        assert_eq!(reply.header("connection"), Some("close"), "{bytes}");
        client.expect_fin();
    }
    // What is wrong with a query is known before the route is.
    for (method, target) in [
        ("GET", "/send/?message=%ff"),
        ("GET", "/send/?message=a%00"),
        ("POST", "/api/publish?a=%ff"),
    ] {
        let reply = server.connect().ask(request(method, target, "", b""));
        let (error, _) = refused(&reply, 400);
        let name = if method == "GET" { "\"message\"" } else { "\"a\"" };
        assert!(error.starts_with(&format!("The value of {name} among")), "{error}");
    }
    let reply = server.connect().ask(head("Content-Length: 101"));
    assert!(refused(&reply, 413).0.contains("100 bytes"));
    // Others speak as before.
    let reply = server.connect().ask(request("POST", "/nothing", "", &[b'x'; 101]));
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (413, Some("text/plain; charset=utf-8"))
    );
    let reply = server.connect().ask(Client::handshake_head("/api/publish"));
    refused(&reply, 400);
}

#[test]
fn methods_and_content_types_that_are_not_served_are_said() {
    let hub = Hub::new();
    let server = server(&PublishApi::open(), &hub);
    let mut client = server.connect();
    for (method, target, allow) in [
        ("GET", "/api/publish", "POST, OPTIONS"),
        ("PUT", "/api/publish", "POST, OPTIONS"),
        ("POST", "/send/?message=x", "GET, OPTIONS"),
        ("DELETE", "/send/?message=x", "GET, OPTIONS"),
    ] {
        let reply = client.ask(request(method, target, "", b""));
        let (error, _) = refused(&reply, 405);
        assert!(error.contains(&allow[..allow.len() - 9]), "{error}");
        assert_eq!(reply.header("allow"), Some(allow), "{method} {target}");
        let reply = client.ask(request("OPTIONS", target, "", b""));
        assert_eq!((reply.status, reply.header("allow")), (204, Some(allow)), "{target}");
        assert_eq!(reply.header("access-control-allow-origin"), None);
    }
    for kind in ["", "text/html", "application/xml", "multipart/form-data; boundary=x"] {
        let (error, _) = refused(&client.ask(post("/api/publish", kind, "x")), 415);
        assert!(error.contains("application/json"), "{error}");
    }
    refused(&client.ask(request("POST", "/api/publish", "", b"{}")), 415);
}

#[test]
fn send_by_get_is_for_everybody_by_default() {
    let hub = Hub::new();
    let server = server(&PublishApi::open(), &hub);
    let (mut one, _) = member(&server, &hub, "a");
    let (mut other, _) = member(&server, &hub, "b");
    let mut client = server.connect();
    for target in ["/send/?message=hello+%E4%BD%A0", "/send?message=hello+%E4%BD%A0"] {
        assert_eq!(counts(&client.get(target)), (2, 2));
        assert_eq!([one.expect_text(), other.expect_text()], ["hello 你", "hello 你"]);
    }
    assert_eq!(counts(&client.get("/send/?message=&group=b")), (1, 1));
    assert_eq!(other.expect_text(), "");
    for (query, field) in [
        ("", "message"),
        ("?", "message"),
        ("?group=a", "message"),
        ("?message=x&message=y", "message"),
        ("?message=x&room=a", "room"),
        ("?message=x&conn=one", "conn"),
        ("?message=x&key=0123456789abcdef", "key"),
    ] {
        assert_eq!(refused(&client.get(&format!("/send/{query}")), 400).1, field, "{query}");
    }
    client.send("HEAD /send/?message=x HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(client.reply_to("HEAD").status, 405);
    hub.broadcast("nothing else").unwrap();
    assert_eq!([one.expect_text(), other.expect_text()], ["nothing else", "nothing else"]);
}

#[test]
fn while_bad_requests_rain_nobody_loses_anything() {
    const NUMBER: usize = 300;
    let hub = Hub::new();
    let server = server(&PublishApi::open(), &hub);
    let (mut one, _) = member(&server, &hub, "a");
    let bad = [
        post("/api/publish", JSON, "{\"group\": \"a\", \"message\": 1}"),
        post("/api/publish", JSON, "[".repeat(5000)),
        post("/api/publish", "text/html", "x"),
        keyed("k", &json!({ "group": ["a", ""], "message": "bad" })),
        request("GET", "/send/", "", b""),
        request("GET", "/send/?message=bad", "Origin: http://evil.example\r\n", b""),
    ];
    std::thread::scope(|scope| {
        for bytes in &bad {
            let server = &server;
            scope.spawn(move || {
                let mut client = server.connect();
                for _ in 0..NUMBER {
                    assert!(client.ask(bytes).status >= 400);
                }
            });
        }
        let mut client = server.connect();
        for number in 0..NUMBER {
            let body = json!({ "group": "a", "message": number.to_string() });
            assert_eq!(counts(&client.ask(post_json(&body))), (1, 1));
        }
    });
    for number in 0..NUMBER {
        assert_eq!(one.expect_text(), number.to_string());
    }
}
