//! Holding back what comes too fast, where that is limited.

use std::time::Duration;

use crate::conn::connection::Connection;
use crate::conn::receive::{Receive, is_closing};
use crate::conn::throttle::{Step, Verdict};
use crate::sync::atomic::Ordering;
use crate::ws::close::Violation;

impl Receive {
    /// Counts bytes that were received.
    #[inline]
    pub(super) fn count_received(&mut self, conn: &Connection, count: usize) {
        if let Some(throttle) = &mut self.throttle {
            let clock = &conn.shared.clock;
            throttle.received(count, clock.coarse(), || clock.now());
        }
    }

    /// True if the oldest message may be delivered, which then counts, or if there is none.
    #[cold]
    #[inline(never)]
    pub(super) fn may_deliver(&mut self, conn: &Connection) -> bool {
        if self.inbox.is_empty() {
            return true;
        }
        let may = self.judge(conn, Step::Deliver).is_none();
        if may && let Some(throttle) = &mut self.throttle {
            let clock = &conn.shared.clock;
            throttle.delivered(clock.coarse(), || clock.now());
        }
        may
    }

    /// True if more may be read. While it may not, the client is not blamed for its silence.
    #[cold]
    #[inline(never)]
    pub(super) fn may_read(&mut self, conn: &Connection) -> bool {
        let (may, was_paused) = (self.judge(conn, Step::Read).is_none(), conn.record.is_paused());
        if !may {
            conn.record.set_paused(true);
        } else if was_paused {
            conn.record.mark_life(conn.shared.clock.coarse());
            conn.record.set_paused(false);
        }
        may
    }

    /// For how long there is nothing to wait for but time: the next message, or if there is none
    /// the next read, has to wait.
    pub(crate) fn held_back(&mut self, conn: &Connection) -> Option<Duration> {
        self.throttle.as_ref()?;
        if self.inbox.is_empty() {
            return self.judge(conn, Step::Read);
        }
        // It waits, be it that its time has come meanwhile.
        Some(self.judge(conn, Step::Deliver).unwrap_or_default())
    }

    /// True if a message waits whose time has come.
    pub(crate) fn has_due_message(&mut self, conn: &Connection) -> bool {
        !self.inbox.is_empty() && self.judge(conn, Step::Deliver).is_none()
    }

    /// How long a step has to wait, if it has to. Who went on for too long is at the end, and what
    /// it has sent is forgotten.
    fn judge(&mut self, conn: &Connection, step: Step) -> Option<Duration> {
        if self.has_ended || self.is_deaf || is_closing(conn) {
            // What is there is bounded, and whoever closes is not held up.
            return None;
        }
        let clock = &conn.shared.clock;
        match self.throttle.as_mut()?.may(step, clock.coarse(), || clock.now()) {
            Verdict::Now => None,
            Verdict::Later(at) => Some(Duration::from_millis(at.saturating_sub(clock.now()))),
            Verdict::TooMuch => {
                self.throttle = None;
                self.discard_inbox();
                self.undecoded = Vec::new();
                self.refuse(conn, Violation::TooFast);
                note_too_fast(conn);
                Some(Duration::ZERO)
            }
        }
    }
}

fn note_too_fast(conn: &Connection) {
    log::info!("conn-{} {}: went on sending faster than it may", conn.id(), conn.peer());
    conn.shared.fast_clients.fetch_add(1, Ordering::Relaxed);
}
