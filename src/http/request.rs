//! The head of a request: everything before the body, checked and decoded.
//!
//! Made by [`HeadParser`](super::parse::HeadParser) only, so that whoever holds one holds a
//! valid request.

use std::fmt;

use super::cookie;
use super::framing::Framing;
use super::headers::Headers;
use super::method::Method;
use super::query::Pairs;
use super::refusal::Refusal;
use super::target::Target;

/// The version of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// HTTP/1.0: closes after the answer unless asked otherwise, knows no chunks.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// The head of a valid request.
pub(crate) struct RequestHead {
    pub(super) method: Method,
    pub(super) version: Version,
    pub(super) framing: Framing,
    pub(super) expects_continue: bool,
    pub(super) target: Target,
    /// Of an absolute target; otherwise the `Host` line counts.
    pub(super) authority: Option<Box<str>>,
    pub(super) headers: Headers,
}

impl RequestHead {
    /// The method.
    pub(crate) fn method(&self) -> &Method {
        &self.method
    }

    /// The request target as it was sent.
    pub(crate) fn target(&self) -> &str {
        self.target.raw()
    }

    /// The path, decoded; starts with `/`, or is `*` for `OPTIONS *`. It has no `.` or `..`
    /// segment, no backslash and no control character.
    pub(crate) fn path(&self) -> &str {
        self.target.path()
    }

    /// The query as it was sent, without the question mark; `None` if there is none.
    pub(crate) fn raw_query(&self) -> Option<&str> {
        self.target.raw_query()
    }

    /// The first value of a query parameter, decoded.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.queries().get(name)
    }

    /// All values of a query parameter, decoded.
    pub(crate) fn query_all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.queries().get_all(name)
    }

    /// Refuses a query that cannot be read.
    ///
    /// # Errors
    /// 400.
    pub(crate) fn check_query(&self) -> Result<(), Refusal> {
        self.target.check_query()
    }

    /// All query parameters.
    pub(crate) fn queries(&self) -> &Pairs {
        self.target.pairs()
    }

    /// The version.
    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// The header fields.
    pub(crate) fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The first value of a header field that is UTF-8.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// The value of a cookie, without the quotes it may have.
    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        cookie::find(&self.headers, name)
    }

    /// The values of all cookies of this name.
    #[cfg(feature = "auth")]
    pub(crate) fn cookies<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        cookie::find_all(&self.headers, name)
    }

    /// Host and port the request is for, valid in syntax; empty only in HTTP/1.0.
    pub(crate) fn host(&self) -> &str {
        let line = || self.headers.get("host").unwrap_or_default();
        self.authority.as_deref().unwrap_or_else(line)
    }

    /// How the end of the body is found.
    pub(crate) fn framing(&self) -> Framing {
        self.framing
    }

    /// True if the client waits for `100 Continue` before it sends the body.
    pub(crate) fn expects_continue(&self) -> bool {
        self.expects_continue
    }

    /// True if the client wants to send another request on this connection.
    pub(crate) fn keeps_alive(&self) -> bool {
        let has = |token| self.headers.has_token("connection", token);
        match self.version {
            Version::Http11 => !has("close"),
            Version::Http10 => has("keep-alive") && !has("close"),
        }
    }
}

/// Shows neither query nor header values: they may be secrets.
impl fmt::Debug for RequestHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", &self.method)
            .field("path", &self.path())
            .field("version", &self.version)
            .field("host", &self.host())
            .field("framing", &self.framing)
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}
