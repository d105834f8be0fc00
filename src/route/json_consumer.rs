//! Consumers that speak JSON.

use serde_json::Value;

use crate::conn::GroupMessage;
use crate::error::{Error, ErrorKind, Result};
use crate::route::admission::Admission;
use crate::route::consumer::{Consumer, ConsumerRoute, consumer};
use crate::route::context::Context;
use crate::route::request::Request;
use crate::ws::{Closed, Message, close_code};

/// A [`Consumer`] whose client speaks JSON: every text message is one value.
///
/// [`json_consumer`] puts it on a route. [`Context::send_json`] answers.
///
/// # Errors
/// As [`Consumer`]. A message that is not JSON is no error: see
/// [`invalid_json`](Self::invalid_json).
///
/// # Example
/// ```
/// use landline::{Context, JsonConsumer, Result, json_consumer};
/// use serde_json::{Value, json};
///
/// struct Doubler;
///
/// impl JsonConsumer for Doubler {
///     fn receive_json(&mut self, ctx: &Context<'_>, value: Value) -> Result<()> {
///         match value["number"].as_i64().and_then(|number| number.checked_mul(2)) {
///             Some(double) => ctx.send_json(&json!({ "double": double })),
///             None => ctx.send_json(&json!({ "error": "a number, please" })),
///         }
///     }
/// }
/// # let _ = json_consumer(|_request| Doubler);
/// ```
///
/// # Source
/// Channels `JsonWebsocketConsumer`, which dies of a message that is not JSON.
pub trait JsonConsumer {
    /// As [`Consumer::connect`].
    ///
    /// # Errors
    /// See [`Consumer`].
    fn connect(&mut self, ctx: &Context<'_>) -> Result<Admission> {
        let _ = ctx;
        Ok(Admission::accept())
    }

    /// A text message came from the client, and this is its value.
    ///
    /// # Errors
    /// See [`Consumer`].
    fn receive_json(&mut self, ctx: &Context<'_>, value: Value) -> Result<()>;

    /// A message came that is binary, or text that is not JSON. By default the connection is
    /// closed, with 1003 or 1007.
    ///
    /// `error` has kind `Json`; for text its source names the place.
    ///
    /// # Errors
    /// See [`Consumer`].
    fn invalid_json(&mut self, ctx: &Context<'_>, message: &Message, error: &Error) -> Result<()> {
        let _ = error;
        match message {
            Message::Text(_) => ctx.close(close_code::INVALID_DATA, "not JSON"),
            Message::Binary(_) => ctx.close(close_code::UNSUPPORTED, "not text"),
        }
    }

    /// As [`Consumer::group_message`].
    ///
    /// # Errors
    /// See [`Consumer`].
    fn group_message(&mut self, ctx: &Context<'_>, message: &GroupMessage) -> Result<()> {
        ctx.send(message.message().clone())
    }

    /// As [`Consumer::disconnect`].
    fn disconnect(&mut self, ctx: &Context<'_>, cause: &Closed) {
        let _ = (ctx, cause);
    }
}

/// Serves WebSocket with a [`JsonConsumer`], as [`consumer`] does with a [`Consumer`].
///
/// # Source
/// Channels `JsonWebsocketConsumer.as_asgi()`.
pub fn json_consumer<F, C>(factory: F) -> ConsumerRoute
where
    F: Fn(&Request) -> C + Send + Sync + 'static,
    C: JsonConsumer + 'static,
{
    consumer(move |request| Parsing(factory(request)))
}

/// A consumer that hands on values instead of messages.
struct Parsing<C>(C);

impl<C: JsonConsumer> Consumer for Parsing<C> {
    fn connect(&mut self, ctx: &Context<'_>) -> Result<Admission> {
        self.0.connect(ctx)
    }

    fn receive(&mut self, ctx: &Context<'_>, message: Message) -> Result<()> {
        match parse(&message) {
            Ok(value) => self.0.receive_json(ctx, value),
            Err(error) => self.0.invalid_json(ctx, &message, &error),
        }
    }

    fn group_message(&mut self, ctx: &Context<'_>, message: &GroupMessage) -> Result<()> {
        self.0.group_message(ctx, message)
    }

    fn disconnect(&mut self, ctx: &Context<'_>, cause: &Closed) {
        self.0.disconnect(ctx, cause);
    }
}

fn parse(message: &Message) -> Result<Value> {
    let Some(text) = message.as_text() else {
        return Err(Error::new(ErrorKind::Json, "a binary message is not JSON text"));
    };
    Ok(serde_json::from_str(text)?)
}
