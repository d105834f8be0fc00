//! The last messages of a group, for those who come later.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use crate::ws::encoded::Encoded;

/// Memory of all stored messages of a hub together; more is refused.
pub(crate) const MAX_STORED_BYTES: usize = 64 * 1024 * 1024;

/// What a stored message costs beside its bytes.
const OVERHEAD: usize = 128;

/// How a message is to be stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Store {
    /// How many messages of the group are kept, this one included; at least 1.
    pub(crate) keep: usize,
    pub(crate) expire: Duration,
}

/// Stored messages, the oldest first.
#[derive(Debug)]
pub(crate) struct History {
    kept: VecDeque<Kept>,
    /// Memory of all histories of the hub.
    stored_bytes: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Kept {
    encoded: Encoded,
    sequence: u64,
    /// `None` for never.
    expires: Option<Instant>,
}

impl Kept {
    fn cost(&self) -> usize {
        cost(&self.encoded)
    }

    fn is_valid(&self, now: Instant) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

/// The memory that storing a message takes: its frame, and its payload once more.
pub(crate) fn cost(encoded: &Encoded) -> usize {
    2 * encoded.frame().len() + OVERHEAD
}

impl History {
    pub(crate) fn new(stored_bytes: Arc<AtomicUsize>) -> Self {
        Self { kept: VecDeque::new(), stored_bytes }
    }

    pub(crate) fn store(&mut self, encoded: Encoded, sequence: u64, store: Store) {
        let expires = Instant::now().checked_add(store.expire);
        let kept = Kept { encoded, sequence, expires };
        self.stored_bytes.fetch_add(kept.cost(), Relaxed);
        self.kept.push_back(kept);
        while self.kept.len() > store.keep.max(1) {
            self.drop_first();
        }
    }

    /// What is still valid, the oldest first, with its number in the group.
    pub(crate) fn valid(&mut self) -> impl Iterator<Item = (&Encoded, u64)> {
        self.expire();
        self.kept.iter().map(|kept| (&kept.encoded, kept.sequence))
    }

    /// True if nothing valid is stored.
    pub(crate) fn is_empty(&mut self) -> bool {
        self.expire();
        self.kept.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        while !self.kept.is_empty() {
            self.drop_first();
        }
    }

    fn expire(&mut self) {
        if self.kept.is_empty() {
            return;
        }
        let now = Instant::now();
        // Messages may have different times, so an old one can outlive a newer one.
        let (mut index, mut freed) = (0, 0);
        while let Some(kept) = self.kept.get(index) {
            if kept.is_valid(now) {
                index += 1;
            } else {
                freed += kept.cost();
                self.kept.remove(index);
            }
        }
        self.stored_bytes.fetch_sub(freed, Relaxed);
    }

    fn drop_first(&mut self) {
        if let Some(kept) = self.kept.pop_front() {
            self.stored_bytes.fetch_sub(kept.cost(), Relaxed);
        }
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(history: &mut History) -> Vec<String> {
        history.valid().map(|(kept, _)| kept.message().as_text().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_newest_are_kept_and_the_expired_are_not() {
        let bytes = Arc::new(AtomicUsize::new(0));
        let mut history = History::new(Arc::clone(&bytes));
        let mut store = |text: &str, sequence, expire| {
            history.store(Encoded::new(text.into()), sequence, Store { keep: 3, expire });
        };
        store("never there", 1, Duration::MAX);
        store("a", 2, Duration::MAX);
        store("gone at once", 3, Duration::ZERO);
        store("b", 4, Duration::from_secs(3600));
        assert_eq!(texts(&mut history), ["a", "b"]);
        assert!(!history.is_empty());
        let held = cost(&Encoded::new("a".into())) + cost(&Encoded::new("b".into()));
        assert_eq!(bytes.load(Relaxed), held);
        drop(history);
        assert_eq!(bytes.load(Relaxed), 0);
    }
}
