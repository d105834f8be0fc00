//! What a connection asks of the hub above it: to join, to leave, and to hear of its end.

use std::fmt;

use serde_json::Value;

use crate::conn::recipient::Recipient;
use crate::conn::socket::WebSocket;
use crate::error::{Error, ErrorKind, Result};

/// The hub, as connections know it.
///
/// No call waits for a peer, and none is made with a lock of a connection's send half held.
pub(crate) trait Groups: fmt::Debug + Send + Sync {
    /// The handshake of a connection is answered: it can be reached from now on.
    fn opened(&self, recipient: Recipient);

    /// Checks the name of a group.
    fn check(&self, group: &str) -> Result<()>;

    /// Makes the connection a member of a group.
    fn join(&self, conn_id: u64, group: &str, join: Join) -> Result<()>;

    /// Ends a membership; false if there was none.
    fn leave(&self, conn_id: u64, group: &str) -> bool;

    /// The connection is over: ends its memberships. Called on every path, perhaps more than once.
    fn ended(&self, conn_id: u64);
}

/// How a connection takes part in a group.
///
/// # Example
/// ```
/// use landline::Join;
/// let join = Join::default().user("anna").metadata(serde_json::json!({ "colour": "green" }));
/// # let _ = join;
/// ```
#[derive(Clone, Debug, Default)]
pub struct Join {
    pub(crate) is_inbox: bool,
    pub(crate) user: Option<String>,
    pub(crate) metadata: Value,
}

impl Join {
    /// Has the group's messages delivered to the handler, through
    /// [`WebSocket::wait_any`](crate::WebSocket::wait_any), instead of straight to the client.
    ///
    /// What waits for the handler is limited by
    /// [`group_inbox_messages`](crate::Config::group_inbox_messages); then the group's policy
    /// counts. Handlers that publish to a group with [`Overflow::Block`](crate::Overflow::Block)
    /// should not be its members in this way: they would wait for each other, and for themselves.
    #[must_use]
    pub fn to_inbox(mut self) -> Self {
        self.is_inbox = true;
        self
    }

    /// The name under which the member counts in the group's presence; several connections of one
    /// user count once.
    #[must_use]
    pub fn user(mut self, name: impl Into<String>) -> Self {
        self.user = Some(name.into());
        self
    }

    /// What the other members may know of this one.
    #[must_use]
    pub fn metadata(mut self, metadata: impl Into<Value>) -> Self {
        self.metadata = metadata.into();
        self
    }
}

impl WebSocket {
    /// Makes the connection a member of a group: its messages go straight to the client.
    ///
    /// At the first use of the socket it is a member before the client has the handshake's answer,
    /// and so misses nothing that is published from then on.
    ///
    /// The membership ends with [`leave`](Self::leave) or by itself with the connection. Joining
    /// again changes nothing.
    ///
    /// # Blocking
    /// Never. The handshake is answered, if it has not been.
    ///
    /// # Units
    /// `group`: any UTF-8 of 1 to 255 bytes without control characters.
    ///
    /// # Errors
    /// - `Limit`: the name is too long, or the connection is in 1000 groups.
    /// - `Protocol`: the name is empty or has control characters.
    /// - `Closed`: the connection is over.
    ///
    /// # Source
    /// Channels `group_add`, which took ASCII names only and forgot members after a day.
    pub fn join(&self, group: impl AsRef<str>) -> Result<()> {
        self.join_with(group, Join::default())
    }

    /// Makes the connection a member of a group with a user's name, metadata, or messages that
    /// go to the handler. Joining again replaces what was said before.
    ///
    /// # Blocking
    /// As [`join`](Self::join).
    ///
    /// # Errors
    /// As [`join`](Self::join); `Relay` if the thread for presence cannot be started; `Io` if there
    /// is no descriptor for the inbox, as for [`wait_any`](Self::wait_any).
    pub fn join_with(&self, group: impl AsRef<str>, join: Join) -> Result<()> {
        // A bad name can still be answered by plain HTTP.
        let no_hub = || Error::new(ErrorKind::Closed, "the connection is over");
        let groups = self.conn.shared.groups().ok_or_else(no_hub)?;
        groups.check(group.as_ref())?;
        if join.is_inbox {
            self.conn.open_mailbox()?;
        }
        self.open_with(|| groups.join(self.conn.id(), group.as_ref(), join))
    }

    /// Ends a membership; false if there was none.
    ///
    /// What was published before and is on its way may still come.
    ///
    /// # Blocking
    /// Never.
    pub fn leave(&self, group: impl AsRef<str>) -> bool {
        let groups = self.conn.shared.groups();
        groups.is_some_and(|groups| groups.leave(self.conn.id(), group.as_ref()))
    }
}

#[cfg(test)]
/// The hub of connections that have none.
#[derive(Debug)]
pub(crate) enum NoGroups {}

#[cfg(test)]
impl Groups for NoGroups {
    fn opened(&self, _: Recipient) {
        match *self {}
    }

    fn check(&self, _: &str) -> Result<()> {
        match *self {}
    }

    fn join(&self, _: u64, _: &str, _: Join) -> Result<()> {
        match *self {}
    }

    fn leave(&self, _: u64, _: &str) -> bool {
        match *self {}
    }

    fn ended(&self, _: u64) {
        match *self {}
    }
}
