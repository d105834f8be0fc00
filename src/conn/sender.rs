//! `Sender`, what other threads hold of a connection.

use std::fmt;
use std::sync::Arc;

use crate::conn::connection::Connection;
use crate::conn::outbox::Patience;
use crate::error::Result;
use crate::ws::close::CloseFrame;
use crate::ws::{Closed, Message};

/// A handle to send on and close one connection from any thread; cheap to clone.
///
/// It holds no descriptor: one that is forgotten costs a few hundred bytes, not a socket.
#[derive(Clone)]
pub struct Sender {
    conn: Arc<Connection>,
}

impl Sender {
    pub(super) fn new(conn: Arc<Connection>) -> Self {
        Self { conn }
    }

    /// Sends a message whole, as [`WebSocket::send`](crate::WebSocket::send) does.
    ///
    /// # Blocking
    /// Until there is room in the outbound queue or
    /// [`send_timeout`](crate::Config::send_timeout) has passed.
    ///
    /// # Errors
    /// As [`WebSocket::send`](crate::WebSocket::send); the message comes back with the error.
    pub fn send(&self, message: impl Into<Message>) -> Result<()> {
        self.conn.send_message(message.into(), Patience::Wait)
    }

    /// Sends or queues a message without ever waiting.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Errors
    /// The message comes back with the error:
    /// - `QueueFull`: more than the outbound limit would wait for the client. One message larger
    ///   than the limit is taken when nothing waits.
    /// - `Closed`: the connection is over or closing.
    pub fn try_send(&self, message: impl Into<Message>) -> Result<()> {
        self.conn.send_message(message.into(), Patience::Refuse)
    }

    /// Begins the closing handshake, as [`WebSocket::close`](crate::WebSocket::close) does.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Errors
    /// As [`WebSocket::close`](crate::WebSocket::close).
    pub fn close(&self, code: u16, reason: &str) -> Result<()> {
        self.conn.close(CloseFrame::new(code, reason)?);
        Ok(())
    }

    /// True once the connection ends, as [`WebSocket::is_closed`](crate::WebSocket::is_closed) as far as it was noticed.
    ///
    /// # Blocking
    /// Never.
    pub fn is_closed(&self) -> bool {
        self.conn.is_ending()
    }

    /// How the connection ended; `None` while it has not.
    ///
    /// # Blocking
    /// Never.
    pub fn closed(&self) -> Option<Closed> {
        self.conn.outbox.end().map(|end| end.closed)
    }

    /// Bytes that are queued because the client has not taken them, and those of replies held back.
    ///
    /// # Blocking
    /// Never.
    pub fn queued_bytes(&self) -> usize {
        self.conn.outbox.queued_bytes()
    }

    /// The number of the connection.
    pub fn conn_id(&self) -> u64 {
        self.conn.id()
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sender(conn-{})", self.conn.id())
    }
}
