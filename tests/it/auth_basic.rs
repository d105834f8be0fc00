//! Names and passwords over real sockets.

use std::sync::Barrier;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use landline::{Auth, BasicAuth, Jwt, Request, Server, get, require_websocket};

use crate::harness::{Client, Reply, Running, echo};
use crate::tokens::{SECRET, Signer};

/// A line of the file, with the least cost.
fn line(user: &str, password: &str, more: &str) -> String {
    format!("{user}:{}{more}\n", bcrypt::hash(password, 4).unwrap())
}

fn users() -> String {
    line("anna", "secret", "") + &line("Änne", "pass:wörd", ":editors,staff")
}

fn name(request: &Request) -> String {
    let identity = request.identity().expect("nobody comes in unknown");
    format!("{} of {}", identity.name().unwrap_or_default(), identity.group_names().join("+"))
}

fn serve(auth: impl Into<Auth>) -> Running {
    Running::start(
        Server::builder()
            .route("/", get(name))
            .route("/ws", require_websocket(echo))
            .route("/echo", require_websocket(echo).authenticate(Auth::open()))
            .authenticate(auth),
    )
}

fn basic(credentials: &str) -> String {
    format!("Authorization: Basic {}\r\n", STANDARD.encode(credentials))
}

fn ask(server: &Running, lines: &str) -> Reply {
    server.connect().ask(format!("GET / HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n"))
}

#[test]
fn name_and_password_let_in_and_nothing_else_does() {
    let server = serve(BasicAuth::with_users(users()).unwrap().realm("the door").unwrap());
    for _ in 0..2 {
        assert_eq!(ask(&server, &basic("anna:secret")).text(), "anna of ");
        assert_eq!(ask(&server, &basic("Änne:pass:wörd")).text(), "Änne of editors+staff");
    }
    for wrong in [
        basic("anna:Secret"),
        basic("anna:"),
        basic("anna"),
        basic(":secret"),
        basic("nobody:secret"),
        basic(&format!("anna:{}", "x".repeat(2000))),
        "Authorization: Basic !\r\n".into(),
        "Authorization: Basic /zpi\r\n".into(),
        basic("anna:secret").repeat(2),
    ] {
        for _ in 0..2 {
            let reply = ask(&server, &wrong);
            assert_eq!(reply.status, 401, "{wrong}");
            let asked = Some("Basic realm=\"the door\", charset=\"UTF-8\"");
            assert_eq!(reply.header("www-authenticate"), asked);
        }
    }
    assert_eq!(ask(&server, "").status, 401);
    let mut client = server.connect();
    let head = Client::handshake_head("/ws");
    let mut shake = |line: &str| client.ask(head.replacen("\r\n", &format!("\r\n{line}"), 1));
    assert_eq!(shake(&basic("anna:no")).status, 401);
    assert_eq!(shake(&basic("anna:secret")).status, 101);
    client.expect_echo("in");
}

#[test]
fn many_at_once_with_one_password_all_come_in() {
    const CLIENTS: usize = 12;
    let server = serve(BasicAuth::with_users(users()).unwrap());
    let barrier = Barrier::new(CLIENTS);
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (server, barrier) = (&server, &barrier);
            scope.spawn(move || {
                let is_right = number % 3 != 0;
                let lines = basic(if is_right { "anna:secret" } else { "anna:wrong" });
                barrier.wait();
                assert_eq!(ask(server, &lines).status, if is_right { 200 } else { 401 });
            });
        }
    });
}

#[test]
fn a_file_of_users_is_read_again_and_old_answers_go() {
    let path = std::env::temp_dir().join(format!("landline-users-{}", std::process::id()));
    std::fs::write(&path, users()).unwrap();
    let auth = BasicAuth::users_file(&path).unwrap();
    let server = serve(auth.clone());
    assert_eq!(ask(&server, &basic("anna:secret")).status, 200);
    std::fs::write(&path, "anna:plain\n").unwrap();
    let error = auth.reload().unwrap_err().chain();
    assert!(error.contains("line 1") && !error.contains("plain"), "{error}");
    assert_eq!(ask(&server, &basic("anna:secret")).status, 200, "the old users stay");
    std::fs::write(&path, line("anna", "changed", "")).unwrap();
    auth.reload().unwrap();
    assert_eq!(ask(&server, &basic("anna:secret")).status, 401);
    assert_eq!(ask(&server, &basic("anna:changed")).status, 200);
    std::fs::remove_file(&path).unwrap();
    assert!(auth.reload().is_err() && BasicAuth::users_file(&path).is_err());
}

#[test]
fn passwords_and_tokens_stand_side_by_side() {
    let jwt = Jwt::with_key(SECRET).unwrap();
    let server = serve(Auth::new(jwt).or(BasicAuth::with_users(users()).unwrap()));
    assert_eq!(ask(&server, &basic("anna:secret")).status, 200);
    let token = Signer::Secret(SECRET).token_of("ben");
    assert_eq!(ask(&server, &format!("Authorization: Bearer {token}\r\n")).text(), "ben of ");
    let asked = "Bearer realm=\"landline\", Basic realm=\"landline\", charset=\"UTF-8\"";
    assert_eq!(ask(&server, "").header("www-authenticate"), Some(asked));
}
