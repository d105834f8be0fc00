//! What a consumer has at hand in every one of its calls.

use std::cell::Cell;

use serde::Serialize;

use crate::conn::{Join, Sender, WebSocket};
use crate::error::Result;
use crate::hub::Hub;
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

    /// The number of the connection, as in the log and in the system's name for its thread.
    pub fn conn_id(&self) -> u64 {
        self.ws.conn_id()
    }

    /// The hub of the server, to publish to groups and to ask who is there.
    pub fn hub(&self) -> &'a Hub {
        self.request.hub()
    }

    /// Joins a group whose messages go to [`group_message`](crate::Consumer::group_message).
    ///
    /// # Blocking
    /// Never. The handshake is answered, if it has not been.
    ///
    /// # Errors
    /// As [`WebSocket::join_with`].
    pub fn join(&self, group: impl AsRef<str>) -> Result<()> {
        self.join_with(group, Join::default())
    }

    /// Joins as [`join`](Self::join) does, with a user's name or metadata.
    ///
    /// # Blocking
    /// As [`join`](Self::join).
    ///
    /// # Errors
    /// As [`WebSocket::join_with`].
    pub fn join_with(&self, group: impl AsRef<str>, join: Join) -> Result<()> {
        self.ws.join_with(group, join.to_inbox())
    }

    /// Joins a group whose messages go straight to the client, which is faster than to forward
    /// them.
    ///
    /// # Blocking
    /// As [`join`](Self::join).
    ///
    /// # Errors
    /// As [`WebSocket::join_with`].
    pub fn join_direct(&self, group: impl AsRef<str>, join: Join) -> Result<()> {
        self.ws.join_with(group, Join { is_inbox: false, ..join })
    }

    /// Joins the group that a signed name stands for, as [`join`](Self::join) does.
    ///
    /// # Blocking
    /// As [`join`](Self::join).
    ///
    /// # Errors
    /// As [`Request::signed_group`], before anything is answered, and [`join`](Self::join).
    #[cfg(feature = "auth")]
    pub fn join_signed(&self, token: &str) -> Result<()> {
        self.join(self.request.signed_group(token)?)
    }

    /// Leaves a group; false if the connection was no member.
    ///
    /// # Blocking
    /// Never.
    pub fn leave(&self, group: impl AsRef<str>) -> bool {
        self.ws.leave(group)
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
