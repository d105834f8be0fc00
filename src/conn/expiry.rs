//! When which connections may stay open no longer, whatever they do.
//!
//! Apart from the records: most connections have no such moment and pay nothing for those that do.
//! The time is that of the wall clock, because it was set by somebody else's.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::conn::connection::Connection;
use crate::conn::keeper::guarded;
use crate::conn::socket::WebSocket;
use crate::conn::trace::Mark;
use crate::sync::Mutex;
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering::Relaxed;
use crate::ws::close::{CloseFrame, close_code};

/// The reason of a close frame unless the application has another one.
const EXPIRED: &str = "token expired";

/// No moment at all.
const NEVER: u64 = u64::MAX;

/// The moment at which a connection is to be closed, and with which words.
#[derive(Clone, Debug)]
pub(crate) struct Expiry {
    pub(crate) at: SystemTime,
    pub(crate) farewell: Arc<CloseFrame>,
}

/// The connections of a server that expire.
#[derive(Debug)]
pub(crate) struct Expiries {
    /// Milliseconds of the next moment, so that asking takes no lock.
    next: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By moment and connection.
    due: BTreeMap<(u64, u64), Arc<CloseFrame>>,
    /// The moment of each connection.
    moments: HashMap<u64, u64>,
}

impl Default for Expiries {
    fn default() -> Self {
        Self { next: AtomicU64::new(NEVER), state: Mutex::default() }
    }
}

impl Expiries {
    /// Sets or moves the moment of a connection.
    pub(crate) fn set(&self, id: u64, expiry: Expiry) {
        let mut state = self.state.lock();
        state.forget(id);
        let at = millis_of(expiry.at);
        state.moments.insert(id, at);
        state.due.insert((at, id), expiry.farewell);
        self.note_next(&state);
    }

    /// Moves the moment of a connection, or sets it with the usual words if it has none.
    fn move_to(&self, id: u64, at: SystemTime) {
        let known = {
            let state = self.state.lock();
            let moment = state.moments.get(&id);
            moment.and_then(|moment| state.due.get(&(*moment, id)).cloned())
        };
        let usual = || Arc::new(CloseFrame::of_server(close_code::TOKEN_EXPIRED, EXPIRED));
        self.set(id, Expiry { at, farewell: known.unwrap_or_else(usual) });
    }

    /// The connection is over, or may stay.
    pub(crate) fn remove(&self, id: u64) {
        if self.next.load(Relaxed) == NEVER {
            return;
        }
        let mut state = self.state.lock();
        state.forget(id);
        self.note_next(&state);
    }

    /// Closes the connections whose moment has come; the keeper's task, at each of its ticks.
    #[inline]
    pub(super) fn close_due(&self, conn_of: impl FnMut(u64) -> Option<Arc<Connection>>) {
        // The clock is asked only if somebody expires.
        if self.next.load(Relaxed) != NEVER {
            self.close_until(SystemTime::now(), conn_of);
        }
    }

    #[inline(never)]
    fn close_until(
        &self,
        now: SystemTime,
        mut conn_of: impl FnMut(u64) -> Option<Arc<Connection>>,
    ) {
        for (id, farewell) in self.take_due(now) {
            let Some(conn) = conn_of(id) else { continue };
            log::info!("conn-{id}: closed with {}, its time is over", farewell.code());
            guarded(|| {
                conn.note(Mark::Expired, 0);
                conn.close(CloseFrame::clone(&farewell));
            });
        }
    }

    /// Takes out the connections whose moment has come.
    fn take_due(&self, now: SystemTime) -> Vec<(u64, Arc<CloseFrame>)> {
        let now = millis_of(now);
        if now < self.next.load(Relaxed) {
            return Vec::new();
        }
        let mut state = self.state.lock();
        let later = state.due.split_off(&(now.saturating_add(1), 0));
        let due = std::mem::replace(&mut state.due, later);
        for (_, id) in due.keys() {
            state.moments.remove(id);
        }
        self.note_next(&state);
        due.into_iter().map(|((_, id), farewell)| (id, farewell)).collect()
    }

    fn note_next(&self, state: &State) {
        let next = state.due.first_key_value().map_or(NEVER, |((at, _), _)| *at);
        self.next.store(next, Relaxed);
    }
}

impl State {
    fn forget(&mut self, id: u64) {
        if let Some(at) = self.moments.remove(&id) {
            self.due.remove(&(at, id));
        }
        if self.moments.is_empty() {
            self.moments.shrink_to(64);
        }
    }
}

impl WebSocket {
    /// Sets until when the connection may stay open, whatever its handler does then: it is closed
    /// with [`close_code::TOKEN_EXPIRED`] or as [`Auth::close_on_expiry`](crate::Auth::close_on_expiry)
    /// says.
    ///
    /// The identity of a request that expires has set it already; call this when the client has
    /// brought a fresh token, or with a limit of your own.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Units
    /// A moment of the wall clock, met to about 100 ms.
    pub fn set_expiry(&self, at: SystemTime) {
        let mut pending = self.pending.lock();
        match pending.as_mut() {
            Some(pending) => match &mut pending.terms_mut().expiry {
                Some(expiry) => expiry.at = at,
                none => {
                    let farewell = CloseFrame::of_server(close_code::TOKEN_EXPIRED, EXPIRED);
                    *none = Some(Expiry { at, farewell: Arc::new(farewell) });
                }
            },
            None if self.is_accepted() => self.conn.shared.expiries.move_to(self.conn_id(), at),
            None => {}
        }
    }
}

/// Milliseconds of the wall clock, rounded up so that nothing expires early.
fn millis_of(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_micros().div_ceil(1000)).unwrap_or(NEVER).min(NEVER - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn set(expiries: &Expiries, id: u64, seconds: u64) {
        let farewell = Arc::new(CloseFrame::of_server(close_code::TOKEN_EXPIRED, "over"));
        expiries.set(id, Expiry { at: at(seconds), farewell });
    }

    fn due(expiries: &Expiries, seconds: u64) -> Vec<u64> {
        expiries.take_due(at(seconds)).into_iter().map(|(id, _)| id).collect()
    }

    fn is_empty(expiries: &Expiries) -> bool {
        expiries.next.load(Relaxed) == NEVER
    }

    #[test]
    fn each_expires_once_and_in_its_time() {
        let expiries = Expiries::default();
        assert!(is_empty(&expiries) && due(&expiries, u64::from(u32::MAX)).is_empty());
        for (id, seconds) in [(1, 30), (2, 10), (3, 20), (4, 10)] {
            set(&expiries, id, seconds);
        }
        assert!(due(&expiries, 9).is_empty());
        assert_eq!(due(&expiries, 10), [2, 4]);
        assert!(due(&expiries, 10).is_empty());
        assert_eq!(due(&expiries, 60), [3, 1]);
        assert!(is_empty(&expiries));
    }

    #[test]
    fn a_moment_is_moved_and_taken_back() {
        let expiries = Expiries::default();
        set(&expiries, 1, 10);
        set(&expiries, 2, 10);
        set(&expiries, 1, 50);
        expiries.remove(2);
        expiries.remove(7);
        assert!(due(&expiries, 49).is_empty());
        assert_eq!(due(&expiries, 50), [1]);
        assert!(expiries.state.lock().moments.is_empty() && expiries.state.lock().due.is_empty());
    }

    #[test]
    fn the_end_of_time_is_never_reached() {
        let expiries = Expiries::default();
        let far = UNIX_EPOCH + Duration::from_secs(u64::MAX / 4_000_000_000);
        let farewell = Arc::new(CloseFrame::of_server(close_code::TOKEN_EXPIRED, "over"));
        expiries.set(1, Expiry { at: far, farewell });
        assert!(!is_empty(&expiries) && due(&expiries, 1 << 30).is_empty());
    }
}
