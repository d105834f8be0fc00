//! The open WebSockets of a server, the sums of those that have ended, and the last of these.
//!
//! # Counting
//! A count of all connections is that of the ended ones and those of the open ones. A connection
//! moves from one to the other under the lock, when nothing is counted for it any more: so it is in
//! exactly one of them, whenever anybody looks, and no sum ever goes back.
//!
//! # Locks
//! The roll's lock comes before the locks of a connection.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use crate::conn::connection::Connection;
use crate::conn::story::ClosedConnection;
use crate::conn::traffic::Traffic;
use crate::sync::Mutex;

/// How many ended connections are remembered.
pub(crate) const MAX_CLOSED: usize = 1000;

/// Who is connected, and who was.
#[derive(Debug, Default)]
pub(crate) struct Roll {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: HashMap<u64, Arc<Connection>>,
    /// By route: how many are open, and how many were opened.
    routes: BTreeMap<Arc<str>, (usize, u64)>,
    /// Of those that have ended.
    ended: Traffic,
    high: usize,
    closes: BTreeMap<(u16, &'static str), u64>,
    closed: VecDeque<Arc<ClosedConnection>>,
}

/// What can be counted of all WebSockets of a server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sums {
    pub(crate) traffic: Traffic,
    pub(crate) queued_bytes: usize,
    pub(crate) queue_high_bytes: usize,
    /// By route: how many are open, and how many were opened.
    pub(crate) routes: Vec<(Arc<str>, usize, u64)>,
    /// By code and cause.
    pub(crate) closes: Vec<(u16, &'static str, u64)>,
}

/// The code as it is counted. Of those that applications choose freely, and clients, only the first
/// digit counts: the number of sums must not be the client's choice.
fn class(code: u16) -> u16 {
    match code {
        3000..=4999 => code / 1000 * 1000,
        code => code,
    }
}

impl Roll {
    /// Takes in a connection whose handshake is answered.
    pub(super) fn open(&self, route: Arc<str>, conn: &Arc<Connection>) {
        let mut state = self.state.lock();
        state.open.insert(conn.id(), Arc::clone(conn));
        let (open, opened) = state.routes.entry(route).or_default();
        *open += 1;
        *opened += 1;
    }

    /// A connection is over and has let go of everything; again, it does nothing.
    pub(super) fn close(&self, conn: &Connection) {
        let mut state = self.state.lock();
        if state.open.remove(&conn.id()).is_none() {
            return;
        }
        let Some(story) = conn.end_story() else { return };
        state.ended += story.info.traffic;
        state.high = state.high.max(story.info.queue_high_bytes);
        *state.closes.entry((class(story.closed.code()), story.cause)).or_default() += 1;
        if let Some((open, _)) = state.routes.get_mut(&story.info.route) {
            *open -= 1;
        }
        if state.open.is_empty() {
            state.open.shrink_to(64);
        }
        let forgotten = (state.closed.len() >= MAX_CLOSED).then(|| state.closed.pop_front());
        state.closed.push_back(Arc::new(story));
        drop(state);
        drop(forgotten);
    }

    /// An open connection.
    pub(crate) fn find(&self, id: u64) -> Option<Arc<Connection>> {
        self.state.lock().open.get(&id).cloned()
    }

    /// The open connections, in the order of their numbers.
    pub(crate) fn connections(&self) -> Vec<Arc<Connection>> {
        let mut all: Vec<_> = self.state.lock().open.values().cloned().collect();
        all.sort_unstable_by_key(|conn| conn.id());
        all
    }

    /// Those that have ended, the last first.
    pub(crate) fn closed(&self) -> Vec<Arc<ClosedConnection>> {
        self.state.lock().closed.iter().rev().cloned().collect()
    }

    /// Adds everything up.
    pub(crate) fn sums(&self) -> Sums {
        let state = self.state.lock();
        let mut sums = Sums {
            traffic: state.ended,
            queue_high_bytes: state.high,
            routes: state
                .routes
                .iter()
                .map(|(route, (open, opened))| (Arc::clone(route), *open, *opened))
                .collect(),
            closes: state
                .closes
                .iter()
                .map(|((code, cause), count)| (*code, *cause, *count))
                .collect(),
            ..Sums::default()
        };
        for conn in state.open.values() {
            let queue = conn.outbox.queue_figures();
            sums.traffic += conn.traffic();
            sums.queued_bytes += queue.bytes;
            sums.queue_high_bytes = sums.queue_high_bytes.max(queue.high);
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_applications_are_counted_by_their_first_digit() {
        assert_eq!([1000, 1013, 3001, 4999].map(class), [1000, 1013, 3000, 4000]);
    }
}
