//! What the threads of a broadcast tell each other: what was published, and who has it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::bench::poller::Waker;
use crate::bench::shared::Shared;

/// Most messages of a publisher that not all subscribers have yet.
pub(crate) const MOST_IN_FLIGHT: u64 = 65_536;

/// Shared by all threads of a broadcast; the publishers belong to the first.
#[derive(Debug)]
pub(crate) struct Board {
    pub(crate) publishers: Vec<Published>,
    /// Connections that are open, publishers included.
    pub(crate) open: AtomicUsize,
    /// Subscribers that have received something, or have ended.
    pub(crate) joined: AtomicUsize,
    /// Messages that all subscribers of a thread have, by thread and publisher.
    done: Vec<Vec<AtomicU64>>,
}

/// What one publisher has published.
#[derive(Debug)]
pub(crate) struct Published {
    count: AtomicU64,
    /// When, for the last of them.
    times: Box<[AtomicU64]>,
}

impl Published {
    fn new() -> Self {
        let times = (0..MOST_IN_FLIGHT).map(|_| AtomicU64::new(0)).collect();
        Self { count: AtomicU64::new(0), times }
    }

    /// Numbers below this one are published, or are just being sent.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// Notes that `count` messages more are published now.
    pub(crate) fn add(&self, count: u64, now: u64) {
        let first = self.count();
        for number in first..first + count {
            self.place(number).store(now, Ordering::Relaxed);
        }
        self.count.store(first + count, Ordering::Release);
    }

    /// When a message was published that some subscriber has not yet.
    pub(crate) fn time(&self, number: u64) -> u64 {
        self.place(number).load(Ordering::Relaxed)
    }

    fn place(&self, number: u64) -> &AtomicU64 {
        &self.times[(number % MOST_IN_FLIGHT) as usize]
    }
}

impl Board {
    /// For so many threads, those that have no subscribers at the end.
    pub(crate) fn new(publishers: usize, threads: usize, subscribers: usize) -> Self {
        let done = |thread: usize| {
            // Who has no subscribers has nothing to wait for.
            let first = if thread < subscribers { 0 } else { u64::MAX };
            (0..publishers).map(|_| AtomicU64::new(first)).collect()
        };
        Self {
            publishers: (0..publishers).map(|_| Published::new()).collect(),
            open: AtomicUsize::new(0),
            joined: AtomicUsize::new(0),
            done: (0..threads).map(done).collect(),
        }
    }

    /// Messages of a publisher that everybody has.
    pub(crate) fn done(&self, publisher: usize) -> u64 {
        let done = self.done.iter().map(|thread| thread[publisher].load(Ordering::Acquire));
        done.min().unwrap_or(0)
    }

    /// Notes what all subscribers of a thread have, and wakes the publishers for it.
    pub(crate) fn note(&self, thread: usize, publisher: usize, done: u64, shared: &Shared) {
        let old = self.done[thread][publisher].swap(done, Ordering::AcqRel);
        if thread > 0 && old != done {
            shared.wakers.first().map(Waker::wake);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_thread_counts() {
        let shared = Shared::new(3).unwrap();
        let board = Board::new(1, 3, 2);
        board.note(0, 0, 5, &shared);
        assert_eq!(board.done(0), 0);
        board.note(1, 0, 3, &shared);
        assert_eq!(board.done(0), 3);
    }

    #[test]
    fn times_are_those_of_the_numbers() {
        let board = Board::new(2, 1, 1);
        board.publishers[1].add(2, 7);
        board.publishers[1].add(1, 9);
        let published = &board.publishers[1];
        assert_eq!((published.count(), published.time(1), published.time(2)), (3, 7, 9));
        assert_eq!(board.publishers[0].count(), 0);
    }
}
