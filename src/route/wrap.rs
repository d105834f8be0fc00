//! The two wrappers that put WebSocket on a route, with dwebsocket's names.

use crate::config::{Deflate, Rate};
use crate::conn::WebSocket;
use crate::error::Result;
use crate::http::refusal::Refusal;
use crate::http::{Method, Response};
use crate::route::auth::Auth;
use crate::route::handler::{Handler, IntoResponse};
use crate::route::request::Request;

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
    speech: Speech,
}

/// A route that serves WebSocket only; made by [`require_websocket`].
#[derive(Clone, Debug)]
pub struct RequireWebSocket<H> {
    handler: H,
    speech: Speech,
    reject_status: u16,
}

/// What is spoken on a route and with whom, as far as the handshake says so.
#[derive(Clone, Debug, Default)]
pub(super) struct Speech {
    pub(super) subprotocols: Vec<String>,
    /// `None`: as the server says.
    pub(super) compression: Option<Option<Deflate>>,
    /// `None`: as the server says, and so below.
    pub(super) message_rate: Option<Option<Rate>>,
    pub(super) byte_rate: Option<Option<Rate>>,
    /// `None`: as the server says.
    pub(super) auth: Option<Auth>,
}

impl Speech {
    /// Has the handshake answered accordingly, unless the handler says otherwise.
    pub(super) fn set_up(&self, ws: &WebSocket) {
        ws.prefer(&self.subprotocols);
        if let Some(compression) = self.compression {
            ws.compress_with(compression);
        }
        if self.message_rate.is_some() || self.byte_rate.is_some() {
            ws.pace_with(self.message_rate, self.byte_rate);
        }
    }
}

impl<H> AcceptWebSocket<H> {
    /// Who may come in to this route, plain HTTP included, instead of what the server says
    /// ([`Builder::authenticate`](crate::Builder::authenticate)).
    #[must_use]
    pub fn authenticate(mut self, auth: impl Into<Auth>) -> Self {
        self.speech.auth = Some(auth.into());
        self
    }

    /// The subprotocols spoken here, the best first: the first one that the client offers too is
    /// chosen; a client that offers none of them is accepted without.
    #[must_use]
    pub fn subprotocols<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.speech.subprotocols = names.into_iter().map(Into::into).collect();
        self
    }

    /// How messages are compressed on this route, `None` for not at all, whatever the server's
    /// [`compression`](crate::Config::compression) says.
    #[must_use]
    pub fn compression(mut self, setting: impl Into<Option<Deflate>>) -> Self {
        self.speech.compression = Some(setting.into());
        self
    }

    /// How many messages a client may send in a second on this route, `None` for as many as it
    /// likes, whatever the server's [`message_rate`](crate::Config::message_rate) says.
    #[must_use]
    pub fn message_rate(mut self, rate: impl Into<Option<Rate>>) -> Self {
        self.speech.message_rate = Some(rate.into());
        self
    }

    /// How many bytes a client may send in a second on this route, `None` for as many as it likes,
    /// whatever the server's [`byte_rate`](crate::Config::byte_rate) says.
    #[must_use]
    pub fn byte_rate(mut self, rate: impl Into<Option<Rate>>) -> Self {
        self.speech.byte_rate = Some(rate.into());
        self
    }
}

impl<H> RequireWebSocket<H> {
    /// The subprotocols spoken here, the best first: the first one that the client offers too is
    /// chosen; a client that offers none of them is accepted without.
    #[must_use]
    pub fn subprotocols<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.speech.subprotocols = names.into_iter().map(Into::into).collect();
        self
    }

    /// How messages are compressed on this route, `None` for not at all, whatever the server's
    /// [`compression`](crate::Config::compression) says.
    ///
    /// # Example
    /// ```
    /// use landline::{Deflate, Request, Result, WebSocket, require_websocket};
    ///
    /// fn photos(_request: &Request, ws: &WebSocket) -> Result<()> {
    ///     ws.send(b"\xff\xd8 a photo is compressed already")
    /// }
    /// let as_they_are = require_websocket(photos).compression(None);
    /// let small_at_any_price = require_websocket(photos).compression(Deflate::new().with_level(9));
    /// # let _ = (as_they_are, small_at_any_price);
    /// ```
    #[must_use]
    pub fn compression(mut self, setting: impl Into<Option<Deflate>>) -> Self {
        self.speech.compression = Some(setting.into());
        self
    }

    /// How many messages a client may send in a second on this route, `None` for as many as it
    /// likes, whatever the server's [`message_rate`](crate::Config::message_rate) says.
    #[must_use]
    pub fn message_rate(mut self, rate: impl Into<Option<Rate>>) -> Self {
        self.speech.message_rate = Some(rate.into());
        self
    }

    /// How many bytes a client may send in a second on this route, `None` for as many as it likes,
    /// whatever the server's [`byte_rate`](crate::Config::byte_rate) says.
    #[must_use]
    pub fn byte_rate(mut self, rate: impl Into<Option<Rate>>) -> Self {
        self.speech.byte_rate = Some(rate.into());
        self
    }

    /// Who may come in to this route, plain HTTP included, instead of what the server says
    /// ([`Builder::authenticate`](crate::Builder::authenticate)).
    ///
    /// # Example
    /// ```
    /// use landline::{Auth, Request, Result, WebSocket, require_websocket};
    ///
    /// fn news(_request: &Request, ws: &WebSocket) -> Result<()> {
    ///     ws.send("for everybody")
    /// }
    /// let for_everybody = require_websocket(news).authenticate(Auth::open());
    /// # let _ = for_everybody;
    /// ```
    #[must_use]
    pub fn authenticate(mut self, auth: impl Into<Auth>) -> Self {
        self.speech.auth = Some(auth.into());
        self
    }

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
        self.speech.auth.as_ref().or_else(|| self.handler.auth(method))
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
        self.speech.auth.as_ref()
    }
}
