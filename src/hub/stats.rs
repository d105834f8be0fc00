//! Counts of everything that went through a group or the hub.

use crate::conn::recipient::Counters;
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What went through one group since it has had members.
///
/// # Units
/// `published` and `members` as they say; the others are messages times members, each counted in
/// one of `written`, `queued`, `dropped`, `abandoned` and `gone`, but for `disconnected`, which
/// counts members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupStats {
    /// Members now.
    pub members: usize,
    /// Messages that were published.
    pub published: u64,
    /// Given to the members' kernels at once.
    pub written: u64,
    /// Left for members' handlers, or for clients that had not taken what came before, and not
    /// lost since.
    pub queued: u64,
    /// Dropped by the group's policy, at once or out of a queue.
    pub dropped: u64,
    /// Queued, and still waiting when the connection ended.
    pub abandoned: u64,
    /// Meant for members that were gone before it came.
    pub gone: u64,
    /// Members that a group's policy closed with 1013.
    pub disconnected: u64,
}

/// What went through a hub since it was made, all groups together.
///
/// # Units
/// As in [`GroupStats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HubStats {
    /// Open WebSockets now.
    pub connections: usize,
    /// Groups with members, watchers or stored messages now; what has expired may count for a while.
    pub groups: usize,
    /// Messages that were published; not those to groups without members, watchers or stored
    /// messages, which are gone at once.
    pub published: u64,
    /// Given to the members' kernels at once.
    pub written: u64,
    /// Left for members' handlers, or for clients that had not taken what came before, and not
    /// lost since.
    pub queued: u64,
    /// Dropped by a group's policy, at once or out of a queue.
    pub dropped: u64,
    /// Queued, and still waiting when the connection ended.
    pub abandoned: u64,
    /// Meant for members that were gone before it came.
    pub gone: u64,
    /// Members that a group's policy closed with 1013.
    pub disconnected: u64,
    /// Messages on their way: published, and not yet with every member's relay.
    pub on_the_way: usize,
    /// What they take, in bytes.
    pub on_the_way_bytes: usize,
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Relaxed)
}

impl GroupStats {
    pub(crate) fn new(members: usize, counters: &Counters) -> Self {
        Self {
            members,
            published: read(&counters.published),
            written: read(&counters.written),
            queued: read(&counters.queued),
            dropped: read(&counters.dropped),
            abandoned: read(&counters.abandoned),
            gone: read(&counters.gone),
            disconnected: read(&counters.disconnected),
        }
    }
}

impl HubStats {
    pub(crate) fn new(
        connections: usize,
        groups: usize,
        counters: &Counters,
        (on_the_way, on_the_way_bytes): (usize, usize),
    ) -> Self {
        let sums = GroupStats::new(0, counters);
        Self {
            connections,
            groups,
            published: sums.published,
            written: sums.written,
            queued: sums.queued,
            dropped: sums.dropped,
            abandoned: sums.abandoned,
            gone: sums.gone,
            disconnected: sums.disconnected,
            on_the_way,
            on_the_way_bytes,
        }
    }
}
