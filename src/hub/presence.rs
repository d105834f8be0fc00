//! Who is here: users, however many connections each has, without the flicker of reconnects.
//!
//! ```text
//!          first connection                     last connection ends
//! absent ───────────────────► announced present ────────────────────► leaving
//!                                     ▲                                  │
//!                                     └───── a connection in the grace ──┤
//! absent ◄──────── announced absent ◄────────────── grace over ──────────┘
//! ```
//!
//! One thread announces changes, in the order of their numbers. A snapshot is what has been
//! announced up to its number, so whoever joins the group, takes a snapshot and then applies the
//! changes with higher numbers misses nothing and counts nothing twice.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::hub::name::GroupName;
use crate::sync::{Condvar, Mutex};
use crate::ws::Message;

/// Most changes announced in one go.
const BATCH: usize = 256;

/// Turns a change into the message that tells the group of it.
pub(crate) type Announce = Arc<dyn Fn(&PresenceChange) -> Option<Message> + Send + Sync>;

/// Publishes an announcement; false once there is no hub any more.
pub(crate) type Publish = Box<dyn Fn(&GroupName, Message) -> bool + Send>;

/// A user came or went.
#[derive(Clone, Debug)]
pub struct PresenceChange {
    group: GroupName,
    user: String,
    metadata: Value,
    sequence: u64,
    has_joined: bool,
}

impl PresenceChange {
    /// The name of the group.
    pub fn group(&self) -> &str {
        self.group.text()
    }

    /// The name of the user, as given to [`Join::user`](crate::Join::user).
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The metadata of the user's latest connection.
    pub fn metadata(&self) -> &Value {
        &self.metadata
    }

    /// The number of this change in its group; each change has the next. When somebody comes to a
    /// group in which nobody was left, numbers may have been skipped.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// True for the first connection of a user, false for the end of the last.
    pub fn has_joined(&self) -> bool {
        self.has_joined
    }
}

/// Who is here, as announced up to a number; made by [`Group::presence`](crate::Group::presence).
#[derive(Clone, Debug)]
pub struct Presence {
    sequence: u64,
    users: Vec<Present>,
}

impl Presence {
    pub(crate) fn nobody() -> Self {
        Self { sequence: 0, users: Vec::new() }
    }

    /// The number of the last change that is contained: changes up to it are to be ignored.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The users, sorted by name.
    pub fn users(&self) -> &[Present] {
        &self.users
    }
}

/// A user who is here.
#[derive(Clone, Debug)]
pub struct Present {
    name: String,
    connections: usize,
    metadata: Value,
}

impl Present {
    /// The name of the user.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Open connections of the user in the group; zero while one is awaited back.
    pub fn connections(&self) -> usize {
        self.connections
    }

    /// The metadata of the user's latest connection.
    pub fn metadata(&self) -> &Value {
        &self.metadata
    }
}

/// The presence of all groups of a hub.
pub(crate) struct Presences {
    state: Mutex<State>,
    /// Signalled when something is due earlier than before, and at the end.
    changed: Condvar,
    grace: Duration,
    announce: Option<Announce>,
}

#[derive(Default)]
struct State {
    groups: HashMap<GroupName, Users>,
    /// When to look at whom.
    due: BTreeSet<(Instant, GroupName, String)>,
    /// The highest number any group has had: a group that comes anew goes on from it.
    last_sequence: u64,
    is_started: bool,
    is_dismissed: bool,
}

#[derive(Default)]
struct Users {
    sequence: u64,
    users: HashMap<String, User>,
}

#[derive(Default)]
struct User {
    connections: usize,
    metadata: Value,
    is_announced: bool,
    due: Option<Instant>,
}

impl Presences {
    pub(crate) fn new(grace: Duration, announce: Option<Announce>) -> Arc<Self> {
        let (state, changed) = (Mutex::default(), Condvar::new());
        Arc::new(Self { state, changed, grace, announce })
    }

    /// Starts the thread, unless it has been.
    ///
    /// # Errors
    /// `Relay`: the operating system gives no thread.
    pub(crate) fn start(self: &Arc<Self>, publish: impl FnOnce() -> Publish) -> Result<()> {
        let mut state = self.state.lock();
        if state.is_started {
            return Ok(());
        }
        let (presences, publish) = (Arc::clone(self), publish());
        let thread = thread::Builder::new().name("presence".into());
        thread.spawn(move || presences.run(&publish)).map_err(|error| {
            Error::new(ErrorKind::Relay, "cannot start the presence thread").with_source(error)
        })?;
        state.is_started = true;
        Ok(())
    }

    /// Ends the thread.
    pub(crate) fn dismiss(&self) {
        self.state.lock().is_dismissed = true;
        self.changed.notify_all();
    }

    /// A connection of a user became a member.
    pub(crate) fn enter(&self, group: &GroupName, user: &str, metadata: &Value) {
        let mut state = self.state.lock();
        let State { groups, due, last_sequence, .. } = &mut *state;
        let users = groups
            .entry(group.clone())
            .or_insert_with(|| Users { sequence: *last_sequence, ..Users::default() });
        let entry = users.users.entry(user.to_owned()).or_default();
        entry.connections += 1;
        entry.metadata = metadata.clone();
        if entry.is_announced {
            if let Some(at) = entry.due.take() {
                due.remove(&(at, group.clone(), user.to_owned()));
            }
        } else if entry.due.is_none() {
            let now = Instant::now();
            entry.due = Some(now);
            due.insert((now, group.clone(), user.to_owned()));
            drop(state);
            self.changed.notify_all();
        }
    }

    /// A connection of a user is no member any more.
    pub(crate) fn exit(&self, group: &GroupName, user: &str) {
        let mut state = self.state.lock();
        let State { groups, due, .. } = &mut *state;
        let Some(entry) = groups.get_mut(group).and_then(|users| users.users.get_mut(user)) else {
            return;
        };
        entry.connections = entry.connections.saturating_sub(1);
        if entry.connections > 0 || !entry.is_announced {
            return;
        }
        // A grace beyond the clock never ends.
        if let Some(at) = Instant::now().checked_add(self.grace) {
            entry.due = Some(at);
            due.insert((at, group.clone(), user.to_owned()));
            drop(state);
            self.changed.notify_all();
        }
    }

    pub(crate) fn snapshot(&self, group: &GroupName) -> Presence {
        let state = self.state.lock();
        let Some(users) = state.groups.get(group) else {
            return Presence { sequence: state.last_sequence, users: Vec::new() };
        };
        let announced = users.users.iter().filter(|(_, user)| user.is_announced);
        let present = announced.map(|(name, user)| Present {
            name: name.clone(),
            connections: user.connections,
            metadata: user.metadata.clone(),
        });
        let (sequence, mut users) = (users.sequence, present.collect::<Vec<_>>());
        drop(state);
        users.sort_unstable_by(|left, right| left.name.cmp(&right.name));
        Presence { sequence, users }
    }

    /// Open connections of a user, announced or not.
    #[cfg(all(test, shuttle))]
    pub(crate) fn connections(&self, group: &GroupName, user: &str) -> usize {
        let state = self.state.lock();
        let users = state.groups.get(group);
        users.and_then(|users| users.users.get(user)).map_or(0, |user| user.connections)
    }

    fn run(&self, publish: &Publish) {
        loop {
            let mut state = self.state.lock();
            if state.is_dismissed {
                return;
            }
            let changes = state.take_due(Instant::now());
            if changes.is_empty() {
                match state.due.first().map(|(at, _, _)| *at) {
                    Some(at) => {
                        self.changed.wait_until(&mut state, at);
                    }
                    None => self.changed.wait(&mut state),
                }
                continue;
            }
            drop(state);
            for change in &changes {
                if !self.tell(change, publish) {
                    return;
                }
            }
        }
    }

    /// Announces one change; false once there is no hub any more.
    fn tell(&self, change: &PresenceChange, publish: &Publish) -> bool {
        let Some(announce) = &self.announce else { return true };
        match catch_unwind(AssertUnwindSafe(|| announce(change))) {
            Ok(Some(message)) => publish(&change.group, message),
            Ok(None) => true,
            Err(_) => {
                log::error!("the announcement of {:?} panicked", change.user);
                true
            }
        }
    }
}

impl State {
    /// Decides about everybody whose time has come.
    fn take_due(&mut self, now: Instant) -> Vec<PresenceChange> {
        let mut changes = Vec::new();
        while changes.len() < BATCH
            && self.due.first().is_some_and(|(at, _, _)| *at <= now)
            && let Some((_, group, user)) = self.due.pop_first()
        {
            changes.extend(self.decide(group, user));
        }
        changes
    }

    fn decide(&mut self, group: GroupName, name: String) -> Option<PresenceChange> {
        let users = self.groups.get_mut(&group)?;
        let user = users.users.get_mut(&name)?;
        user.due = None;
        let has_joined = user.connections > 0;
        let is_change = has_joined != user.is_announced;
        user.is_announced = has_joined;
        let metadata = user.metadata.clone();
        if !has_joined {
            users.users.remove(&name);
        }
        if is_change {
            users.sequence += 1;
            self.last_sequence = self.last_sequence.max(users.sequence);
        }
        let sequence = users.sequence;
        if users.users.is_empty() {
            self.groups.remove(&group);
        }
        is_change.then_some(PresenceChange { group, user: name, metadata, sequence, has_joined })
    }
}

impl fmt::Debug for Presences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Presences(grace {:?})", self.grace)
    }
}
