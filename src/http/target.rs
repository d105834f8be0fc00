//! The request target: taken apart, decoded, and refused where servers have been fooled.
//!
//! Source: RFC 9112 3.2, RFC 3986 3.3 and 6.2.2.

use std::ops::Range;
use std::sync::LazyLock;

use percent_encoding::percent_decode_str;

use super::host;
use super::method::Method;
use super::query::Pairs;
use super::refusal::Refusal;

/// A valid request target in origin form, or `*` for `OPTIONS`.
#[derive(Debug)]
pub(crate) struct Target {
    raw: Box<str>,
    path: Path,
    /// Where the query starts in `raw`, after the question mark.
    query_start: Option<usize>,
    /// Its parameters, or why they cannot be read.
    pairs: Result<Pairs, Refusal>,
}

/// A path, decoded.
#[derive(Debug, PartialEq, Eq)]
enum Path {
    /// This part of the target, since there was nothing to decode.
    AsSent(Range<usize>),
    Decoded(Box<str>),
}

/// What is found in a query that was refused.
static NO_PAIRS: LazyLock<Pairs> = LazyLock::new(Pairs::default);

impl Target {
    /// Checks and decodes a target; beside it the authority, if the target is absolute
    /// (`http://host/path`), which then counts instead of the `Host` line (RFC 9112 3.2.2).
    ///
    /// # Errors
    /// 400: not ASCII, a fragment, neither a path nor an absolute URL, a bad percent code in the
    /// path, a path that is not UTF-8 or holds a control character, a backslash or a dot
    /// segment. Not for its query: see [`check_query`](Self::check_query).
    pub(crate) fn parse<'a>(
        raw: &'a str,
        method: &Method,
    ) -> Result<(Self, Option<&'a str>), Refusal> {
        if !raw.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            return Err(Refusal::bad_request("The request target has a forbidden character."));
        }
        if raw == "*" && *method == Method::Options {
            return Ok((Self::new(raw, Path::AsSent(0..1), None), None));
        }
        let (authority, local) = split_authority(raw)?;
        let (path, query) = match local.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (local, None),
        };
        // Only `http://host` may leave its path out.
        let path = match path {
            "" => Path::Decoded("/".into()),
            // Most paths have nothing to decode or to refuse.
            _ if path.bytes().all(is_plain_path_byte) => {
                let start = raw.len() - local.len();
                Path::AsSent(start..start + path.len())
            }
            _ => Path::Decoded(decode_path(path)?),
        };
        Ok((Self::new(raw, path, query), authority))
    }

    fn new(raw: &str, path: Path, query: Option<&str>) -> Self {
        let pairs = Pairs::parse(query.unwrap_or_default().as_bytes());
        let query_start = query.map(|query| raw.len() - query.len());
        Self { raw: raw.into(), path, query_start, pairs }
    }

    /// As it was sent.
    pub(crate) fn raw(&self) -> &str {
        &self.raw
    }

    /// The decoded path.
    pub(crate) fn path(&self) -> &str {
        match &self.path {
            Path::AsSent(range) => &self.raw[range.clone()],
            Path::Decoded(path) => path,
        }
    }

    /// The query as it was sent, without the question mark.
    pub(crate) fn raw_query(&self) -> Option<&str> {
        self.query_start.map(|start| &self.raw[start..])
    }

    /// The decoded query; empty if it cannot be read.
    pub(crate) fn pairs(&self) -> &Pairs {
        self.pairs.as_ref().unwrap_or_else(|_| &NO_PAIRS)
    }

    /// Refuses a query that cannot be read; by then the route is known, and the words that its
    /// clients understand.
    ///
    /// # Errors
    /// 400: see [`Pairs::parse`].
    pub(crate) fn check_query(&self) -> Result<(), Refusal> {
        self.pairs.as_ref().map(drop).map_err(Clone::clone)
    }
}

/// Splits `http://host/path` into `host` and `/path`; a target that starts with `/` has no host.
fn split_authority(raw: &str) -> Result<(Option<&str>, &str), Refusal> {
    if raw.starts_with('/') {
        return Ok((None, raw));
    }
    let (scheme, rest) = raw.split_once("://").unwrap_or_default();
    if !["http", "https", "ws", "wss"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Err(Refusal::bad_request("The request target must start with a slash."));
    }
    let (authority, local) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if !host::is_valid(authority.as_bytes()) {
        return Err(Refusal::bad_request("The host of the request target is malformed."));
    }
    Ok((Some(authority), local))
}

/// True for a byte that needs no decoding and is no part of what is refused.
fn is_plain_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_')
}

fn decode_path(path: &str) -> Result<Box<str>, Refusal> {
    let refused = |text| Err(Refusal::bad_request(text));
    let mut codes = path.split('%');
    codes.next();
    let hex = |code: &str| code.len() >= 2 && code.bytes().take(2).all(|b| b.is_ascii_hexdigit());
    if !codes.all(hex) {
        return refused("The path has a bad percent code.");
    }
    let Ok(path) = percent_decode_str(path).decode_utf8() else {
        return refused("The path is not UTF-8.");
    };
    if path.chars().any(|char| char.is_control() || char == '\\') {
        return refused("The path has a forbidden character.");
    }
    // After decoding, so that `%2e%2e%2f` is seen as what it would become.
    if path.split('/').any(|segment| segment == "." || segment == "..") {
        return refused("The path has a dot segment.");
    }
    Ok(path.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn target(raw: &str) -> Target {
        Target::parse(raw, &Method::Get).unwrap_or_else(|error| panic!("{raw:?}: {error:?}")).0
    }

    fn is_refused(raw: &str) -> bool {
        matches!(Target::parse(raw, &Method::Get), Err(refusal) if refusal.status() == 400)
    }

    #[test]
    fn path_and_query_are_taken_apart_and_decoded() {
        let target = target("/chat/%E4%BD%A0%20+/?message=a+b&m=2?x=/");
        assert_eq!(target.path(), "/chat/你 +/");
        assert_eq!(target.raw_query(), Some("message=a+b&m=2?x=/"));
        assert_eq!(target.pairs().get("message"), Some("a b"));
        assert_eq!(target.pairs().get("m"), Some("2?x=/"));
    }

    #[test]
    fn no_query_and_an_empty_query_differ() {
        assert_eq!(target("/").raw_query(), None);
        assert_eq!(target("/?").raw_query(), Some(""));
        assert_eq!(target("/a//b/").path(), "/a//b/");
    }

    #[test]
    fn a_query_that_cannot_be_read_leaves_the_path() {
        let target = target("/send/?a=1&message=%ff");
        assert_eq!((target.path(), target.pairs().get("a")), ("/send/", None));
        assert_eq!(target.check_query().unwrap_err().status(), 400);
        assert!(self::target("/?a=%zz").check_query().is_ok());
    }

    #[test]
    fn an_absolute_target_names_its_host() {
        let rows = [
            ("http://example.com:8000/a?b=c", "example.com:8000", "/a", Some("b=c")),
            ("HTTP://example.com", "example.com", "/", None),
            ("ws://[::1]?b", "[::1]", "/", Some("b")),
        ];
        for (raw, host, path, query) in rows {
            let (target, authority) = Target::parse(raw, &Method::Get).unwrap();
            assert_eq!(authority, Some(host));
            assert_eq!((target.path(), target.raw_query()), (path, query));
            assert_eq!(target.raw(), raw);
        }
    }

    #[test]
    fn other_forms_are_refused() {
        let forms = [
            "",
            "*",
            "a",
            "example.com:443",
            "?a",
            "http:///a",
            "http://",
            "ftp://a/",
            "//",
            "http://user@host/",
            "http://a b/",
            "://a/",
            "/a#b",
            "/a?b#c",
            "/ä",
            "/a\u{7f}",
            "/a b",
        ];
        for raw in forms.iter().filter(|&&raw| raw != "//") {
            assert!(is_refused(raw), "{raw:?}");
        }
        assert_eq!(target("//").path(), "//");
    }

    #[test]
    fn the_asterisk_is_for_options_only() {
        let (target, authority) = Target::parse("*", &Method::Options).unwrap();
        assert_eq!((target.path(), target.raw_query(), authority), ("*", None, None));
        assert!(is_refused("*") && Target::parse("*?a", &Method::Options).is_err());
    }

    #[test]
    fn dot_segments_are_refused_however_they_are_written() {
        let bad = [
            "/..",
            "/.",
            "/a/../b",
            "/a/./b",
            "/a/..",
            "/%2e%2e/",
            "/.%2E/a",
            "/..%2fetc",
            "/a%2f..%2fb",
            "/a\\..\\b",
            "/%5c",
        ];
        for raw in bad {
            assert!(is_refused(raw), "{raw:?}");
        }
        for good in ["/...", "/.hidden", "/a..b", "/..a", "/a.", "/a?b=../.."] {
            target(good);
        }
    }

    #[test]
    fn a_path_that_is_no_clean_text_is_refused() {
        for raw in
            ["/%", "/%4", "/%zz", "/a%g0", "/%ff", "/%c3", "/%00", "/%0d%0a", "/%7f", "/%c2%85"]
        {
            assert!(is_refused(raw), "{raw:?}");
        }
        assert_eq!(target("/%25").path(), "/%");
        assert_eq!(target("/%252e%252e").path(), "/%2e%2e");
    }

    proptest! {
        #[test]
        fn a_taken_path_is_always_clean(raw in "(/|%2[eEfF]|%5c|[.%a-c\\\\0-9?]){0,24}") {
            if let Ok((target, _)) = Target::parse(&raw, &Method::Get) {
                let path = target.path();
                prop_assert!(path.starts_with('/'));
                prop_assert!(!path.contains(['\\', '\0', '\r', '\n']));
                prop_assert!(path.split('/').all(|segment| segment != "." && segment != ".."));
            }
        }

        #[test]
        fn any_text_is_parsed_or_refused(raw in "\\PC{0,60}") {
            let _ = Target::parse(&raw, &Method::Get);
        }
    }
}
