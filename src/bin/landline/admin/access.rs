//! Who may see the page's figures, and who may change something.
//!
//! The key comes as `Authorization: Bearer <key>`, or as a session that was opened with it. A
//! session is a cookie, which a browser sends whoever asks it to: so what changes something has to
//! say that a page of this very server asks for it.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use landline::{Request, Response};
use serde_json::json;
use subtle::ConstantTimeEq as _;

use super::session::Sessions;
use super::throttle::Throttle;
use crate::settings::values::Secret;

/// The name of the cookie.
pub(super) const COOKIE: &str = "landline_admin";

/// Who may do what.
pub(crate) struct Access {
    key: Mutex<Option<Secret>>,
    /// Without a key everybody who reaches the page may see, and nobody may change: it listens on an
    /// address of its own.
    is_open: bool,
    pub(super) sessions: Sessions,
    failures: Throttle,
}

/// Why somebody may not, in words for the page.
#[derive(Debug)]
pub(super) struct Refused {
    status: u16,
    text: String,
}

impl Refused {
    pub(super) fn new(status: u16, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }

    /// The server does not listen yet.
    pub(super) fn not_yet() -> Self {
        Self::new(503, "The server is starting.")
    }

    pub(super) fn into_response(self) -> Response {
        let response = answer(&json!({ "error": self.text })).with_status(self.status);
        match self.status {
            401 => response.with_header("WWW-Authenticate", "Bearer realm=\"admin\""),
            429 => response.with_header("Retry-After", "10"),
            _ => response,
        }
    }
}

impl From<landline::Error> for Refused {
    fn from(error: landline::Error) -> Self {
        let status = match error.kind() {
            landline::ErrorKind::Limit => 413,
            landline::ErrorKind::Timeout => 408,
            landline::ErrorKind::Relay => 503,
            _ => 400,
        };
        Self::new(status, error.to_string())
    }
}

/// Answers JSON that nobody keeps.
pub(super) fn answer(value: &serde_json::Value) -> Response {
    Response::bytes("application/json; charset=utf-8", format!("{value}\n"))
        .with_header("Cache-Control", "no-store")
}

impl Access {
    pub(super) fn new(key: Option<Secret>, is_open: bool) -> Self {
        let (sessions, failures) = (Sessions::default(), Throttle::default());
        Self { key: Mutex::new(key), is_open, sessions, failures }
    }

    fn key(&self) -> Option<Secret> {
        self.key.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// True if there is a key to be asked for.
    pub(super) fn has_key(&self) -> bool {
        self.key().is_some()
    }

    /// Takes over another key; sessions that were opened with the old one end.
    pub(super) fn reload(&self, from: &Self) {
        let key = from.key();
        let mut own = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        if *own != key {
            *own = key;
            self.sessions.end_all();
        }
    }

    /// True if no key has to be brought (any more).
    pub(super) fn is_inside(&self, request: &Request) -> bool {
        (self.is_open && !self.has_key()) || self.has_session(request)
    }

    /// Lets who brings the key or a session see.
    pub(super) fn may_see(&self, request: &Request) -> Result<(), Refused> {
        if self.is_inside(request) {
            return Ok(());
        }
        match bearer(request).filter(|_| self.has_key()) {
            Some(key) => self.check_key(key, request.client()),
            None => Err(Refused::new(401, "The page needs the admin key.")),
        }
    }

    /// Lets who brings the key, or a session and a page of this server, change something.
    pub(super) fn may_change(&self, request: &Request) -> Result<(), Refused> {
        if !self.has_key() {
            let text = "Nothing can be changed without a key: start the server with --admin-key.";
            return Err(Refused::new(403, text));
        }
        self.must_be_own_page(request)?;
        self.may_see(request)
    }

    /// Refuses what a page of elsewhere may have made a browser send.
    pub(super) fn must_be_own_page(&self, request: &Request) -> Result<(), Refused> {
        let kind = request.header("content-type").unwrap_or("");
        if !kind.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case("application/json") {
            return Err(Refused::new(415, "The body has to be application/json."));
        }
        let own = match (request.header("origin"), request.header("sec-fetch-site")) {
            (Some(origin), _) => is_own(origin, request.host()),
            (None, Some(site)) => site == "same-origin",
            // No browser: what it brings is its own.
            (None, None) => bearer(request).is_some() || !self.has_session(request),
        };
        if own { Ok(()) } else { Err(Refused::new(403, "Pages of other sites may not do this.")) }
    }

    /// Checks a key; who has been wrong too often is not asked for a while.
    pub(super) fn check_key(&self, key: &str, client: IpAddr) -> Result<(), Refused> {
        if !self.failures.may_try(client) {
            return Err(Refused::new(429, "Too many wrong keys; wait a little."));
        }
        let is_right =
            self.key().is_some_and(|own| bool::from(own.text().as_bytes().ct_eq(key.as_bytes())));
        if is_right {
            return Ok(());
        }
        self.failures.note(client);
        log::warn!("{client}: a wrong admin key");
        Err(Refused::new(401, "The key is not right."))
    }

    fn has_session(&self, request: &Request) -> bool {
        request.cookie(COOKIE).is_some_and(|token| self.sessions.knows(token))
    }
}

/// The key of `Authorization: Bearer <key>` (RFC 6750 2.1).
fn bearer(request: &Request) -> Option<&str> {
    let (scheme, rest) = request.header("authorization")?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| rest.trim())
}

/// True if an origin is that of the host a request is for.
fn is_own(origin: &str, host: &str) -> bool {
    origin.split_once("://").is_some_and(|(scheme, authority)| {
        matches!(scheme, "http" | "https") && authority.eq_ignore_ascii_case(host)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_own_only_if_host_and_port_are() {
        assert!(is_own("http://127.0.0.1:8001", "127.0.0.1:8001"));
        assert!(is_own("https://Admin.example", "admin.example"));
        for wrong in ["null", "http://127.0.0.1:8000", "http://127.0.0.1:8001.evil", "ws://a", ""] {
            assert!(!is_own(wrong, "127.0.0.1:8001"), "{wrong}");
        }
    }
}
