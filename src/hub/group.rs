//! `Group`, one name of a hub.

use std::fmt;
use std::sync::Arc;

use crate::error::Result;
use crate::hub::core::Patience;
use crate::hub::delivery::Delivery;
use crate::hub::handle::Hub;
use crate::hub::member::Member;
use crate::hub::name::GroupName;
use crate::hub::presence::Presence;
use crate::hub::room::{Draft, Room};
use crate::hub::stats::GroupStats;
use crate::hub::watch::{Watch, Watcher};
use crate::ws::Message;
use crate::ws::encoded::Encoded;

/// A group of connections, by its name; made by [`Hub::group`], cheap to clone.
///
/// It is there as long as anybody is a member; the handle costs nothing.
#[derive(Clone)]
pub struct Group {
    hub: Hub,
    text: Arc<str>,
    /// `None` if the text is no valid name.
    name: Option<GroupName>,
}

impl Group {
    pub(crate) fn new(hub: Hub, text: &str) -> Self {
        Self { hub, text: text.into(), name: GroupName::new(text).ok() }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.text
    }

    /// Sends a message to every member. All members see the messages of a group in the same order;
    /// between two groups there is no order.
    ///
    /// The result tells how many members it goes to, and on demand what became of it:
    /// [`Delivery::wait`].
    ///
    /// # Blocking
    /// Not for any member, unless the group has [`Overflow::Block`](crate::Overflow::Block), and
    /// then for its turn among other publishers and as long as that says. For the hub's own threads,
    /// while 4096 messages or 16 MiB are on their way; a message counts 8 bytes for each member
    /// beside its own. At most 10 s for them.
    ///
    /// # Errors
    /// Nothing was sent:
    /// - `Limit`, `Protocol`: the name is too long, empty, or has control characters.
    /// - `Relay`: the hub's threads cannot be started, or did not keep up for 10 s; with
    ///   `Overflow::Block` also if other publishers had the group for that much longer than its time.
    ///
    /// # Source
    /// Channels `group_send`, which dropped silently what did not fit.
    pub fn send(&self, message: impl Into<Message>) -> Result<Delivery> {
        self.publish(Encoded::new(message.into()), None)
    }

    /// As [`send`](Self::send), to every member but one: the one it comes from, usually.
    ///
    /// # Blocking
    /// As [`send`](Self::send).
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_except(&self, conn_id: u64, message: impl Into<Message>) -> Result<Delivery> {
        self.publish(Encoded::new(message.into()), Some(conn_id))
    }

    fn publish(&self, encoded: Encoded, except: Option<u64>) -> Result<Delivery> {
        let draft = Draft { encoded, except, store: None };
        self.hub.core.publish(&self.valid()?, &draft, Patience::AsThePolicySays)
    }

    /// The members now, in the order of their connections. A connection that is closing is one until
    /// its client has answered or is cut; what is sent to it meanwhile counts as
    /// [`gone`](crate::Counts::gone).
    ///
    /// # Blocking
    /// Never.
    pub fn members(&self) -> Vec<Member> {
        self.room().map(|room| room.members()).unwrap_or_default()
    }

    /// The number of members now.
    ///
    /// # Blocking
    /// Never.
    pub fn len(&self) -> usize {
        self.room().map_or(0, |room| room.len())
    }

    /// True if nobody is a member.
    ///
    /// # Blocking
    /// Never.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Counts of what went through the group since it last had nobody.
    ///
    /// # Blocking
    /// Never.
    pub fn stats(&self) -> GroupStats {
        let room = self.room();
        room.map_or_else(GroupStats::default, |room| {
            GroupStats::new(room.len(), &room.lane.counters)
        })
    }

    /// Watches who joins and leaves, from the members of this moment on.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Errors
    /// `Limit`, `Protocol`: the name is too long, empty, or has control characters.
    pub fn watch(&self) -> Result<Watch> {
        let name = self.valid()?;
        let core = &self.hub.core;
        loop {
            let room = core.registry.room(&name);
            let start = |number| {
                let (watcher, events) = Watcher::new(number);
                (watcher, (number, events))
            };
            if let Some((members, (number, events))) = room.watch(start) {
                let core = Arc::clone(core);
                let tidy = Box::new(move |room: &Arc<Room>| core.registry.tidy(room));
                return Ok(Watch::new(members, events, room, number, tidy));
            }
            core.registry.tidy(&room);
        }
    }

    /// The users who are here, with the number of the last change: see [`Presence`]. Whoever joins
    /// the group first, and then takes this, misses no change.
    ///
    /// # Blocking
    /// Never.
    pub fn presence(&self) -> Presence {
        match &self.name {
            Some(name) => self.hub.core.presences.snapshot(name),
            None => Presence::nobody(),
        }
    }

    fn valid(&self) -> Result<GroupName> {
        match &self.name {
            Some(name) => Ok(name.clone()),
            None => GroupName::new(&self.text),
        }
    }

    fn room(&self) -> Option<Arc<Room>> {
        self.hub.core.registry.existing(self.name.as_ref()?)
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Group({:?}, {} members)", self.text, self.len())
    }
}
