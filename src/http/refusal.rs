//! A request that is turned away: status, public text and whether the connection can go on.
//!
//! The text is written for the peer. Nothing internal ever goes into it.

use std::borrow::Cow;

use super::response::Response;
use crate::error::{Error, ErrorKind};

/// Why a request is turned away, in words for the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    status: u16,
    text: Cow<'static, str>,
    headers: Vec<(&'static str, String)>,
    close: bool,
    /// A page of elsewhere has asked.
    is_foreign: bool,
}

impl Refusal {
    /// 400: the request is malformed. Closes, since the next request cannot be found safely.
    pub(crate) fn bad_request(text: impl Into<Cow<'static, str>>) -> Self {
        Self::closing(400, text)
    }

    /// 401: it has to be said who asks; `challenge` is what would be right.
    pub(crate) fn unauthorized(
        text: impl Into<Cow<'static, str>>,
        challenge: impl Into<String>,
    ) -> Self {
        Self::keeping(401, text).with_header("WWW-Authenticate", challenge)
    }

    /// 403: understood and not permitted.
    pub(crate) fn forbidden(text: impl Into<Cow<'static, str>>) -> Self {
        Self::keeping(403, text)
    }

    /// 403: a web page of elsewhere asks for what is not for it.
    pub(crate) fn foreign(text: impl Into<Cow<'static, str>>) -> Self {
        Self { is_foreign: true, ..Self::forbidden(text) }
    }

    /// True if a web page of elsewhere was refused.
    pub(crate) fn is_foreign(&self) -> bool {
        self.is_foreign
    }

    /// 404: no route for this path.
    pub(crate) fn not_found() -> Self {
        Self::keeping(404, "There is nothing at this address.")
    }

    /// 405 with `Allow`: the path is known, the method is not served there.
    pub(crate) fn method_not_allowed(allow: &str) -> Self {
        Self::keeping(405, "This method is not allowed here.").with_header("Allow", allow)
    }

    /// 408: the head did not arrive in time.
    pub(crate) fn head_too_slow() -> Self {
        Self::closing(408, "The request head took too long.")
    }

    /// 408: the body did not arrive in time.
    pub(crate) fn body_too_slow() -> Self {
        Self::closing(408, "The request body took too long.")
    }

    /// 413: the body is over its limit.
    pub(crate) fn body_too_long(limit: u64) -> Self {
        Self::closing(413, format!("The request body is over the limit of {limit} bytes."))
    }

    /// 414: already the request line is over the limit of the head.
    pub(crate) fn uri_too_long() -> Self {
        Self::closing(414, "The request target is too long.")
    }

    /// 417: an expectation other than `100-continue`.
    pub(crate) fn expectation_failed() -> Self {
        Self::closing(417, "Only the expectation 100-continue can be met.")
    }

    /// 421: the host is not one of this server's names.
    pub(crate) fn misdirected(text: impl Into<Cow<'static, str>>) -> Self {
        Self::closing(421, text)
    }

    /// 426 with the version of the protocol that is spoken here.
    ///
    /// `Connection: Upgrade` is added where the response is encoded.
    pub(crate) fn upgrade_required() -> Self {
        Self::keeping(426, "This address speaks WebSocket version 13 only.")
            .with_header("Upgrade", "websocket")
            .with_header("Sec-WebSocket-Version", "13")
    }

    /// 429 with `Retry-After`: the user has as many connections as one may.
    pub(crate) fn too_many_sockets(limit: usize) -> Self {
        let text = format!("You have {limit} connections open, which is the limit.");
        Self::keeping(429, text).with_header("Retry-After", "10")
    }

    /// 429 with `Retry-After`: new connections of this address come too fast.
    pub(crate) fn too_fast() -> Self {
        Self::keeping(429, "Too many new connections, please try again soon.")
            .with_header("Retry-After", "1")
    }

    /// 431: the head is over its limit of bytes.
    pub(crate) fn head_too_long() -> Self {
        Self::closing(431, "The request head is too long.")
    }

    /// 431: the head is over its limit of lines.
    pub(crate) fn too_many_header_lines() -> Self {
        Self::closing(431, "The request head has too many lines.")
    }

    /// 500: a failure of ours, of which the peer learns nothing more.
    pub(crate) fn internal() -> Self {
        Self::keeping(500, "Something went wrong on the server.")
    }

    /// 501: a transfer coding that is not understood.
    pub(crate) fn not_implemented(text: impl Into<Cow<'static, str>>) -> Self {
        Self::closing(501, text)
    }

    /// 503 with `Retry-After`: no room for one more connection.
    pub(crate) fn unavailable() -> Self {
        Self::closing(503, "The server is full, please try again soon.")
            .with_header("Retry-After", "1")
    }

    /// 503 with `Retry-After`: something that is needed to decide is not there now.
    pub(crate) fn not_now(text: impl Into<Cow<'static, str>>) -> Self {
        Self::keeping(503, text).with_header("Retry-After", "1")
    }

    /// 505: neither HTTP/1.1 nor HTTP/1.0.
    pub(crate) fn version_not_supported() -> Self {
        Self::closing(505, "Only HTTP/1.1 and HTTP/1.0 are spoken here.")
    }

    /// The status code.
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// The text for the peer, without a line end.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// True if the connection must be closed after the answer.
    #[cfg(any(test, feature = "internals"))]
    pub(crate) fn closes(&self) -> bool {
        self.close
    }

    /// The same refusal, after which the connection may go on (the request was read whole).
    pub(crate) fn and_keep(mut self) -> Self {
        self.close = false;
        self
    }

    /// The same refusal, after which the connection is closed.
    pub(crate) fn and_close(mut self) -> Self {
        self.close = true;
        self
    }

    /// Adds a header line to the answer.
    pub(crate) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The answer: one sentence of plain text.
    pub(crate) fn into_response(self) -> Response {
        let response = Response::text(format!("{}\n", self.text));
        self.complete(response)
    }

    /// The answer for programs: `{"error": "the sentence"}`.
    pub(crate) fn into_json_response(self) -> Response {
        let text = format!("{}\n", serde_json::json!({ "error": self.text }));
        self.complete(Response::bytes("application/json; charset=utf-8", text))
    }

    /// Adds what is not the body.
    fn complete(self, response: Response) -> Response {
        let mut response = response.with_status(self.status);
        for (name, value) in &self.headers {
            response = response.with_header(name, value);
        }
        if self.close { response.with_header("Connection", "close") } else { response }
    }

    fn closing(status: u16, text: impl Into<Cow<'static, str>>) -> Self {
        Self { status, text: text.into(), headers: Vec::new(), close: true, is_foreign: false }
    }

    fn keeping(status: u16, text: impl Into<Cow<'static, str>>) -> Self {
        Self { close: false, ..Self::closing(status, text) }
    }
}

/// For calls of a handler that need the rest of the request (`body`, `form`). The refusal rides
/// along and comes back by `take_returned`, so that the peer gets its status and not a 500.
impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let kind = match refusal.status {
            408 => ErrorKind::Timeout,
            413 | 429 => ErrorKind::Limit,
            _ => ErrorKind::Protocol,
        };
        let text = format!("request refused with {}: {}", refusal.status, refusal.text);
        Self::new(kind, text).with_returned(refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_one_plain_sentence() {
        let response = Refusal::not_found().into_response();
        assert_eq!(response.status_code(), 404);
        assert_eq!(response.header("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(response.body(), Some(&b"There is nothing at this address.\n"[..]));
        assert!(!response.closes());
    }

    #[test]
    fn the_answer_for_programs_is_an_object_with_the_same_sentence() {
        let response = Refusal::body_too_long(9).into_json_response();
        assert_eq!((response.status_code(), response.closes()), (413, true));
        assert_eq!(response.header("content-type"), Some("application/json; charset=utf-8"));
        let body = &b"{\"error\":\"The request body is over the limit of 9 bytes.\"}\n"[..];
        assert_eq!(response.body(), Some(body));
    }

    #[test]
    fn headers_that_are_due_are_there() {
        let upgrade = Refusal::upgrade_required().into_response();
        assert_eq!(upgrade.status_code(), 426);
        assert_eq!(upgrade.header("upgrade"), Some("websocket"));
        assert_eq!(upgrade.header("sec-websocket-version"), Some("13"));
        let method = Refusal::method_not_allowed("GET, HEAD").into_response();
        assert_eq!(method.header("allow"), Some("GET, HEAD"));
        assert_eq!(Refusal::unavailable().into_response().header("retry-after"), Some("1"));
    }

    #[test]
    fn status_and_closing_are_as_the_table_says() {
        let rows: [(Refusal, u16, bool); 21] = [
            (Refusal::bad_request("x"), 400, true),
            (Refusal::unauthorized("x", "Basic"), 401, false),
            (Refusal::forbidden("x"), 403, false),
            (Refusal::not_found(), 404, false),
            (Refusal::method_not_allowed("GET"), 405, false),
            (Refusal::head_too_slow(), 408, true),
            (Refusal::body_too_slow(), 408, true),
            (Refusal::body_too_long(9), 413, true),
            (Refusal::uri_too_long(), 414, true),
            (Refusal::expectation_failed(), 417, true),
            (Refusal::misdirected("x"), 421, true),
            (Refusal::upgrade_required(), 426, false),
            (Refusal::too_many_sockets(3), 429, false),
            (Refusal::too_fast(), 429, false),
            (Refusal::head_too_long(), 431, true),
            (Refusal::too_many_header_lines(), 431, true),
            (Refusal::internal(), 500, false),
            (Refusal::not_implemented("x"), 501, true),
            (Refusal::unavailable(), 503, true),
            (Refusal::not_now("x"), 503, false),
            (Refusal::version_not_supported(), 505, true),
        ];
        for (refusal, status, close) in rows {
            assert_eq!((refusal.status(), refusal.closes()), (status, close));
            let response = refusal.into_response();
            assert_eq!((response.status_code(), response.closes()), (status, close));
        }
    }

    #[test]
    fn a_refusal_comes_back_out_of_an_error() {
        let mut error = Error::from(Refusal::body_too_long(9));
        assert_eq!(error.kind(), ErrorKind::Limit);
        assert_eq!(error.take_returned::<Refusal>(), Some(Refusal::body_too_long(9)));
        assert!(Error::from(Refusal::body_too_slow()).is_timeout());
        assert_eq!(Error::from(Refusal::bad_request("x")).kind(), ErrorKind::Protocol);
    }

    #[test]
    fn whether_it_closes_can_be_changed() {
        assert!(!Refusal::bad_request("x").and_keep().closes());
        assert!(Refusal::internal().and_close().closes());
    }
}
