//! Users and sessions that are told to go.
//!
//! Who is open is closed. Who is on the way in was perhaps found to be good before that, and gets no
//! further either: each login knows the number of the last dismissal before it was looked at.
//!
//! ```text
//! handshake: number ─► who is it? ─► listed ─► is a later one about it? ─► stays, or is closed at once
//! dismissal:              numbered and remembered ─► everybody who is listed
//! ```

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;

use crate::conn::connection::Connection;
use crate::conn::trace::Mark;
use crate::sync::Mutex;
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering::SeqCst;
use crate::ws::close::CloseFrame;

/// How many are remembered. A handshake during which more were told to go is taken for one of them.
const MOST: usize = 1024;

/// Those of a server.
#[derive(Debug)]
pub(crate) struct Dismissals {
    /// Of the last one. It begins with a number by chance, because servers may share who they ask.
    number: AtomicU64,
    state: Mutex<State>,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct State {
    recent: VecDeque<Dismissal>,
    /// The number of the last one that is remembered no more.
    forgotten: u64,
    /// The session of each connection that has one, as a hash that nobody else can make.
    sessions: HashMap<u64, u64>,
}

#[derive(Clone, Debug)]
struct Dismissal {
    number: u64,
    who: Who,
    farewell: CloseFrame,
}

/// Whose a connection is, as far as that is not told of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Login {
    /// The hash of the key of the session.
    pub(super) session: Option<u64>,
    /// The number of the last dismissal before it was found out.
    pub(super) number: u64,
}

/// Who is told to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    User(Box<str>),
    /// By the hash of its key.
    Session(u64),
}

impl Default for Dismissals {
    fn default() -> Self {
        let hasher = RandomState::new();
        // Half of them are never reached.
        let number = AtomicU64::new(hasher.hash_one(0) / 2);
        Self { number, state: Mutex::default(), hasher }
    }
}

impl Dismissals {
    /// The number of the last one: what was found out before it may be out of date.
    pub(crate) fn number(&self) -> u64 {
        self.number.load(SeqCst)
    }

    /// What is remembered of the key of a session, which is a secret.
    pub(crate) fn hash(&self, session: &str) -> u64 {
        self.hasher.hash_one(session)
    }

    /// Tells somebody to go: those who are on their way in. Who is open is for the caller to close.
    pub(crate) fn add(&self, who: Who, farewell: CloseFrame) {
        let mut state = self.state.lock();
        let number = self.number.fetch_add(1, SeqCst) + 1;
        if state.recent.len() >= MOST
            && let Some(oldest) = state.recent.pop_front()
        {
            state.forgotten = oldest.number;
        }
        state.recent.push_back(Dismissal { number, who, farewell });
    }

    /// The connections of a session.
    pub(crate) fn of_session(&self, session: u64) -> Vec<u64> {
        let state = self.state.lock();
        state.sessions.iter().filter(|(_, hash)| **hash == session).map(|(id, _)| *id).collect()
    }

    /// A connection of somebody is about to be open: listed before its client knows of it.
    pub(super) fn enter(&self, id: u64, login: Login) {
        if let Some(session) = login.session {
            self.state.lock().sessions.insert(id, session);
        }
    }

    /// A connection is open and listed; it is closed if a dismissal since its login is about it.
    pub(super) fn look_back(&self, conn: &Connection, login: Login) {
        if self.number() != login.number {
            self.close_late(conn, login);
        }
    }

    #[cold]
    #[inline(never)]
    fn close_late(&self, conn: &Connection, Login { session, number }: Login) {
        let (_, user) = conn.route_and_user();
        if let Some(farewell) = self.farewell(user.as_deref(), session, number) {
            log::info!("conn-{}: closed with {}, it was told to go", conn.id(), farewell.code());
            conn.note(Mark::Operator, 0);
            conn.close(farewell);
        }
    }

    /// What is said to somebody whose handshake began then, if it came too late.
    fn farewell(&self, user: Option<&str>, session: Option<u64>, begun: u64) -> Option<CloseFrame> {
        let is_it = |who: &Who| match who {
            Who::User(name) => user == Some(name),
            Who::Session(hash) => session == Some(*hash),
        };
        let state = self.state.lock();
        let since = state.recent.iter().filter(|dismissal| dismissal.number > begun);
        let found = since.clone().find(|dismissal| is_it(&dismissal.who));
        // Whoever has a name may be one of those that are remembered no more.
        let unsure = || state.forgotten > begun && (user.is_some() || session.is_some());
        let found = found.or_else(|| unsure().then(|| state.recent.back()).flatten());
        found.map(|dismissal| dismissal.farewell.clone())
    }

    /// The connection is over.
    pub(super) fn leave(&self, id: u64) {
        let mut state = self.state.lock();
        if state.sessions.remove(&id).is_some() && state.sessions.is_empty() {
            state.sessions.shrink_to(64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn farewell() -> CloseFrame {
        CloseFrame::new(4401, "logged out").unwrap()
    }

    #[test]
    fn who_began_before_is_told_and_who_comes_after_is_not() {
        let dismissals = Dismissals::default();
        let session = dismissals.hash("s1");
        let begun = dismissals.number();
        let late = |user, session| dismissals.farewell(user, session, begun).is_some();
        dismissals.add(Who::User("anna".into()), farewell());
        dismissals.add(Who::Session(session), farewell());
        assert!(late(Some("anna"), None) && late(Some("ben"), Some(session)));
        assert!(late(None, Some(session)));
        assert!(!late(Some("ben"), None) && !late(None, Some(session ^ 1)) && !late(None, None));
        let begun = dismissals.number();
        assert!(dismissals.farewell(Some("anna"), Some(session), begun).is_none());
    }

    #[test]
    fn who_may_be_one_of_too_many_is_taken_for_one() {
        let dismissals = Dismissals::default();
        let begun = dismissals.number();
        for number in 0..=MOST {
            dismissals.add(Who::User(format!("u{number}").into()), farewell());
        }
        assert_eq!(dismissals.state.lock().recent.len(), MOST);
        assert!(dismissals.farewell(Some("anna"), None, begun).is_some());
        assert!(dismissals.farewell(None, None, begun).is_none(), "who has no name is nobody's");
        assert!(dismissals.farewell(Some("anna"), None, dismissals.number()).is_none());
    }
}
