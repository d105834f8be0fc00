//! Who joins and leaves, for code of the server that wants to know.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::error::{Error, ErrorKind, Result};
use crate::hub::member::Member;
use crate::hub::room::Room;

/// Most events that wait for a watcher.
const MAX_WAITING: usize = 1024;

/// A change of a group's members.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum MemberEvent {
    /// A connection became a member.
    Joined(Member),
    /// A membership ended: by `leave`, or with the connection.
    Left(Member),
    /// The watcher was too slow and has missed events: [`Group::watch`](crate::Group::watch)
    /// again, to see who is there now. It is the last event.
    Missed,
}

/// A group's members, and every change since; made by [`Group::watch`](crate::Group::watch).
///
/// Snapshot and events have no hole and no overlap. It ends when it is dropped.
pub struct Watch {
    members: Vec<Member>,
    events: Receiver<MemberEvent>,
    room: Arc<Room>,
    number: u64,
    tidy: Tidy,
}

/// Forgets a room that nobody needs any more.
pub(crate) type Tidy = Box<dyn Fn(&Arc<Room>) + Send + Sync>;

/// The hub's end of a watch.
#[derive(Debug)]
pub(crate) struct Watcher {
    number: u64,
    events: Sender<MemberEvent>,
}

impl Watcher {
    pub(crate) fn new(number: u64) -> (Self, Receiver<MemberEvent>) {
        let (events, receiver) = bounded(MAX_WAITING + 1);
        (Self { number, events }, receiver)
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Tells an event without waiting; false if it was the last, because there was no room.
    pub(crate) fn tell(&self, event: &MemberEvent) -> bool {
        let has_room = self.events.len() < MAX_WAITING;
        let event = if has_room { event.clone() } else { MemberEvent::Missed };
        // Only this side adds, and keeps the last place for `Missed`; a watch that is gone needs
        // no event.
        let _ = self.events.try_send(event);
        has_room
    }
}

impl Watch {
    pub(crate) fn new(
        members: Vec<Member>,
        events: Receiver<MemberEvent>,
        room: Arc<Room>,
        number: u64,
        tidy: Tidy,
    ) -> Self {
        Self { members, events, room, number, tidy }
    }

    /// Who was a member when the watch began.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The next event, if one is there.
    ///
    /// # Blocking
    /// Never.
    pub fn read(&self) -> Option<MemberEvent> {
        self.events.try_recv().ok()
    }

    /// Waits for the next event.
    ///
    /// # Blocking
    /// Until an event or the end of `time`.
    ///
    /// # Errors
    /// `Timeout`: nobody joined or left in time. `Closed`: `Missed` was the last event.
    pub fn wait_timeout(&self, time: Duration) -> Result<MemberEvent> {
        self.events.recv_timeout(time).map_err(|error| match error {
            RecvTimeoutError::Timeout => {
                Error::new(ErrorKind::Timeout, format!("nobody joined or left within {time:?}"))
            }
            RecvTimeoutError::Disconnected => Error::new(ErrorKind::Closed, "the watch has ended"),
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.room.end_watch(self.number);
        (self.tidy)(&self.room);
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watch({}, {} members at first)", self.room.name(), self.members.len())
    }
}
