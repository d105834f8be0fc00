//! A response as a value, on the status and header types of tiny_http.
//!
//! Header names and values are checked when they are set. A response that got a wrong one is
//! *faulty*: it carries the reason and is answered with 500, since a header that is cut or
//! dropped silently would be worse, and a panic would take the connection along.

use std::fmt;
use std::io::Read;

use percent_encoding::{AsciiSet, utf8_percent_encode};
use serde::Serialize;
use tiny_http::{Header, StatusCode};

use super::cookie::{self, Cookie};
use super::token::is_token;
use crate::error::{Error, ErrorKind, Result};

/// What an address may hold as it is: everything visible in ASCII. Control characters are not
/// encoded but refused.
const ADDRESS: &AsciiSet = &AsciiSet::EMPTY.add(b' ').add(b'"').add(b'<').add(b'>');

/// The content types that need no check.
const TYPES: [&str; 3] = [TEXT, HTML, JSON];

/// What browsers are told unless the handler says otherwise: not to guess another type.
const NOSNIFF: (&str, &str) = ("X-Content-Type-Options", "nosniff");
const CONTENT_TYPE: &str = "Content-Type";

const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json; charset=utf-8";

/// What a handler answers.
///
/// Text, HTML and JSON are UTF-8 and say so; every response forbids browsers to guess another
/// type (`X-Content-Type-Options: nosniff`). `Date`, `Server`, `Content-Length` and `Connection`
/// are written by the server.
///
/// # Blocking
/// Never: it is a value. It is sent when the handler has returned.
///
/// # Example
/// ```
/// use landline::Response;
/// let response = Response::text("gone fishing").with_status(503).with_header("Retry-After", "60");
/// assert_eq!(response.status_code(), 503);
/// ```
pub struct Response {
    status: StatusCode,
    /// `nosniff`, unless the handler has said otherwise.
    is_nosniff: bool,
    /// The content type, if it is one of [`TYPES`]: what is the same for most responses needs no
    /// memory and no check.
    content_type: Option<&'static str>,
    /// All others.
    headers: Vec<Header>,
    body: Body,
    /// Close the connection after this response.
    close: bool,
    /// Why it cannot be sent.
    fault: Option<Box<str>>,
}

/// Where the bytes of a body come from.
pub(crate) enum Body {
    /// Already here.
    Memory(Vec<u8>),
    /// Read while it is sent; exactly `length` bytes if that is known.
    Reader { reader: Box<dyn Read + Send>, length: Option<u64> },
    /// Nothing at all may be written, not even a head: a WebSocket session was here.
    SessionOver,
}

/// Everything of a response but its body.
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    is_nosniff: bool,
    content_type: Option<&'static str>,
    headers: Vec<Header>,
}

impl Head {
    /// The header fields that need no memory, in their order.
    pub(crate) fn usual(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let nosniff = self.is_nosniff.then_some(NOSNIFF);
        nosniff.into_iter().chain(self.content_type.map(|value| (CONTENT_TYPE, value)))
    }

    /// True if it has no others.
    pub(crate) fn is_usual(&self) -> bool {
        self.headers.is_empty()
    }

    /// All header fields.
    pub(crate) fn into_headers(mut self) -> Vec<Header> {
        let usual = self.usual().filter_map(|(name, value)| Header::from_bytes(name, value).ok());
        let usual: Vec<_> = usual.collect();
        self.headers.splice(0..0, usual);
        self.headers
    }
}

impl Response {
    /// Plain text, 200.
    pub fn text(text: impl Into<String>) -> Self {
        Self::bytes(TEXT, text.into())
    }

    /// An HTML page, 200.
    pub fn html(page: impl Into<String>) -> Self {
        Self::bytes(HTML, page.into())
    }

    /// A value as JSON, 200.
    ///
    /// # Errors
    /// `Json`: the value cannot be serialized, such as a map whose keys are not strings.
    pub fn json(value: &(impl Serialize + ?Sized)) -> Result<Self> {
        let data = serde_json::to_vec(value).map_err(|error| {
            Error::new(ErrorKind::Json, "cannot serialize the response").with_source(error)
        })?;
        Ok(Self::bytes(JSON, data))
    }

    /// Any bytes with their content type, 200.
    pub fn bytes(content_type: &str, data: impl Into<Vec<u8>>) -> Self {
        Self::new(200, Body::Memory(data.into())).with_content_type(content_type)
    }

    /// A status without a body, such as 204.
    pub fn empty(status: u16) -> Self {
        Self::new(status, Body::Memory(Vec::new()))
    }

    /// A status with its usual words as plain text, such as "Not Found".
    pub fn status(status: u16) -> Self {
        let words = StatusCode(status).default_reason_phrase();
        Self::text(format!("{words}\n")).with_status(status)
    }

    /// Sends the browser to another address, 302.
    ///
    /// Spaces, quotes, angle brackets and everything outside ASCII are percent-encoded. Do not
    /// pass on an address that came from a request without checking where it leads.
    pub fn redirect(location: &str) -> Self {
        let location = utf8_percent_encode(location, ADDRESS).to_string();
        Self::empty(302).with_header("Location", location)
    }

    /// A body that is read while it is sent, 200.
    ///
    /// `length` is the exact number of bytes; without it HTTP/1.1 clients get chunks. If the
    /// reader fails or ends too early, the connection is cut, so that nobody takes a part for
    /// the whole.
    ///
    /// # Blocking
    /// The reader is read on the connection's thread.
    pub fn reader(
        content_type: &str,
        reader: impl Read + Send + 'static,
        length: Option<u64>,
    ) -> Self {
        let body = Body::Reader { reader: Box::new(reader), length };
        Self::new(200, body).with_content_type(content_type)
    }

    /// What a handler returns after it used the WebSocket: nothing is written.
    pub fn closed() -> Self {
        let mut closed = Self::new(200, Body::SessionOver);
        closed.close = true;
        closed
    }

    /// Sets the status: 200 to 599, anything else makes the response faulty (answered 500).
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        if (200..=599).contains(&status) {
            self.status = StatusCode(status);
        } else {
            self.spoil(format!("the status {status} cannot be answered"));
        }
        self
    }

    /// Sets a header; an earlier value of the same name is replaced, only `Set-Cookie` adds up.
    ///
    /// The name must be a token and the value visible ASCII (spaces and tabs included), so a
    /// value can never end its line; anything else makes the response faulty: the reason is
    /// logged and the peer gets 500. `Content-Length`, `Transfer-Encoding` and `Trailer` belong
    /// to the server and are refused the same way. `Connection: close` closes the connection
    /// after the response; other values of `Connection` are refused.
    #[must_use]
    pub fn with_header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        let (name, value) = (name.as_ref(), value.as_ref());
        if name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close") {
            self.close = true;
            return self;
        }
        match checked_header(name, value) {
            Ok(header) => {
                self.is_nosniff &= !name.eq_ignore_ascii_case(NOSNIFF.0);
                if name.eq_ignore_ascii_case(CONTENT_TYPE) {
                    self.content_type = None;
                }
                if !name.eq_ignore_ascii_case("set-cookie") {
                    self.headers.retain(|old| old.field != header.field);
                }
                self.headers.push(header);
            }
            Err(why) => self.spoil(why),
        }
        self
    }

    /// Adds a cookie.
    ///
    /// A name that is not a token, or a semicolon, control character or non-ASCII character in
    /// value, path or domain makes the response faulty, as in [`with_header`](Self::with_header).
    #[must_use]
    pub fn with_cookie(mut self, cookie: Cookie<'_>) -> Self {
        if cookie::is_safe(&cookie) {
            return self.with_header("Set-Cookie", cookie.to_string());
        }
        self.spoil(format!("the cookie {:?} holds a forbidden character", cookie.name()));
        self
    }

    /// The status that will be answered: 500 if the response is faulty.
    pub fn status_code(&self) -> u16 {
        if self.fault.is_some() { 500 } else { self.status.0 }
    }

    /// The first value of a header that was set.
    pub fn header(&self, name: &str) -> Option<&str> {
        if self.is_nosniff && name.eq_ignore_ascii_case(NOSNIFF.0) {
            return Some(NOSNIFF.1);
        }
        if self.content_type.is_some() && name.eq_ignore_ascii_case(CONTENT_TYPE) {
            return self.content_type;
        }
        let mut headers = self.headers.iter();
        let is_it = |header: &&Header| header.field.as_str().as_str().eq_ignore_ascii_case(name);
        headers.find(is_it).map(|header| header.value.as_str())
    }

    /// The body, unless it comes from a reader.
    pub fn body(&self) -> Option<&[u8]> {
        match &self.body {
            Body::Memory(data) => Some(data),
            Body::Reader { .. } | Body::SessionOver => None,
        }
    }

    /// True for [`Response::closed`].
    pub fn is_closed_marker(&self) -> bool {
        matches!(self.body, Body::SessionOver)
    }

    /// True if the connection is to be closed after this response.
    pub(crate) fn closes(&self) -> bool {
        self.close
    }

    /// Why the response cannot be sent, for the log; to be treated as an error of the handler.
    pub(crate) fn fault(&self) -> Option<Error> {
        let why = self.fault.as_deref()?;
        Some(Error::new(ErrorKind::Protocol, format!("the handler's response is faulty: {why}")))
    }

    /// Takes the response apart for the encoder.
    pub(crate) fn into_parts(self) -> (Head, Body) {
        let Self { status, is_nosniff, content_type, headers, body, .. } = self;
        (Head { status, is_nosniff, content_type, headers }, body)
    }

    fn new(status: u16, body: Body) -> Self {
        let response = Self {
            status: StatusCode(200),
            is_nosniff: true,
            content_type: None,
            headers: Vec::new(),
            body,
            close: false,
            fault: None,
        };
        response.with_status(status)
    }

    fn with_content_type(mut self, content_type: &str) -> Self {
        self.content_type = TYPES.into_iter().find(|known| *known == content_type);
        match self.content_type {
            Some(_) => self,
            None => self.with_header(CONTENT_TYPE, content_type),
        }
    }

    /// Keeps the first reason: later ones may only follow from it.
    fn spoil(&mut self, why: String) {
        self.fault.get_or_insert(why.into());
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Response");
        shown.field("status", &self.status_code());
        shown.field("bytes", &self.body().map(<[u8]>::len));
        shown.field("fault", &self.fault).finish_non_exhaustive()
    }
}

/// A header that cannot break its line, or why not. The value is not repeated: it may be secret.
fn checked_header(name: &str, value: &str) -> Result<Header, String> {
    const OURS: [&str; 4] = ["connection", "content-length", "transfer-encoding", "trailer"];
    if !is_token(name.as_bytes()) {
        return Err(format!("{name:?} is not a header name"));
    }
    if OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
        return Err(format!("the header {name} is set by the server"));
    }
    if !value.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) {
        return Err(format!("the value of the header {name} is not visible ASCII"));
    }
    Header::from_bytes(name, value).map_err(|()| format!("the header {name} is not ASCII"))
}

#[cfg(test)]
mod tests;
