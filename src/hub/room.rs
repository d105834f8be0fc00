//! One group: its members, the order of its messages, its watchers.
//!
//! ```text
//! new ──join──► live ──last member, watcher and stored message gone──► retired
//! ```
//! A retired room takes nothing any more: whoever still holds it looks for its successor.
//!
//! Everything happens under one lock that is held for a few steps and never while anything is
//! sent. The number of a message, the snapshot of members it goes to and its place in the relays'
//! channels are decided under it: so every member sees the same order, and a join or leave falls
//! between two messages.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use crate::conn::overflow::Overflow;
use crate::conn::recipient::Lane;
use crate::hub::budget::Budget;
use crate::hub::history::{History, Store};
use crate::hub::member::{Member, Membership};
use crate::hub::name::GroupName;
use crate::hub::watch::{MemberEvent, Watcher};
use crate::sync::Mutex;
use crate::sync::atomic::AtomicUsize;
use crate::ws::encoded::Encoded;

/// What of a group with `Overflow::Block` may be on its way at a time.
const WINDOW_MESSAGES: usize = 32;
const WINDOW_BYTES: usize = 64 * 1024;

/// The members that one relay serves.
pub(crate) type Shard = Arc<[Arc<Membership>]>;

/// The members of a moment, by relay.
pub(crate) type Snapshot = Arc<[Shard]>;

/// One group.
#[derive(Debug)]
pub(crate) struct Room {
    name: GroupName,
    pub(crate) lane: Arc<Lane>,
    /// Bounds what is on its way where publishers wait for members.
    pub(crate) window: Option<Arc<Budget>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    members: HashMap<u64, Arc<Membership>>,
    /// Made at the first message after a change.
    snapshot: Option<Snapshot>,
    /// The number of the last message.
    sequence: u64,
    history: History,
    watchers: Vec<Watcher>,
    next_watcher: u64,
    /// Members whose queue was full when a relay last looked, if publishers wait for them.
    full: Vec<Arc<Membership>>,
    is_retired: bool,
}

/// What came of an attempt to join.
#[derive(Debug)]
pub(crate) enum Joined {
    /// A new member; these stored messages are for it, and go before any later one.
    New,
    /// It was one already, and now is as this join says.
    Again(Arc<Membership>),
    /// The room is retired: look for the group anew.
    Retired,
}

/// A message to be published.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) encoded: Encoded,
    pub(crate) except: Option<u64>,
    pub(crate) store: Option<Store>,
}

impl Room {
    pub(crate) fn new(name: GroupName, lane: Lane, stored_bytes: Arc<AtomicUsize>) -> Arc<Self> {
        let window = matches!(lane.overflow, Overflow::Block(_))
            .then(|| Budget::new(WINDOW_MESSAGES, WINDOW_BYTES));
        let state = State {
            members: HashMap::new(),
            snapshot: None,
            sequence: 0,
            history: History::new(stored_bytes),
            watchers: Vec::new(),
            next_watcher: 0,
            full: Vec::new(),
            is_retired: false,
        };
        Arc::new(Self { name, lane: Arc::new(lane), window, state: Mutex::new(state) })
    }

    pub(crate) fn name(&self) -> &GroupName {
        &self.name
    }

    /// Adds a member, or lets it take the place of the one it was renewed from. `replay` gets each
    /// stored message for a new one, in order, before anybody can publish another.
    pub(crate) fn join(
        &self,
        membership: &Arc<Membership>,
        mut replay: impl FnMut(&Encoded, u64),
    ) -> Joined {
        let mut state = self.state.lock();
        if state.is_retired {
            return Joined::Retired;
        }
        state.snapshot = None;
        let conn_id = membership.recipient.id();
        if let Some(old) = state.members.insert(conn_id, Arc::clone(membership)) {
            return Joined::Again(old);
        }
        for (encoded, sequence) in state.history.valid() {
            replay(encoded, sequence);
        }
        state.tell(&MemberEvent::Joined(Member::new(membership)));
        Joined::New
    }

    /// The membership of a connection.
    pub(crate) fn membership(&self, conn_id: u64) -> Option<Arc<Membership>> {
        self.state.lock().members.get(&conn_id).cloned()
    }

    /// Ends a membership and returns it; `None` if there was none.
    pub(crate) fn leave(&self, conn_id: u64) -> Option<Arc<Membership>> {
        let mut state = self.state.lock();
        let membership = state.members.remove(&conn_id)?;
        membership.end();
        state.snapshot = None;
        state.full.retain(|full| full.recipient.id() != conn_id);
        state.tell(&MemberEvent::Left(Member::new(&membership)));
        Some(membership)
    }

    /// Gives a message its number and hands it with the members, and how many of them are meant,
    /// to `dispatch`, which must not wait. False if the room is retired.
    pub(crate) fn publish(
        &self,
        draft: &Draft,
        shards: usize,
        dispatch: impl FnOnce(u64, &Snapshot, usize),
    ) -> bool {
        let mut state = self.state.lock();
        if state.is_retired {
            return false;
        }
        state.sequence += 1;
        let sequence = state.sequence;
        if let Some(store) = draft.store {
            state.history.store(draft.encoded.clone(), sequence, store);
        }
        self.lane.count(|counters| &counters.published, 1);
        let snapshot = state.snapshot(shards);
        let is_excepted = draft.except.is_some_and(|id| state.members.contains_key(&id));
        dispatch(sequence, &snapshot, state.members.len() - usize::from(is_excepted));
        true
    }

    /// True if it could be retired: nobody would miss it.
    pub(crate) fn retire_if_idle(&self) -> bool {
        let mut state = self.state.lock();
        let is_idle = state.members.is_empty() && state.watchers.is_empty();
        state.is_retired = state.is_retired || (is_idle && state.history.is_empty());
        state.is_retired
    }

    /// By how much the memory of what is stored would grow with one more message.
    pub(crate) fn growth(&self, encoded: &Encoded, store: Store) -> usize {
        self.state.lock().history.growth(encoded, store)
    }

    pub(crate) fn forget_stored(&self) {
        self.state.lock().history.clear();
    }

    /// What is stored, the oldest first.
    pub(crate) fn stored(&self) -> Vec<Encoded> {
        self.state.lock().history.valid().map(|(encoded, _)| encoded.clone()).collect()
    }

    /// True if the room's lock can be had before the deadline.
    pub(crate) fn answers_until(&self, deadline: Instant) -> bool {
        self.state.try_lock_until(deadline).is_some()
    }

    pub(crate) fn len(&self) -> usize {
        self.state.lock().members.len()
    }

    /// The members in the order of their connections.
    pub(crate) fn members(&self) -> Vec<Member> {
        let mut members = self.state.lock().all_members();
        members.sort_unstable_by_key(Member::conn_id);
        members
    }

    /// Starts a watch: the members now, and a way for every change after; `None` if retired.
    pub(crate) fn watch<R>(
        &self,
        start: impl FnOnce(u64) -> (Watcher, R),
    ) -> Option<(Vec<Member>, R)> {
        let mut state = self.state.lock();
        if state.is_retired {
            return None;
        }
        state.next_watcher += 1;
        let (watcher, events) = start(state.next_watcher);
        state.watchers.push(watcher);
        let mut members = state.all_members();
        drop(state);
        members.sort_unstable_by_key(Member::conn_id);
        Some((members, events))
    }

    pub(crate) fn end_watch(&self, number: u64) {
        self.state.lock().watchers.retain(|watcher| watcher.number() != number);
    }

    /// Takes note of a member that publishers have to wait for.
    pub(crate) fn note_full(&self, membership: &Arc<Membership>) {
        let mut state = self.state.lock();
        let is_known = state.full.iter().any(|known| Arc::ptr_eq(known, membership));
        if !is_known && membership.is_live() {
            state.full.push(Arc::clone(membership));
        }
    }

    /// A member that publishers have to wait for.
    pub(crate) fn a_full_member(&self) -> Option<Arc<Membership>> {
        self.state.lock().full.first().cloned()
    }

    /// A member has room again, or is gone.
    pub(crate) fn forget_full(&self, membership: &Arc<Membership>) {
        self.state.lock().full.retain(|known| !Arc::ptr_eq(known, membership));
    }
}

impl State {
    fn snapshot(&mut self, shards: usize) -> Snapshot {
        let members = &self.members;
        let make = || {
            let mut parts = vec![Vec::with_capacity(members.len() / shards + 1); shards];
            for (conn_id, membership) in members {
                parts[shard_of(*conn_id, shards)].push(Arc::clone(membership));
            }
            parts.into_iter().map(Shard::from).collect()
        };
        Arc::clone(self.snapshot.get_or_insert_with(make))
    }

    fn all_members(&self) -> Vec<Member> {
        self.members.values().map(Member::new).collect()
    }

    fn tell(&mut self, event: &MemberEvent) {
        self.watchers.retain(|watcher| watcher.tell(event));
    }
}

/// The relay of a connection: always the same, so that its messages keep their order.
pub(crate) fn shard_of(conn_id: u64, shards: usize) -> usize {
    (conn_id % shards as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_relay_has_its_even_share_of_the_connections() {
        for shards in 1..9 {
            let mut shares = vec![0; shards];
            for conn_id in 1000..1000 + 10 * shards as u64 {
                shares[shard_of(conn_id, shards)] += 1;
            }
            assert_eq!(shares, vec![10; shards]);
        }
    }
}
