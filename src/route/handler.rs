//! What can stand behind a route.

use std::any::Any;

use crate::conn::story::words;
use crate::error::{Error, Result};
use crate::http::{Method, Response};
use crate::route::auth::Auth;
use crate::route::request::Request;
use crate::ws::{Message, close_code};

/// Something that answers requests: a plain function, a wrapper, or a set of methods.
///
/// Every `Fn(&Request) -> R` is a handler if `R` is a [`Response`], a `Result` of one, or text.
/// It is called on the connection's own thread and may block. A thread serves other connections
/// when this one has ended, so what a handler keeps in a thread-local stays.
///
/// # Errors
/// An `Err` is logged with the connection's id and answered 500 without its text; on an open
/// WebSocket the connection is closed with 1011. A panic is treated the same way.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request.
    fn call(&self, request: &Request) -> Result<Response>;

    /// True if the handler wants WebSocket handshakes; others are refused for it (400), unless
    /// the server accepts them everywhere.
    fn speaks_websocket(&self) -> bool {
        false
    }

    /// True if what the server itself refuses on this route (a body over its limit, a request for
    /// another host, a handler that failed) is answered as JSON, `{"error": "..."}`, and not as
    /// plain text.
    fn answers_json(&self) -> bool {
        false
    }

    /// Who may come in to this route, instead of what the server says
    /// ([`Builder::authenticate`](crate::Builder::authenticate)); asked before
    /// [`call`](Self::call). Default: `None`, as the server says.
    fn auth(&self, method: &Method) -> Option<&Auth> {
        let _ = method;
        None
    }
}

impl<F, R> Handler for F
where
    F: Fn(&Request) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    fn call(&self, request: &Request) -> Result<Response> {
        self(request).into_response()
    }
}

/// Code and reason of the close frame for a client whose handler failed or panicked.
pub(crate) const FAILED: (u16, &str) = (close_code::INTERNAL, words::HANDLER_FAILED);

/// Code and reason of the close frame for a client that took too little of what was sent.
pub(crate) const TOO_SLOW: (u16, &str) = (close_code::TRY_AGAIN, words::SLOW_CLIENT);

/// True for the error of a send that a handler passed on because its client was too slow.
pub(crate) fn is_too_slow(error: &Error) -> bool {
    error.is_timeout() && error.has_returned::<Message>()
}

/// What a panic said, if it said it in words.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no words")
}

/// What a handler function may return.
pub trait IntoResponse {
    /// Turns the value into a response.
    ///
    /// # Errors
    /// Those that the value itself carries.
    fn into_response(self) -> Result<Response>;
}

impl IntoResponse for Response {
    fn into_response(self) -> Result<Response> {
        Ok(self)
    }
}

impl IntoResponse for &'static str {
    fn into_response(self) -> Result<Response> {
        Ok(Response::text(self))
    }
}

impl IntoResponse for String {
    fn into_response(self) -> Result<Response> {
        Ok(Response::text(self))
    }
}

impl<T: IntoResponse> IntoResponse for Result<T> {
    fn into_response(self) -> Result<Response> {
        self?.into_response()
    }
}
