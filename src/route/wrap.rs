//! The two wrappers that put WebSocket on a route, with dwebsocket's names.

use crate::conn::WebSocket;
use crate::error::Result;
use crate::http::refusal::Refusal;
use crate::http::{Method, Response};
use crate::route::auth::Auth;
use crate::route::handler::{Handler, IntoResponse};
use crate::route::request::Request;
use crate::route::speech::Speech;

/// Serves plain HTTP and WebSocket on the same route with one handler.
///
/// [`Request::websocket`] tells which of the two a request is. The handshake is answered at the
/// first use of the socket: until then the handler may answer plain HTTP instead (401, 302, a
/// cookie). A handler that has used the socket returns [`Response::closed`].
///
/// # Example
/// ```
/// use landline::{Request, Response, Result, accept_websocket};
///
/// fn echo(request: &Request) -> Result<Response> {
///     let Some(ws) = request.websocket() else {
///         return Ok(Response::text(request.query("message").unwrap_or("nothing")));
///     };
///     for message in ws {
///         ws.send(message?)?;
///     }
///     Ok(Response::closed())
/// }
/// # let _ = accept_websocket(echo);
/// ```
///
/// # Source
/// dwebsocket `@accept_websocket`.
pub fn accept_websocket<H: Handler>(handler: H) -> AcceptWebSocket<H> {
    AcceptWebSocket { handler, speech: Speech::default() }
}

/// Serves WebSocket only: plain HTTP is refused with 426 before the handler runs.
///
/// # Example
/// ```
/// use landline::{Request, Result, WebSocket, require_websocket};
///
/// fn echo_once(_request: &Request, ws: &WebSocket) -> Result<()> {
///     if let Some(message) = ws.wait()? {
///         ws.send(message)?;
///     }
///     Ok(())
/// }
/// # let _ = require_websocket(echo_once);
/// ```
///
/// # Source
/// dwebsocket `@require_websocket`, which answered plain HTTP with 400 and no word.
pub fn require_websocket<H>(handler: H) -> RequireWebSocket<H>
where
    H: Fn(&Request, &WebSocket) -> Result<()> + Send + Sync + 'static,
{
    RequireWebSocket { handler, speech: Speech::default(), reject_status: 426 }
}

/// A route that serves plain HTTP and WebSocket; made by [`accept_websocket`].
#[derive(Clone, Debug)]
pub struct AcceptWebSocket<H> {
    handler: H,
    pub(super) speech: Speech,
}

/// A route that serves WebSocket only; made by [`require_websocket`].
///
/// # Example
/// ```
/// use landline::{Auth, Deflate, Request, Result, WebSocket, require_websocket};
///
/// fn photos(_request: &Request, ws: &WebSocket) -> Result<()> {
///     ws.send(b"\xff\xd8 a photo is compressed already")
/// }
/// let as_they_are = require_websocket(photos).compression(None);
/// let small_at_any_price = require_websocket(photos).compression(Deflate::new().with_level(9));
/// let for_everybody = require_websocket(photos).authenticate(Auth::open());
/// # let _ = (as_they_are, small_at_any_price, for_everybody);
/// ```
#[derive(Clone, Debug)]
pub struct RequireWebSocket<H> {
    handler: H,
    pub(super) speech: Speech,
    reject_status: u16,
}

impl<H> RequireWebSocket<H> {
    /// The status for plain HTTP instead of 426, for those who look for dwebsocket's 400.
    #[must_use]
    pub fn reject_status(mut self, status: u16) -> Self {
        self.reject_status = status;
        self
    }
}

impl<H: Handler> Handler for AcceptWebSocket<H> {
    fn call(&self, request: &Request) -> Result<Response> {
        if let Some(ws) = request.websocket() {
            self.speech.set_up(ws);
        }
        self.handler.call(request)
    }

    fn speaks_websocket(&self) -> bool {
        true
    }

    fn auth(&self, method: &Method) -> Option<&Auth> {
        self.speech.auth().or_else(|| self.handler.auth(method))
    }
}

impl<H> Handler for RequireWebSocket<H>
where
    H: Fn(&Request, &WebSocket) -> Result<()> + Send + Sync + 'static,
{
    fn call(&self, request: &Request) -> Result<Response> {
        let Some(ws) = request.websocket() else {
            let response = Refusal::upgrade_required().into_response();
            return response.with_status(self.reject_status).into_response();
        };
        self.speech.set_up(ws);
        (self.handler)(request, ws)?;
        Ok(Response::closed())
    }

    fn speaks_websocket(&self) -> bool {
        true
    }

    fn auth(&self, _method: &Method) -> Option<&Auth> {
        self.speech.auth()
    }
}
