//! What a connection's queue knows of a group: its policy, and where its losses are counted.

use std::sync::Arc;

use crate::conn::overflow::Overflow;
use crate::histogram::Histogram;
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What became of messages, one by one for each member they were meant for: each is counted in
/// one place, and moves from `queued` if it is lost later.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Messages that were published.
    pub(crate) published: AtomicU64,
    /// Given to the member's kernel, or handler, at once.
    pub(crate) written: AtomicU64,
    /// Queued because the member had not taken what came before, and not lost since.
    pub(crate) queued: AtomicU64,
    /// Dropped by a policy, at once or out of a queue.
    pub(crate) dropped: AtomicU64,
    /// Meant for members that were gone before it came.
    pub(crate) gone: AtomicU64,
    /// Queued, or with a handler that never took them, when the connection ended.
    pub(crate) abandoned: AtomicU64,
    /// Members closed with 1013.
    pub(crate) disconnected: AtomicU64,
}

/// What is counted of all groups together.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) counters: Counters,
    /// Those dropped, by policy, in the order of [`Overflow::LABELS`].
    pub(crate) dropped_by: [AtomicU64; Overflow::LABELS.len()],
    /// From the publishing of a message to when a relay has served all of its members.
    pub(crate) latency: Histogram,
}

/// The way of one group's messages through the queues of its members.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) overflow: Overflow,
    pub(crate) counters: Counters,
    /// Those of all groups together.
    pub(crate) totals: Arc<Totals>,
}

impl Lane {
    pub(crate) fn new(overflow: Overflow, totals: Arc<Totals>) -> Self {
        Self { overflow, counters: Counters::default(), totals }
    }

    /// Counts for the group and in total.
    pub(crate) fn count(&self, of: impl Fn(&Counters) -> &AtomicU64, number: u64) {
        of(&self.counters).fetch_add(number, Relaxed);
        of(&self.totals.counters).fetch_add(number, Relaxed);
    }

    /// Counts messages as dropped by the policy before they were queued.
    pub(crate) fn drop_at_once(&self, number: u64) {
        self.count(|counters| &counters.dropped, number);
        self.totals.dropped_by[self.overflow.place()].fetch_add(number, Relaxed);
    }

    /// Counts a message as dropped by the policy that was counted as queued.
    pub(crate) fn drop_queued(&self) {
        self.lose_queued(|counters| &counters.dropped);
        self.totals.dropped_by[self.overflow.place()].fetch_add(1, Relaxed);
    }

    /// Counts a message as lost that was counted as queued.
    pub(crate) fn lose_queued(&self, to: impl Fn(&Counters) -> &AtomicU64) {
        for counters in [&self.counters, &self.totals.counters] {
            counters.queued.fetch_sub(1, Relaxed);
            to(counters).fetch_add(1, Relaxed);
        }
    }
}
