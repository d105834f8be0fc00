//! What became of a published message.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::conn::recipient::Fate;
use crate::deadline::Deadline;
use crate::sync::{Condvar, Mutex};

/// What became of a message, in members.
///
/// # Units
/// Members; the four add up to [`Delivery::members`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Members whose kernel has it.
    pub written: usize,
    /// Members for whom it waits: their client has not taken what came before, or their handler is
    /// to take it from its inbox. It may still be dropped by
    /// [`Overflow::DropOldest`](crate::Overflow) and [`Overflow::Latest`](crate::Overflow), or
    /// with the end of the connection; [`HubStats`](crate::HubStats) counts both.
    pub queued: usize,
    /// Members that lost it by the group's policy.
    pub dropped: usize,
    /// Members that were gone before it came.
    pub gone: usize,
}

impl Counts {
    pub(crate) fn add(&mut self, fate: Fate, members: usize) {
        match fate {
            Fate::Written => self.written += members,
            Fate::Queued => self.queued += members,
            Fate::Dropped => self.dropped += members,
            Fate::Gone => self.gone += members,
        }
    }
}

/// A message on its way to the members of a group; made by [`Group::send`](crate::Group::send).
///
/// The relays carry it whether anybody looks at this or not.
#[derive(Clone)]
pub struct Delivery {
    progress: Arc<Progress>,
}

#[derive(Debug)]
pub(crate) struct Progress {
    members: usize,
    state: Mutex<State>,
    done: Condvar,
}

#[derive(Debug)]
struct State {
    /// Relays that have not finished.
    relays: usize,
    counts: Counts,
}

impl Delivery {
    /// To nobody: it is done.
    pub(crate) fn to_nobody() -> Self {
        Self { progress: Progress::new(0, 0) }
    }

    pub(crate) fn new(progress: Arc<Progress>) -> Self {
        Self { progress }
    }

    /// How many members it was meant for.
    ///
    /// # Blocking
    /// Never.
    pub fn members(&self) -> usize {
        self.progress.members
    }

    /// Waits until every member has been served, and says how.
    ///
    /// # Blocking
    /// Until the relays have done their work, which never waits for a client: microseconds for
    /// each member and for what was published before.
    pub fn wait(&self) -> Counts {
        let mut state = self.progress.state.lock();
        while state.relays > 0 {
            self.progress.done.wait(&mut state);
        }
        state.counts
    }

    /// As [`wait`](Self::wait), but not longer than `time`; `None` if that was too short.
    ///
    /// # Blocking
    /// Until the relays have done their work or `time` is over.
    pub fn wait_timeout(&self, time: Duration) -> Option<Counts> {
        let deadline = Deadline::after(time);
        let mut state = self.progress.state.lock();
        while state.relays > 0 {
            let Some(instant) = deadline.instant() else {
                self.progress.done.wait(&mut state);
                continue;
            };
            if self.progress.done.wait_until(&mut state, instant).timed_out() && state.relays > 0 {
                return None;
            }
        }
        Some(state.counts)
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Delivery(to {} members)", self.members())
    }
}

impl Progress {
    pub(crate) fn new(members: usize, relays: usize) -> Arc<Self> {
        let state = Mutex::new(State { relays, counts: Counts::default() });
        Arc::new(Self { members, state, done: Condvar::new() })
    }

    /// One relay has served its members.
    pub(crate) fn finish_relay(&self, counts: Counts) {
        let mut state = self.state.lock();
        state.relays -= 1;
        state.counts.written += counts.written;
        state.counts.queued += counts.queued;
        state.counts.dropped += counts.dropped;
        state.counts.gone += counts.gone;
        if state.relays == 0 {
            drop(state);
            self.done.notify_all();
        }
    }
}
