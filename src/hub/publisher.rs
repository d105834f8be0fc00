//! `Publisher`: messages to the channels of a facility, with django-websocket-redis' words.

use std::fmt;
use std::time::Duration;

use crate::conn::groups::Join;
use crate::error::{Error, ErrorKind, Result};
use crate::hub::channel::{Audience, FacilityName};
use crate::hub::delivery::Delivery;
use crate::hub::handle::Hub;
use crate::hub::history::Store;
use crate::hub::name::GroupName;
use crate::hub::registry::MAX_GROUPS;
use crate::hub::room::Draft;
use crate::ws::Message;
use crate::ws::encoded::Encoded;

/// Publishes to the channels of a facility: the one of everybody, and those of users, groups and
/// sessions. Made by [`Hub::publisher`].
///
/// A facility is what a page connects to with `/ws/<facility>/`, see [`facility`](crate::facility);
/// the query says to which of the channels it listens. Its channels never meet the groups of the
/// application, whatever they are called.
///
/// The last messages of a channel are stored, one by default and for an hour, and sent to whoever
/// listens to it later: right after the handshake, and before anything that is published later.
///
/// # Example
/// ```
/// use std::time::Duration;
/// use landline::{Hub, Publisher};
///
/// # fn main() -> landline::Result<()> {
/// let hub = Hub::new();
/// let news = hub.publisher("news").broadcast();
/// news.send("it rains")?;
/// let staff = Publisher::new(&hub, "news").users(["anna", "bert"]).groups(["editors"]);
/// staff.publish("not stored, for those who are here", Duration::ZERO)?;
/// assert_eq!(news.fetch()?, ["it rains".into()]);
/// # Ok(())
/// # }
/// ```
///
/// # Source
/// ws4redis `RedisPublisher(facility, broadcast, users, groups, sessions)`.
#[derive(Clone)]
pub struct Publisher {
    hub: Hub,
    facility: FacilityName,
    /// Whom it is for, in the order in which they were named.
    channels: Vec<(Audience, String)>,
    except: Option<u64>,
    /// `None`: as many as the hub says.
    keep: Option<usize>,
}

impl Publisher {
    /// A publisher to a facility; the channels are named next.
    ///
    /// ws4redis found its Redis in the settings of the process. Here the clients are those of a
    /// hub, and a process may have several, so a publisher is told which: in a handler
    /// [`request.hub()`](crate::Request::hub), elsewhere [`Handle::hub`](crate::Handle::hub).
    ///
    /// # Units
    /// `facility`: any UTF-8 without control characters; slashes at its end do not count. A name
    /// of a channel, which is `broadcast:<facility>` or `user:<name>:<facility>` and so on, has at
    /// most 255 bytes; `:` and `%` in names of users, groups and sessions take three of them.
    pub fn new(hub: &Hub, facility: impl AsRef<str>) -> Self {
        Self::to(hub, FacilityName::new(facility.as_ref()), Vec::new())
    }

    /// A publisher to these channels.
    pub(crate) fn to(hub: &Hub, facility: FacilityName, channels: Vec<(Audience, String)>) -> Self {
        Self { hub: hub.clone(), facility, channels, except: None, keep: None }
    }

    /// Adds the channel of everybody.
    #[must_use]
    pub fn broadcast(mut self) -> Self {
        self.channels.push((Audience::Broadcast, String::new()));
        self
    }

    /// Adds the channels of users, by their names.
    #[must_use]
    pub fn users<S: AsRef<str>>(self, names: impl IntoIterator<Item = S>) -> Self {
        self.and(Audience::User, names)
    }

    /// Adds the channels of groups of users.
    #[must_use]
    pub fn groups<S: AsRef<str>>(self, names: impl IntoIterator<Item = S>) -> Self {
        self.and(Audience::Group, names)
    }

    /// Adds the channels of sessions, by their keys.
    #[must_use]
    pub fn sessions<S: AsRef<str>>(self, keys: impl IntoIterator<Item = S>) -> Self {
        self.and(Audience::Session, keys)
    }

    fn and<S: AsRef<str>>(
        mut self,
        audience: Audience,
        names: impl IntoIterator<Item = S>,
    ) -> Self {
        self.channels.extend(names.into_iter().map(|name| (audience, name.as_ref().to_owned())));
        self
    }

    /// Leaves out one connection: the one that a message comes from, usually. It still gets it
    /// among the stored ones when it comes back.
    #[must_use]
    pub fn except(mut self, conn_id: u64) -> Self {
        self.except = Some(conn_id);
        self
    }

    /// How many messages of each channel are kept for those who come later; 0 stores nothing.
    /// Default: [`HubBuilder::history`](crate::HubBuilder::history), 1.
    ///
    /// # Units
    /// Messages. Those of one channel take at most 512 KiB (each counts twice its length, its
    /// compressed forms and 128 bytes), then the oldest go earlier; the newest is always kept. Who
    /// comes gets what is kept in all of its channels at once: a client too slow for more than
    /// [`outbound_bytes`](crate::Config::outbound_bytes) of it is treated by the channel's policy.
    #[must_use]
    pub fn keep(mut self, messages: usize) -> Self {
        self.keep = Some(messages);
        self
    }

    /// Sends a message to the channels and stores it for as long as the hub says:
    /// [`HubBuilder::history`](crate::HubBuilder::history), an hour by default.
    ///
    /// # Blocking
    /// As [`publish`](Self::publish).
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub fn send(&self, message: impl Into<Message>) -> Result<Delivery> {
        self.publish(message, self.hub.core.history.expire)
    }

    /// Sends a message to the channels and stores it for a time.
    ///
    /// Of each channel all members see the messages in the same order; between channels there is
    /// none. A connection that listens to two of the channels gets the message twice, and counts
    /// twice in the result.
    ///
    /// # Blocking
    /// As [`Group::send`](crate::Group::send).
    ///
    /// # Units
    /// `expire`: how long it is stored; zero for not at all, and then what is stored stays;
    /// `Duration::MAX` for ever.
    ///
    /// # Errors
    /// - `Protocol`: no channel was named, or a name is empty or has control characters. `Limit`:
    ///   the name of a channel is too long. Nothing was sent.
    /// - `Limit`: the stored messages of the hub take 64 MiB. `Relay`: as
    ///   [`Group::send`](crate::Group::send). Channels named earlier may have the message.
    ///
    /// # Source
    /// ws4redis `publish_message(message, expire)`.
    pub fn publish(&self, message: impl Into<Message>, expire: Duration) -> Result<Delivery> {
        let keep = self.keep.unwrap_or(self.hub.core.history.keep);
        let draft = Draft {
            encoded: Encoded::new(message.into()),
            except: self.except,
            store: Store::new(keep, expire),
        };
        self.hub.core.publish_all(&self.names()?, &draft)
    }

    /// The stored messages of the channels: those of sessions, of users, of groups and of
    /// everybody, in each the oldest first.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Errors
    /// `Protocol`, `Limit`: as [`publish`](Self::publish).
    ///
    /// # Source
    /// ws4redis `fetch_message(request, facility, audience)`, which returned the first of them.
    pub fn fetch(&self) -> Result<Vec<Message>> {
        let rooms = self.names()?.into_iter();
        let rooms = rooms.filter_map(|name| self.hub.core.registry.existing(&name));
        Ok(rooms.flat_map(|room| room.stored()).map(|kept| kept.message().clone()).collect())
    }

    /// Forgets the stored messages of the channels.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Errors
    /// `Protocol`, `Limit`: as [`publish`](Self::publish).
    pub fn forget(&self) -> Result<()> {
        let registry = &self.hub.core.registry;
        for room in self.names()?.iter().filter_map(|name| registry.existing(name)) {
            room.forget_stored();
            registry.tidy(&room);
        }
        Ok(())
    }

    /// The publisher if its channels have valid names; `None` if it has no channel.
    ///
    /// # Errors
    /// `Protocol`, `Limit`: as [`publish`](Self::publish). `Limit`: these are more channels than
    /// one connection may listen to.
    pub(crate) fn checked(self) -> Result<Option<Self>> {
        if self.channels.is_empty() {
            return Ok(None);
        }
        let number = self.names()?.len();
        if number > MAX_GROUPS {
            let text = format!("it has {number} channels, over the limit of {MAX_GROUPS}");
            return Err(Error::new(ErrorKind::Limit, text));
        }
        Ok(Some(self))
    }

    /// Makes a connection a listener of the channels; what is stored goes to it first.
    ///
    /// # Errors
    /// `Closed`: the connection is over. `Limit`: it is in too many groups.
    pub(crate) fn admit(&self, conn_id: u64) -> Result<()> {
        let join = |name| self.hub.core.join_named(conn_id, name, Join::default());
        self.names()?.iter().try_for_each(join)
    }

    /// The names of the channels.
    pub(crate) fn names(&self) -> Result<Vec<GroupName>> {
        if self.channels.is_empty() {
            let text = format!(
                "no channel of the facility {:?} was named: broadcast, users, groups or sessions",
                self.facility.text()
            );
            return Err(Error::new(ErrorKind::Protocol, text));
        }
        self.facility.channels(&self.channels)
    }
}

impl Hub {
    /// A publisher to the channels of a facility: [`Publisher::new`].
    pub fn publisher(&self, facility: impl AsRef<str>) -> Publisher {
        Publisher::new(self, facility)
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher")
            .field("facility", &self.facility.text())
            .field("channels", &self.channels)
            .finish_non_exhaustive()
    }
}
