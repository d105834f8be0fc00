//! Responses whose body is read while it is sent.

use std::io::{self, Cursor, Read};

use landline::{Request, Response, Server, get};

use crate::harness::{Client, Running, eventually};

/// Gives what it has, then fails.
struct Failing(Cursor<&'static [u8]>);

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::other("the tape is torn")),
            read => Ok(read),
        }
    }
}

/// Gives what it has, then panics.
struct Panicking(Cursor<&'static [u8]>);

impl Read for Panicking {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => panic!("a reader that panics, as it should in this test"),
            read => Ok(read),
        }
    }
}

fn large() -> impl Read + Send {
    io::repeat(b'x').take(1 << 20)
}

fn server() -> Running {
    let stream = |reader: Box<dyn Read + Send>, length: Option<u64>| {
        Response::reader("application/octet-stream", reader, length)
    };
    let text: &[u8] = b"hello";
    let routes = Server::builder()
        .route("/", |_: &Request| "here")
        .route("/open", get(move |_: &Request| stream(Box::new(text), None)))
        .route("/known", get(move |_: &Request| stream(Box::new(text), Some(5))))
        .route("/nothing", move |_: &Request| stream(Box::new(io::empty()), None))
        .route("/large", move |_: &Request| stream(Box::new(large()), None))
        .route("/longer", move |_: &Request| stream(Box::new(text), Some(3)))
        .route("/shorter", move |_: &Request| stream(Box::new(text), Some(9)))
        .route("/torn", move |_: &Request| stream(Box::new(Failing(Cursor::new(text))), None))
        .route("/panic", move |_: &Request| stream(Box::new(Panicking(Cursor::new(text))), None));
    Running::start(routes)
}

/// Receives a chunked body; `None` if it ends before its last chunk.
fn chunks(client: &mut Client) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = client.buffer.windows(2).position(|bytes| bytes == b"\r\n") {
                break end;
            }
            if !client.receive() {
                return None;
            }
        };
        let line = String::from_utf8(client.take(end + 2)).unwrap();
        let size = usize::from_str_radix(line.trim_end(), 16).expect("a plain size");
        let data = client.take(size + 2);
        assert!(data.ends_with(b"\r\n"));
        body.extend_from_slice(&data[..size]);
        if size == 0 {
            return Some(body);
        }
    }
}

fn old(target: &str) -> String {
    format!("GET {target} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
}

#[test]
fn a_body_of_unknown_length_comes_in_chunks() {
    let server = server();
    let mut client = server.connect();
    for (target, expected) in
        [("/open", &b"hello"[..]), ("/nothing", b""), ("/large", &[b'x'; 1 << 20])]
    {
        let reply = client.get(target);
        assert_eq!(reply.header("transfer-encoding"), Some("chunked"));
        assert_eq!((reply.header("content-length"), reply.header("connection")), (None, None));
        assert!(chunks(&mut client).unwrap() == expected, "{target}");
    }
    assert_eq!(client.get("/").text(), "here");
}

#[test]
fn http_1_0_gets_a_body_of_unknown_length_up_to_the_end() {
    let server = server();
    for (target, expected) in
        [("/open", &b"hello"[..]), ("/nothing", b""), ("/large", &[b'x'; 1 << 20])]
    {
        let mut client = server.connect();
        let reply = client.ask(old(target));
        assert_eq!(reply.header("connection"), Some("close"), "the end is the end of the body");
        assert_eq!(
            (reply.header("content-length"), reply.header("transfer-encoding")),
            (None, None)
        );
        assert!(client.rest() == expected, "{target}");
    }
}

#[test]
fn a_body_of_known_length_has_it() {
    let server = server();
    let mut client = server.connect();
    assert_eq!(client.get("/known").text(), "hello");
    assert_eq!(client.get("/longer").text(), "hel", "a reader is not asked for more than that");
    assert_eq!(client.get("/").text(), "here");
    assert_eq!(client.ask(old("/known")).text(), "hello");
    assert_eq!(client.ask(old("/known")).text(), "hello");
}

#[test]
fn head_reads_nothing() {
    let server = server();
    let mut client = server.connect();
    for target in ["/open", "/known", "/open"] {
        client.send(format!("HEAD {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        assert_eq!(client.reply_to("HEAD").status, 200);
    }
    assert_eq!(client.get("/").text(), "here");
}

/// Nobody may take a part for the whole.
#[test]
fn a_body_that_fails_is_cut() {
    let server = server();
    for target in ["/torn", "/panic"] {
        let mut client = server.connect();
        client.get(target);
        assert_eq!(chunks(&mut client), None, "{target}");
    }
    let mut client = server.connect();
    client.send("GET /shorter HTTP/1.1\r\nHost: localhost\r\n\r\n");
    while client.receive() {}
    let received = String::from_utf8(client.buffer.clone()).unwrap();
    assert!(received.contains("Content-Length: 9\r\n") && received.ends_with("\r\n\r\nhello"));
    assert_eq!(server.connect().get("/").text(), "here");
    eventually("the places are free again", || server.handle.connections() == 0);
}

/// In HTTP/1.0 an end in good order would be the end of a whole body.
#[test]
fn a_body_that_fails_in_http_1_0_ends_with_a_reset() {
    let server = server();
    for target in ["/torn", "/panic"] {
        let mut client = server.connect();
        client.send(old(target));
        let error = loop {
            match client.stream.read(&mut [0; 4096]) {
                Ok(0) => panic!("{target} ended in good order"),
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{target}");
    }
}
