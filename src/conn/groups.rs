//! What a connection asks of the hub above it: to join, to leave, and to hear of its end.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::conn::connection::Connection;
use crate::error::Result;

/// The hub, as connections know it.
///
/// No call waits for a peer, and none is made with a lock of a connection's send half held.
pub(crate) trait Groups: fmt::Debug + Send + Sync {
    /// The handshake of a connection is answered: it can be reached from now on.
    fn opened(&self, conn: &Arc<Connection>);

    /// Makes the connection a member of a group.
    fn join(&self, conn: &Arc<Connection>, group: &str, join: Join) -> Result<()>;

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
