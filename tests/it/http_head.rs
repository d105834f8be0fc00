//! Request heads: what is refused, each beside its valid neighbour.
//!
//! A refused head ends its connection in good order, and the next client is served.

use landline::{Config, Request, Response, Server};

use crate::harness::{Client, Running};

fn server() -> Running {
    let config = Config::default().with_head_bytes(1024).with_head_lines(10);
    Running::start(Server::builder().config(config).route("/", |_: &Request| "here").route(
        "/body",
        |request: &Request| -> landline::Result<Response> {
            Ok(Response::bytes("text/plain", request.body()?.to_vec()))
        },
    ))
}

/// A GET with further lines, each with its line end.
fn with(lines: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n")
}

/// A POST of `hello` with further lines before and bytes behind the head.
fn post(lines: &str, body: &str) -> String {
    format!("POST /body HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n{body}")
}

/// Each request is refused with the status, on a connection of its own.
fn all_refused(server: &Running, status: u16, requests: &[impl AsRef<[u8]>]) {
    for request in requests {
        let request = request.as_ref();
        let reply = server.connect().refused(request);
        assert_eq!(reply.status, status, "{:?}", String::from_utf8_lossy(request));
    }
    assert_eq!(server.connect().get("/").text(), "here");
}

/// Each request is answered with 200, and the connection takes another one.
fn all_served(server: &Running, requests: &[impl AsRef<[u8]>]) {
    for request in requests {
        let request = request.as_ref();
        let mut client = server.connect();
        let reply = client.ask(request);
        assert_eq!(reply.status, 200, "{:?}", String::from_utf8_lossy(request));
        assert_eq!(reply.header("connection"), None);
        assert_eq!(client.get("/").text(), "here");
    }
}

#[test]
fn a_request_has_one_valid_host() {
    let server = server();
    let get = |lines: &str| format!("GET / HTTP/1.1\r\n{lines}\r\n");
    let bad = [
        get(""),
        get("Host: localhost\r\nHost: localhost\r\n"),
        get("Host: localhost\r\nhost: 127.0.0.1\r\n"),
        get("Host:\r\n"),
        get("Host: a b\r\n"),
        get("Host: localhost:80:80\r\n"),
        get("Host: localhost:65536\r\n"),
        get("Host: localhost:+80\r\n"),
        get("Host: user@localhost\r\n"),
        get("Host: localhost/path\r\n"),
        get("Host: http://localhost\r\n"),
        get("Host: [::1\r\n"),
        get("Host: loc%zzhost\r\n"),
        get("Host: l\u{f6}calhost\r\n"),
        "GET / HTTP/1.0\r\nHost: a b\r\n\r\n".to_owned(),
        "GET / HTTP/1.0\r\nHost: localhost\r\nHost: localhost\r\n\r\n".to_owned(),
    ];
    all_refused(&server, 400, &bad);
    let good = [
        get("Host: localhost\r\n"),
        get("hOST:127.0.0.1:8000\t\r\n"),
        get("Host: [::1]:1\r\n"),
        get("Host: LOCALHOST.:\r\n"),
    ];
    all_served(&server, &good);
    let old = server.connect().ask("GET / HTTP/1.0\r\n\r\n");
    assert_eq!((old.status, old.text()), (200, "here"));
}

#[test]
fn a_line_is_a_name_a_colon_and_a_value() {
    let server = server();
    let bad = [
        with("X : 1\r\n"),
        with("X\t: 1\r\n"),
        with(" X: 1\r\n"),
        with("X: 1\r\n folded\r\n"),
        with("X: 1\r\n\tfolded\r\n"),
        with("X: 1\r\n \r\n"),
        with("X\r\n"),
        with(": 1\r\n"),
        with("X Y: 1\r\n"),
        with("X(: 1\r\n"),
        with("\"X\": 1\r\n"),
        with("X\u{e9}: 1\r\n"),
        "GET / HTTP/1.1\r\n Host: localhost\r\n\r\n".to_owned(),
    ];
    all_refused(&server, 400, &bad);
    all_served(&server, &[with("X: 1\r\n"), with("X:\r\n"), with("!#$%&'*+-.^_`|~:a : b\r\n")]);
}

#[test]
fn a_head_has_no_bare_line_ends_and_no_control_characters() {
    let server = server();
    let mut bad = vec![
        b"GET / HTTP/1.1\nHost: localhost\n\n".to_vec(),
        b"GET / HTTP/1.1\r\nHost: localhost\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\n".to_vec(),
        b"GET / HTTP/1.1\rHost: localhost\r\r".to_vec(),
        b"GET /\rx HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        b"\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
    ];
    bad.extend(
        ["a\rb", "a\nb", "\r", "a\r\r"].map(|value| with(&format!("X: {value}\r\n")).into()),
    );
    for control in (0..0x20_u8).filter(|byte| !b"\t\r\n".contains(byte)).chain([0x7f]) {
        let place = char::from(control);
        bad.push(with(&format!("X: a{place}b\r\n")).into());
        bad.push(with(&format!("X{place}: a\r\n")).into());
        bad.push(format!("GET /{place} HTTP/1.1\r\nHost: localhost\r\n\r\n").into());
    }
    all_refused(&server, 400, &bad);
    let good = [
        with("X: a\tb\r\n").into_bytes(),
        b"\r\n\r\n".iter().copied().chain(with("").into_bytes()).collect(),
    ];
    all_served(&server, &good);
    let latin = [&b"GET / HTTP/1.1\r\nHost: localhost\r\nX: caf"[..], b"\xe9\r\n\r\n"].concat();
    all_served(&server, &[latin]);
}

#[test]
fn only_two_empty_lines_come_before_a_request() {
    let server = server();
    all_served(&server, &[format!("\r\n{}", with("")), format!("\r\n\r\n{}", with(""))]);
    all_refused(&server, 400, &[format!("\r\n\r\n\r\n{}", with(""))]);
}

#[test]
fn the_request_line_has_three_words() {
    let server = server();
    let line = |line: &str| format!("{line}\r\nHost: localhost\r\n\r\n");
    let bad = [
        line("GET /"),
        line("GET  / HTTP/1.1"),
        line("GET / HTTP/1.1 "),
        line("GET / x HTTP/1.1"),
        line(" GET / HTTP/1.1"),
        line("GET\t/\tHTTP/1.1"),
        line("GET / http/1.1"),
        line("GET / HTTP/1.1x"),
        line("GET / HTTP/11"),
        line("GET / HTTP/01.1"),
        line("GET / XTTP/1.1"),
        line("G@T / HTTP/1.1"),
        line("/ HTTP/1.1"),
        line("GET HTTP/1.1"),
        line("GET # HTTP/1.1"),
        line("GET /#part HTTP/1.1"),
        line("GET relative HTTP/1.1"),
        line("GET * HTTP/1.1"),
        line("GET /\u{e4} HTTP/1.1"),
    ];
    all_refused(&server, 400, &bad);
    let other =
        ["GET / HTTP/1.2", "GET / HTTP/0.9", "GET / HTTP/2", "GET / HTTP/2.0", "GET / HTTP/3.0"];
    all_refused(&server, 505, &other.map(line));
    all_served(&server, &[line("GET / HTTP/1.1"), line("get / HTTP/1.1"), line("GET /? HTTP/1.1")]);
}

#[test]
fn a_content_length_is_one_plain_number() {
    let server = server();
    let bad = [
        "+5",
        "-5",
        "5,5",
        "5, 5",
        "0x5",
        "5.0",
        "5 5",
        "five",
        "",
        "\"5\"",
        "18446744073709551616",
    ];
    let mut requests: Vec<String> =
        bad.iter().map(|length| post(&format!("Content-Length: {length}\r\n"), "hello")).collect();
    requests.push(post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"));
    requests.push(post("Content-Length: 5\r\ncontent-length: 6\r\n", "hello"));
    all_refused(&server, 400, &requests);
    let good = ["5", " 5 ", "05", "\t5"];
    all_served(&server, &good.map(|length| post(&format!("Content-Length:{length}\r\n"), "hello")));
    all_served(&server, &[post("Content-Length: 0\r\n", ""), post("", "")]);
}

#[test]
fn a_transfer_encoding_is_chunked_and_alone() {
    let server = server();
    let body = "5\r\nhello\r\n0\r\n\r\n";
    let post = |lines: &str| post(lines, body);
    let bad = [
        post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
        post("Transfer-Encoding: chunked\r\nContent-Length: 15\r\n"),
        post("Transfer-Encoding: chunked, chunked\r\n"),
        post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        post("Transfer-Encoding: chunked, gzip\r\n"),
        post("Transfer-Encoding: chunked,\r\n"),
        post("Transfer-Encoding:\r\n"),
        post("Transfer-Encoding: \"chunked\"\r\n"),
        post("Transfer-Encoding: chunked;q=1\r\n"),
        post("Transfer-Encoding: \u{b}chunked\r\n"),
        post("Transfer-Encoding : chunked\r\n"),
        post("Transfer-Encoding: chunked\r\n").replace("HTTP/1.1", "HTTP/1.0"),
    ];
    all_refused(&server, 400, &bad);
    let unknown = ["gzip", "identity", "xchunked", "chunkedx", "gzip, chunked"];
    let unknown = unknown.map(|coding| post(&format!("Transfer-Encoding: {coding}\r\n")));
    all_refused(&server, 501, &unknown);
    let good = ["chunked", "Chunked", " chunked \t"];
    all_served(&server, &good.map(|coding| post(&format!("Transfer-Encoding:{coding}\r\n"))));
    let old = post("Content-Length: 5\r\n").replace("HTTP/1.1", "HTTP/1.0");
    assert_eq!(server.connect().ask(old).text(), "5\r\nhe");
}

#[test]
fn a_head_over_its_limits_is_refused() {
    let server = server();
    let fill = |length: usize| "a".repeat(length);
    let plain = with("").len();
    let value = |total: usize| with(&format!("X: {}\r\n", fill(total - plain - 5)));
    assert_eq!(value(1024).len(), 1024);
    all_served(&server, &[value(1024)]);
    all_refused(&server, 431, &[value(1025)]);
    let lines = |count: usize| with(&"X: 1\r\n".repeat(count - 1));
    all_served(&server, &[lines(10)]);
    all_refused(&server, 431, &[lines(11), lines(100)]);
    let long =
        |length: usize| format!("GET /?{} HTTP/1.1\r\nHost: localhost\r\n\r\n", fill(length));
    all_served(&server, &[long(900)]);
    all_refused(&server, 414, &[long(1100), format!("GET /{}", fill(1100))]);
    all_refused(&server, 431, &[format!("GET / HTTP/1.1\r\nX: {}", fill(1100))]);
}

#[test]
fn how_a_head_is_cut_into_segments_does_not_matter() {
    let server = server();
    let mut client = server.connect();
    for _ in 0..2 {
        for byte in with("X: 1\r\n").bytes() {
            client.send([byte]);
        }
        assert_eq!(client.reply().text(), "here");
    }
    let mut client = server.connect();
    for byte in with("X : 1\r\n").bytes() {
        client.try_send([byte]);
    }
    assert_eq!(client.reply().status, 400);
    client.expect_end();
}

#[test]
fn a_client_that_leaves_in_the_middle_harms_nobody() {
    let server = server();
    let whole = with("X: 1\r\n");
    for length in 0..whole.len() {
        let mut client = server.connect();
        client.send(&whole[..length]);
        client.finish();
        client.expect_fin();
    }
    let mut client = server.connect();
    client.send(&whole);
    client.finish();
    assert_eq!(client.reply().text(), "here", "the end of sending is not the end of reading");
    client.expect_fin();
}

#[test]
fn an_expectation_other_than_continue_is_refused() {
    let server = server();
    let bad = ["200-ok", "100-continue, 200-ok", "100"];
    all_refused(&server, 417, &bad.map(|wish| with(&format!("Expect: {wish}\r\n"))));
    all_served(&server, &[with("Expect: 100-continue\r\n")]);
    let old = "GET / HTTP/1.0\r\nExpect: 200-ok\r\n\r\n";
    assert_eq!(server.connect().ask(old).status, 200, "HTTP/1.0 has no expectations");
}

/// A TLS client, an HTTP/2 client and others who knock at the wrong door.
#[test]
fn other_protocols_are_told_so() {
    let server = server();
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03abcdefgh\r\n\r\n";
    let mut client = server.connect();
    client.send(hello);
    client.expect_fin();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
    assert_eq!(server.connect().refused(preface).status, 505);
    for other in [&b"GET /\r\n"[..], b"SSH-2.0-OpenSSH_9.9\r\n", b"\x05\x01\x00", b"EHLO a\r\n"] {
        assert_eq!(server.connect().refused(other).status, 400, "{other:?}");
    }
    let h2c =
        with("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n");
    let mut client: Client = server.connect();
    assert_eq!(client.ask(h2c).text(), "here", "an unknown upgrade is ignored");
    assert_eq!(client.get("/").text(), "here");
}
