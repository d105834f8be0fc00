//! Who may publish by HTTP, as far as key and origin tell.
//!
//! A browser sends requests for any page that asks it to, so a server that is open to the programs
//! of its own machine must not be open to every page that a person of that machine looks at. What
//! brings the key cannot be such a request: a page does not know it.

use std::borrow::Cow;
use std::fmt;

use subtle::ConstantTimeEq as _;

use super::answer::Fault;
use crate::error::{Error, ErrorKind, Result};
use crate::http::Headers;
use crate::route::request::Request;

/// Shortest and longest key in bytes.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 16..=1024;

/// The rule.
#[derive(Debug)]
pub(crate) enum Access {
    /// Without a key, but not for pages of elsewhere.
    Open,
    /// With the key only.
    WithKey(Key),
    /// Not at all, for this reason.
    Closed(Cow<'static, str>),
}

/// A secret that whoever publishes has to know; it is never shown.
pub(crate) struct Key(Box<[u8]>);

impl Key {
    /// Checks a key.
    ///
    /// # Errors
    /// `Config`: it is too short or too long, or cannot stand in a header. The text does not show
    /// it.
    pub(crate) fn new(key: &str) -> Result<Self> {
        if !KEY_BYTES.contains(&key.len()) {
            let (least, most) = KEY_BYTES.into_inner();
            let found = match key.len() {
                0 => "is empty".to_owned(),
                number => format!("has {number}"),
            };
            let text = format!("a publish key has {least} to {most} characters, this one {found}");
            return Err(Error::new(ErrorKind::Config, text));
        }
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            let text =
                "a publish key is visible ASCII without blanks, so that it fits into a header";
            return Err(Error::new(ErrorKind::Config, text));
        }
        Ok(Self(key.as_bytes().into()))
    }

    /// True if it is the same key; how long that takes tells nothing but the length.
    fn is(&self, other: &[u8]) -> bool {
        self.0.ct_eq(other).into()
    }

    /// True if one of the credentials is the key; `None` if there are no credentials.
    fn is_in(&self, headers: &Headers) -> Option<bool> {
        let bearers = headers.raw("authorization").filter_map(bearer);
        let keys = headers.raw("x-api-key").map(<[u8]>::trim_ascii);
        let found = bearers.chain(keys).map(|key| self.is(key));
        found.reduce(|one, other| one | other)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// What follows the word `Bearer` (RFC 6750 2.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let value = value.trim_ascii();
    let (scheme, rest) = value.split_at(value.iter().position(|byte| *byte == b' ')?);
    scheme.eq_ignore_ascii_case(b"bearer").then(|| rest.trim_ascii())
}

impl Access {
    /// Refuses who may not publish at all.
    ///
    /// # Errors
    /// 401: the key is missing or wrong. 403: nobody may, or a page of elsewhere asks.
    pub(crate) fn check(&self, request: &Request) -> Result<(), Fault> {
        match self {
            Self::Open => refuse_foreign_pages(request),
            Self::WithKey(key) => match key.is_in(request.headers()) {
                Some(true) => refuse_prefetch(request.headers()),
                Some(false) => Err(unauthorized(
                    "The key is not right; give the one that the server was started with.",
                )
                .with_header(
                    "WWW-Authenticate",
                    "Bearer realm=\"publish\", error=\"invalid_token\"",
                )),
                None => Err(unauthorized(
                    "Publishing needs the key: send it as `Authorization: Bearer <key>` or \
                     `X-API-Key: <key>`. It is not taken from the query, which ends in logs.",
                )
                .with_header("WWW-Authenticate", "Bearer realm=\"publish\"")),
            },
            Self::Closed(reason) => Err(Fault::forbidden(reason.clone())),
        }
    }
}

fn unauthorized(error: &'static str) -> Fault {
    Fault::new(401, error)
}

/// Refuses what a page of elsewhere may have made a browser send.
///
/// Browsers say where a request comes from: with `Origin` for every POST, with `Sec-Fetch-Site`
/// for a GET too, if they trust the address (loopback or HTTPS). What a browser sends that says
/// neither may come from an image of any page.
fn refuse_foreign_pages(request: &Request) -> Result<(), Fault> {
    let headers = request.headers();
    refuse_prefetch(headers)?;
    let foreign = || Fault::forbidden("Pages of other sites may not publish through a browser.");
    if headers.count("origin") > 0 {
        return if request.is_of_known_page() { Ok(()) } else { Err(foreign()) };
    }
    match headers.raw("sec-fetch-site").next() {
        // Of this server's own page, or typed by a person.
        Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => Err(foreign()),
        None if is_browser(headers) => Err(Fault::forbidden(
            "This browser does not say which page asks it to publish; publish from a program.",
        )),
        None => Ok(()),
    }
}

/// Refuses what a browser sends before its person has decided to.
fn refuse_prefetch(headers: &Headers) -> Result<(), Fault> {
    let says = |name| headers.raw(name).any(|value| value.starts_with(b"prefetch"));
    if says("sec-purpose") || says("purpose") || says("x-moz") {
        return Err(Fault::forbidden("Publishing is not for a browser to do ahead of time."));
    }
    Ok(())
}

/// All of them begin with this word, and no page can change it for an image or a form.
fn is_browser(headers: &Headers) -> bool {
    headers.raw("user-agent").any(|value| value.starts_with(b"Mozilla/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef";

    fn headers(fields: &[(&str, &str)]) -> Headers {
        Headers::from_fields(fields.iter().map(|(name, value)| (*name, value.as_bytes())))
    }

    #[test]
    fn a_key_is_long_enough_and_fits_into_a_header() {
        for right in [KEY, &"x".repeat(1024), "!~{}|^`'\"\\<>=+/-_"] {
            assert!(Key::new(right).is_ok(), "{right}");
        }
        for wrong in
            ["", "0123456789abcde", &"x".repeat(1025), "0123456789abcde ", "0123456789abcdeé"]
        {
            let error = Key::new(wrong).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(wrong.is_empty() || !error.chain().contains(wrong), "{error}");
        }
        assert!(!format!("{:?}", Access::WithKey(Key::new(KEY).unwrap())).contains(KEY));
    }

    #[test]
    fn only_the_whole_key_is_right() {
        let key = Key::new(KEY).unwrap();
        assert!(key.is(KEY.as_bytes()));
        for end in 0..KEY.len() {
            assert!(!key.is(&KEY.as_bytes()[..end]), "{end}");
            let mut other = KEY.as_bytes().to_vec();
            other[end] ^= 1;
            assert!(!key.is(&other), "{end}");
        }
        assert!(!key.is(format!("{KEY}0").as_bytes()) && !key.is(b"0123456789ABCDEF"));
    }

    #[test]
    fn the_key_is_found_where_it_may_stand() {
        let key = Key::new(KEY).unwrap();
        let found = |name: &str, value: &str| key.is_in(&headers(&[(name, value)]));
        assert_eq!(found("Authorization", &format!("Bearer {KEY}")), Some(true));
        assert_eq!(found("authorization", &format!("bearer  {KEY} ")), Some(true));
        assert_eq!(found("X-API-Key", KEY), Some(true));
        assert_eq!(found("x-api-key", "wrong"), Some(false));
        assert_eq!(found("Authorization", "Bearer "), None);
        assert_eq!(found("Authorization", &format!("Basic {KEY}")), None);
        assert_eq!(found("Authorization", KEY), None);
        assert_eq!(found("Cookie", KEY), None);
        let both = [("Authorization", "Bearer wrong"), ("X-API-Key", KEY)];
        assert_eq!(key.is_in(&headers(&both)), Some(true));
    }
}
