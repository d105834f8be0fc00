//! Consumers: a connection as an object whose methods are called, in the words of Channels.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use crate::conn::incoming::Incoming;
use crate::conn::{GroupMessage, WebSocket};
use crate::error::Result;
use crate::http::refusal::Refusal;
use crate::http::{Method, Response};
use crate::route::admission::Admission;
use crate::route::auth::Auth;
use crate::route::context::Context;
use crate::route::handler::{FAILED, Handler, IntoResponse, TOO_SLOW, is_too_slow, panic_text};
use crate::route::request::Request;
use crate::route::speech::Speech;
use crate::ws::{Closed, Message, Side, close_code};

/// One connection as an object: its methods are called when something happens to it, one at a
/// time, on the connection's own thread, where they may block.
///
/// Every method has a default, so a consumer writes those it needs. [`consumer`] puts it on a
/// route; each connection has an object of its own.
///
/// # Errors
/// An `Err` of a method ends the connection: it is logged once and closed with 1011; before the
/// handshake is answered the client gets 500 instead. A panic is treated the same way. The error
/// of a call that failed because the connection is over may be passed on with `?` and is no
/// failure.
///
/// # Example
/// ```
/// use landline::{Admission, Closed, Consumer, Context, Result, consumer};
///
/// struct Chat {
///     lines: usize,
/// }
///
/// impl Consumer for Chat {
///     fn connect(&mut self, ctx: &Context<'_>) -> Result<Admission> {
///         let is_known = ctx.request().cookie("name").is_some();
///         Ok(if is_known { Admission::accept() } else { Admission::reject() })
///     }
///
///     fn receive_text(&mut self, ctx: &Context<'_>, text: &str) -> Result<()> {
///         self.lines += 1;
///         ctx.send(format!("{}: {text}", self.lines))
///     }
///
///     fn disconnect(&mut self, ctx: &Context<'_>, cause: &Closed) {
///         println!("{} has left after {} lines: {cause}", ctx.conn_id(), self.lines);
///     }
/// }
/// # let _ = consumer(|_request| Chat { lines: 0 });
/// ```
///
/// # Source
/// Channels `WebsocketConsumer`, whose `disconnect` is not called on some paths.
pub trait Consumer {
    /// A client asks for the connection: accept, reject, or accept and close.
    ///
    /// The decision comes first: a send or a join here answers the handshake. A rejection after
    /// that closes with 1008 and the text as its reason.
    ///
    /// # Errors
    /// See [`Consumer`]; [`disconnect`](Self::disconnect) is called then as well.
    fn connect(&mut self, ctx: &Context<'_>) -> Result<Admission> {
        let _ = ctx;
        Ok(Admission::accept())
    }

    /// A message came from the client. By default the method for its kind is called.
    ///
    /// # Errors
    /// See [`Consumer`].
    fn receive(&mut self, ctx: &Context<'_>, message: Message) -> Result<()> {
        match &message {
            Message::Text(text) => self.receive_text(ctx, text.as_str()),
            Message::Binary(data) => self.receive_binary(ctx, data),
        }
    }

    /// A text message came from the client; it may be empty. By default it is ignored.
    ///
    /// # Errors
    /// See [`Consumer`].
    fn receive_text(&mut self, ctx: &Context<'_>, text: &str) -> Result<()> {
        let _ = (ctx, text);
        Ok(())
    }

    /// A binary message came from the client; it may be empty. By default it is ignored.
    ///
    /// # Errors
    /// See [`Consumer`].
    fn receive_binary(&mut self, ctx: &Context<'_>, data: &[u8]) -> Result<()> {
        let _ = (ctx, data);
        Ok(())
    }

    /// A message came from a group that was joined with [`Context::join`]. By default it is sent to
    /// the client as it is.
    ///
    /// # Errors
    /// See [`Consumer`].
    fn group_message(&mut self, ctx: &Context<'_>, message: &GroupMessage) -> Result<()> {
        ctx.send(message.message().clone())
    }

    /// The connection is over, or was never opened. Called exactly once for every consumer whose
    /// [`connect`](Self::connect) was begun, on every path: the client's close, a cut cable, a
    /// keepalive that ran out, an error or a panic of any method, a rejection, the server's stop.
    ///
    /// Nothing can be sent to the client any more. `cause` has code 1006 ([`close_code::LOST`]) if
    /// there was no close frame, as for a rejection; after an error or a panic, 1011. A panic in
    /// here is logged and changes nothing.
    ///
    /// Not called for a process that ends before the connection does: when the server's grace for
    /// a handler that does not return is over.
    fn disconnect(&mut self, ctx: &Context<'_>, cause: &Closed) {
        let _ = (ctx, cause);
    }
}

/// Serves WebSocket with a [`Consumer`]: `factory` makes one for each connection. Plain HTTP is
/// refused with 426 before that.
///
/// # Example
/// ```
/// use landline::{Consumer, Context, Result, Server, consumer};
///
/// struct Echo;
///
/// impl Consumer for Echo {
///     fn receive_text(&mut self, ctx: &Context<'_>, text: &str) -> Result<()> {
///         ctx.send(text)
///     }
/// }
/// let _ = Server::builder().route("/echo", consumer(|_request| Echo));
/// ```
///
/// # Source
/// Channels `Consumer.as_asgi()`.
pub fn consumer<F, C>(factory: F) -> ConsumerRoute
where
    F: Fn(&Request) -> C + Send + Sync + 'static,
    C: Consumer + 'static,
{
    let factory =
        Arc::new(move |request: &Request| Box::new(factory(request)) as Box<dyn Consumer>);
    ConsumerRoute { factory, speech: Speech::default(), reject_status: 426 }
}

type Factory = dyn Fn(&Request) -> Box<dyn Consumer> + Send + Sync;

/// A route that is served by consumers; made by [`consumer`] and
/// [`json_consumer`](crate::json_consumer).
#[derive(Clone)]
pub struct ConsumerRoute {
    factory: Arc<Factory>,
    pub(super) speech: Speech,
    reject_status: u16,
}

impl ConsumerRoute {
    /// The status for plain HTTP instead of 426.
    #[must_use]
    pub fn reject_status(mut self, status: u16) -> Self {
        self.reject_status = status;
        self
    }
}

impl fmt::Debug for ConsumerRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumerRoute")
            .field("speech", &self.speech)
            .field("reject_status", &self.reject_status)
            .finish_non_exhaustive()
    }
}

impl Handler for ConsumerRoute {
    fn call(&self, request: &Request) -> Result<Response> {
        let Some(ws) = request.websocket() else {
            let response = Refusal::upgrade_required().into_response();
            return response.with_status(self.reject_status).into_response();
        };
        self.speech.set_up(ws);
        let mut consumer = (self.factory)(request);
        let ctx = Context::new(request, ws);
        // Whatever the consumer does, its `disconnect` is called below, once.
        let outcome = catch_unwind(AssertUnwindSafe(|| attend(&mut *consumer, &ctx)));
        let cause = match &outcome {
            Ok(Ok(_)) => cause_of_end(ws, (close_code::NORMAL, "")),
            Ok(Err(error)) if is_too_slow(error) => cause_of_end(ws, TOO_SLOW),
            Ok(Err(_)) | Err(_) => cause_of_end(ws, FAILED),
        };
        dismiss(consumer, &ctx, &cause);
        outcome.unwrap_or_else(|panic| resume_unwind(panic))
    }

    fn speaks_websocket(&self) -> bool {
        true
    }

    fn auth(&self, _method: &Method) -> Option<&Auth> {
        self.speech.auth()
    }
}

/// Calls the consumer for everything that happens until the end.
fn attend(consumer: &mut dyn Consumer, ctx: &Context<'_>) -> Result<Response> {
    if let Some(rejection) = consumer.connect(ctx)?.carry_out(ctx)? {
        return Ok(rejection);
    }
    while let Some(incoming) = ctx.websocket().wait_joined()? {
        match incoming {
            _ if ctx.has_closed() => {}
            Incoming::Client(message) => consumer.receive(ctx, message)?,
            Incoming::Group(message) => consumer.group_message(ctx, &message)?,
        }
    }
    Ok(Response::closed())
}

/// How the connection ends. One that is still open is closed first, so that its client need not
/// wait for what the consumer does about it.
fn cause_of_end(ws: &WebSocket, (code, reason): (u16, &'static str)) -> Closed {
    if ws.turn_away() {
        Closed::lost(Side::Server, "the handshake was not accepted")
    } else {
        ws.close_of_server(code, reason)
    }
}

/// Tells the consumer of the end and lets it go.
fn dismiss(mut consumer: Box<dyn Consumer>, ctx: &Context<'_>, cause: &Closed) {
    let told = catch_unwind(AssertUnwindSafe(move || {
        consumer.disconnect(ctx, cause);
        // Here, because a panic of its destructor would meet another one outside.
        drop(consumer);
    }));
    if let Err(panic) = told {
        let (id, text) = (ctx.conn_id(), panic_text(&*panic));
        log::error!("conn-{id}: the consumer panicked when it was told of the end: {text}");
    }
}
