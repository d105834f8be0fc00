//! What became of a published message.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

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
    /// Members that were gone, or closing, before it came.
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

    fn add_all(&mut self, other: Self) {
        self.written += other.written;
        self.queued += other.queued;
        self.dropped += other.dropped;
        self.gone += other.gone;
    }
}

/// A message on its way to the members of a group; made by [`Group::send`](crate::Group::send).
/// [`Publisher::publish`](crate::Publisher::publish) makes one for several channels: its numbers
/// are their sums.
///
/// The relays carry it whether anybody looks at this or not.
#[derive(Clone)]
pub struct Delivery {
    parts: Parts,
}

#[derive(Clone)]
enum Parts {
    One(Arc<Progress>),
    Many(Arc<[Delivery]>),
}

#[derive(Debug)]
pub(crate) struct Progress {
    members: usize,
    since: Instant,
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
        Self::new(Progress::new(0, 0))
    }

    pub(crate) fn new(progress: Arc<Progress>) -> Self {
        Self { parts: Parts::One(progress) }
    }

    /// Several deliveries of one message.
    pub(crate) fn of_all(mut deliveries: Vec<Self>) -> Self {
        match deliveries.pop() {
            Some(only) if deliveries.is_empty() => only,
            last => {
                deliveries.extend(last);
                Self { parts: Parts::Many(deliveries.into()) }
            }
        }
    }

    /// How many members it was meant for.
    ///
    /// # Blocking
    /// Never.
    pub fn members(&self) -> usize {
        match &self.parts {
            Parts::One(progress) => progress.members,
            Parts::Many(parts) => parts.iter().map(Self::members).sum(),
        }
    }

    /// Waits until every member has been served, and says how.
    ///
    /// # Blocking
    /// Until the relays have done their work, which never waits for a client: microseconds for
    /// each member and for what was published before.
    pub fn wait(&self) -> Counts {
        self.wait_until(Deadline::NEVER).unwrap_or_default()
    }

    /// As [`wait`](Self::wait), but not longer than `time`; `None` if that was too short.
    ///
    /// # Blocking
    /// Until the relays have done their work or `time` is over.
    pub fn wait_timeout(&self, time: Duration) -> Option<Counts> {
        self.wait_until(Deadline::after(time))
    }

    fn wait_until(&self, deadline: Deadline) -> Option<Counts> {
        match &self.parts {
            Parts::One(progress) => progress.wait_until(deadline),
            Parts::Many(parts) => parts.iter().try_fold(Counts::default(), |mut sum, part| {
                sum.add_all(part.wait_until(deadline)?);
                Some(sum)
            }),
        }
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
        Arc::new(Self { members, since: Instant::now(), state, done: Condvar::new() })
    }

    /// When the message was published.
    pub(crate) fn since(&self) -> Instant {
        self.since
    }

    /// True once every relay has finished.
    pub(crate) fn is_done(&self) -> bool {
        self.state.lock().relays == 0
    }

    pub(crate) fn wait_until(&self, deadline: Deadline) -> Option<Counts> {
        let mut state = self.state.lock();
        while state.relays > 0 {
            let Some(instant) = deadline.instant() else {
                self.done.wait(&mut state);
                continue;
            };
            if self.done.wait_until(&mut state, instant).timed_out() && state.relays > 0 {
                return None;
            }
        }
        Some(state.counts)
    }

    /// One relay has served its members.
    pub(crate) fn finish_relay(&self, counts: Counts) {
        let mut state = self.state.lock();
        state.relays -= 1;
        state.counts.add_all(counts);
        if state.relays == 0 {
            drop(state);
            self.done.notify_all();
        }
    }

    /// Nobody carries it any more: those whom no relay has served are gone. Returns how many that
    /// are, which is nobody but for a relay that failed.
    pub(crate) fn settle(&self) -> usize {
        let mut state = self.state.lock();
        if state.relays == 0 {
            return 0;
        }
        let Counts { written, queued, dropped, gone } = state.counts;
        let missed = self.members.saturating_sub(written + queued + dropped + gone);
        state.relays = 0;
        state.counts.gone += missed;
        drop(state);
        self.done.notify_all();
        missed
    }
}
