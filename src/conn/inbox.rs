//! `Inbox`, the groups of a connection that its handler listens to itself.

use crate::conn::groups::Join;
use crate::conn::mailbox::{GroupMessage, Mailbox};
use crate::conn::socket::WebSocket;
use crate::error::Result;

/// The group messages that go to the handler of a connection; made by [`WebSocket::inbox`].
///
/// [`WebSocket::wait_any`] waits for them and the client at once.
///
/// # Blocking
/// No call waits.
///
/// # Example
/// ```
/// use landline::{Incoming, Request, Result, WebSocket, require_websocket};
///
/// fn whisper(_request: &Request, ws: &WebSocket) -> Result<()> {
///     ws.inbox()?.join("whispers")?;
///     while let Some(incoming) = ws.wait_any()? {
///         match incoming {
///             Incoming::Client(message) => ws.send(message)?,
///             Incoming::Group(message) => {
///                 let text = message.message().as_text().unwrap_or("?");
///                 ws.send(text.to_lowercase())?;
///             }
///         }
///     }
///     Ok(())
/// }
/// # let _ = require_websocket(whisper);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Inbox<'a> {
    ws: &'a WebSocket,
    mailbox: &'a Mailbox,
}

impl WebSocket {
    /// The inbox for the messages of groups.
    ///
    /// The first use takes a second descriptor for the connection, see
    /// [`wait_any`](Self::wait_any). The handshake is not answered by this.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Errors
    /// `Io`: there is no descriptor; a handler that passes this on before it used the socket
    /// answers 500. `Closed`: the connection is over.
    pub fn inbox(&self) -> Result<Inbox<'_>> {
        Ok(Inbox { ws: self, mailbox: self.conn.open_mailbox()? })
    }
}

impl Inbox<'_> {
    /// Joins a group whose messages come here.
    ///
    /// # Errors
    /// As [`WebSocket::join_with`].
    pub fn join(&self, group: impl AsRef<str>) -> Result<()> {
        self.join_with(group, Join::default())
    }

    /// Joins as [`join`](Self::join) does, with a user's name or metadata.
    ///
    /// # Errors
    /// As [`WebSocket::join_with`].
    pub fn join_with(&self, group: impl AsRef<str>, join: Join) -> Result<()> {
        self.ws.join_with(group, join.to_inbox())
    }

    /// Leaves a group; false if the connection was no member.
    pub fn leave(&self, group: impl AsRef<str>) -> bool {
        self.ws.leave(group)
    }

    /// Takes the oldest message of a group if one is there.
    ///
    /// # Errors
    /// `Closed`: the connection is over or closing, and nothing is left to take.
    pub fn read(&self) -> Result<Option<GroupMessage>> {
        match self.mailbox.pop() {
            Some(message) => Ok(Some(message)),
            None if self.ws.conn.is_ending() => Err(self.ws.end_error()),
            None => Ok(None),
        }
    }

    /// Messages that wait to be taken.
    pub fn len(&self) -> usize {
        self.mailbox.len()
    }

    /// True if no message waits.
    pub fn is_empty(&self) -> bool {
        self.mailbox.is_empty()
    }

    /// Messages of groups that were dropped because this handler did not take them in time.
    pub fn lost(&self) -> u64 {
        self.mailbox.lost()
    }
}
