//! Publishing once what is asked twice: answers by idempotency key.
//!
//! ```text
//!            begin                keep              window over          a day over
//! (unknown) ──────► in progress ──────► answered ──────────────► expired ──────────► (unknown)
//!     ▲                  │               again: the first answer  again: 409
//!     └──────────────────┘ failed        other publication: 422
//! ```
//!
//! Memory is bounded: [`MAX_ANSWERS`] answers of [`MAX_ANSWER_BYTES`] in all, of which the oldest
//! expire early, and [`MAX_EXPIRED`] keys that are known to have been used, of which the oldest
//! are forgotten early. A key that was forgotten publishes again, so whoever tries again should
//! not wait for a day.
//!
//! Time is given by the caller.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::answer::{Answer, Fault};
use crate::sync::Mutex;

/// How long an answer is given again, unless said otherwise.
pub(crate) const WINDOW: Duration = Duration::from_secs(5 * 60);

/// How long a key is known as used after its answer has expired.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// Most answers that are kept.
const MAX_ANSWERS: usize = 10_000;

/// Most bytes of answers that are kept.
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// Most keys that are known as used.
const MAX_EXPIRED: usize = 100_000;

/// The keys of one API.
#[derive(Debug)]
pub(crate) struct Idempotency {
    window: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    uses: HashMap<Arc<str>, Use>,
    /// The keys of the answered uses and of the expired ones, the oldest first.
    answered: VecDeque<Arc<str>>,
    expired: VecDeque<Arc<str>>,
    answer_bytes: usize,
}

/// What is known of a key.
#[derive(Debug)]
enum Use {
    InProgress,
    Answered { at: Instant, publication: u64, answer: Answer },
    Expired { at: Instant },
}

/// What a key is good for now.
#[derive(Debug)]
pub(crate) enum Begun<'a> {
    /// Publish, and keep the answer.
    First(Reservation<'a>),
    /// It has been published; answer this.
    Again(Answer),
}

/// A key in use; dropped without an answer, it has not been used.
#[derive(Debug)]
pub(crate) struct Reservation<'a> {
    idempotency: &'a Idempotency,
    key: Arc<str>,
    publication: u64,
}

impl Idempotency {
    pub(crate) fn new(window: Duration) -> Self {
        Self { window, state: Mutex::default() }
    }

    /// Begins to publish under a key; `publication` tells one from another.
    ///
    /// # Errors
    /// 409: the key is in use at this moment, or its answer has expired. 422: it was used for
    /// another publication.
    pub(crate) fn begin(
        &self,
        key: &str,
        publication: u64,
        now: Instant,
    ) -> Result<Begun<'_>, Fault> {
        let mut state = self.state.lock();
        state.age(self.window, now);
        match state.uses.get(key) {
            None => {
                let key: Arc<str> = key.into();
                state.uses.insert(Arc::clone(&key), Use::InProgress);
                Ok(Begun::First(Reservation { idempotency: self, key, publication }))
            }
            Some(Use::InProgress) => Err(conflict(
                "A request with this key is being served at this moment; try again in a second.",
            )
            .with_header("Retry-After", "1")),
            Some(Use::Answered { publication: known, answer, .. }) if *known == publication => {
                Ok(Begun::Again(answer.clone()))
            }
            Some(Use::Answered { .. }) => {
                let error = "This key was used for another publication; use a new one.";
                Err(Fault::new(422, error).at("idempotency_key"))
            }
            Some(Use::Expired { at }) => {
                let ago = ago(now.saturating_duration_since(*at));
                let error = format!("This key was used {ago} ago and has expired; use a new one.");
                Err(conflict(error))
            }
        }
    }
}

impl Reservation<'_> {
    /// Keeps what was answered.
    pub(crate) fn keep(self, answer: Answer, now: Instant) {
        let mut state = self.idempotency.state.lock();
        state.answer_bytes += answer.len();
        let used = Use::Answered { at: now, publication: self.publication, answer };
        state.uses.insert(Arc::clone(&self.key), used);
        state.answered.push_back(Arc::clone(&self.key));
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        let mut state = self.idempotency.state.lock();
        if matches!(state.uses.get(&self.key), Some(Use::InProgress)) {
            state.uses.remove(&self.key);
        }
    }
}

impl State {
    /// Lets expire and forgets what is too old or too much.
    fn age(&mut self, window: Duration, now: Instant) {
        while let Some(key) = self.answered.front() {
            let Some(Use::Answered { at, answer, .. }) = self.uses.get(key) else { return };
            let is_too_much =
                self.answered.len() > MAX_ANSWERS || self.answer_bytes > MAX_ANSWER_BYTES;
            if now.saturating_duration_since(*at) < window && !is_too_much {
                break;
            }
            let (at, bytes) = (*at, answer.len());
            self.answer_bytes -= bytes;
            self.uses.insert(Arc::clone(key), Use::Expired { at });
            self.expired.extend(self.answered.pop_front());
        }
        while let Some(key) = self.expired.front() {
            let Some(Use::Expired { at }) = self.uses.get(key) else { return };
            let age = now.saturating_duration_since(*at);
            if age < window.saturating_add(REMEMBERED) && self.expired.len() <= MAX_EXPIRED {
                break;
            }
            self.uses.remove(key);
            self.expired.pop_front();
        }
    }
}

fn conflict(error: impl Into<std::borrow::Cow<'static, str>>) -> Fault {
    Fault::new(409, error).at("idempotency_key")
}

/// A time in words, in the largest unit that fits.
fn ago(time: Duration) -> String {
    let seconds = time.as_secs();
    let (number, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3600 => (seconds / 60, "minute"),
        _ => (seconds / 3600, "hour"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn answer(text: &str) -> Answer {
        Answer::new(200, &text)
    }

    /// Uses a key for the first time.
    fn publish(keys: &Idempotency, key: &str, publication: u64, now: Instant) {
        match keys.begin(key, publication, now) {
            Ok(Begun::First(reservation)) => reservation.keep(answer(key), now),
            other => panic!("{key}: {other:?}"),
        }
    }

    fn again(
        keys: &Idempotency,
        key: &str,
        publication: u64,
        now: Instant,
    ) -> Result<Answer, Fault> {
        match keys.begin(key, publication, now)? {
            Begun::Again(answer) => Ok(answer),
            Begun::First(_) => panic!("{key} is not known"),
        }
    }

    #[test]
    fn the_same_publication_has_the_same_answer_within_the_window() {
        let (keys, now) = (Idempotency::new(WINDOW), Instant::now());
        publish(&keys, "k", 1, now);
        let last = now + WINDOW - Duration::from_millis(1);
        assert_eq!(again(&keys, "k", 1, last), Ok(answer("k")));
        let fault = again(&keys, "k", 2, now).unwrap_err();
        assert_eq!((fault.status(), fault.field()), (422, Some("idempotency_key")));
        publish(&keys, "other", 1, now);
    }

    #[test]
    fn an_expired_key_is_known_for_a_day() {
        let (keys, now) = (Idempotency::new(WINDOW), Instant::now());
        publish(&keys, "k", 1, now);
        for (later, words) in [
            (WINDOW, "used 5 minutes ago and has expired; use a new one"),
            (HOUR, "used 1 hour ago"),
            (24 * HOUR, "used 24 hours ago"),
        ] {
            // Whatever it is used for.
            for publication in [1, 2] {
                let fault = again(&keys, "k", publication, now + later).unwrap_err();
                assert_eq!(fault.status(), 409);
                assert!(fault.error().contains(words), "{}", fault.error());
            }
        }
        publish(&keys, "k", 1, now + WINDOW + REMEMBERED);
        assert_eq!(keys.state.lock().uses.len(), 1);
    }

    #[test]
    fn a_key_in_use_is_told_so_and_a_failure_does_not_use_it() {
        let (keys, now) = (Idempotency::new(WINDOW), Instant::now());
        let first = keys.begin("k", 1, now).unwrap();
        let fault = again(&keys, "k", 1, now).unwrap_err();
        assert_eq!(fault.status(), 409);
        assert!(fault.error().contains("at this moment"));
        drop(first);
        assert!(keys.state.lock().uses.is_empty());
        publish(&keys, "k", 2, now);
    }

    #[test]
    fn the_oldest_answers_expire_early() {
        let (keys, now) = (Idempotency::new(WINDOW), Instant::now());
        for number in 0..=MAX_ANSWERS {
            publish(&keys, &number.to_string(), 1, now);
        }
        assert_eq!(again(&keys, "0", 1, now).unwrap_err().status(), 409);
        assert!(again(&keys, "1", 1, now).is_ok());
        let state = keys.state.lock();
        assert_eq!((state.answered.len(), state.expired.len()), (MAX_ANSWERS, 1));
    }

    #[test]
    fn large_answers_expire_early() {
        let (keys, now) = (Idempotency::new(WINDOW), Instant::now());
        let large = answer(&"x".repeat(MAX_ANSWER_BYTES / 3));
        for number in 0..3 {
            let Ok(Begun::First(first)) = keys.begin(&number.to_string(), 1, now) else { panic!() };
            first.keep(large.clone(), now);
        }
        assert_eq!(again(&keys, "0", 1, now).unwrap_err().status(), 409);
        assert_eq!(again(&keys, "1", 1, now), Ok(large.clone()));
        assert_eq!(keys.state.lock().answer_bytes, 2 * large.len());
    }

    #[test]
    fn the_oldest_used_keys_are_forgotten_early() {
        let (keys, now) = (Idempotency::new(Duration::ZERO), Instant::now());
        for number in 0..=MAX_EXPIRED + 1 {
            publish(&keys, &number.to_string(), 1, now);
        }
        publish(&keys, "0", 1, now);
        assert_eq!(again(&keys, "3", 1, now).unwrap_err().status(), 409);
        let state = keys.state.lock();
        assert!(state.uses.len() <= MAX_EXPIRED + 1, "{}", state.uses.len());
        assert_eq!(state.answer_bytes, 0);
    }

    #[test]
    fn of_many_at_once_one_publishes() {
        let (keys, now) = (Idempotency::new(WINDOW), Instant::now());
        let published = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| match keys.begin("k", 1, now) {
                        Ok(Begun::First(first)) => {
                            first.keep(answer("k"), now);
                            1
                        }
                        Ok(Begun::Again(known)) => {
                            assert_eq!(known, answer("k"));
                            0
                        }
                        Err(fault) => {
                            assert_eq!(fault.status(), 409);
                            0
                        }
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
        });
        assert_eq!(published, 1);
    }

    #[test]
    fn times_are_words() {
        let words = |seconds| ago(Duration::from_secs(seconds));
        assert_eq!([words(0), words(1), words(61)], ["0 seconds", "1 second", "1 minute"]);
        assert_eq!([words(7199), words(86_400)], ["1 hour", "24 hours"]);
    }
}
