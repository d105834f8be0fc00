//! The admin page's doors and calls, asked as programs and browsers would; the page itself is tested
//! in a browser.

use std::net::SocketAddr;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Client, Reply, eventually};
use crate::program::{Directory, Program, landline, run};

const KEY: &str = "correct-horse-battery-staple";

/// The real binary with a listener for the page, or with the page beside the demo.
struct Seen {
    program: Program,
    admin: SocketAddr,
}

impl Seen {
    fn with(args: &[&str]) -> Self {
        let program = Program::serve(args);
        let admin = *program.addresses.last().expect("an address");
        Self { program, admin }
    }

    fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Reply {
        let (host, length) = (self.admin, body.len());
        let mut client = Client::new(self.admin);
        client.ask(format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        ))
    }

    fn get(&self, path: &str, headers: &str) -> Reply {
        self.ask("GET", path, headers, "")
    }

    fn json(&self, path: &str, headers: &str) -> Value {
        let reply = self.get(path, headers);
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        serde_json::from_slice(&reply.body).expect("JSON")
    }

    /// Opens a session as the page does, and returns its cookie.
    fn enter(&self, key: &str) -> Reply {
        let headers =
            format!("Content-Type: application/json\r\nOrigin: http://{}\r\n", self.admin);
        self.ask("POST", "/admin/session", &headers, &json!({ "key": key }).to_string())
    }

    fn cookie(&self) -> String {
        let reply = self.enter(KEY);
        assert_eq!(reply.status, 200, "{}", reply.text());
        let cookie = reply.header("set-cookie").expect("a cookie").to_owned();
        for part in ["; HttpOnly", "; SameSite=Strict", "; Path=/admin/"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        let pair = cookie.split(';').next().unwrap();
        format!("Cookie: {pair}\r\n")
    }
}

fn bearer(key: &str) -> String {
    format!("Authorization: Bearer {key}\r\n")
}

const JSON: &str = "Content-Type: application/json\r\n";

#[test]
fn without_being_asked_for_there_is_no_page_and_no_metrics() {
    let seen = Seen::with(&[]);
    for path in ["/admin/", "/admin/data", "/metrics"] {
        assert_eq!(seen.get(path, "").status, 404, "{path}");
    }
    assert_eq!((seen.get("/healthz", "").status, seen.get("/readyz", "").status), (200, 200));
}

#[test]
fn a_listener_of_its_own_on_loopback_shows_and_changes_nothing() {
    let seen = Seen::with(&["--admin-port", "0"]);
    assert_ne!(seen.admin, seen.program.addresses[0]);
    assert_eq!(seen.program.connect().get("/admin/").status, 404, "not beside the demo");
    assert_eq!(seen.program.connect().get("/metrics").status, 404);
    for path in ["/admin/", "/admin/data", "/metrics", "/healthz", "/readyz", "/static/admin.js"] {
        assert_eq!(seen.get(path, "").status, 200, "{path}");
    }
    let _client = seen.program.websocket("/echo");
    let open = seen.json("/admin/connections", "");
    let id = open["rows"][0]["id"].as_u64().expect("one is open");
    for headers in [JSON, &format!("{JSON}{}", bearer(KEY))] {
        let path = format!("/admin/connections/{id}/close");
        let reply = seen.ask("POST", &path, headers, r#"{"code":1008}"#);
        assert_eq!(reply.status, 403, "{}", reply.text());
        assert!(reply.text().contains("--admin-key"), "{}", reply.text());
    }
    // A page that a foreign name was made to point to.
    let mut client = Client::new(seen.admin);
    let reply = client.ask("GET /admin/data HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert_eq!(reply.status, 421);
}

#[test]
fn others_are_not_shown_the_page_without_a_key() {
    for host in ["0.0.0.0", "::", "192.0.2.1"] {
        let ended = run(&["--port", "0", "--admin-host", host]);
        assert_eq!(ended.code, Some(1), "{host}: {}", ended.stderr);
        assert!(ended.stderr.contains("--admin-key"), "{}", ended.stderr);
    }
    let ended = run(&["--port", "0", "--admin-key", "too short"]);
    assert_eq!(ended.code, Some(1));
    assert!(!ended.stderr.contains("too short"), "{}", ended.stderr);
}

#[test]
fn beside_the_demo_everything_but_the_empty_page_needs_the_key() {
    let mut command = landline(&["serve", "--port", "0"]);
    command.env("LANDLINE_ADMIN_KEY", KEY);
    let program = Program::listening(command);
    let seen = Seen { admin: program.addresses[0], program };
    assert_eq!(seen.get("/admin/", "").status, 200);
    let paths = ["/metrics", "/admin/data", "/admin/connections", "/admin/closed", "/admin/groups"];
    for path in paths {
        let reply = seen.get(path, "");
        assert_eq!(reply.status, 401, "{path}");
        assert!(reply.header("www-authenticate").is_some());
        assert_eq!(seen.get(path, &bearer(KEY)).status, 200, "{path}");
    }
    let cookie = seen.cookie();
    for path in paths {
        assert_eq!(seen.get(path, &cookie).status, 200, "{path}");
    }
    assert_eq!(seen.get("/admin/data", "Cookie: landline_admin=0\r\n").status, 401);
    let reply = seen.ask("DELETE", "/admin/session", &cookie, "");
    assert_eq!(reply.status, 200);
    assert_eq!(seen.get("/admin/data", &cookie).status, 401, "the session is over");
}

#[test]
fn wrong_keys_are_refused_and_after_a_few_not_even_looked_at() {
    let seen = Seen::with(&["--admin-port", "0", "--admin-key", KEY]);
    let cookie = seen.cookie();
    for wrong in ["", "correct-horse-battery-stapl", "correct-horse-battery-staple1", "x", "y"] {
        assert_eq!(seen.enter(wrong).status, 401, "{wrong}");
    }
    let reply = seen.enter(KEY);
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("10")), "{}", reply.text());
    assert_eq!(seen.get("/metrics", &bearer(KEY)).status, 429);
    assert_eq!(seen.get("/admin/data", &cookie).status, 200, "who is in stays in");
    let line = seen.program.logged("a wrong admin key");
    assert!(!line.contains("correct-horse"), "{line}");
}

/// Or whoever guesses through the operator's own proxy would keep the operator out.
#[test]
fn wrong_keys_count_for_the_client_behind_a_proxy() {
    let seen = Seen::with(&["--admin-key", KEY, "--proxy-headers"]);
    let ask = |client: &str, key: &str| {
        let headers = format!("X-Forwarded-For: {client}\r\n{}", bearer(key));
        seen.get("/admin/data", &headers).status
    };
    let guesses = (0..6).map(|number| ask("192.0.2.1", &format!("wrong-{number}")));
    assert_eq!(guesses.collect::<Vec<_>>(), [401, 401, 401, 401, 401, 429]);
    assert_eq!((ask("192.0.2.1", KEY), ask("192.0.2.2", KEY)), (429, 200));
}

#[test]
fn one_address_cannot_keep_operators_from_the_page() {
    let seen = Seen::with(&["--admin-port", "0"]);
    let taken: Vec<Client> = (0..64)
        .map(|_| {
            let mut client = Client::new(seen.admin);
            client.get("/healthz");
            client
        })
        .collect();
    let mut operator = Client::from_there(seen.admin);
    assert_eq!(operator.get("/admin/data").status, 200);
    drop(taken);
}

#[test]
fn the_page_loads_nothing_from_elsewhere_and_nobody_frames_it() {
    let seen = Seen::with(&["--admin-port", "0", "--admin-key", KEY]);
    let page = Client::new(seen.admin).get("/admin/");
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy").unwrap_or_default();
    for rule in ["default-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
        assert!(policy.contains(rule), "{rule}: {policy}");
    }
}

#[test]
fn a_page_of_elsewhere_cannot_use_the_session() {
    let seen = Seen::with(&["--admin-port", "0", "--admin-key", KEY]);
    let (cookie, mut client) = (seen.cookie(), seen.program.websocket("/echo"));
    let id = seen.json("/admin/connections", &cookie)["rows"][0]["id"].as_u64().unwrap();
    let close = |headers: &str| {
        let path = format!("/admin/connections/{id}/close");
        let headers = format!("{cookie}{headers}");
        seen.ask("POST", &path, &headers, r#"{"code":4000,"reason":"x"}"#).status
    };
    for (headers, status) in [
        ("Content-Type: text/plain\r\n", 415),
        ("Content-Type: application/x-www-form-urlencoded\r\n", 415),
        (JSON, 403),
        (&format!("{JSON}Origin: http://evil.example\r\n"), 403),
        (&format!("{JSON}Origin: null\r\n"), 403),
        (&format!("{JSON}Origin: http://{}\r\n", seen.program.addresses[0]), 403),
        (&format!("{JSON}Sec-Fetch-Site: cross-site\r\n"), 403),
        (&format!("{JSON}Sec-Fetch-Site: same-site\r\n"), 403),
    ] {
        assert_eq!(close(headers), status, "{headers}");
    }
    client.expect_echo("still there");
    assert_eq!(seen.get(&format!("/admin/connections/{id}/close"), &cookie).status, 405);
    assert_eq!(close(&format!("{JSON}Origin: http://{}\r\n", seen.admin)), 200);
    assert_eq!(client.answer_close(), (4000, "x".to_owned()));
}

#[test]
fn an_operator_speaks_to_a_group_and_reads_why_connections_ended() {
    let seen = Seen::with(&["--admin-port", "0", "--admin-key", KEY]);
    let key = bearer(KEY);
    let mut member = seen.program.websocket("/ws/chat/lobby/");
    eventually("it has joined", || {
        seen.json("/admin/groups", &key)["rows"][0]["members"] == json!(1)
    });
    let say = |body: Value| {
        let headers = format!("{key}{JSON}");
        seen.ask("POST", "/admin/groups/say", &headers, &body.to_string())
    };
    let reply = say(json!({ "group": "chat:lobby", "text": "<b>in five minutes</b>" }));
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(member.expect_text(), "<b>in five minutes</b>");
    let nobody = say(json!({ "group": "nowhere", "text": "?" }));
    assert_eq!(serde_json::from_slice::<Value>(&nobody.body).unwrap()["members"], 0);
    for wrong in [json!({}), json!({ "group": "", "text": "" }), json!({ "group": 1, "text": "" })]
    {
        assert_eq!(say(wrong.clone()).status, 400, "{wrong}");
    }
    member.send_close(4444, "\u{1b}[31m<script>");
    member.expect_closed(4444);
    eventually("it has ended", || seen.json("/admin/closed", &key)["all"] == json!(1));
    let row = &seen.json("/admin/closed?filter=SCRIPT", &key)["rows"][0];
    assert_eq!((&row["code"], &row["cause"]), (&json!(4444), &json!("client")));
    assert_eq!(row["reason"], "\u{1b}[31m<script>");
    let story = seen.json(&format!("/admin/closed/{}", row["id"]), &key);
    let kinds: Vec<&str> =
        story["events"].as_array().unwrap().iter().filter_map(|e| e["kind"].as_str()).collect();
    assert!(kinds.contains(&"opened") && kinds.contains(&"close-received"), "{kinds:?}");
    assert_eq!(seen.json("/admin/closed?filter=nothing-like-it", &key)["found"], 0);
    assert_eq!(seen.get("/admin/closed/999999", &key).status, 404);
}

#[test]
fn a_server_that_drains_says_so_on_both_listeners() {
    let seen = Seen::with(&["--admin-port", "0", "--drain-delay", "3600", "--admin-key", KEY]);
    let mut client = seen.program.websocket("/echo");
    let both = |path: &str| [seen.program.connect().get(path), seen.get(path, "")];
    assert_eq!(both("/readyz").map(|reply| reply.status), [200, 200]);
    seen.program.signal(Signal::TERM);
    eventually("it drains", || both("/readyz").iter().all(|reply| reply.status == 503));
    for reply in both("/readyz") {
        assert_eq!(reply.text().trim(), r#"{"ready":false,"reason":"draining"}"#);
    }
    assert_eq!(both("/healthz").map(|reply| reply.status), [200, 200], "alive all the same");
    client.expect_echo("served on");
    assert_eq!(seen.json("/admin/data", &bearer(KEY))["reluctance"], "draining");
    seen.program.signal(Signal::TERM);
    client.expect_end();
}

#[test]
fn one_line_tells_who_it_was_and_for_whom_a_proxy_spoke() {
    let args = ["--log-format", "json", "--proxy-headers", "--forwarded-allow-ips", "127.0.0.1"];
    for args in [&args[..], &args[2..]] {
        let program = Program::serve(args);
        let mut client = program.connect();
        let head = Client::handshake_head("/ws/chat/lobby/?name=anna");
        let line = "\r\nX-Forwarded-For: 10.1.2.3\r\n";
        assert_eq!(client.ask(head.replacen("\r\n", line, 1)).status, 101);
        let peer = client.stream.local_addr().unwrap();
        client.send_close(1000, "");
        while client.next_frame().first != 0x88 {}
        let line = program.logged("WebSocket");
        if args.len() == 3 {
            let part = format!("{peer} for 10.1.2.3 \"anna\" \"WebSocket /ws/chat/lobby/?...\"");
            assert!(line.contains(&part), "{part}: {line}");
            continue;
        }
        let read: Value = serde_json::from_str(&line).expect("an object in one line");
        for (key, value) in
            [("peer", json!(peer)), ("client", json!("10.1.2.3")), ("user", json!("anna"))]
        {
            assert_eq!(read[key], value, "{key}: {line}");
        }
    }
}

#[test]
fn a_new_key_counts_from_the_reload_on_and_ends_the_sessions() {
    let file =
        Directory::with("landline.toml", &format!("admin_key = \"{KEY}\"\nadmin_port = 0\n"));
    let path = file.path.join("landline.toml");
    let seen = Seen::with(&["--config", path.to_str().unwrap()]);
    let cookie = seen.cookie();
    let other = "another-key-that-is-long-enough";
    std::fs::write(&path, format!("admin_key = \"{other}\"\nadmin_port = 0\n")).unwrap();
    seen.program.signal(Signal::HUP);
    seen.program.logged("changed admin_key");
    assert_eq!(seen.get("/admin/data", &cookie).status, 401);
    assert_eq!(seen.get("/admin/data", &bearer(KEY)).status, 401);
    assert_eq!(seen.get("/admin/data", &bearer(other)).status, 200);
}

#[test]
fn lines_of_json_have_what_is_to_be_known_of_a_connection() {
    let program = Program::serve(&["--log-format", "json"]);
    let mut client = program.websocket("/echo?token=hush");
    client.expect_echo("x");
    client.send_close(4321, "\"}\n\u{1b}[31m");
    client.expect_closed(4321);
    let line = program.logged("\"event\":\"websocket\"");
    let read: Value = serde_json::from_str(&line).expect("an object in one line");
    for (key, value) in [
        ("route", json!("/echo")),
        ("path", json!("/echo?...")),
        ("level", json!("info")),
        ("received", json!(1)),
        ("sent", json!(1)),
        ("code", json!(4321)),
        ("reason", json!("\"}\n\u{1b}[31m")),
        ("by", json!("client")),
        ("clean", json!(true)),
        ("cause", json!("client")),
    ] {
        assert_eq!(read[key], value, "{key}: {line}");
    }
    assert!(read["seconds"].is_f64() && read["bytes_received"].as_u64() > Some(7), "{line}");
    assert!(!line.contains("hush") && !line.contains('\u{1b}'), "{line}");
    assert_eq!(program.connect().get("/echo?message=hush").status, 200);
    let line = program.logged("\"event\":\"request\"");
    let read: Value = serde_json::from_str(&line).expect("an object in one line");
    assert_eq!((&read["status"], &read["method"]), (&json!(200), &json!("GET")));
}

#[test]
fn a_program_with_the_key_closes_the_connections_of_a_user_or_a_session() {
    let mut command = landline(&["serve", "--port", "0", "--auth-trusted-header", "X-Remote-User"]);
    command.env("LANDLINE_ADMIN_KEY", KEY);
    let program = Program::listening(command);
    let seen = Seen { admin: program.addresses[0], program };
    let enter = |name: &str| {
        let mut client = seen.program.connect();
        let line = format!("\r\nX-Remote-User: {name}\r\n");
        let head = Client::handshake_head("/echo").replacen("\r\n", &line, 1);
        assert_eq!(client.ask(head).status, 101);
        client.expect_echo("in");
        client
    };
    let close = |headers: &str, body: Value| {
        seen.ask("POST", "/admin/users/close", headers, &body.to_string())
    };
    let with_key = format!("{JSON}{}", bearer(KEY));
    let (mut anna, mut again, mut ben) = (enter("anna"), enter("anna"), enter("ben"));
    for (headers, body, status) in [
        (JSON.to_owned(), json!({ "user": "anna" }), 401),
        (format!("{JSON}{}", bearer("another-key-than-that")), json!({ "user": "anna" }), 401),
        (bearer(KEY), json!({ "user": "anna" }), 415),
        (with_key.clone(), json!({}), 400),
        (with_key.clone(), json!({ "user": "anna", "session": "x" }), 400),
        (with_key.clone(), json!({ "users": ["anna"] }), 400),
        (with_key.clone(), json!({ "user": "anna", "code": 1005 }), 400),
    ] {
        assert_eq!(close(&headers, body.clone()).status, status, "{body}");
    }
    anna.expect_echo("still here");
    let closed = |body: Value| {
        let reply = close(&with_key, body);
        assert_eq!(reply.status, 200, "{}", reply.text());
        serde_json::from_slice::<Value>(&reply.body).expect("JSON")["closed"].clone()
    };
    assert_eq!(closed(json!({ "user": "anna" })), 2);
    assert_eq!(anna.answer_close(), (4401, "logged out".into()));
    assert_eq!(again.answer_close(), (4401, "logged out".into()));
    ben.expect_echo("still here");
    assert_eq!(closed(json!({ "session": "none of ours" })), 0);
    assert_eq!(closed(json!({ "user": "ben", "code": 4003, "reason": "barred" })), 1);
    assert_eq!(ben.answer_close(), (4003, "barred".into()));
    let log = seen.program.logged("2 connections of \"anna\" are closed with 4401");
    assert!(!log.contains(KEY), "{log}");
}
