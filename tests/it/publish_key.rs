//! Who may publish to the binary: its flag, its variable, and what it says of them.

use serde_json::{Value, json};

use crate::harness::{Client, Reply};
use crate::program::{Program, landline, run};
use crate::publish::{JSON, counts, post_json, said};

const KEY: &str = "correct-horse-battery-staple";

/// Asks to publish, with header lines and without.
fn publish(program: &Program, lines: &str) -> Reply {
    let body = json!({ "everybody": true, "message": "hello" }).to_string();
    let head = format!(
        "POST /api/publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: {JSON}\r\n\
         Content-Length: {}\r\n{lines}\r\n",
        body.len()
    );
    program.connect().ask(format!("{head}{body}"))
}

fn with_key() -> String {
    format!("Authorization: Bearer {KEY}\r\n")
}

/// A client that a broadcast reaches.
fn listener(program: &Program) -> Client {
    let mut client = program.websocket("/echo");
    client.expect_echo("here");
    client
}

fn error(reply: &Reply) -> String {
    said(reply)["error"].as_str().expect("a sentence").to_owned()
}

#[test]
fn on_loopback_it_is_open_to_programs() {
    let program = Program::serve(&[]);
    let mut client = listener(&program);
    assert_eq!(counts(&publish(&program, "")), (1, 1));
    assert_eq!(client.expect_text(), "hello");
    assert_eq!(counts(&program.connect().get("/send/?message=hi")), (1, 1));
    assert_eq!(client.expect_text(), "hi");
    assert_eq!(program.connect().get("/send/").status, 400);
    let mut news = program.websocket("/ws/news/");
    assert_eq!(counts(&program.connect().get("/send/?facility=news&message=late")), (1, 1));
    assert_eq!(news.expect_text(), "late");
    let foreign = publish(&program, "Origin: http://evil.example\r\n");
    assert_eq!(foreign.status, 403, "{}", foreign.text());
    let image = "GET /send/?message=x HTTP/1.1\r\nHost: localhost\r\n\
                 Sec-Fetch-Site: cross-site\r\n\r\n";
    assert_eq!(program.connect().ask(image).status, 403);
    assert!(program.stdout().contains("open to programs of this machine"), "{}", program.stdout());
    program.logged("publishing by HTTP: open to programs of this machine");
    client.expect_echo("nothing came between");
}

#[test]
fn what_came_through_a_proxy_is_not_of_this_machine() {
    let program = Program::serve(&[]);
    for line in ["X-Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.1", "Via: 1.1 proxy"] {
        let reply = publish(&program, &format!("{line}\r\n"));
        assert_eq!(reply.status, 403, "{line}: {}", reply.text());
        let head = format!("GET /send/?message=hi HTTP/1.1\r\nHost: localhost\r\n{line}\r\n\r\n");
        assert_eq!(program.connect().ask(head).status, 403, "{line}");
    }
    assert_eq!(publish(&program, "").status, 200);
    // With the key it is the key that counts.
    let program = Program::serve(&["--publish-key", KEY]);
    let lines = format!("{}X-Forwarded-For: 192.0.2.1\r\n", with_key());
    assert_eq!(publish(&program, &lines).status, 200);
}

#[test]
fn on_other_addresses_it_is_closed_without_a_key() {
    let program = Program::serve(&["--host", "0.0.0.0"]);
    for lines in [String::new(), with_key()] {
        let reply = publish(&program, &lines);
        assert_eq!(reply.status, 403);
        assert!(error(&reply).contains("--publish-key"), "{}", error(&reply));
    }
    let reply = program.connect().get("/send/?message=hi");
    assert_eq!(reply.status, 403);
    assert!(program.stdout().contains("closed, since other machines can reach it"));
    // One address that others can reach is enough.
    let both = Program::serve(&["--host", "127.0.0.1,0.0.0.0", "--port", "0"]);
    assert_eq!(publish(&both, "").status, 403);
}

#[test]
fn with_a_key_it_needs_the_key_everywhere() {
    for host in ["127.0.0.1", "0.0.0.0"] {
        let mut command = landline(&["--port", "0", "--host", host]);
        command.env("LANDLINE_PUBLISH_KEY", KEY);
        let program = Program::listening(command);
        let mut client = listener(&program);
        assert_eq!(publish(&program, "").status, 401);
        assert_eq!(publish(&program, "X-API-Key: wrong-but-long-enough\r\n").status, 401);
        assert_eq!(program.connect().get("/send/?message=hi").status, 401);
        assert_eq!(program.connect().get(&format!("/send/?message=hi&key={KEY}")).status, 401);
        assert_eq!(counts(&publish(&program, &with_key())), (1, 1));
        assert_eq!(client.expect_text(), "hello");
        let line = program.logged("publishing by HTTP: with the key");
        assert!(!line.contains(KEY) && !program.stdout().contains(KEY));
        program.signal(rustix::process::Signal::TERM);
        let ended = program.end();
        assert!(!ended.stderr.contains(KEY) && !ended.stdout.contains(KEY), "{}", ended.stderr);
    }
}

#[test]
fn the_flag_goes_before_the_variable() {
    let mut command = landline(&["serve", "--port", "0", "--publish-key", KEY]);
    command.env("LANDLINE_PUBLISH_KEY", "another-key-of-some-length");
    let program = Program::listening(command);
    assert_eq!(publish(&program, &with_key()).status, 200);
}

#[test]
fn a_wrong_key_is_code_1_and_is_not_shown() {
    for key in ["hush", "", "hush with blanks and more", "hush-hush-hush-hüsh"] {
        let ended = run(&["--port", "0", "--publish-key", key]);
        assert_eq!(ended.code, Some(1), "{key:?}: {}", ended.stderr);
        assert!(ended.stderr.starts_with("landline: a publish key "), "{}", ended.stderr);
        assert!(!ended.stderr.contains("hush"), "{}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
    // A secret that could not be made must not open the door.
    let mut command = landline(&["--port", "0"]);
    command.env("LANDLINE_PUBLISH_KEY", "");
    let ended = Program::spawn(command).end();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("this one is empty"), "{}", ended.stderr);
    let mut command = landline(&["--port", "0"]);
    command.env("LANDLINE_PUBLISH_KEY", "hush");
    let ended = Program::spawn(command).end();
    assert_eq!((ended.code, ended.stderr.contains("hush")), (Some(1), false));
}

#[test]
fn the_help_does_not_show_the_variables_value() {
    let mut command = landline(&["--help"]);
    command.env("LANDLINE_PUBLISH_KEY", KEY);
    let ended = Program::spawn(command).end();
    assert_eq!(ended.code, Some(0));
    assert!(ended.stdout.contains("[env: LANDLINE_PUBLISH_KEY]") && !ended.stdout.contains(KEY));
}

#[test]
fn bad_requests_are_json_at_the_binary_too() {
    let program = Program::serve(&["--max-body-size", "100", "--ws-max-size", "10"]);
    let long = post_json(&json!({ "everybody": true, "message": "12345678901" }));
    let reply = program.connect().ask(long);
    assert_eq!((reply.status, &said(&reply)["field"]), (413, &json!("message")));
    let longer = post_json(&json!({ "everybody": true, "message": "x".repeat(100) }));
    let reply = program.connect().ask(longer);
    assert_eq!((reply.status, &said(&reply)["field"]), (413, &Value::Null));
}
