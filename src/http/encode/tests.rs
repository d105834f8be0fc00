//! The bytes of responses, and what becomes of the connection.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::http::Cookie;

const PLAIN: How = How { version: Version::Http11, head_only: false, keep_alive: true };

fn http10() -> How {
    How { version: Version::Http10, ..PLAIN }
}

/// All bytes of a response, a streamed body included, and whether the connection goes on.
fn bytes(response: Response, how: &How) -> (Vec<u8>, bool) {
    let mut out = Vec::new();
    let encoded = encode(response, how, &mut out).unwrap();
    if let Some(mut rest) = encoded.rest {
        while rest.next(&mut out).unwrap() {}
    }
    (out, encoded.keep_alive)
}

/// The same as text, without the line that changes with the clock.
fn text(response: Response, how: &How) -> String {
    let text = String::from_utf8(bytes(response, how).0).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("\r\nServer: landline"), "{head}");
    assert_eq!(head.matches("\r\nDate: ").count(), 1, "{head}");
    let keep = |line: &&str| !line.starts_with("Date: ") && !line.starts_with("Server: ");
    let lines: Vec<_> = head.split("\r\n").filter(keep).collect();
    format!("{}\n\n{body}", lines.join("\n"))
}

/// Gives what it was told to give, read by read.
struct Script(VecDeque<io::Result<&'static [u8]>>);

impl Read for Script {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.0.pop_front().unwrap_or(Ok(b""))?;
        buffer[..piece.len()].copy_from_slice(piece);
        Ok(piece.len())
    }
}

fn script<const N: usize>(pieces: [io::Result<&'static [u8]>; N]) -> Script {
    Script(pieces.into())
}

#[test]
fn a_small_text_is_one_buffer() {
    let expected = "HTTP/1.1 200 OK\nX-Content-Type-Options: nosniff\n\
        Content-Type: text/plain; charset=utf-8\nContent-Length: 2\n\nhi";
    assert_eq!(text(Response::text("hi"), &PLAIN), expected);
    let mut out = b"before".to_vec();
    let encoded = encode(Response::text("hi"), &PLAIN, &mut out).unwrap();
    assert!(encoded.keep_alive && encoded.rest.is_none());
    assert!(out.starts_with(b"beforeHTTP/1.1 200 OK\r\n") && out.ends_with(b"\r\n\r\nhi"));
}

#[test]
fn the_connection_line_follows_version_and_wish() {
    let close = How { keep_alive: false, ..PLAIN };
    let line = |how: &How| {
        let text = text(Response::text("x"), how);
        let line = text.lines().find(|line| line.starts_with("Connection"));
        line.map(str::to_owned)
    };
    assert_eq!(line(&PLAIN), None);
    assert_eq!(line(&close).as_deref(), Some("Connection: close"));
    assert_eq!(line(&http10()).as_deref(), Some("Connection: keep-alive"));
    let close10 = How { keep_alive: false, ..http10() };
    assert_eq!(line(&close10).as_deref(), Some("Connection: close"));
    assert!(text(Response::text("x"), &close10).starts_with("HTTP/1.0 200 OK\nConnection: close"));
}

#[test]
fn a_response_can_close_the_connection() {
    let (head, keep_alive) = bytes(Refusal::body_too_long(9).into_response(), &PLAIN);
    assert!(!keep_alive);
    assert!(head.starts_with(b"HTTP/1.1 413 Payload Too Large\r\nConnection: close\r\n"));
}

#[test]
fn an_upgrade_is_announced_with_its_connection_token() {
    let expected = "HTTP/1.1 426 Upgrade Required\nUpgrade: websocket\nConnection: Upgrade\n";
    let answer = text(Refusal::upgrade_required().into_response(), &PLAIN);
    assert!(answer.starts_with(expected), "{answer}");
    assert!(answer.contains("\nSec-WebSocket-Version: 13\n"));
    let answer = text(Refusal::upgrade_required().and_close().into_response(), &PLAIN);
    assert!(answer.contains("\nConnection: Upgrade, close\n"));
}

#[test]
fn head_has_the_length_but_not_the_body() {
    let head = How { head_only: true, ..PLAIN };
    assert!(text(Response::text("hi"), &head).ends_with("Content-Length: 2\n\n"));
    let reader = Response::reader("text/plain", &b"hi"[..], Some(2));
    assert!(text(reader, &head).ends_with("Content-Length: 2\n\n"));
    let reader = Response::reader("text/plain", &b"hi"[..], None);
    assert!(text(reader, &head).ends_with("Transfer-Encoding: chunked\n\n"));
}

#[test]
fn a_status_without_body_has_neither_body_nor_length() {
    for status in [204, 304] {
        for response in [
            Response::empty(status),
            Response::text("no").with_status(status),
            Response::reader("text/plain", &b"no"[..], None).with_status(status),
        ] {
            let (bytes, keep_alive) = bytes(response, &PLAIN);
            let text = String::from_utf8(bytes).unwrap();
            assert!(text.ends_with("\r\n\r\n") && keep_alive, "{text}");
            assert!(!text.contains("Content-Length") && !text.contains("Transfer-Encoding"));
        }
    }
    assert!(text(Response::empty(200), &PLAIN).ends_with("Content-Length: 0\n\n"));
}

#[test]
fn a_large_body_in_memory_is_never_chunked() {
    let (bytes, _) = bytes(Response::bytes("text/plain", vec![b'a'; 1 << 20]), &PLAIN);
    let head_end = bytes.len() - (1 << 20);
    assert!(bytes[..head_end].ends_with(b"Content-Length: 1048576\r\n\r\n"));
}

#[test]
fn a_stream_of_known_length_is_sent_as_it_is() {
    let reader = Response::reader("text/plain", script([Ok(b"ab"), Ok(b"cd")]), Some(4));
    assert!(text(reader, &PLAIN).ends_with("Content-Length: 4\n\nabcd"));
    let endless = Response::reader("text/plain", io::repeat(b'x'), Some(3));
    assert!(text(endless, &PLAIN).ends_with("Content-Length: 3\n\nxxx"));
    let none = Response::reader("text/plain", io::repeat(b'x'), Some(0));
    assert!(text(none, &PLAIN).ends_with("Content-Length: 0\n\n"));
}

#[test]
fn a_stream_of_unknown_length_is_chunked() {
    let reader = Response::reader("text/plain", script([Ok(b"ab"), Ok(b"0123456789abc")]), None);
    let expected = "Transfer-Encoding: chunked\n\n2\r\nab\r\nd\r\n0123456789abc\r\n0\r\n\r\n";
    let answer = text(reader, &PLAIN);
    assert!(answer.ends_with(expected), "{answer}");
    let many = Response::reader("text/plain", io::repeat(b'~').take(40_000), None);
    let (bytes, keep_alive) = bytes(many, &PLAIN);
    assert!(keep_alive && bytes.ends_with(b"\r\n0\r\n\r\n"));
    assert_eq!(bytes.iter().filter(|&&byte| byte == b'~').count(), 40_000);
}

#[test]
fn http10_finds_the_end_of_a_stream_by_the_close() {
    let reader = Response::reader("text/plain", &b"abc"[..], None);
    let (bytes, keep_alive) = bytes(reader, &http10());
    let text = String::from_utf8(bytes).unwrap();
    assert!(!keep_alive && text.ends_with("\r\n\r\nabc"));
    assert!(text.starts_with("HTTP/1.0 200 OK\r\nConnection: close\r\n"));
    assert!(!text.contains("Content-Length") && !text.contains("chunked"));
}

/// The first error of a streamed body, and what was written before it.
fn failure(reader: impl Read + Send + 'static, length: Option<u64>) -> (io::ErrorKind, Vec<u8>) {
    let response = Response::reader("text/plain", reader, length);
    let mut rest = encode(response, &PLAIN, &mut Vec::new()).unwrap().rest.unwrap();
    let mut out = Vec::new();
    loop {
        match rest.next(&mut out) {
            Ok(more) => assert!(more),
            Err(error) => return (error.kind(), out),
        }
    }
}

#[test]
fn a_stream_that_breaks_is_never_completed() {
    let broken = || script([Ok(b"ab"), Err(io::ErrorKind::BrokenPipe.into())]);
    assert_eq!(failure(broken(), None), (io::ErrorKind::BrokenPipe, b"2\r\nab\r\n".to_vec()));
    assert_eq!(failure(broken(), Some(9)), (io::ErrorKind::BrokenPipe, b"ab".to_vec()));
    assert_eq!(failure(&b"ab"[..], Some(3)), (io::ErrorKind::UnexpectedEof, b"ab".to_vec()));
}

#[test]
fn an_interrupted_read_is_repeated() {
    let reader = script([Err(io::ErrorKind::Interrupted.into()), Ok(b"ab")]);
    assert!(text(Response::reader("text/plain", reader, Some(2)), &PLAIN).ends_with("\n\nab"));
}

#[test]
fn a_reader_that_lies_does_no_harm() {
    struct Liar(bool);
    impl Read for Liar {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            self.0 = !self.0;
            Ok(if self.0 { usize::MAX } else { 0 })
        }
    }
    bytes(Response::reader("text/plain", Liar(false), None), &PLAIN);
    bytes(Response::reader("text/plain", Liar(false), Some(20)), &PLAIN);
}

#[test]
fn a_faulty_response_becomes_500_without_internals() {
    let response = Response::text("secret").with_header("X-Name", "a\r\nSet-Cookie: b=c");
    assert!(response.fault().is_some());
    let answer = text(response, &PLAIN);
    assert!(answer.starts_with("HTTP/1.1 500 Internal Server Error\nConnection: close\n"));
    assert!(!answer.contains("secret") && !answer.contains("Set-Cookie"));
}

#[test]
fn own_headers_and_cookies_are_sent() {
    let response = Response::redirect("/a b")
        .with_cookie(Cookie::new("a", "1"))
        .with_cookie(Cookie::new("b", "2"))
        .with_header("Server", "mine");
    let (bytes, _) = bytes(response, &PLAIN);
    let text = String::from_utf8(bytes).unwrap();
    for line in ["Location: /a%20b", "Set-Cookie: a=1", "Set-Cookie: b=2", "Server: mine"] {
        assert_eq!(text.matches(&format!("\r\n{line}\r\n")).count(), 1, "{line}: {text}");
    }
    assert!(!text.contains("landline"));
}

#[test]
fn after_a_session_nothing_is_written() {
    let mut out = Vec::new();
    let encoded = encode(Response::closed(), &PLAIN, &mut out).unwrap();
    assert!(out.is_empty() && !encoded.keep_alive && encoded.rest.is_none());
}

#[test]
fn a_body_that_looks_like_a_head_is_not_touched() {
    let body = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let mut out = body.as_bytes().to_vec();
    encode(Response::empty(204), &PLAIN, &mut out).unwrap();
    assert!(out.starts_with(body.as_bytes()));
    let (bytes, _) = bytes(Response::text(body), &PLAIN);
    assert!(bytes.ends_with(body.as_bytes()));
}

proptest! {
    #[test]
    fn any_response_has_one_head_and_no_line_of_the_handler_too_many(
        name in "\\PC{0,12}|[!-~]{1,12}",
        value in "(\\PC|[\r\n\0]){0,20}",
        body in "\\PC{0,30}",
    ) {
        let plain = String::from_utf8(bytes(Response::text("x"), &PLAIN).0).unwrap();
        let response = Response::text(body.clone()).with_header(&name, &value);
        let faulty = response.fault().is_some();
        let answer = String::from_utf8(bytes(response, &PLAIN).0).unwrap();
        let (head, sent) = answer.split_once("\r\n\r\n").unwrap();
        prop_assert!(head.split("\r\n").count() <= plain.lines().count());
        if !faulty {
            prop_assert_eq!(sent, body);
        }
    }
}

/// The head that is written by hand is the one that tiny_http prints.
#[test]
fn the_usual_head_is_that_of_all_others() {
    let make: [fn() -> Response; 6] = [
        || Response::text("hello"),
        || Response::html("x".repeat(123_456)),
        || Response::json(&[1, 2]).unwrap(),
        || Response::status(404),
        || Response::empty(202),
        || Response::text("x").with_status(599),
    ];
    for make in make {
        loop {
            let before = date::now();
            let (written, _) = bytes(make(), &PLAIN);
            let (head, body) = make().into_parts();
            let end = End::of(head.status, &body, PLAIN.version);
            assert!(head.is_usual() && matches!(end, End::Length(_)));
            let wish = Wish { version: PLAIN.version, keep_alive: true };
            let mut printed = Vec::new();
            write_head(head, end, &wish, &mut printed).unwrap();
            // Else the second has changed meanwhile.
            if date::now() == before {
                let Body::Memory(data) = body else { panic!("a body in memory") };
                printed.extend_from_slice(&data);
                assert_eq!(String::from_utf8(written), String::from_utf8(printed));
                break;
            }
        }
    }
}

#[test]
fn numbers_are_written_whole() {
    for number in [0, 9, 10, 599, u64::MAX] {
        let mut out = Vec::new();
        put_number(number, &mut out);
        assert_eq!(out, number.to_string().into_bytes());
    }
}
