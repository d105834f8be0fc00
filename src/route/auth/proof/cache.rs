//! Answers that cost much, kept for a while; who asks the same meanwhile waits for the one answer.
//!
//! ```text
//! ask ──known──► the answer
//!  │ └─being found─► wait for it, until a deadline
//!  └──► find ─► keep it, tell who waits
//! ```
//! Good and bad answers have places of their own, so that guesses drive out nobody who is known.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};

use crate::error::{Error, ErrorKind, Result};
use crate::sync::{Condvar, Mutex};

/// What an answer is known by: never the credentials themselves.
pub(super) type Key = [u8; 32];

/// Makes keys that nobody else can make: of each process and each cache anew.
///
/// Not an HMAC, which would take twice as much of a stack that connections keep: nobody sees a key,
/// so there is none to make a longer one of.
pub(super) struct Hasher([u8; 32]);

impl Hasher {
    /// # Errors
    /// `Io`: the system has no random numbers.
    pub(super) fn new() -> Result<Self> {
        let mut secret = [0; 32];
        SystemRandom::new()
            .fill(&mut secret)
            .map_err(|_| Error::new(ErrorKind::Io, "the system gives no random numbers"))?;
        Ok(Self(secret))
    }

    /// The key of some parts, whose limits count too.
    #[inline(never)]
    pub(super) fn key<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> Key {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part);
        }
        let mut key = Key::default();
        key.copy_from_slice(context.finish().as_ref());
        key
    }
}

/// An answer and how long it is good.
pub(super) struct Found<V> {
    pub(super) value: V,
    pub(super) keep: Duration,
    pub(super) is_good: bool,
}

/// The answers that are known.
pub(super) struct Answers<V> {
    state: Mutex<State<V>>,
}

struct State<V> {
    good: Generations<V>,
    bad: Generations<V>,
    flights: HashMap<Key, Arc<Flight<V>>>,
}

impl<V: Clone> Answers<V> {
    /// At most so many good and so many bad ones are kept.
    pub(super) fn new(most: usize) -> Self {
        let (good, bad) = (Generations::new(most), Generations::new(most));
        Self { state: Mutex::new(State { good, bad, flights: HashMap::new() }) }
    }

    /// The answer for a key, found by `find` if it is not known; `None` if somebody else is finding
    /// it and has not until the deadline, or has panicked.
    ///
    /// # Blocking
    /// As `find`, or until the deadline.
    pub(super) fn get(
        &self,
        key: &Key,
        deadline: Instant,
        find: impl FnOnce() -> Found<V>,
    ) -> Option<V> {
        self.known(key).or_else(|| self.search(key, deadline, find))
    }

    /// The answer that is kept.
    #[inline(never)]
    fn known(&self, key: &Key) -> Option<V> {
        self.state.lock().known(key)
    }

    // Inlined, its frame would be part of every look at what is known.
    #[inline(never)]
    fn search(&self, key: &Key, deadline: Instant, find: impl FnOnce() -> Found<V>) -> Option<V> {
        let (flight, is_ours) = {
            let mut state = self.state.lock();
            if let Some(value) = state.known(key) {
                return Some(value);
            }
            match state.flights.get(key) {
                Some(flight) => (Arc::clone(flight), false),
                None => {
                    let flight = Arc::new(Flight::new());
                    state.flights.insert(*key, Arc::clone(&flight));
                    (flight, true)
                }
            }
        };
        if !is_ours {
            return flight.wait(deadline);
        }
        let mut landing = Landing { answers: self, key, flight: &flight, found: None };
        let found = find();
        let value = found.value.clone();
        landing.found = Some(found);
        drop(landing);
        Some(value)
    }
}

impl<V: Clone> State<V> {
    fn known(&self, key: &Key) -> Option<V> {
        let now = Instant::now();
        self.good.get(key, now).or_else(|| self.bad.get(key, now))
    }
}

/// Ends the search for an answer on every way out, a panic included.
struct Landing<'a, V: Clone> {
    answers: &'a Answers<V>,
    key: &'a Key,
    flight: &'a Flight<V>,
    found: Option<Found<V>>,
}

impl<V: Clone> Drop for Landing<'_, V> {
    fn drop(&mut self) {
        let found = self.found.take();
        let value = found.as_ref().map(|found| found.value.clone());
        let mut state = self.answers.state.lock();
        state.flights.remove(self.key);
        if let Some(Found { value, keep, is_good }) = found
            && !keep.is_zero()
        {
            let until = Instant::now() + keep;
            let generations = if is_good { &mut state.good } else { &mut state.bad };
            generations.insert(*self.key, value, until);
        }
        drop(state);
        self.flight.land(value);
    }
}

/// An answer on its way.
struct Flight<V> {
    /// `None` while it is on its way.
    landed: Mutex<Option<Option<V>>>,
    told: Condvar,
}

impl<V: Clone> Flight<V> {
    fn new() -> Self {
        Self { landed: Mutex::new(None), told: Condvar::new() }
    }

    fn land(&self, value: Option<V>) {
        *self.landed.lock() = Some(value);
        self.told.notify_all();
    }

    fn wait(&self, deadline: Instant) -> Option<V> {
        let mut landed = self.landed.lock();
        loop {
            if let Some(value) = &*landed {
                return value.clone();
            }
            if self.told.wait_until(&mut landed, deadline).timed_out() {
                return landed.clone().flatten();
            }
        }
    }
}

/// Two halves: when the younger is full it becomes the elder, and the elder is forgotten. So the
/// memory is bounded and nothing is searched for what is to go.
struct Generations<V> {
    young: HashMap<Key, (V, Instant)>,
    old: HashMap<Key, (V, Instant)>,
    half: usize,
}

impl<V: Clone> Generations<V> {
    fn new(most: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), half: (most / 2).max(1) }
    }

    fn get(&self, key: &Key, now: Instant) -> Option<V> {
        let found = self.young.get(key).or_else(|| self.old.get(key));
        found.filter(|(_, until)| now < *until).map(|(value, _)| value.clone())
    }

    fn insert(&mut self, key: Key, value: V, until: Instant) {
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, (value, until));
    }
}

#[cfg(test)]
#[path = "cache/tests.rs"]
mod tests;

#[cfg(all(test, shuttle))]
#[path = "cache/shuttle_tests.rs"]
mod shuttle_tests;
