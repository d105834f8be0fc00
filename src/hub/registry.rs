//! Who is connected and who is a member of what; ends every membership exactly once.
//!
//! # Locks
//! A connection's list of rooms, then a room, then presence. The two maps are taken alone, and
//! the time of the last sweep before any of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::conn::groups::Join;
use crate::conn::overflow::Overflow;
use crate::conn::recipient::{Lane, Recipient, Totals};
use crate::error::{Error, ErrorKind, Result};
use crate::hub::member::Membership;
use crate::hub::name::{GroupName, Space};
use crate::hub::policy::Policies;
use crate::hub::presence::Presences;
use crate::hub::room::{Joined, Room};
use crate::sync::Mutex;
use crate::sync::atomic::AtomicUsize;
use crate::ws::encoded::Encoded;

/// Most groups of one connection.
pub(crate) const MAX_GROUPS: usize = 1000;

/// The least time between two walks through all rooms.
const SWEEP_PAUSE: Duration = Duration::from_secs(1);

/// All connections and rooms of a hub.
#[derive(Debug)]
pub(crate) struct Registry {
    connections: Mutex<HashMap<u64, Arc<Registered>>>,
    rooms: Mutex<HashMap<GroupName, Arc<Room>>>,
    /// Every open connection is a member.
    pub(crate) everybody: Arc<Room>,
    policies: Policies,
    pub(crate) totals: Arc<Totals>,
    pub(crate) stored_bytes: Arc<AtomicUsize>,
    presences: Arc<Presences>,
    /// When the rooms were last swept.
    swept: Mutex<Option<Instant>>,
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Registered {
    /// As a member of everybody.
    pub(crate) membership: Arc<Membership>,
    /// The rooms it is a member of; `None` once it has ended.
    rooms: Mutex<Option<Vec<Arc<Room>>>>,
}

impl Registry {
    pub(crate) fn new(policies: Policies, presences: Arc<Presences>) -> Self {
        let totals = Arc::<Totals>::default();
        let stored_bytes = Arc::new(AtomicUsize::new(0));
        let lane = Lane::new(policies.default, Arc::clone(&totals));
        let everybody = Room::new(GroupName::everybody(), lane, Arc::clone(&stored_bytes));
        Self {
            connections: Mutex::default(),
            rooms: Mutex::default(),
            everybody,
            policies,
            totals,
            stored_bytes,
            presences,
            swept: Mutex::new(None),
        }
    }

    /// Takes in a connection that can be reached from now on.
    pub(crate) fn open(&self, recipient: Recipient) {
        let membership = Membership::new(recipient, Join::default());
        self.everybody.join(&membership, |_, _| ());
        let conn_id = membership.recipient.id();
        let registered = Arc::new(Registered { membership, rooms: Mutex::new(Some(Vec::new())) });
        self.connections.lock().insert(conn_id, registered);
    }

    pub(crate) fn find(&self, conn_id: u64) -> Option<Arc<Registered>> {
        self.connections.lock().get(&conn_id).cloned()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.lock().len()
    }

    /// Ends everything a connection has; again, it does nothing.
    pub(crate) fn end(&self, conn_id: u64) {
        let Some(registered) = self.connections.lock().remove(&conn_id) else { return };
        self.everybody.leave(conn_id);
        let mut rooms = registered.rooms.lock();
        for room in rooms.take().unwrap_or_default() {
            self.leave_room(&room, conn_id);
        }
    }

    /// Makes a connection a member; `replay` as in [`Room::join`].
    ///
    /// # Errors
    /// `Closed`: the connection is over. `Limit`: it has too many groups.
    pub(crate) fn join(
        &self,
        conn_id: u64,
        name: &GroupName,
        join: Join,
        mut replay: impl FnMut(&Arc<Room>, &Arc<Membership>, &Encoded, u64),
    ) -> Result<()> {
        let over = || Error::new(ErrorKind::Closed, "the connection is over");
        let registered = self.find(conn_id).ok_or_else(over)?;
        let mut rooms = registered.rooms.lock();
        let rooms = rooms.as_mut().ok_or_else(over)?;
        let old = rooms.iter().find(|room| room.name() == name);
        let old = old.and_then(|room| room.membership(conn_id));
        if old.is_none() && rooms.len() >= MAX_GROUPS {
            let text = format!("the connection is in {MAX_GROUPS} groups, which is the limit");
            return Err(Error::new(ErrorKind::Limit, text));
        }
        let membership = match old {
            Some(old) => old.renewed(join),
            None => Membership::new(registered.membership.recipient.clone(), join),
        };
        loop {
            let room = self.room(name);
            let replay =
                |encoded: &Encoded, sequence| replay(&room, &membership, encoded, sequence);
            let joined = room.join(&membership, replay);
            if let Joined::Retired = joined {
                self.remove(&room);
                continue;
            }
            if let Some(user) = &membership.join.user {
                membership.recipient.name_user(user);
                self.presences.enter(room.name(), user, &membership.join.metadata);
            }
            match joined {
                // The same user must not seem to be gone in between.
                Joined::Again(old) => self.exit(&room, &old),
                _ => rooms.push(room),
            }
            return Ok(());
        }
    }

    /// Ends a membership; false if there was none.
    pub(crate) fn leave(&self, conn_id: u64, name: &GroupName) -> bool {
        let Some(registered) = self.find(conn_id) else { return false };
        let mut rooms = registered.rooms.lock();
        let Some(rooms) = rooms.as_mut() else { return false };
        let Some(at) = rooms.iter().position(|room| room.name() == name) else { return false };
        let room = rooms.swap_remove(at);
        self.leave_room(&room, conn_id)
    }

    fn leave_room(&self, room: &Arc<Room>, conn_id: u64) -> bool {
        let Some(membership) = room.leave(conn_id) else { return false };
        self.exit(room, &membership);
        self.tidy(room);
        true
    }

    fn exit(&self, room: &Room, membership: &Membership) {
        if let Some(user) = &membership.join.user {
            self.presences.exit(room.name(), user);
        }
    }

    /// The room of a name, new if need be.
    pub(crate) fn room(&self, name: &GroupName) -> Arc<Room> {
        let mut rooms = self.rooms.lock();
        if let Some(room) = rooms.get(name) {
            return Arc::clone(room);
        }
        let overflow = self.overflow(name);
        let lane = Lane::new(overflow, Arc::clone(&self.totals));
        let room = Room::new(name.clone(), lane, Arc::clone(&self.stored_bytes));
        rooms.insert(name.clone(), Arc::clone(&room));
        room
    }

    fn overflow(&self, name: &GroupName) -> Overflow {
        self.policies.of(name.text())
    }

    /// The room of a name, if it has anything.
    pub(crate) fn existing(&self, name: &GroupName) -> Option<Arc<Room>> {
        self.rooms.lock().get(name).cloned()
    }

    /// Retires a room that nobody needs any more.
    pub(crate) fn tidy(&self, room: &Arc<Room>) {
        if room.retire_if_idle() {
            self.remove(room);
        }
    }

    /// Retires every room that nobody needs any more: stored messages expire by themselves. It
    /// walks through all of them, and so does nothing if that was done less than a second ago.
    pub(crate) fn sweep(&self) {
        let Some(mut swept) = self.swept.try_lock() else { return };
        let now = Instant::now();
        if swept.is_some_and(|swept| now.duration_since(swept) < SWEEP_PAUSE) {
            return;
        }
        *swept = Some(now);
        let rooms: Vec<_> = self.rooms.lock().values().cloned().collect();
        for room in rooms {
            self.tidy(&room);
        }
    }

    fn remove(&self, room: &Arc<Room>) {
        let mut rooms = self.rooms.lock();
        if rooms.get(room.name()).is_some_and(|known| Arc::ptr_eq(known, room)) {
            rooms.remove(room.name());
        }
    }

    /// The names of the application's groups that a connection is a member of, sorted.
    pub(crate) fn groups_of(&self, conn_id: u64) -> Vec<String> {
        let Some(registered) = self.find(conn_id) else { return Vec::new() };
        let rooms = registered.rooms.lock();
        let names = rooms.iter().flatten().map(|room| room.name());
        let names = names.filter(|name| name.space() == Space::Group);
        let mut names: Vec<String> = names.map(GroupName::to_string).collect();
        drop(rooms);
        names.sort_unstable();
        names
    }

    /// True if the locks that every publish and join needs can be had before the deadline.
    ///
    /// # Blocking
    /// Until they can be had or the deadline has passed.
    pub(crate) fn answers_until(&self, deadline: Instant) -> bool {
        self.connections.try_lock_until(deadline).is_some()
            && self.rooms.try_lock_until(deadline).is_some()
            && self.everybody.answers_until(deadline)
    }

    pub(crate) fn rooms(&self) -> usize {
        self.rooms.lock().len()
    }

    /// The names of the application's groups, sorted.
    pub(crate) fn group_names(&self) -> Vec<String> {
        let rooms = self.rooms.lock();
        let names = rooms.keys().filter(|name| name.space() == Space::Group);
        let mut names: Vec<String> = names.map(GroupName::to_string).collect();
        drop(rooms);
        names.sort_unstable();
        names
    }
}

#[cfg(all(test, shuttle))]
mod shuttle_tests;
