//! How many connections there are, and whether one more fits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Counts connections and admits them up to a limit.
#[derive(Debug)]
pub(crate) struct Stats {
    limit: usize,
    open: AtomicUsize,
    next_id: AtomicU64,
    refused: AtomicU64,
    is_stopping: AtomicBool,
}

impl Stats {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            open: AtomicUsize::new(0),
            next_id: AtomicU64::new(1),
            refused: AtomicU64::new(0),
            is_stopping: AtomicBool::new(false),
        }
    }

    /// Most open connections.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Open connections, HTTP and WebSocket.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// The number of the next connection; never given twice.
    pub(crate) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Counts a client that is answered 503.
    pub(crate) fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Clients that were answered 503.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Takes a place for one connection, if there is one.
    pub(crate) fn admit(self: &Arc<Self>) -> Option<Place> {
        let admitted = self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| {
            (open < self.limit).then_some(open + 1)
        });
        admitted.ok().map(|_| Place { stats: Arc::clone(self) })
    }

    pub(crate) fn start_stopping(&self) {
        self.is_stopping.store(true, Ordering::SeqCst);
    }

    /// True once the server accepts nothing new.
    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::SeqCst)
    }
}

/// The place of one connection; free again when dropped, whatever ended the connection.
#[derive(Debug)]
pub(crate) struct Place {
    stats: Arc<Stats>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.stats.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_it_is_dropped() {
        let stats = Arc::new(Stats::new(2));
        let first = stats.admit();
        let second = stats.admit();
        assert!(first.is_some() && second.is_some() && stats.admit().is_none());
        drop(first);
        assert_eq!(stats.open(), 1);
        assert!(stats.admit().is_some());
    }
}
