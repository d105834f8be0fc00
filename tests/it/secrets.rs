//! Nothing that opens a door is ever shown: the binary at its most talkative is brought every secret by
//! every way that there is, right ones and wrong ones, and all that it puts out is searched.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Client, Reply, eventually};
use crate::program::{Directory, Ended, Program, binary, landline};
use crate::tokens::{SECRET, Signer};

/// Each is found by its first word, whatever stands behind.
const ADMIN: &str = "hush-admin-0123456789";
const NEW_ADMIN: &str = "hush-new-admin-0123456789";
const WRONG_ADMIN: &str = "hush-wrong-admin-0123456789";
const PUBLISH: &str = "hush-publish-0123456789abcdef0123456789";
const WRONG_PUBLISH: &str = "hush-wrong-publish-0123456789";
const GROUP: &str = "hush-group-0123456789abcdef0123456789abcdef";
const PASSWORD: &str = "hush-password";
const WRONG_PASSWORD: &str = "hush-wrong-password";
const BACKEND: &str = "hush-backend";
const SESSION: &str = "hush-session";
const QUERY: &str = "hush-query";
const SAID: &str = "hush-said";

/// A program that knows secrets, and all that has been seen of it.
struct Talkative {
    program: Program,
    admin: std::net::SocketAddr,
    directory: Directory,
    token: String,
    wrong_token: String,
    session: String,
    /// Where something was seen, and what.
    seen: Vec<(String, String)>,
}

/// A backend that is asked with the cookies of its users, and says no or nothing.
fn backend() -> std::net::SocketAddr {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // It ends with the tests.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            let length = stream.read(&mut head).unwrap_or(0);
            if head[..length].windows(5).any(|part| part == b"drop=") {
                continue;
            }
            let answer =
                "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno";
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

impl Talkative {
    fn start(format: &str) -> Self {
        let key = Directory::with("key", SECRET);
        let path = |name: &str| key.path.join(name).to_str().unwrap().to_owned();
        std::fs::write(path("users"), user_line()).unwrap();
        let settings = format!(
            "port = 0\nadmin_port = 0\nadmin_key = \"{ADMIN}\"\npublish_key = \"{PUBLISH}\"\n\
             auth_group_key = \"{GROUP}\"\nauth_jwt_key = {:?}\nauth_jwt_cookie = \"token\"\n\
             auth_basic_file = {:?}\nauth_backend_url = \"http://{}/who?key={BACKEND}\"\n\
             auth_route = [\"/echo\"]\nlog_level = \"trace\"\nlog_format = \"{format}\"\n",
            path("key"),
            path("users"),
            backend(),
        );
        std::fs::write(path("landline.toml"), settings).unwrap();
        let program = Program::listening(landline(&["serve", "--config", &path("landline.toml")]));
        let admin = *program.addresses.last().expect("an address");
        let token = Signer::Secret(SECRET).token_of("anna");
        let wrong_token = Signer::Secret("hush hush hush hush hush hush hush").token_of("mallory");
        let (session, seen) = (String::new(), Vec::new());
        Self { program, admin, directory: key, token, wrong_token, session, seen }
    }

    /// Asks and keeps the answer.
    fn ask(&mut self, admin: bool, head: &str, body: &str) -> Reply {
        let address = if admin { self.admin } else { self.program.addresses[0] };
        let mut client = Client::new(address);
        let length = if body.is_empty() {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        let reply = client.ask(format!("{head}\r\nHost: {address}\r\n{length}\r\n{body}"));
        let shown = if head.starts_with("POST /admin/session") {
            reply.text().to_owned()
        } else {
            format!("{}{}", reply.head, reply.text())
        };
        self.seen.push((format!("the answer to {head:?}"), shown));
        reply
    }

    /// Sends what is no request and keeps the answer.
    fn send(&mut self, bytes: &[u8]) {
        let mut client = self.program.connect();
        client.send(bytes);
        client.finish();
        while client.receive() {}
        let answer = String::from_utf8_lossy(&client.buffer).into_owned();
        self.seen.push((format!("the answer to {:?}", String::from_utf8_lossy(bytes)), answer));
    }

    /// A handshake with a line more, which is accepted or not.
    fn shake(&mut self, path: &str, line: &str, status: u16) {
        let mut client = self.program.connect();
        let head = Client::handshake_head(path).replacen("\r\n", &format!("\r\n{line}\r\n"), 1);
        let reply = client.ask(head);
        self.seen
            .push((format!("the answer to {line:?}"), format!("{}{}", reply.head, reply.text())));
        assert_eq!(reply.status, status, "{path} {line}: {}", reply.text());
        if status == 101 {
            client.expect_echo(SAID);
            // What breaks the protocol is logged; what was sent is not.
            client.send_frame(0x81, [SAID.as_bytes(), b"\xff"].concat());
            client.expect_close();
        }
    }

    /// Everything but the publishing and the operator.
    fn knock_everywhere(&mut self) {
        let (token, wrong) = (self.token.clone(), self.wrong_token.clone());
        for (token, status) in [(&token, 101), (&wrong, 401)] {
            let cookie = format!("Cookie: sessionid={SESSION}; token={token}");
            self.shake("/echo", &format!("Authorization: Bearer {token}"), status);
            self.shake(&format!("/echo?token={token}&x={QUERY}"), "X: y", status);
            self.shake("/echo", &format!("Sec-WebSocket-Protocol: bearer, {token}"), status);
            self.shake("/echo", &cookie, status);
        }
        for (password, status) in [(PASSWORD, 101), (WRONG_PASSWORD, 401)] {
            let both = STANDARD.encode(format!("anna:{password}"));
            self.shake("/echo", &format!("Authorization: Basic {both}"), status);
        }
        // Nobody but the backend can know this one.
        self.shake("/echo", &format!("Cookie: sessionid={SESSION}"), 403);
        self.shake("/echo", &format!("Cookie: sessionid={SESSION}; drop=1"), 503);
        self.shake(&format!("/ws/chat/private-board/?group={GROUP}.x"), "X: y", 403);
        for target in [
            format!("/nowhere?token={token}&api_key={QUERY}"),
            format!("/echo_once?{QUERY}"),
            format!("http://anna:{PASSWORD}@localhost/?{QUERY}"),
        ] {
            self.ask(
                false,
                &format!(
                    "GET {target} HTTP/1.1\r\nCookie: a={SESSION}\r\nAuthorization: Bearer {token}"
                ),
                "",
            );
        }
    }

    /// Requests that cannot be understood, secrets in them.
    fn babble(&mut self) {
        for line in [
            "Authorization Bearer",
            "Authorization:\0",
            " Cookie:",
            "Cookie:\u{b}",
            "X\n Authorization:",
            "Host: a\r\nCookie:",
        ] {
            let text = format!(
                "GET /?token={QUERY} HTTP/1.1\r\nHost: localhost\r\n{line} {SESSION}\r\n\r\n"
            );
            self.send(text.as_bytes());
        }
        for first in [
            format!("GET /{QUERY}?{QUERY} HTTP/9.9"),
            format!("BREW /?{QUERY} HTTP/1.1"),
            format!("GET /?{QUERY} {QUERY} HTTP/1.1"),
            format!("GET /?%zz{QUERY} HTTP/1.1"),
            "GET /\u{7f}\u{ff}?x=y HTTP/1.1".to_owned(),
        ] {
            let first = first.replace(&format!("/{QUERY}"), "/path");
            self.send(
                format!("{first}\r\nHost: localhost\r\nCookie: a={SESSION}\r\n\r\n").as_bytes(),
            );
        }
        let mut long =
            format!("GET /?{QUERY} HTTP/1.1\r\nHost: localhost\r\nCookie: a={SESSION}\r\n");
        (0..2000).for_each(|number| write!(long, "X-{number}: {SESSION}\r\n").unwrap());
        self.send(long.as_bytes());
        self.send(format!("\x16\x03\x01{SESSION}").as_bytes());
        self.send(b"GET /\xff\xfe?token=\xff HTTP/1.1\r\nHost: localhost\r\nCookie: \xff\xfe\r\nX: \xc3(\r\n\r\n");
    }

    /// Publishing with the right key and wrong ones.
    fn publish(&mut self) {
        let head = |path: &str, key: &str| {
            format!(
                "POST {path} HTTP/1.1\r\nContent-Type: application/json\r\n\
                 Authorization: Bearer {key}\r\nIdempotency-Key: {QUERY}-{}",
                path.len()
            )
        };
        for (key, status) in [(WRONG_PUBLISH, 401), (PUBLISH, 200)] {
            for (body, status) in [
                (json!({ "group": "news", "message": SAID }), status),
                (json!({ "group": 7, "message": SAID }), status.max(400)),
                (json!({ "password": PUBLISH }), status.max(400)),
            ] {
                let reply = self.ask(false, &head("/api/publish", key), &body.to_string());
                assert_eq!(reply.status, status, "{body}: {}", reply.text());
            }
            self.ask(false, &head(&format!("/api/publish?key={key}"), key), "{}");
            let get = format!("GET /send/?group=news&message={SAID}&key={key} HTTP/1.1");
            self.ask(false, &get, "");
        }
    }

    /// The operator's doors, and all that stands behind.
    fn operate(&mut self) {
        for (key, status) in [(WRONG_ADMIN, 401), (ADMIN, 200)] {
            let body = json!({ "key": key }).to_string();
            let reply = self.ask(
                true,
                "POST /admin/session HTTP/1.1\r\nContent-Type: application/json",
                &body,
            );
            assert_eq!(reply.status, status, "{}", reply.text());
            if let Some(cookie) = reply.header("set-cookie") {
                self.session = cookie.split(['=', ';']).nth(1).unwrap().to_owned();
            }
            self.ask(
                true,
                &format!("GET /metrics?key={key} HTTP/1.1\r\nAuthorization: Bearer {key}"),
                "",
            );
        }
        let cookie = format!("Cookie: landline_admin={}", self.session);
        let mut paths = vec!["/metrics".to_owned(), "/healthz".to_owned()];
        paths.extend(
            ["", "data", "connections", "closed", "groups", "session"]
                .map(|path| format!("/admin/{path}")),
        );
        let closed = self.ask(true, &format!("GET /admin/closed HTTP/1.1\r\n{cookie}"), "");
        let closed: Value = serde_json::from_str(closed.text()).expect("JSON");
        let rows = closed["rows"].as_array().expect("rows");
        assert!(rows.len() >= 4, "{closed}");
        paths.extend(rows.iter().map(|row| format!("/admin/closed/{}", row["id"])));
        for path in paths {
            let reply = self.ask(true, &format!("GET {path} HTTP/1.1\r\n{cookie}"), "");
            assert_eq!(reply.status, 200, "{path}");
        }
        let say = format!(
            "POST /admin/groups/say HTTP/1.1\r\nContent-Type: application/json\r\nAuthorization: Bearer {ADMIN}"
        );
        self.ask(true, &say, &json!({ "group": "news", "text": SAID }).to_string());
    }

    /// Other settings, and wrong ones.
    fn reload(&mut self) {
        let path = self.directory.path.join("landline.toml");
        let settings = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, settings.replace(ADMIN, NEW_ADMIN)).unwrap();
        self.program.signal(Signal::HUP);
        self.program.logged("changed admin_key");
        let wrong = settings.replace(ADMIN, "hush short").replace(PUBLISH, "hush\\u0007")
            + "\"colour\\u001b[31m\\u0007\" = 1\n";
        std::fs::write(&path, wrong).unwrap();
        self.program.signal(Signal::HUP);
        self.program.logged("settings refused");
        for command in ["config", "check"] {
            let ended =
                Program::spawn(landline(&[command, "--config", path.to_str().unwrap()])).end();
            let all = ended.stdout + &ended.stderr;
            let acts = |c: char| c.is_control() && c != '\n';
            assert!(!all.contains(acts), "landline {command}: {all:?}");
            self.seen.push((format!("landline {command}"), all));
        }
    }

    /// Stops the program; everything that was seen of it.
    fn end(mut self) -> (Ended, Vec<(String, String)>) {
        self.program.signal(Signal::TERM);
        let ended = self.program.end();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        self.seen.push(("the log".into(), ended.stderr.clone()));
        self.seen.push(("the standard output".into(), ended.stdout.clone()));
        let tokens = [self.token, self.wrong_token];
        let parts = tokens.iter().flat_map(|token| token.split('.').skip(1));
        let mut secrets: Vec<String> = parts.map(str::to_owned).collect();
        let bases = [PASSWORD, WRONG_PASSWORD].map(|word| STANDARD.encode(format!("anna:{word}")));
        secrets.extend(bases.into_iter().chain([self.session, SECRET.into(), "hush".into()]));
        let found: Vec<String> = self
            .seen
            .iter()
            .flat_map(|(place, text)| text.lines().map(move |line| (place, line)))
            .filter(|(_, line)| secrets.iter().any(|secret| line.contains(secret.as_str())))
            .map(|(place, line)| format!("{place}: {line}"))
            .collect();
        assert!(found.is_empty(), "secrets are shown:\n{}", found.join("\n"));
        (ended, self.seen)
    }
}

/// A line of the file of passwords, as `landline passwd` makes it.
fn user_line() -> String {
    use std::io::Write as _;
    let mut child = binary(env!("CARGO_BIN_EXE_landline"))
        .args(["passwd", "anna"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(format!("{PASSWORD}\n").as_bytes()).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

fn talk(format: &str) -> String {
    let mut talkative = Talkative::start(format);
    talkative.knock_everywhere();
    talkative.babble();
    talkative.publish();
    eventually("the WebSockets have ended", || {
        talkative.program.connect().get("/healthz").status == 200
    });
    talkative.operate();
    talkative.reload();
    let (ended, seen) = talkative.end();
    // It was talkative, and what was seen is not nothing.
    assert!(ended.stderr.lines().count() > 40, "{}", ended.stderr);
    assert!(seen.iter().any(|(_, text)| text.contains("landline_websocket_closes_total")));
    ended.stderr
}

#[test]
fn no_secret_stands_anywhere_in_text() {
    let log = talk("text");
    for line in log.lines() {
        assert!(!line.contains(char::is_control), "{line:?}");
    }
}

#[test]
fn no_secret_stands_anywhere_in_json_and_every_line_is_an_object() {
    let log = talk("json");
    for line in log.lines() {
        let read: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line:?}"));
        for key in ["time", "level", "target", "message"] {
            assert!(read[key].is_string(), "{key}: {line}");
        }
        assert!(!line.contains(char::is_control), "{line:?}");
    }
}
