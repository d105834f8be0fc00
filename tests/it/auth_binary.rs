//! The login of the ready binary: its flags, its files, what a SIGHUP changes, what it never shows.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use landline::GroupSigner;
use rustix::process::Signal;

use crate::harness::{Client, Reply};
use crate::program::{Program, landline, run};
use crate::tokens::{OTHER_SECRET, RSA_PUBLIC, SECRET, Signer};

/// A file of this test alone, gone with it.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let name = format!("landline-auth-{name}-{}", std::process::id());
        let file = Self(std::env::temp_dir().join(name));
        file.write(text);
        file
    }

    fn write(&self, text: &str) {
        fs::write(&self.0, text).unwrap();
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn ask(program: &Program, path: &str, line: &str) -> Reply {
    let line = if line.is_empty() { String::new() } else { format!("{line}\r\n") };
    program.connect().ask(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{line}\r\n"))
}

fn shake(program: &Program, path: &str, line: &str) -> (Client, u16) {
    let mut client = program.connect();
    let head = Client::handshake_head(path).replacen("\r\n", &format!("\r\n{line}\r\n"), 1);
    let status = client.ask(head).status;
    (client, status)
}

fn bearer(signer: Signer) -> String {
    format!("Authorization: Bearer {}", signer.token_of("anna"))
}

#[test]
fn a_password_of_the_file_opens_every_route_but_the_health() {
    let line = landline(&["passwd", "anna"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .and_then(|mut child| {
            use std::io::Write as _;
            child.stdin.take().unwrap().write_all(b"correct horse\n")?;
            child.wait_with_output()
        })
        .unwrap();
    assert!(line.status.success());
    let users = File::new("users", &String::from_utf8(line.stdout).unwrap());
    let program = Program::serve(&["--auth-basic-file", users.path()]);
    let right = format!("Authorization: Basic {}", STANDARD.encode("anna:correct horse"));
    let wrong = format!("Authorization: Basic {}", STANDARD.encode("anna:hunter2"));
    for path in ["/", "/index/", "/chat/", "/echo?message=x"] {
        assert_eq!(ask(&program, path, "").status, 401, "{path}");
        assert_eq!(ask(&program, path, &right).status, 200, "{path}");
    }
    assert_eq!(ask(&program, "/", &wrong).status, 401);
    program.logged("\"anna\" \"GET /index/\" 200");
    for path in ["/healthz", "/readyz", "/static/landline.css"] {
        assert_eq!(ask(&program, path, "").status, 200, "{path}");
    }
    let (mut client, status) = shake(&program, "/echo", &right);
    assert_eq!(status, 101);
    client.expect_echo("in");
}

#[test]
fn a_token_opens_the_routes_that_are_named() {
    let key = File::new("key", RSA_PUBLIC);
    let program = Program::serve(&["--auth-jwt-key", key.path(), "--auth-route", "/ws/,/echo"]);
    assert_eq!(ask(&program, "/", "").status, 200);
    assert_eq!(ask(&program, "/echo?message=x", "").status, 401);
    assert_eq!(shake(&program, "/ws/chat/lobby/", "X: y").1, 401);
    assert_eq!(shake(&program, "/ws/news/?subscribe-user", &bearer(Signer::Rsa)).1, 101);
    assert_eq!(shake(&program, "/ws/news/", &bearer(Signer::OtherRsa)).1, 401);
    let token = Signer::Rsa.token_of("anna");
    let (mut client, status) = shake(&program, &format!("/ws/chat/lobby/?token={token}"), "X: y");
    assert_eq!(status, 101);
    client.send_text(r#"{"message": "hello"}"#);
    let mut said = client.expect_text();
    while !said.contains("hello") {
        said = client.expect_text();
    }
    assert!(said.contains("\"name\":\"anna\""), "{said}");
}

#[test]
fn a_hangup_changes_keys_and_wrong_ones_are_refused() {
    let key = File::new("hup", &format!("{SECRET}\n"));
    let program = Program::serve(&["--auth-jwt-key", key.path()]);
    let (one, other) = (bearer(Signer::Secret(SECRET)), bearer(Signer::Secret(OTHER_SECRET)));
    assert_eq!((ask(&program, "/", &one).status, ask(&program, "/", &other).status), (200, 401));
    let (mut open, status) = shake(&program, "/echo", &one);
    assert_eq!(status, 101);
    key.write("short");
    program.signal(Signal::HUP);
    program.logged("settings refused, those in force stay");
    assert_eq!(ask(&program, "/", &one).status, 200);
    key.write(OTHER_SECRET);
    program.signal(Signal::HUP);
    program.logged("settings read again");
    assert_eq!((ask(&program, "/", &one).status, ask(&program, "/", &other).status), (401, 200));
    open.expect_echo("who is in stays");
}

#[test]
fn a_private_room_needs_its_signed_name() {
    let mut command = landline(&["serve", "--port", "0"]);
    command.env("LANDLINE_AUTH_GROUP_KEY", SECRET);
    let program = Program::listening(command);
    let until = SystemTime::now() + Duration::from_secs(60);
    let sign = |group: &str| GroupSigner::with_key(SECRET).unwrap().sign(group, until, None);
    let enter =
        |token: &str| shake(&program, &format!("/ws/chat/private-board/?group={token}"), "X: y").1;
    assert_eq!(enter(&sign("chat:private-board")), 101);
    assert_eq!(enter(&sign("chat:private-other")), 403);
    assert_eq!(enter("x"), 403);
    assert_eq!(shake(&program, "/ws/chat/private-board/", "X: y").1, 403);
    assert_eq!(shake(&program, "/ws/chat/lobby/", "X: y").1, 101);
    let facility = format!("/ws/news/?subscribe-group&group={}", sign("staff"));
    assert_eq!(shake(&program, &facility, "X: y").1, 101);
    let keyless = Program::serve(&[]);
    let room = format!("/ws/chat/private-board/?group={}", sign("chat:private-board"));
    assert_eq!(shake(&keyless, &room, "X: y").1, 403);
}

#[test]
fn a_signed_name_of_the_command_opens_its_room() {
    let settings = File::new("sign.toml", &format!("auth_group_key = \"{SECRET}\"\n"));
    let sign =
        |args: &[&str]| run(&[&["sign", "group"], args, &["--config", settings.path()]].concat());
    let signed = |args: &[&str]| {
        let ended = sign(args);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended.stdout.trim_end().to_owned()
    };
    let program = Program::serve(&["--config", settings.path()]);
    let enter =
        |token: &str| shake(&program, &format!("/ws/chat/private-board/?group={token}"), "X: y").1;
    assert_eq!(enter(&signed(&["chat:private-board"])), 101);
    assert_eq!(enter(&signed(&["chat:private-board", "--for", "3600"])), 101);
    assert_eq!(enter(&signed(&["chat:private-other"])), 403);
    assert_eq!(enter(&signed(&["chat:private-board", "--for", "0"])), 403, "it has expired");
    assert_eq!(enter(&signed(&["chat:private-board", "--user", "anna"])), 403, "of somebody else");
    let group = signed(&["staff: Zürich"]);
    assert_eq!(shake(&program, &format!("/ws/n/?subscribe-group&group={group}"), "X: y").1, 101);
    for (args, words) in [
        (&["group", "a"][..], "LANDLINE_AUTH_GROUP_KEY"),
        (&["group", "a", "--auth-group-key", "hunter2"], "32 bytes"),
        (&["group", ""], "1 to 255 bytes"),
        (&["group", "a\nb"], "control characters"),
        (&["group", "a", "--for", "soon"], "soon"),
        (&["group"], "NAME"),
        (&[], "group"),
    ] {
        let ended = run(&[&["sign"], args].concat());
        assert_ne!(ended.code, Some(0), "{args:?}");
        assert!(ended.stderr.contains(words) && ended.stdout.is_empty(), "{}", ended.stderr);
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    }
}

#[test]
fn who_is_believed_about_addresses_is_not_believed_about_users() {
    let header = "X-Remote-User: anna";
    let asked = |flags: &[&str], lines: &str| {
        let program =
            Program::serve(&[&["--auth-trusted-header", "X-Remote-User"], flags].concat());
        ask(&program, "/", lines).status
    };
    assert_eq!(asked(&[], header), 200, "the proxy is on this machine");
    assert_eq!(asked(&[], ""), 403);
    let elsewhere = ["--auth-trusted-proxy", "10.0.0.1"];
    assert_eq!(asked(&elsewhere, header), 403);
    let addresses = ["--proxy-headers", "--forwarded-allow-ips", "127.0.0.1"];
    let both = [&elsewhere[..], &addresses[..]].concat();
    assert_eq!(asked(&both, header), 403, "a proxy that tells addresses, and no more");
    // Nor does it help to be somebody else, by the word of that proxy.
    assert_eq!(asked(&both, &format!("X-Forwarded-For: 10.0.0.1\r\n{header}")), 403);
    let ended = run(&[
        "--port",
        "0",
        "--host",
        "0.0.0.0",
        "--publish-key",
        "0123456789abcdef",
        "--auth-trusted-header",
        "X-Remote-User",
        "--auth-trusted-proxy",
        "*",
    ]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("anybody may say to be any user"), "{}", ended.stderr);
}

#[test]
fn settings_of_the_login_that_cannot_be_right_are_refused() {
    let (short, secret) = (File::new("short", "hunter2"), File::new("secret", SECRET));
    for (args, words) in [
        (&["--auth-jwt-key", "/nothing/there"][..], "/nothing/there"),
        (&["--auth-jwt-key", short.path()], "32 bytes"),
        (&["--auth-basic-file", short.path()], "line 1"),
        (&["--auth-jwt-jwks", short.path()], "JSON"),
        (&["--auth-jwt-key", secret.path(), "--auth-jwt-jwks", secret.path()], "not both"),
        (&["--auth-route", "/ws/"], "does nothing without"),
        (&["--auth-optional"], "does nothing without"),
        (&["--auth-jwt-audience", "x"], "does nothing without --auth-jwt-key"),
        (&["--auth-trusted-header", "X Y"], "no name of a header"),
        (&["--auth-trusted-header", "X-Y", "--auth-trusted-proxy", "x"], "not a network"),
        (&["--auth-backend-url", "ftp://a/"], "no address to ask at"),
        (&["--auth-group-key", "hunter2"], "32 bytes"),
        (&["--auth-close-code", "1000"], "4000 to 4999"),
        (&["--auth-route", "ws"], "from / on"),
    ] {
        let ended = run(&[&["check"], args].concat());
        assert_ne!(ended.code, Some(0), "{args:?}");
        assert!(ended.stderr.contains(words), "{args:?}: {}", ended.stderr);
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    }
    let ended = run(&["check", "--auth-trusted-header", "X-Remote-User"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn no_secret_is_ever_logged() {
    let (users, key) = (File::new("log-users", ""), File::new("log-key", SECRET));
    users.write(&format!("anna:{}\n", bcrypt::hash("correct-horse", 4).unwrap()));
    let program = Program::serve(&[
        "--log-level",
        "trace",
        "--auth-jwt-key",
        key.path(),
        "--auth-basic-file",
        users.path(),
        "--auth-backend-url",
        "http://127.0.0.1:1/?pass=backend-secret",
        "--auth-backend-header",
        "Cookie",
        "--auth-group-key",
        &"group-key-".repeat(4),
    ]);
    let (right, wrong) = (Signer::Secret(SECRET), Signer::Secret(OTHER_SECRET));
    let (right, wrong) = (right.token_of("anna"), wrong.token_of("eve"));
    let basic = |password: &str| {
        format!("Authorization: Basic {}", STANDARD.encode(format!("anna:{password}")))
    };
    let signed = GroupSigner::with_key("f".repeat(32)).unwrap();
    let signed = signed.sign("a", SystemTime::now() + Duration::from_secs(60), None);
    for token in [&right, &wrong] {
        for (path, line) in [
            (format!("/echo?token={token}"), "X: y".to_owned()),
            (format!("/nothing?token={token}"), "X: y".to_owned()),
            (
                format!("/ws/news/?publish-user&group={signed}"),
                format!("Authorization: Bearer {token}"),
            ),
            ("/echo".into(), format!("Sec-WebSocket-Protocol: bearer, {token}")),
            ("/echo".into(), format!("Authorization: Bearer {token}")),
        ] {
            drop(shake(&program, &path, &line));
            drop(ask(&program, &path, &line));
        }
    }
    for password in ["correct-horse", "hunter2"] {
        assert_ne!(ask(&program, "/", &basic(password)).status, 500);
    }
    assert_eq!(ask(&program, "/", "Cookie: sessionid=cookie-secret").status, 503);
    program.logged("cannot be asked");
    program.signal(Signal::TERM);
    let log = program.end().stderr;
    assert!(log.contains("401") && log.contains("503"), "{log}");
    let tokens = [right.as_str(), wrong.as_str(), signed.as_str()];
    let parts = tokens.iter().flat_map(|token| token.split('.').filter(|part| part.len() > 8));
    let secrets = [SECRET, OTHER_SECRET, "correct-horse", "hunter2", "cookie-secret"];
    let encoded = [STANDARD.encode("anna:correct-horse"), STANDARD.encode("anna:hunter2")];
    let encoded = encoded.iter().map(String::as_str);
    for secret in parts.chain(secrets).chain(encoded).chain(["backend-secret", "group-key-group"]) {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}
