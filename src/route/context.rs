//! What a consumer has at hand in every one of its calls.

use std::cell::Cell;

use serde::Serialize;

use crate::conn::{Sender, WebSocket};
use crate::error::Result;
use crate::route::request::Request;
use crate::ws::Message;

/// The connection of a [`Consumer`](crate::Consumer): the request it came with, its socket, its
/// groups.
///
/// The first use of the socket (a send, a join) answers the handshake, so
/// [`connect`](crate::Consumer::connect) decides first and uses it then.
///
/// # Blocking
/// Only [`send`](Self::send) and [`send_json`](Self::send_json) wait, and say until when.
///
/// # Source
/// `self.scope`, `self.send`, `self.close` and `self.channel_layer` of a Channels consumer.
#[derive(Debug)]
pub struct Context<'a> {
    request: &'a Request,
    ws: &'a WebSocket,
    /// The consumer has said goodbye.
    has_closed: Cell<bool>,
}

impl<'a> Context<'a> {
    pub(super) fn new(request: &'a Request, ws: &'a WebSocket) -> Self {
        Self { request, ws, has_closed: Cell::new(false) }
    }

    /// True once [`close`](Self::close) was called: what came before it is not delivered either.
    pub(super) fn has_closed(&self) -> bool {
        self.has_closed.get()
    }

    /// The request that asked for the connection: path, parameters, query, headers, cookies.
    pub fn request(&self) -> &'a Request {
        self.request
    }

    /// The socket itself, for what has no word here. Messages taken from it are not delivered to
    /// the consumer.
    pub fn websocket(&self) -> &'a WebSocket {
        self.ws
    }

    /// The number of the connection, as in the thread's name and the log.
    pub fn conn_id(&self) -> u64 {
        self.ws.conn_id()
    }

    /// Sends a message to the client.
    ///
    /// # Blocking
    /// As [`WebSocket::send`].
    ///
    /// # Errors
    /// As [`WebSocket::send`]. A callback may pass them on with `?`: a connection that is over
    /// is no failure, and a client that is too slow is closed with 1013.
    pub fn send(&self, message: impl Into<Message>) -> Result<()> {
        self.ws.send(message)
    }

    /// Sends a value to the client as JSON text.
    ///
    /// # Blocking
    /// As [`WebSocket::send`].
    ///
    /// # Errors
    /// `Json`: the value cannot be written as JSON. Others as [`send`](Self::send).
    pub fn send_json(&self, value: &(impl Serialize + ?Sized)) -> Result<()> {
        self.ws.send_json(value)
    }

    /// Begins the closing handshake. No message is delivered any more, not even one that has come
    /// already; [`disconnect`](crate::Consumer::disconnect) is called when the client has
    /// answered.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Units
    /// As [`WebSocket::close`]; an application's own codes are 4000-4999.
    ///
    /// # Errors
    /// As [`WebSocket::close`].
    pub fn close(&self, code: u16, reason: &str) -> Result<()> {
        self.ws.close(code, reason)?;
        self.has_closed.set(true);
        Ok(())
    }

    /// A handle for other threads to send and close with.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Errors
    /// As [`WebSocket::sender`].
    pub fn sender(&self) -> Result<Sender> {
        self.ws.sender()
    }
}
