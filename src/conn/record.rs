//! What the keeper sees of a connection without taking a lock.
//!
//! Every field is a plain atomic: the connection's thread writes, the keeper reads. Times are
//! milliseconds of the [`Clock`], zero meaning "none". A value that is a tick old does no harm:
//! every deadline is checked again at the next tick.

use std::time::{Duration, Instant};

use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sync::atomic::{AtomicBool, AtomicU8, AtomicU64};

/// Time as the keeper tells it: exact when asked, to a tick when read on the hot path.
#[derive(Debug)]
pub(crate) struct Clock {
    start: Instant,
    coarse: AtomicU64,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), coarse: AtomicU64::new(1) }
    }

    /// Milliseconds since the start, never zero.
    pub(crate) fn now(&self) -> u64 {
        self.start.elapsed().as_millis() as u64 + 1
    }

    /// Microseconds since the start, never zero.
    pub(crate) fn micros(&self) -> u64 {
        self.start.elapsed().as_micros() as u64 + 1
    }

    /// The time of the keeper's last tick: one relaxed load.
    pub(crate) fn coarse(&self) -> u64 {
        self.coarse.load(Relaxed)
    }

    /// Moves the coarse time to now; the keeper's task.
    pub(crate) fn advance(&self) -> u64 {
        let now = self.now();
        self.coarse.store(now, Relaxed);
        now
    }

    /// The moment `duration` from now.
    pub(crate) fn after(&self, duration: Duration) -> u64 {
        self.now().saturating_add(millis(duration))
    }
}

/// A duration in milliseconds, rounded up so that a deadline never passes early.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros().div_ceil(1000)).unwrap_or(u64::MAX / 4).min(u64::MAX / 4)
}

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// HTTP, between two requests: may be ended at any time.
    Idle = 0,
    /// HTTP, a request is being received, handled or answered.
    Busy = 1,
    /// An open WebSocket.
    WebSocket = 2,
}

/// What an idle HTTP connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Idle {
    /// Its first request.
    First,
    /// Another one.
    Next,
}

impl Idle {
    /// Marks in place of a time, until the keeper has put one.
    const FIRST: u64 = u64::MAX;
    const NEXT: u64 = u64::MAX - 1;
}

/// The keeper's view of one connection.
///
/// All of it is one line of memory: with many threads in turns, each line that a message touches
/// is fetched anew.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Record {
    phase: AtomicU8,
    /// HTTP: when a connection without a request is over, or a mark of [`Idle`]: its thread reads
    /// no clock, so the time begins when the keeper first sees the mark. Zero while there is a
    /// request.
    idle_by: AtomicU64,
    /// HTTP: when the connection is cut because its peer takes nothing; zero for never.
    deadline: AtomicU64,
    /// WebSocket: when bytes last came in.
    last_life: AtomicU64,
    /// WebSocket: since when the handler has not been waiting for a message; zero while it waits.
    away_since: AtomicU64,
    /// WebSocket: reading is paused because the inbox is full, so silence proves nothing.
    paused: AtomicBool,
    /// WebSocket: an end has come and waits for the messages before it to be taken, until then.
    ending_by: AtomicU64,
    /// WebSocket: our close frame is sent or queued.
    is_closing: AtomicBool,
    /// WebSocket: when the peer's close frame is due.
    close_by: AtomicU64,
    /// WebSocket: when queued bytes last moved; zero while nothing is queued.
    stuck_since: AtomicU64,
    /// WebSocket: messages of the client wait behind the one that the handler took last.
    has_more: AtomicBool,
    /// WebSocket: replies are held back.
    is_holding: AtomicBool,
    /// WebSocket: the handler blocks in `recv` with the receive lock held.
    is_waiting: AtomicBool,
    /// What was called on the connection's thread has touched much of its stack.
    is_deep: AtomicBool,
}

#[cfg(not(shuttle))]
const _: () = assert!(size_of::<Record>() == 64, "the record has outgrown its line");

impl Record {
    pub(crate) fn new() -> Self {
        Self {
            phase: AtomicU8::new(Phase::Idle as u8),
            idle_by: AtomicU64::new(0),
            deadline: AtomicU64::new(0),
            last_life: AtomicU64::new(0),
            away_since: AtomicU64::new(0),
            paused: AtomicBool::new(false),
            ending_by: AtomicU64::new(0),
            is_closing: AtomicBool::new(false),
            close_by: AtomicU64::new(0),
            stuck_since: AtomicU64::new(0),
            has_more: AtomicBool::new(false),
            is_holding: AtomicBool::new(false),
            is_waiting: AtomicBool::new(false),
            is_deep: AtomicBool::new(false),
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            0 => Phase::Idle,
            1 => Phase::Busy,
            _ => Phase::WebSocket,
        }
    }

    pub(crate) fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
    }

    /// From now on the connection waits for a request.
    pub(crate) fn begin_idle(&self, idle: Idle) {
        let mark = match idle {
            Idle::First => Idle::FIRST,
            Idle::Next => Idle::NEXT,
        };
        self.idle_by.store(mark, Relaxed);
    }

    /// A request has begun to come.
    pub(crate) fn end_idle(&self) {
        self.idle_by.store(0, Relaxed);
    }

    /// True if the connection has been idle for too long; says so once. `patience` is asked how
    /// long that is when the connection is first seen to be idle, and `has_bytes`, when the time is
    /// over, whether its thread has only not run yet: then it is asked again next time.
    pub(crate) fn take_idle(
        &self,
        now: u64,
        patience: impl FnOnce(Idle) -> Duration,
        has_bytes: impl FnOnce() -> bool,
    ) -> bool {
        let idle_by = self.idle_by.load(Relaxed);
        let after = match idle_by {
            0 => return false,
            Idle::FIRST => now.saturating_add(millis(patience(Idle::First))),
            Idle::NEXT => now.saturating_add(millis(patience(Idle::Next))),
            by if now < by || has_bytes() => return false,
            _ => 0,
        };
        // The thread may have a request meanwhile: then it stays.
        self.idle_by.compare_exchange(idle_by, after, Relaxed, Relaxed).is_ok() && after == 0
    }

    /// Sets the HTTP deadline, a moment of the [`Clock`].
    pub(crate) fn set_deadline(&self, at: u64) {
        self.deadline.store(at, Relaxed);
    }

    pub(crate) fn clear_deadline(&self) {
        self.deadline.store(0, Relaxed);
    }

    /// True if the HTTP deadline has passed; says so once.
    pub(crate) fn take_expired(&self, now: u64) -> bool {
        let deadline = self.deadline.load(Relaxed);
        // The thread may set a new deadline meanwhile: then this one was met.
        deadline != 0
            && now >= deadline
            && self.deadline.compare_exchange(deadline, 0, Relaxed, Relaxed).is_ok()
    }

    /// Much of the thread's stack has been touched, and stays resident as long as the thread does.
    pub(crate) fn mark_deep(&self) {
        self.is_deep.store(true, Relaxed);
    }

    pub(crate) fn is_deep(&self) -> bool {
        self.is_deep.load(Relaxed)
    }

    pub(crate) fn mark_life(&self, now: u64) {
        self.last_life.store(now, Relaxed);
    }

    pub(crate) fn last_life(&self) -> u64 {
        self.last_life.load(Relaxed)
    }

    /// The handler waits for a message from now on.
    pub(crate) fn mark_waiting(&self) {
        self.away_since.store(0, Relaxed);
        self.is_waiting.store(true, Release);
    }

    /// The handler waits no more.
    pub(crate) fn mark_back(&self, now: u64) {
        self.is_waiting.store(false, Release);
        self.mark_away(now);
    }

    /// True while the handler waits, with the receive lock held.
    pub(crate) fn is_waiting(&self) -> bool {
        self.is_waiting.load(Acquire)
    }

    /// The handler is back in its own code.
    pub(crate) fn mark_away(&self, now: u64) {
        self.away_since.store(now, Relaxed);
    }

    pub(crate) fn away_since(&self) -> u64 {
        self.away_since.load(Relaxed)
    }

    pub(crate) fn set_paused(&self, paused: bool) {
        self.paused.store(paused, Relaxed);
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused.load(Relaxed)
    }

    pub(crate) fn set_ending_by(&self, at: u64) {
        self.ending_by.store(at, Relaxed);
    }

    pub(crate) fn ending_by(&self) -> u64 {
        self.ending_by.load(Relaxed)
    }

    /// Our close frame is sent or queued; never taken back.
    pub(crate) fn mark_closing(&self) {
        self.is_closing.store(true, Relaxed);
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.is_closing.load(Relaxed)
    }

    pub(crate) fn set_close_by(&self, at: u64) {
        self.close_by.store(at, Relaxed);
    }

    pub(crate) fn close_by(&self) -> u64 {
        self.close_by.load(Relaxed)
    }

    pub(crate) fn set_stuck_since(&self, at: u64) {
        self.stuck_since.store(at, Relaxed);
    }

    pub(crate) fn stuck_since(&self) -> u64 {
        self.stuck_since.load(Relaxed)
    }

    /// The handler has taken a message, behind which others wait or not.
    pub(crate) fn set_more(&self, has_more: bool) {
        self.has_more.store(has_more, Relaxed);
    }

    pub(crate) fn has_more(&self) -> bool {
        self.has_more.load(Relaxed)
    }

    pub(crate) fn set_holding(&self, is_holding: bool) {
        self.is_holding.store(is_holding, Relaxed);
    }

    pub(crate) fn is_holding(&self) -> bool {
        self.is_holding.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_expires_once() {
        let record = Record::new();
        record.set_deadline(50);
        assert!(!record.take_expired(49));
        assert!(record.take_expired(50));
        assert!(!record.take_expired(51));
    }

    #[test]
    fn a_cleared_deadline_never_expires() {
        let record = Record::new();
        record.set_deadline(50);
        record.clear_deadline();
        assert!(!record.take_expired(u64::MAX));
    }

    #[test]
    fn an_idle_connection_has_its_time_from_when_it_was_seen() {
        let patience = |idle| Duration::from_millis(if idle == Idle::First { 100 } else { 200 });
        let record = Record::new();
        for (idle, time) in [(Idle::First, 100), (Idle::Next, 200)] {
            record.begin_idle(idle);
            assert!(!record.take_idle(5000, patience, || false), "seen late, and no earlier");
            assert!(!record.take_idle(5000 + time - 1, patience, || false));
            assert!(record.take_idle(5000 + time, patience, || false));
            assert!(!record.take_idle(u64::MAX, patience, || false), "once");
        }
    }

    #[test]
    fn a_request_ends_the_idle_time_and_the_next_begins_anew() {
        let patience = |_| Duration::from_millis(100);
        let record = Record::new();
        record.begin_idle(Idle::Next);
        assert!(!record.take_idle(1000, patience, || false));
        record.end_idle();
        assert!(!record.take_idle(9000, patience, || false));
        record.begin_idle(Idle::Next);
        assert!(!record.take_idle(9000, patience, || false));
        assert!(!record.take_idle(9099, patience, || false));
        assert!(record.take_idle(9100, patience, || false));
    }

    #[test]
    fn durations_round_up_and_stay_in_range() {
        assert_eq!(millis(Duration::from_micros(1)), 1);
        assert!(millis(Duration::MAX) < u64::MAX / 2);
    }
}
