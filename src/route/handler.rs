//! What can stand behind a route.

use crate::error::Result;
use crate::http::Response;
use crate::route::request::Request;

/// Something that answers requests: a plain function, a wrapper, or a set of methods.
///
/// Every `Fn(&Request) -> R` is a handler if `R` is a [`Response`], a `Result` of one, or text.
/// It is called on the connection's own thread and may block.
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
