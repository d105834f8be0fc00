//! Who may publish by HTTP, and what is published once only: keys, permission, browsers, idempotency.

use std::time::Duration;

use landline::{Hub, PublishApi, Server};
use serde_json::{Value, json};

use crate::harness::{Reply, Running};
use crate::publish::{
    FORM, JSON, counts, keyed, member, post, post_json, refused, request, said, server,
};

#[test]
fn a_key_is_needed_where_there_is_one_and_is_never_logged() {
    crate::logbook::open();
    let hub = Hub::new();
    let key = "correct-horse-battery-staple";
    let server = server(&PublishApi::with_key(key).unwrap(), &hub);
    let (mut one, _) = member(&server, &hub, "a");
    let mut client = server.connect();
    let body = json!({ "group": "a", "message": "x" }).to_string();
    let mut ask = |line: &str, query: &str| {
        let head = format!("Content-Type: {JSON}\r\n{line}");
        client.ask(request("POST", &format!("/api/publish{query}"), &head, body.as_bytes()))
    };
    let reply = ask("", "");
    let (error, _) = refused(&reply, 401);
    assert!(error.contains("Authorization: Bearer <key>"), "{error}");
    assert_eq!(reply.header("www-authenticate"), Some("Bearer realm=\"publish\""));
    refused(&ask("", &format!("?key={key}")), 401);
    for wrong in ["correct-horse-battery-stapl", "x", "correct-horse-battery-staple0", "ä"] {
        let reply = ask(&format!("Authorization: Bearer {wrong}\r\n"), "");
        refused(&reply, 401);
        assert!(reply.header("www-authenticate").unwrap().contains("invalid_token"), "{wrong}");
        refused(&ask(&format!("X-API-Key: {wrong}\r\n"), ""), 401);
    }
    assert_eq!(counts(&ask(&format!("Authorization: Bearer {key}\r\n"), "")), (1, 1));
    assert_eq!(counts(&ask(&format!("X-API-Key: {key}\r\n"), "")), (1, 1));
    // Not by a form of a page, which cannot know the key.
    let foreign = format!("X-API-Key: {key}\r\nOrigin: http://evil.example\r\n");
    assert_eq!(counts(&ask(&foreign, "")), (1, 1));
    refused(&client.get("/send/?message=x"), 401);
    let reply =
        client.ask(request("GET", "/send/?message=x", &format!("X-API-Key: {key}\r\n"), b""));
    assert_eq!(counts(&reply), (1, 1));
    for _ in 0..4 {
        assert_eq!(one.expect_text(), "x");
    }
    assert!(crate::logbook::lines_with(&[key]).is_empty());
}

#[test]
fn a_short_key_is_an_error_without_the_key() {
    let error = PublishApi::with_key("hush").unwrap_err();
    assert_eq!(error.kind(), landline::ErrorKind::Config);
    assert!(error.chain().contains("16") && !error.chain().contains("hush"), "{error}");
}

#[test]
fn what_is_closed_says_why() {
    let hub = Hub::new();
    let server = server(&PublishApi::closed("Publishing is for Sundays."), &hub);
    let (mut one, _) = member(&server, &hub, "a");
    let mut client = server.connect();
    let (error, _) = refused(&client.ask(post_json(&json!({ "group": "a", "message": "x" }))), 403);
    assert_eq!(error, "Publishing is for Sundays.");
    refused(&client.get("/send/?message=x"), 403);
    hub.group("a").send("the first").unwrap();
    assert_eq!(one.expect_text(), "the first");
}

#[test]
fn allow_judges_each_publication_before_any_is_published() {
    let hub = Hub::new();
    let api = PublishApi::open().allow(|request, publication| {
        assert!(publication.message().as_text() != Some("panic"), "as the test asks");
        request.header("x-user") == Some("anna") && publication.message().len() < 5
    });
    let server = server(&api, &hub);
    let (mut one, _) = member(&server, &hub, "a");
    let ask = |user: &str, body: Value| {
        let head = format!("Content-Type: {JSON}\r\nX-User: {user}\r\n");
        server.connect().ask(request("POST", "/api/publish", &head, body.to_string().as_bytes()))
    };
    let say = |text: &str| json!({ "group": "a", "message": text });
    refused(&ask("bert", say("x")), 403);
    let reply = ask("anna", json!([say("x"), say("too long")]));
    refused(&reply, 403);
    assert_eq!(said(&reply)["index"], 1);
    refused(&server.connect().get("/send/?message=x"), 403);
    let reply = ask("anna", say("panic"));
    let (error, _) = refused(&reply, 500);
    assert!(!error.contains("as the test asks"), "{error}");
    assert_eq!(counts(&ask("anna", say("yes"))), (1, 1));
    assert_eq!(one.expect_text(), "yes");
}

#[test]
fn pages_of_elsewhere_cannot_publish_through_a_browser() {
    let hub = Hub::new();
    let server = server(&PublishApi::open(), &hub);
    let (mut one, _) = member(&server, &hub, "a");
    let firefox = "User-Agent: Mozilla/5.0 (X11; Linux) Firefox/140.0\r\n";
    let send = |method: &str, lines: &str| {
        let target = if method == "GET" { "/send/?message=x" } else { "/api/publish" };
        let head = format!("Content-Type: {FORM}\r\n{lines}");
        let body = if method == "GET" { "" } else { "everybody=true&message=x" };
        server.connect().ask(request(method, target, &head, body.as_bytes()))
    };
    for foreign in [
        "Origin: http://evil.example\r\n",
        "Origin: http://localhost:3000\r\n",
        "Origin: null\r\n",
        "Origin: \r\n",
        "Origin: http://localhost\r\nOrigin: http://localhost\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        "Sec-Fetch-Site: something-new\r\n",
        "Sec-Fetch-Site: none\r\nSec-Purpose: prefetch;prerender\r\n",
        "Sec-Fetch-Site: same-origin\r\nPurpose: prefetch\r\n",
    ] {
        for method in ["GET", "POST"] {
            refused(&send(method, foreign), 403);
            refused(&send(method, &format!("{firefox}{foreign}")), 403);
        }
    }
    // An image or a form in a browser that does not say whose it is.
    refused(&send("GET", firefox), 403);
    refused(&send("POST", firefox), 403);
    let own = [
        "",
        "User-Agent: curl/8.5\r\n",
        "Origin: http://localhost\r\n",
        "Sec-Fetch-Site: same-origin\r\nUser-Agent: Mozilla/5.0\r\n",
        "Sec-Fetch-Site: none\r\nUser-Agent: Mozilla/5.0\r\n",
    ];
    for lines in own {
        assert_eq!(counts(&send("GET", lines)), (1, 1), "{lines}");
        assert_eq!(counts(&send("POST", lines)), (1, 1), "{lines}");
    }
    for _ in 0..2 * own.len() {
        assert_eq!(one.expect_text(), "x");
    }
    hub.broadcast("nothing else").unwrap();
    assert_eq!(one.expect_text(), "nothing else");
}

#[test]
fn a_listed_origin_may_publish_and_any_lists_none() {
    let ask = |origins: landline::Origins| {
        let api = PublishApi::open();
        let builder = Server::builder().origins(origins).route("/api/publish", api);
        let server = Running::start(builder);
        let page = "Origin: https://app.example\r\nSec-Fetch-Site: cross-site\r\n";
        let head = format!("Content-Type: {FORM}\r\n{page}");
        server.connect().ask(request("POST", "/api/publish", &head, b"group=a&message=x")).status
    };
    assert_eq!(ask(landline::Origins::list(["https://app.example"]).unwrap()), 200);
    assert_eq!(ask(landline::Origins::any()), 403);
}

#[test]
fn one_key_publishes_once() {
    let hub = Hub::new();
    let server = server(&PublishApi::open(), &hub);
    let (mut one, id) = member(&server, &hub, "a");
    let mut client = server.connect();
    let body = json!({ "group": "a", "message": "once" });
    let first = client.ask(keyed("k-1", &body));
    assert_eq!((counts(&first), first.header("idempotency-replayed")), ((1, 1), None));
    let (mut late, _) = member(&server, &hub, "a");
    for request in [
        keyed("k-1", &body),
        keyed("\"k-1\"", &body),
        post_json(&json!({ "group": ["a"], "message": "once", "idempotency_key": "k-1" })),
        post("/api/publish", FORM, "group=a&message=once&idempotency_key=k-1"),
        request("GET", "/send/?group=a&message=once", "Idempotency-Key: k-1\r\n", b""),
    ] {
        let again = client.ask(request);
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert_eq!((again.status, &again.body), (200, &first.body));
    }
    for other in [
        json!({ "group": "a", "message": "twice" }),
        json!({ "group": "b", "message": "once" }),
        json!({ "everybody": true, "message": "once" }),
        json!({ "group": "a", "message": "once", "except": id }),
        json!([body]),
    ] {
        let (_, field) = refused(&client.ask(keyed("k-1", &other)), 422);
        assert_eq!(field, "idempotency_key");
    }
    let raw = |kind: &str| {
        let head = format!("Content-Type: {kind}\r\nIdempotency-Key: k-1\r\n");
        request("POST", "/api/publish?group=a", &head, b"once")
    };
    refused(&client.ask(raw("application/octet-stream")), 422);
    assert_eq!(client.ask(raw("text/plain")).header("idempotency-replayed"), Some("true"));
    hub.group("a").send("next").unwrap();
    assert_eq!([one.expect_text(), one.expect_text()], ["once", "next"]);
    assert_eq!(late.expect_text(), "next");
}

#[test]
fn an_expired_key_is_refused() {
    let hub = Hub::new();
    let server = server(&PublishApi::open().idempotency_window(Duration::ZERO), &hub);
    let (mut one, _) = member(&server, &hub, "a");
    let body = json!({ "group": "a", "message": "once" });
    assert_eq!(counts(&server.connect().ask(keyed("k", &body))), (1, 1));
    let (error, field) = refused(&server.connect().ask(keyed("k", &body)), 409);
    assert!(error.contains("has expired; use a new one"), "{error}");
    assert_eq!(field, "idempotency_key");
    hub.group("a").send("next").unwrap();
    assert_eq!([one.expect_text(), one.expect_text()], ["once", "next"]);
}

#[test]
fn a_failed_publication_does_not_use_its_key() {
    let hub = Hub::new();
    let server = server(&PublishApi::open(), &hub);
    let mut client = server.connect();
    refused(&client.ask(keyed("k", &json!({ "conn": 1_000_000, "message": "x" }))), 404);
    refused(&client.ask(keyed("k", &json!({ "group": "", "message": "x" }))), 400);
    let reply = client.ask(keyed("k", &json!({ "group": "a", "message": "x" })));
    assert_eq!((counts(&reply), reply.header("idempotency-replayed")), ((0, 0), None));
    for key in [&"k".repeat(256) as &str, ""] {
        refused(&client.ask(keyed(key, &json!({ "group": "a", "message": "x" }))), 400);
    }
}

#[test]
fn what_is_published_in_part_is_said_and_uses_its_key() {
    let hub = Hub::new();
    let server = server(&PublishApi::open(), &hub);
    let (mut one, _) = member(&server, &hub, "a");
    // As much as is kept for later, in as many facilities.
    for bytes in [1024 * 1024, 64 * 1024] {
        let text = "x".repeat(bytes);
        let keep = |name: String| hub.publisher(name).broadcast().send(text.as_str());
        let is_full = (0..1000).any(|number| keep(format!("{bytes}-{number}")).is_err());
        assert!(is_full, "nothing bounds what is kept");
    }
    let kept = json!({ "facility": "f", "message": "x".repeat(128 * 1024) });
    let mut client = server.connect();
    let (error, _) = refused(&client.ask(keyed("k", &kept)), 503);
    assert!(error.starts_with("Nothing was published: "), "{error}");
    let body =
        json!([{ "group": "a", "message": "once" }, kept, { "group": "a", "message": "no" }]);
    let first = client.ask(keyed("k", &body));
    let (error, _) = refused(&first, 503);
    assert!(error.starts_with("Published in part only: "), "{error}");
    let results = &said(&first)["results"];
    assert_eq!((said(&first)["index"].as_u64(), results.as_array().unwrap().len()), (Some(1), 2));
    assert_eq!((&results[0]["written"], &results[1]["members"]), (&json!(1), &json!(0)));
    let again = client.ask(keyed("k", &body));
    assert_eq!((again.status, &again.body), (503, &first.body));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    hub.group("a").send("next").unwrap();
    assert_eq!([one.expect_text(), one.expect_text()], ["once", "next"]);
}

#[test]
fn of_many_with_one_key_at_once_one_publishes() {
    let hub = Hub::new();
    let server = server(&PublishApi::open(), &hub);
    let (mut one, _) = member(&server, &hub, "a");
    let body = json!({ "group": "a", "message": "once" });
    let replies: Vec<Reply> = std::thread::scope(|scope| {
        let ask = || server.connect().ask(keyed("k", &body));
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let fresh = replies.iter().filter(|reply| {
        assert!([200, 409].contains(&reply.status), "{}", reply.text());
        reply.status == 200 && reply.header("idempotency-replayed").is_none()
    });
    assert_eq!(fresh.count(), 1);
    hub.group("a").send("next").unwrap();
    assert_eq!([one.expect_text(), one.expect_text()], ["once", "next"]);
}
