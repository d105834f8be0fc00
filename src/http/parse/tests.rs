//! What is taken and what is refused, each bad head beside its valid neighbour.

use proptest::prelude::*;

use super::*;

/// Parses bytes that are all there at once.
fn parse(bytes: &[u8]) -> Result<Option<(RequestHead, usize)>, u16> {
    parse_with(bytes, &Config::default())
}

fn parse_with(bytes: &[u8], config: &Config) -> Result<Option<(RequestHead, usize)>, u16> {
    let result = HeadParser::default().parse(bytes, config);
    result.map_err(|refusal| {
        assert!(refusal.closes());
        refusal.status()
    })
}

/// Parses a whole head that must be valid.
fn head(text: &str) -> RequestHead {
    let (head, used) = parse(text.as_bytes()).unwrap().unwrap();
    assert_eq!(used, text.len());
    head
}

/// The status of a whole head that must be refused.
fn refused(text: impl AsRef<[u8]>) -> u16 {
    let text = text.as_ref();
    parse(text).err().unwrap_or_else(|| panic!("taken: {:?}", String::from_utf8_lossy(text)))
}

/// A head with these header lines after a valid request line and Host.
fn with_lines(lines: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")
}

#[test]
fn a_plain_request_is_read() {
    let head = head("GET /chat/a%20b?m=1+2 HTTP/1.1\r\nHost: example.com:8000\r\nX: \t y \r\n\r\n");
    assert_eq!(head.method(), &Method::Get);
    assert_eq!((head.target(), head.path()), ("/chat/a%20b?m=1+2", "/chat/a b"));
    assert_eq!((head.raw_query(), head.query("m")), (Some("m=1+2"), Some("1 2")));
    assert_eq!((head.host(), head.header("x")), ("example.com:8000", Some("y")));
    assert_eq!((head.version(), head.framing()), (Version::Http11, Framing::None));
    assert!(head.keeps_alive() && !head.expects_continue());
}

#[test]
fn what_follows_the_head_is_left_alone() {
    let first = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n";
    let bytes = [&first[..], b"hiGET /second HTTP/1.1\r\n"].concat();
    let mut parser = HeadParser::default();
    let config = Config::default();
    let (head, used) = parser.parse(&bytes, &config).unwrap().unwrap();
    assert_eq!((used, head.framing()), (first.len(), Framing::Length(2)));
    // The same parser goes on with the next request.
    let mut rest = bytes[used + 2..].to_vec();
    assert!(parser.parse(&rest, &config).unwrap().is_none());
    rest.extend_from_slice(b"Host: b\r\n\r\n");
    let (second, used) = parser.parse(&rest, &config).unwrap().unwrap();
    assert_eq!((second.path(), used), ("/second", rest.len()));
}

#[test]
fn two_empty_lines_before_the_request_are_forgiven() {
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(head(&format!("\r\n{request}")).path(), "/");
    assert_eq!(head(&format!("\r\n\r\n{request}")).path(), "/");
    assert_eq!(refused(format!("\r\n\r\n\r\n{request}")), 400);
    assert_eq!(refused(format!("\n{request}")), 400);
    assert_eq!(refused(format!("\r{request}")), 400);
}

#[test]
fn empty_lines_do_not_start_a_request() {
    let parser = HeadParser::default();
    for idle in [&b""[..], b"\r", b"\r\n", b"\r\n\r", b"\r\n\r\n"] {
        assert!(!parser.started(idle), "{idle:?}");
    }
    for started in [&b"G"[..], b"\n", b"\rG", b"\r\n\n", b"\r\nG", b"\r\n\r\n\r\n"] {
        assert!(parser.started(started), "{started:?}");
    }
}

#[test]
fn line_ends_are_cr_lf_and_nothing_else() {
    assert_eq!(refused("GET / HTTP/1.1\nHost: a\n\n"), 400);
    assert_eq!(refused("GET / HTTP/1.1\r\nHost: a\n\r\n"), 400);
    assert_eq!(refused("GET / HTTP/1.1\r\nHost: a\r\n\n"), 400);
    assert_eq!(refused(with_lines("X: a\rb\r\n")), 400);
    assert_eq!(refused(with_lines("X: a\r\r\n")), 400);
    assert_eq!(refused("GET / HTTP/1.1\rHost: a\r\n\r\n"), 400);
}

#[test]
fn control_bytes_are_refused_at_once() {
    for byte in (0..32).chain([127]).filter(|byte| !b"\t\r\n".contains(byte)) {
        assert_eq!(refused([b'G', byte]), 400, "{byte}");
        assert_eq!(refused([b"GET / HTTP/1.1\r\nHost: a\r\nX: ", &[byte][..]].concat()), 400);
    }
    assert_eq!(head(&with_lines("X: a\tb\r\n")).header("x"), Some("a\tb"));
    // The first bytes of a TLS hello.
    assert_eq!(refused(b"\x16\x03\x01"), 400);
}

#[test]
fn names_and_values_follow_the_grammar() {
    let bad = [
        "X : a\r\n",
        " X: a\r\n",
        "\tX: a\r\n",
        "X: a\r\n b\r\n",
        "X: a\r\n\tb\r\n",
        ": a\r\n",
        "X\r\n",
        "X a\r\n",
        "X(: a\r\n",
        "X\"Y: a\r\n",
        "\u{fc}: a\r\n",
        "X\t: a\r\n",
    ];
    for lines in bad {
        assert_eq!(refused(with_lines(lines)), 400, "{lines:?}");
    }
    assert_eq!(refused("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), 400);
    let head = head(&with_lines("X:a:b\r\nY:\r\nZ: \u{fc}\r\n"));
    assert_eq!((head.header("x"), head.header("y")), (Some("a:b"), Some("")));
    assert_eq!(head.header("z"), Some("\u{fc}"));
}

#[test]
fn the_request_line_follows_the_grammar() {
    let bad = [
        "GET /",
        "GET",
        "GET  / HTTP/1.1",
        "GET / HTTP/1.1 ",
        " GET / HTTP/1.1",
        "GET /\tHTTP/1.1",
        "GET / http/1.1",
        "GET / HTTP/1.1x",
        "GET / HTTP/11",
        "GET / XTTP/1.1",
        "G(T / HTTP/1.1",
        "GET / a HTTP/1.1",
        "GET /ä HTTP/1.1",
        "GET a HTTP/1.1",
        "GET * HTTP/1.1",
        "hello",
        "/",
        "CONNECT example.com:443 HTTP/1.1",
        "GET /# HTTP/1.1",
        "GET /../a HTTP/1.1",
        "GET HTTP/1.1",
        "GET /%00 HTTP/1.1",
    ];
    for line in bad {
        assert_eq!(refused(format!("{line}\r\nHost: a\r\n\r\n")), 400, "{line:?}");
    }
    assert_eq!(head("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").path(), "*");
    let odd = head("get / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(matches!(odd.method(), Method::NonStandard(name) if name.as_str() == "get"));
}

#[test]
fn another_version_is_answered_before_the_head_ends() {
    for version in ["HTTP/2.0", "HTTP/0.9", "HTTP/1.2", "HTTP/3", "HTTP/9.9"] {
        assert_eq!(refused(format!("GET / {version}\r\n")), 505, "{version}");
    }
    assert_eq!(refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505);
}

#[test]
fn exactly_one_valid_host_is_needed() {
    assert_eq!(refused("GET / HTTP/1.1\r\n\r\n"), 400);
    assert_eq!(refused(with_lines("Host: a\r\n")), 400);
    for bad in ["", "a b", "a/b", "user@a", "a:x", "[::1", "\u{fc}"] {
        assert_eq!(refused(format!("GET / HTTP/1.1\r\nHost: {bad}\r\n\r\n")), 400, "{bad:?}");
    }
    assert_eq!(head("GET / HTTP/1.0\r\n\r\n").host(), "");
    assert_eq!(head("GET / HTTP/1.0\r\nHost: a\r\n\r\n").host(), "a");
    assert_eq!(refused("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"), 400);
    assert_eq!(refused("GET / HTTP/1.0\r\nHost:\r\n\r\n"), 400);
    assert_eq!(refused(b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n"), 400);
}

#[test]
fn an_absolute_target_brings_its_own_host() {
    let head = head("GET http://b:80/x?y HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((head.host(), head.path(), head.raw_query()), ("b:80", "/x", Some("y")));
    assert_eq!(refused("GET http://b/ HTTP/1.1\r\n\r\n"), 400);
    assert_eq!(refused("GET http://b@c/ HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
}

#[test]
fn framing_is_refused_as_its_own_tests_say() {
    assert_eq!(refused(with_lines("Content-Length: 1\r\nContent-Length: 1\r\n")), 400);
    assert_eq!(refused(with_lines("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n")), 400);
    assert_eq!(refused(with_lines("Transfer-Encoding: gzip\r\n")), 501);
    assert_eq!(refused("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
    assert_eq!(head(&with_lines("Transfer-Encoding: chunked\r\n")).framing(), Framing::Chunked);
}

#[test]
fn only_100_continue_may_be_expected() {
    let wants = |lines: &str| head(&with_lines(lines)).expects_continue();
    assert!(wants("Expect: 100-Continue\r\nContent-Length: 3\r\n"));
    assert!(!wants("Expect: 100-continue\r\n"), "there is no body to wait for");
    assert_eq!(refused(with_lines("Expect: a-pony\r\n")), 417);
    assert_eq!(refused(with_lines("Expect: 100-continue\r\nExpect: a-pony\r\n")), 417);
    let old = head("POST / HTTP/1.0\r\nExpect: a-pony\r\nContent-Length: 1\r\n\r\n");
    assert!(!old.expects_continue());
}

#[test]
fn the_wish_to_stay_depends_on_version_and_tokens() {
    let stays = |version: &str, lines: &str| {
        head(&format!("GET / {version}\r\nHost: a\r\n{lines}\r\n")).keeps_alive()
    };
    assert!(stays("HTTP/1.1", ""));
    assert!(stays("HTTP/1.1", "Connection: keep-alive, Upgrade\r\n"));
    assert!(!stays("HTTP/1.1", "Connection: Close\r\n"));
    assert!(!stays("HTTP/1.1", "Connection: Upgrade\r\nConnection: foo, close\r\n"));
    assert!(!stays("HTTP/1.0", ""));
    assert!(stays("HTTP/1.0", "Connection: Keep-Alive\r\n"));
    assert!(!stays("HTTP/1.0", "Connection: keep-alive, close\r\n"));
}

#[test]
fn the_limit_of_bytes_is_exact_and_early() {
    let text = with_lines("X: a\r\n");
    let fits = Config::default().with_head_bytes(text.len());
    assert!(parse_with(text.as_bytes(), &fits).unwrap().is_some());
    assert!(parse_with(format!("\r\n\r\n{text}").as_bytes(), &fits).unwrap().is_some());
    let tight = Config::default().with_head_bytes(text.len() - 1);
    assert_eq!(parse_with(text.as_bytes(), &tight).err(), Some(431));
    // No line end and no end of the head has to come for it.
    let small = Config::default().with_head_bytes(100);
    let line = format!("GET /{}", "a".repeat(95));
    assert!(matches!(parse_with(line.as_bytes(), &small), Ok(None)));
    assert_eq!(parse_with(format!("{line}a").as_bytes(), &small).err(), Some(414));
    let field = format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(100));
    assert_eq!(parse_with(field.as_bytes(), &small).err(), Some(431));
}

#[test]
fn the_limit_of_lines_is_exact_and_early() {
    let config = Config::default().with_head_lines(3);
    let start = "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nY: 2\r\n";
    assert!(parse_with(format!("{start}\r\n").as_bytes(), &config).unwrap().is_some());
    assert_eq!(parse_with(format!("{start}Z").as_bytes(), &config).err(), Some(431));
    let none = Config::default().with_head_lines(0);
    assert!(parse_with(b"GET / HTTP/1.0\r\n\r\n", &none).unwrap().is_some());
    assert_eq!(parse_with(b"GET / HTTP/1.0\r\nX", &none).err(), Some(431));
}

#[test]
fn a_long_head_that_comes_byte_by_byte_is_looked_at_once() {
    let config = Config::default().with_head_bytes(1 << 20);
    let text = with_lines(&format!("X: {}\r\n", "a".repeat(1 << 19)));
    let mut parser = HeadParser::default();
    // A search from the start at each byte would take minutes here.
    for end in 0..text.len() {
        assert!(parser.parse(&text.as_bytes()[..end], &config).unwrap().is_none());
    }
    assert!(parser.parse(text.as_bytes(), &config).unwrap().is_some());
}

#[test]
fn cookies_are_found() {
    let head = head(&with_lines("Cookie: a=1; b=\"2\"\r\nCookie: c=3\r\n"));
    assert_eq!((head.cookie("b"), head.cookie("c")), (Some("2"), Some("3")));
    assert_eq!(head.cookie("d"), None);
}

/// Everything that can be told about an outcome, to compare two of them.
fn outcome(result: Result<Option<(RequestHead, usize)>, Refusal>) -> String {
    match result {
        Ok(Some((head, used))) => format!("{used} {head:?} {:?}", head.raw_query()),
        Ok(None) => "more".to_owned(),
        Err(refusal) => format!("{refusal:?}"),
    }
}

/// The outcome when the bytes arrive in pieces of these sizes, the last size being repeated.
fn outcome_in_pieces(bytes: &[u8], sizes: &[usize], config: &Config) -> String {
    let mut parser = HeadParser::default();
    let (mut end, mut next) = (0, 0);
    while end < bytes.len() {
        end = (end + sizes[next.min(sizes.len() - 1)].max(1)).min(bytes.len());
        next += 1;
        let result = parser.parse(&bytes[..end], config);
        if !matches!(result, Ok(None)) {
            return outcome(result);
        }
    }
    outcome(Ok(None))
}

/// Pieces of heads, good and bad, so that random sequences get deep into the parser.
fn fragments() -> impl Strategy<Value = Vec<u8>> {
    let texts = [
        "\r\n",
        "\r",
        "\n",
        " ",
        "GET ",
        "POST ",
        "/",
        "/a?b=%41",
        "%zz",
        "..",
        " HTTP/1.1\r\n",
        " HTTP/1.0\r\n",
        " HTTP/2.0\r\n",
        "Host: a\r\n",
        "Host: b",
        ": ",
        "X: y\r\n",
        "\r\n\r\n",
        "Content-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Expect: 100-continue\r\n",
        "\0",
        "\u{fc}",
        "GET / HTTP/1.1\r\nHost: a\r\n",
    ];
    let text = proptest::sample::select(texts.to_vec()).prop_map(|text| text.as_bytes().to_vec());
    let any = proptest::collection::vec(any::<u8>(), 0..4);
    let one = prop_oneof![8 => text, 1 => any];
    proptest::collection::vec(one, 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn how_the_bytes_are_split_does_not_matter(
        bytes in fragments(),
        sizes in proptest::collection::vec(1_usize..20, 1..10),
        limit in 10_usize..200,
        lines in 0_usize..4,
    ) {
        let config = Config::default().with_head_bytes(limit).with_head_lines(lines);
        let whole = outcome(HeadParser::default().parse(&bytes, &config));
        prop_assert_eq!(&whole, &outcome_in_pieces(&bytes, &sizes, &config));
        prop_assert_eq!(&whole, &outcome_in_pieces(&bytes, &[1], &config));
    }

    #[test]
    fn any_bytes_are_parsed_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&bytes);
        let head = [b"GET /", &bytes[..], b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
        let _ = parse(&head);
        let head = [b"GET / HTTP/1.1\r\nHost: a\r\nX: ", &bytes[..], b"\r\n\r\n"].concat();
        let _ = parse(&head);
    }

    #[test]
    fn a_longer_buffer_never_revives_a_refused_head(bytes in fragments(), more in fragments()) {
        if let Err(status) = parse(&bytes) {
            prop_assert_eq!(parse(&[bytes, more].concat()).err(), Some(status));
        }
    }
}
