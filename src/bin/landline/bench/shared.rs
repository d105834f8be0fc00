//! What the threads of load and the one that leads them have in common.
//!
//! ```text
//! opening ──► warming up ──► measured ──► draining
//!         start          from        until            microseconds since the origin
//! ```

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::bench::poller::Waker;

/// Not yet.
pub(crate) const NEVER: u64 = u64::MAX;

/// What is done at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Opening,
    Warming,
    Measured,
    Draining,
}

/// The borders between the phases.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) start: u64,
    pub(crate) from: u64,
    pub(crate) until: u64,
}

impl Window {
    pub(crate) fn phase(&self, now: u64) -> Phase {
        if now < self.start {
            Phase::Opening
        } else if now >= self.until {
            Phase::Draining
        } else if now < self.from {
            Phase::Warming
        } else {
            Phase::Measured
        }
    }
}

/// Shared by all threads of a run.
#[derive(Debug)]
pub(crate) struct Shared {
    origin: Instant,
    start: AtomicU64,
    from: AtomicU64,
    until: AtomicU64,
    /// One for each thread of load.
    pub(crate) wakers: Vec<Waker>,
    /// Connections that are open, and messages so far once all are; of each thread of load.
    pub(crate) counts: Vec<AtomicU64>,
}

impl Shared {
    /// Takes a descriptor for each thread.
    pub(crate) fn new(threads: usize) -> std::io::Result<Self> {
        let never = || AtomicU64::new(NEVER);
        Ok(Self {
            origin: Instant::now(),
            start: never(),
            from: never(),
            until: never(),
            wakers: (0..threads).map(|_| Waker::new()).collect::<Result<_, _>>()?,
            counts: (0..threads).map(|_| AtomicU64::new(0)).collect(),
        })
    }

    /// Microseconds since the origin.
    pub(crate) fn now(&self) -> u64 {
        self.origin.elapsed().as_micros() as u64
    }

    /// Lets the load begin, and tells when it is measured and when it ends.
    pub(crate) fn begin(&self, warm_up: Duration, duration: Duration) -> Window {
        let start = self.now();
        let from = start + warm_up.as_micros() as u64;
        let until = from + duration.as_micros() as u64;
        self.from.store(from, Relaxed);
        self.until.store(until, Relaxed);
        // Looked at first, and so set last; a thread that sees it alone looks again in its next
        // turn, and until then has borders that have not come.
        self.start.store(start, Relaxed);
        self.wake();
        Window { start, from, until }
    }

    /// Ends the load now.
    pub(crate) fn end(&self) {
        let now = self.now();
        self.until.fetch_min(now, Relaxed);
        self.from.fetch_min(now, Relaxed);
        self.start.fetch_min(now, Relaxed);
        self.wake();
    }

    pub(crate) fn window(&self) -> Window {
        Window {
            start: self.start.load(Relaxed),
            from: self.from.load(Relaxed),
            until: self.until.load(Relaxed),
        }
    }

    fn wake(&self) {
        self.wakers.iter().for_each(Waker::wake);
    }

    /// Connections or messages so far.
    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_follow_each_other_and_can_be_cut_short() {
        let shared = Shared::new(1).unwrap();
        assert_eq!(shared.window().phase(shared.now()), Phase::Opening);
        let window = shared.begin(Duration::from_secs(100), Duration::from_secs(100));
        assert_eq!(window.phase(window.start), Phase::Warming);
        assert_eq!(window.phase(window.from), Phase::Measured);
        assert_eq!(window.phase(window.until), Phase::Draining);
        shared.end();
        assert_eq!(shared.window().phase(shared.now()), Phase::Draining);
    }
}
