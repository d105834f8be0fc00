//! Cookies: those a request brings, and the check of those a response sets.
//!
//! The type is the one of the `cookie` crate.

pub use cookie::Cookie;

use super::headers::Headers;
use super::token::is_token;

/// The value of the first cookie of this name over all `Cookie` lines, without its quotes.
pub(crate) fn find<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    find_all(headers, name).next()
}

/// The values of all cookies of this name, without their quotes.
pub(crate) fn find_all<'a>(headers: &'a Headers, name: &str) -> impl Iterator<Item = &'a str> {
    let cookies = headers.get_all("cookie").flat_map(Cookie::split_parse).flatten();
    cookies.filter(move |cookie| cookie.name() == name).filter_map(|cookie| {
        let value = cookie.value_raw()?;
        let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        Some(inner.unwrap_or(value))
    })
}

/// True if no part of the cookie can end its line or smuggle in an attribute.
pub(crate) fn is_safe(cookie: &Cookie<'_>) -> bool {
    let plain = |text: &str| text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b';');
    is_token(cookie.name().as_bytes())
        && plain(cookie.value())
        && cookie.path().is_none_or(plain)
        && cookie.domain().is_none_or(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookie(lines: &[&str], name: &str) -> Option<String> {
        let fields = lines.iter().map(|line| ("Cookie", line.as_bytes()));
        find(&Headers::from_fields(fields), name).map(str::to_owned)
    }

    #[test]
    fn a_cookie_is_found_on_any_line() {
        let lines = ["a=1; b=\"two\";c=", "d=4=5"];
        assert_eq!(cookie(&lines, "a").as_deref(), Some("1"));
        assert_eq!(cookie(&lines, "b").as_deref(), Some("two"));
        assert_eq!(cookie(&lines, "c").as_deref(), Some(""));
        assert_eq!(cookie(&lines, "d").as_deref(), Some("4=5"));
        assert_eq!(cookie(&lines, "A"), None);
    }

    #[test]
    fn malformed_pieces_are_skipped() {
        assert_eq!(cookie(&["; ;=x;lonely; a=1"], "a").as_deref(), Some("1"));
        assert_eq!(cookie(&["\""], "\""), None);
        assert_eq!(cookie(&["a=\""], "a").as_deref(), Some("\""));
        assert_eq!(cookie(&[], "a"), None);
    }

    #[test]
    fn a_cookie_that_could_split_its_line_is_not_safe() {
        assert!(is_safe(&Cookie::build(("a", "1, 2")).path("/x").domain("b.example").build()));
        assert!(!is_safe(&Cookie::new("a", "1; Domain=evil.example")));
        assert!(!is_safe(&Cookie::new("a", "1\r\nX: y")));
        assert!(!is_safe(&Cookie::new("a=b", "1")));
        assert!(!is_safe(&Cookie::new("", "1")));
        assert!(!is_safe(&Cookie::new("a", "ü")));
        assert!(!is_safe(&Cookie::build(("a", "1")).path("/; HttpOnly").build()));
    }
}
