//! `Hub`, what the application holds.

use std::fmt;
use std::sync::Arc;

use crate::conn::overflow::Overflow;
use crate::error::Result;
use crate::histogram::Timings;
use crate::hub::builder::HubBuilder;
use crate::hub::core::{Core, Patience};
use crate::hub::delivery::Delivery;
use crate::hub::group::Group;
use crate::hub::room::Draft;
use crate::hub::stats::HubStats;
use crate::sync::atomic::Ordering::Relaxed;
use crate::ws::Message;
use crate::ws::encoded::Encoded;

/// Groups of connections, and messages to all of their members; cheap to clone, usable from any
/// thread.
///
/// Every server has one; give several servers the same with [`Builder::hub`](crate::Builder::hub)
/// to have their clients meet. A connection joins with [`WebSocket::join`](crate::WebSocket::join)
/// and leaves by itself when it ends.
///
/// # Blocking
/// No call waits for a client, except a publish to a group with
/// [`Overflow::Block`]. Publishing waits for the hub's own threads while
/// 4096 messages or 16 MiB are on their way, but not longer than 10 s.
///
/// # Threads
/// Those that carry messages start with the first one, the one for presence with the first user.
/// They end when the last handle, [`Watch`](crate::Watch) and server of the hub are gone.
///
/// # Example
/// ```
/// use landline::{Request, Result, WebSocket, require_websocket};
///
/// fn chat(request: &Request, ws: &WebSocket) -> Result<()> {
///     let room = request.hub().group("lobby");
///     ws.join("lobby")?;
///     for message in ws {
///         room.send(message?)?;
///     }
///     Ok(())
/// }
/// # let _ = require_websocket(chat);
/// ```
///
/// # Source
/// Channels' layers (`group_add`, `group_send`), with a list of members, counted losses, and
/// memberships that end with the connection and never by time.
#[derive(Clone)]
pub struct Hub {
    pub(crate) core: Arc<Core>,
}

impl Hub {
    /// A hub with the default settings.
    pub fn new() -> Self {
        HubBuilder::default().build()
    }

    /// Starts with the default settings.
    pub fn builder() -> HubBuilder {
        HubBuilder::default()
    }

    pub(crate) fn new_with(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// The group of a name, whether it has members or not.
    ///
    /// # Units
    /// Any UTF-8 of 1 to 255 bytes without control characters. A name that is not valid has no
    /// members, and sending to it is an error.
    pub fn group(&self, name: impl AsRef<str>) -> Group {
        Group::new(self.clone(), name.as_ref())
    }

    /// Sends a message to every open WebSocket. Between this and what is sent to groups there is no
    /// order.
    ///
    /// # Blocking
    /// As [`Group::send`].
    ///
    /// # Errors
    /// As [`Group::send`].
    pub fn broadcast(&self, message: impl Into<Message>) -> Result<Delivery> {
        self.publish_to_all(message.into(), None)
    }

    /// As [`broadcast`](Self::broadcast), to every open WebSocket but one.
    ///
    /// # Blocking
    /// As [`Group::send`].
    ///
    /// # Errors
    /// As [`Group::send`].
    pub fn broadcast_except(&self, conn_id: u64, message: impl Into<Message>) -> Result<Delivery> {
        self.publish_to_all(message.into(), Some(conn_id))
    }

    fn publish_to_all(&self, message: Message, except: Option<u64>) -> Result<Delivery> {
        let draft = Draft { encoded: Encoded::new(message), except, store: None };
        let everybody = &self.core.registry.everybody;
        let delivery = self.core.publish_in(everybody, &draft, Patience::AsThePolicySays)?;
        Ok(delivery.unwrap_or_else(Delivery::to_nobody))
    }

    /// Sends a message to one connection, behind everything that was published before.
    ///
    /// What does not fit is treated by the hub's default policy; if that is
    /// [`Overflow::Block`], a client that is full twice over is closed.
    ///
    /// # Blocking
    /// As [`Group::send`], but never for the client.
    ///
    /// # Errors
    /// `Closed`: there is no such connection. `Relay`: as [`Group::send`].
    pub fn send_to(&self, conn_id: u64, message: impl Into<Message>) -> Result<Delivery> {
        self.core.send_to(conn_id, Encoded::new(message.into()))
    }

    /// The number of open WebSockets.
    ///
    /// # Blocking
    /// Never.
    pub fn len(&self) -> usize {
        self.core.registry.connections()
    }

    /// True if no WebSocket is open.
    ///
    /// # Blocking
    /// Never.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The names of the groups that have members or watchers, sorted.
    ///
    /// # Blocking
    /// Never.
    pub fn group_names(&self) -> Vec<String> {
        self.core.registry.group_names()
    }

    /// Counts of everything that went through the hub.
    ///
    /// # Blocking
    /// Never.
    pub fn stats(&self) -> HubStats {
        let registry = &self.core.registry;
        let (connections, rooms) = (registry.connections(), registry.rooms());
        HubStats::new(connections, rooms, &registry.totals.counters, self.core.budget.used())
    }

    /// How long messages were on their way through the hub: from the call that published to when a
    /// relay had served the last of its members. One time for each message and relay.
    ///
    /// # Blocking
    /// Never.
    pub fn latency(&self) -> Timings {
        self.core.registry.totals.latency.read()
    }

    /// The messages that groups have dropped, by the name of their policy: `disconnect`,
    /// `drop-oldest`, `latest`, `block`.
    ///
    /// # Blocking
    /// Never.
    pub fn dropped_by_policy(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts =
            self.core.registry.totals.dropped_by.each_ref().map(|count| count.load(Relaxed));
        Overflow::LABELS.into_iter().zip(counts)
    }

    /// The groups that a connection is a member of, sorted.
    ///
    /// # Blocking
    /// Never.
    pub fn groups_of(&self, conn_id: u64) -> Vec<String> {
        self.core.registry.groups_of(conn_id)
    }
}

impl Default for Hub {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hub({} connections)", self.len())
    }
}
