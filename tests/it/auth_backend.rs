//! The question to another server: what is asked, what an answer means, and what none means.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, SystemTime};

use landline::{Auth, BackendAuth, Request, Server, get, require_websocket};

use crate::harness::{Client, PATIENCE, Reply, Running, echo, tell};

const LONG: Duration = Duration::from_secs(600);

/// A server that is asked who somebody is, and answers as it is told.
struct Backend {
    address: SocketAddr,
    calls: Arc<AtomicUsize>,
}

impl Backend {
    /// Answers each question, given as its text, with bytes; `None` for not at all.
    fn start(answer: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let calls = Arc::new(AtomicUsize::new(0));
        let (counter, answer) = (Arc::clone(&calls), Arc::new(answer));
        // It ends with the process; its connections end with their clients.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (answer, counter) = (Arc::clone(&answer), Arc::clone(&counter));
                std::thread::spawn(move || serve_one(stream.unwrap(), &counter, &*answer));
            }
        });
        Self { address, calls }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn url(&self) -> String {
        format!("http://{}/who/?key=k", self.address)
    }
}

fn serve_one(mut stream: TcpStream, calls: &AtomicUsize, answer: &dyn Fn(&str) -> Option<String>) {
    let (mut head, mut bytes) = (Vec::new(), [0; 4096]);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut bytes) {
            Ok(0) | Err(_) => return,
            Ok(count) => head.extend_from_slice(&bytes[..count]),
        }
    }
    calls.fetch_add(1, Ordering::SeqCst);
    match answer(&String::from_utf8_lossy(&head)) {
        Some(answer) => drop(stream.write_all(answer.as_bytes())),
        // Until the other side gives up.
        None => while stream.read(&mut bytes).is_ok_and(|count| count > 0) {},
    }
}

fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

fn anna() -> String {
    answer("200 OK", r#"{"user": "anna", "groups": ["staff"], "session": "s", "mail": "a@b"}"#)
}

fn name(request: &Request) -> String {
    let identity = request.identity();
    let mail = identity.and_then(|identity| identity.claim("mail")).cloned().unwrap_or_default();
    let name = identity.and_then(|identity| identity.name()).unwrap_or("nobody");
    format!("{name} {mail}")
}

fn serve(auth: impl Into<Auth>) -> Running {
    Running::start(
        Server::builder()
            .route("/", get(name))
            .route("/other", get(name))
            .route("/ws", require_websocket(echo))
            .route("/echo", require_websocket(echo).authenticate(Auth::open()))
            .authenticate(auth),
    )
}

fn asking(backend: &Backend) -> BackendAuth {
    BackendAuth::new(backend.url()).unwrap().timeout(PATIENCE)
}

fn ask(server: &Running, path: &str, lines: &str) -> Reply {
    server.connect().ask(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n"))
}

#[test]
fn the_question_has_the_credentials_and_what_it_is_about() {
    let (sender, told) = tell();
    let sender: Mutex<Sender<String>> = Mutex::new(sender);
    let backend = Backend::start(move |head| {
        sender.lock().unwrap().send(head.to_owned()).unwrap();
        Some(anna())
    });
    let server = serve(asking(&backend));
    let lines = "Cookie: sessionid=1; a=b\r\nCookie: c=d\r\nAuthorization: Token x\r\n\
                 X-Other: private\r\n";
    assert_eq!(ask(&server, "/?a=b", lines).text(), "anna \"a@b\"");
    let head = told.next().to_lowercase();
    assert!(head.starts_with("get /who/?key=k http/1.1\r\n"), "{head}");
    for line in [
        "cookie: sessionid=1; a=b\r\n",
        "cookie: c=d\r\n",
        "authorization: token x\r\n",
        "x-original-uri: /?a=b\r\n",
        "x-original-method: get\r\n",
        "x-forwarded-for: 127.0.0.1\r\n",
        "accept: application/json\r\n",
    ] {
        assert!(head.contains(line), "{line} in {head}");
    }
    assert!(!head.contains("private") && !head.contains("localhost"), "{head}");
    let own = serve(asking(&backend).headers(["X-Other"]).unwrap().by_post());
    assert_eq!(ask(&own, "/", lines).status, 200);
    let head = told.next().to_lowercase();
    assert!(head.starts_with("post /who/?key=k ") && head.contains("x-other: private\r\n"));
    assert!(head.contains("content-length: 0\r\n") && !head.contains("cookie"), "{head}");
}

#[test]
fn an_answer_is_kept_for_the_same_question_only() {
    let backend = Backend::start(|head| {
        Some(match head.contains("sessionid=anna") {
            true => anna(),
            false => answer("401 Unauthorized", ""),
        })
    });
    let server = serve(asking(&backend).keep(LONG, LONG));
    for _ in 0..3 {
        assert_eq!(ask(&server, "/", "Cookie: sessionid=anna\r\n").status, 200);
        assert_eq!(ask(&server, "/", "Cookie: sessionid=eve\r\n").status, 401);
    }
    assert_eq!(backend.calls(), 2);
    assert_eq!(ask(&server, "/other", "Cookie: sessionid=anna\r\n").status, 200);
    assert_eq!(ask(&server, "/?x=y", "Cookie: sessionid=anna\r\n").status, 200);
    assert_eq!(backend.calls(), 4);
    // Without credentials there is nothing to ask.
    let reply = ask(&server, "/", "");
    assert_eq!((reply.status, backend.calls()), (401, 4));
    assert_eq!(reply.header("www-authenticate"), Some("Session realm=\"landline\""));
    let mut client = server.connect();
    let head = Client::handshake_head("/ws");
    let reply = client.ask(head.replacen("\r\n", "\r\nCookie: sessionid=anna\r\n", 1));
    assert_eq!((reply.status, backend.calls()), (101, 5));
    let forgetful = serve(asking(&backend).keep(Duration::ZERO, Duration::ZERO));
    for _ in 0..2 {
        assert_eq!(ask(&forgetful, "/", "Cookie: sessionid=anna\r\n").status, 200);
    }
    assert_eq!(backend.calls(), 7);
}

#[test]
fn the_same_question_of_many_is_asked_once() {
    const CLIENTS: usize = 16;
    let (asked, is_asked) = channel();
    let (go, may_go) = channel::<()>();
    let (asked, may_go) = (Mutex::new(asked), Mutex::new(may_go));
    let backend = Backend::start(move |_| {
        asked.lock().unwrap().send(()).unwrap();
        may_go.lock().unwrap().recv().unwrap();
        Some(anna())
    });
    let server = serve(asking(&backend).keep(LONG, LONG));
    let barrier = Barrier::new(CLIENTS);
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                barrier.wait();
                assert_eq!(ask(&server, "/", "Cookie: sessionid=anna\r\n").status, 200);
            });
        }
        is_asked.recv().unwrap();
        go.send(()).unwrap();
    });
    assert_eq!(backend.calls(), 1);
}

#[test]
fn whoever_the_backend_refuses_is_refused() {
    let challenge = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Custom realm=\"x\"\r\n\
                     Content-Length: 0\r\n\r\n";
    for (reply, status, asked) in [
        (answer("401 Unauthorized", ""), 401, Some("Session realm=\"landline\"")),
        (challenge.to_owned(), 401, Some("Custom realm=\"x\"")),
        (answer("403 Forbidden", "private words"), 403, None),
    ] {
        let backend = Backend::start(move |_| Some(reply.clone()));
        let server = serve(Auth::new(asking(&backend)).optional());
        let reply = ask(&server, "/", "Cookie: a=b\r\n");
        assert_eq!((reply.status, reply.header("www-authenticate")), (status, asked));
        assert!(!reply.text().contains("private"));
        assert_eq!(ask(&server, "/", "").status, 200, "strangers may come in");
    }
}

#[test]
fn what_is_no_answer_is_503() {
    let elsewhere = Backend::start(|_| Some(anna()));
    let redirect = format!(
        "HTTP/1.1 302 Found\r\nLocation: http://{}/\r\nContent-Length: 0\r\n\r\n",
        elsewhere.address
    );
    let broken = [
        answer("500 Internal Server Error", ""),
        answer("404 Not Found", ""),
        answer("200 OK", ""),
        answer("200 OK", "<html>"),
        answer("200 OK", "{}"),
        answer("200 OK", r#"{"user": null}"#),
        answer("200 OK", r#"{"user": "a", "groups": "all"}"#),
        answer("200 OK", &format!(r#"{{"user": "a", "x": "{}"}}"#, "x".repeat(70_000))),
        answer("204 No Content", ""),
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"user\": \"a\"}".into(),
        "nonsense\r\n\r\n".into(),
        String::new(),
        redirect,
    ];
    for reply in broken {
        let shown = reply.chars().take(60).collect::<String>();
        let backend = Backend::start(move |_| Some(reply.clone()));
        let server = serve(Auth::new(asking(&backend)).optional());
        for attempt in 1..=2 {
            let reply = ask(&server, "/", "Cookie: a=b\r\n");
            assert_eq!((reply.status, backend.calls()), (503, attempt), "{shown}");
            assert_eq!(reply.header("retry-after"), Some("1"));
        }
        server.serves_the_next();
    }
    assert_eq!(elsewhere.calls(), 0, "nobody follows");
}

#[test]
fn a_backend_that_is_down_or_slow_lets_nobody_in() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let down = serve(BackendAuth::new(format!("http://{free}/")).unwrap());
    assert_eq!(ask(&down, "/", "Cookie: a=b\r\n").status, 503);
    let silent = Backend::start(|_| None);
    let slow = serve(BackendAuth::new(silent.url()).unwrap().timeout(Duration::from_millis(50)));
    assert_eq!(ask(&slow, "/", "Cookie: a=b\r\n").status, 503);
    let mut client = slow.connect();
    let head = Client::handshake_head("/ws");
    assert_eq!(client.ask(head.replacen("\r\n", "\r\nCookie: a=b\r\n", 1)).status, 503);
    slow.serves_the_next();
}

#[test]
fn an_answer_ends_when_it_says_so() {
    let seconds = |from_now: i64| crate::tokens::in_seconds(from_now);
    let (past, soon) = (seconds(-1), seconds(2));
    let backend = Backend::start(move |head| {
        let expires = if head.contains("past") { past } else { soon };
        Some(answer("200 OK", &format!(r#"{{"user": "anna", "expires": {expires}}}"#)))
    });
    let server = serve(asking(&backend).keep(LONG, LONG));
    for calls in 1..=2 {
        assert_eq!(ask(&server, "/", "Cookie: past\r\n").status, 401);
        assert_eq!(backend.calls(), calls, "what is over is not kept");
    }
    let mut client = server.connect();
    let head = Client::handshake_head("/ws");
    assert_eq!(client.ask(head.replacen("\r\n", "\r\nCookie: a=b\r\n", 1)).status, 101);
    assert_eq!(client.answer_close().0, 4401);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    assert!(since.as_secs() as i64 >= soon, "too early");
}

#[test]
fn what_is_kept_is_forgotten_when_somebody_is_told_to_go() {
    let backend = Backend::start(|_| Some(anna()));
    let server = serve(asking(&backend).keep(LONG, LONG));
    let ask = || ask(&server, "/", "Cookie: sessionid=anna\r\n").status;
    assert_eq!((ask(), ask(), backend.calls()), (200, 200, 1));
    server.handle.close_user("ben", 4401, "logged out").unwrap();
    assert_eq!((ask(), ask(), backend.calls()), (200, 200, 2));
    server.handle.close_session("s", 4401, "logged out").unwrap();
    assert_eq!((ask(), ask(), backend.calls()), (200, 200, 3));
}

#[test]
fn no_two_clients_share_an_answer() {
    // Says of what it was asked about.
    let backend = Backend::start(|head| {
        let shown = head.lines().filter(|line| {
            let line = line.to_ascii_lowercase();
            line.starts_with("cookie:") || line.starts_with("authorization:")
        });
        let name = shown.collect::<Vec<_>>().join("|").to_ascii_lowercase();
        Some(answer("200 OK", &serde_json::json!({ "user": name }).to_string()))
    });
    let server = serve(asking(&backend).keep(LONG, LONG));
    let lines = [
        "Cookie: a=b\r\n",
        "Cookie: a=b; c=d\r\n",
        "Cookie: a=b\r\nCookie: c=d\r\n",
        "Cookie: c=d\r\nCookie: a=b\r\n",
        "Cookie: A=b\r\n",
        "Cookie: a=b\r\nAuthorization: c=d\r\n",
        "Authorization: a=b\r\n",
        "Cookie: a=bAuthorization\r\nCookie: c=d\r\n",
    ];
    for calls in [lines.len(), lines.len()] {
        let names = lines.map(|line| ask(&server, "/", line).text().to_owned());
        for (name, line) in names.iter().zip(lines) {
            let sent = line.trim_end().replace("\r\n", "|").to_ascii_lowercase();
            assert_eq!(*name, format!("{sent} null"), "somebody else's answer");
        }
        assert_eq!(backend.calls(), calls);
    }
}

#[test]
fn an_answer_without_end_is_bounded_and_a_dripping_one_has_its_deadline() {
    let endless = |head: &'static str, piece: &'static [u8], pause: Duration| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(head.as_bytes());
                while stream.write_all(piece).is_ok() {
                    std::thread::sleep(pause);
                }
            }
        });
        BackendAuth::new(format!("http://{address}/")).unwrap()
    };
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (whole, dripped) = (Duration::ZERO, Duration::from_millis(10));
    for backend in [
        endless(CHUNKED, b"8\r\n        \r\n", whole).timeout(PATIENCE),
        endless("HTTP/1.1 200 OK\r\n", b"X-Long: value\r\n", whole).timeout(PATIENCE),
        endless("HTTP/1.1 200 OK\r\n\r\n", b"        ", whole).timeout(PATIENCE),
        endless(CHUNKED, b"1\r\n \r\n", dripped).timeout(Duration::from_millis(200)),
        endless("HTTP/1.1 200 OK\r\n", b"A", dripped).timeout(Duration::from_millis(200)),
    ] {
        let server = serve(backend);
        assert_eq!(ask(&server, "/", "Cookie: a=b\r\n").status, 503);
        server.serves_the_next();
    }
}
