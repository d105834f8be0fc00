//! The last messages of a group, for those who come later.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use crate::ws::encoded::Encoded;

/// Memory of all stored messages of a hub together; more is refused.
pub(crate) const MAX_STORED_BYTES: usize = 64 * 1024 * 1024;

/// Memory of the stored messages of one group: the oldest make room, the newest is always kept.
/// Whoever joins gets them all at once, so those of a few groups must fit a client's queue.
const MAX_GROUP_BYTES: usize = 512 * 1024;

/// What a stored message costs beside its bytes.
const MESSAGE_OVERHEAD: usize = 128;

/// What it costs that a group is there only because something is stored.
const GROUP_OVERHEAD: usize = 1024;

/// How a message is to be stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Store {
    /// How many messages of the group are kept, this one included; at least 1.
    pub(crate) keep: usize,
    pub(crate) expire: Duration,
}

impl Store {
    /// `None` if that means not to store at all.
    pub(crate) fn new(keep: usize, expire: Duration) -> Option<Self> {
        (keep > 0 && !expire.is_zero()).then_some(Self { keep, expire })
    }
}

/// Stored messages, the oldest first.
#[derive(Debug)]
pub(crate) struct History {
    kept: VecDeque<Kept>,
    /// Their memory.
    bytes: usize,
    /// Memory of all histories of the hub.
    stored_bytes: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Kept {
    encoded: Encoded,
    sequence: u64,
    /// What it was counted with.
    cost: usize,
    /// `None` for never.
    expires: Option<Instant>,
}

impl Kept {
    fn is_valid(&self, now: Instant) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

/// The memory that storing a message takes: its frames, and its payload once more.
fn cost(encoded: &Encoded) -> usize {
    encoded.frame().len() + encoded.frame_bytes() + MESSAGE_OVERHEAD
}

impl History {
    pub(crate) fn new(stored_bytes: Arc<AtomicUsize>) -> Self {
        Self { kept: VecDeque::new(), bytes: 0, stored_bytes }
    }

    /// By how much the memory would grow with one more message; zero if others make enough room.
    pub(crate) fn growth(&mut self, encoded: &Encoded, store: Store) -> usize {
        self.expire();
        let cost = cost(encoded);
        let leaving = self.leaving(cost, store.keep);
        let freed: usize = self.kept.iter().take(leaving).map(|kept| kept.cost).sum();
        let overhead = if self.kept.is_empty() { GROUP_OVERHEAD } else { 0 };
        (cost + overhead).saturating_sub(freed)
    }

    pub(crate) fn store(&mut self, encoded: Encoded, sequence: u64, store: Store) {
        self.expire();
        let expires = Instant::now().checked_add(store.expire);
        let cost = cost(&encoded);
        let kept = Kept { encoded, sequence, cost, expires };
        for _ in 0..self.leaving(cost, store.keep) {
            self.remove(0);
        }
        if self.kept.is_empty() {
            self.stored_bytes.fetch_add(GROUP_OVERHEAD, Relaxed);
        }
        self.bytes += cost;
        self.stored_bytes.fetch_add(cost, Relaxed);
        self.kept.push_back(kept);
    }

    /// How many of the oldest have to leave for one more of such a cost.
    fn leaving(&self, cost: usize, keep: usize) -> usize {
        let mut leaving = (self.kept.len() + 1).saturating_sub(keep.max(1));
        let mut bytes = self.bytes + cost;
        for (place, kept) in self.kept.iter().enumerate() {
            if place >= leaving && bytes <= MAX_GROUP_BYTES {
                break;
            }
            leaving = leaving.max(place + 1);
            bytes -= kept.cost;
        }
        leaving
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
            self.remove(0);
        }
    }

    fn expire(&mut self) {
        if self.kept.is_empty() {
            return;
        }
        let now = Instant::now();
        // Messages may have different times, so an old one can outlive a newer one.
        let mut place = 0;
        while let Some(kept) = self.kept.get(place) {
            if kept.is_valid(now) {
                place += 1;
            } else {
                self.remove(place);
            }
        }
        self.count_again();
    }

    /// Counts the compressed frames that were made since the last look.
    fn count_again(&mut self) {
        for kept in &mut self.kept {
            // What is stored only ever grows.
            let growth = cost(&kept.encoded) - kept.cost;
            kept.cost += growth;
            self.bytes += growth;
            self.stored_bytes.fetch_add(growth, Relaxed);
        }
    }

    fn remove(&mut self, place: usize) {
        let Some(kept) = self.kept.remove(place) else { return };
        self.bytes -= kept.cost;
        let overhead = if self.kept.is_empty() { GROUP_OVERHEAD } else { 0 };
        self.stored_bytes.fetch_sub(kept.cost + overhead, Relaxed);
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
    use crate::ws::deflate::compressor::Dialect;
    use crate::ws::deflate::pools::Pools;

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
        store("displaced", 1, Duration::MAX);
        store("a", 2, Duration::MAX);
        store("gone at once", 3, Duration::ZERO);
        store("b", 4, Duration::from_secs(3600));
        store("c", 5, Duration::MAX);
        assert_eq!(texts(&mut history), ["a", "b", "c"]);
        assert!(!history.is_empty());
        let held = 3 * cost(&Encoded::new("a".into())) + GROUP_OVERHEAD;
        assert_eq!(bytes.load(Relaxed), held);
        drop(history);
        assert_eq!(bytes.load(Relaxed), 0);
    }

    #[test]
    fn compressed_frames_are_counted_when_they_are_there() {
        let bytes = Arc::new(AtomicUsize::new(0));
        let mut history = History::new(Arc::clone(&bytes));
        let encoded = Encoded::new("ab".repeat(1000).into());
        history.store(encoded.clone(), 1, Store { keep: 3, expire: Duration::MAX });
        let before = bytes.load(Relaxed);
        let dialect = Dialect { window_bits: 15, level: 2, threshold_bytes: 0 };
        let frame = encoded.frame_in(&dialect, &Pools::new(1));
        assert_eq!(history.valid().count(), 1);
        assert_eq!(bytes.load(Relaxed), before + frame.bytes.len());
        drop(history);
        assert_eq!(bytes.load(Relaxed), 0);
    }

    #[test]
    fn the_oldest_make_room_for_what_would_be_too_much_of_one_group() {
        let bytes = Arc::new(AtomicUsize::new(0));
        let mut history = History::new(Arc::clone(&bytes));
        let store = Store { keep: 1000, expire: Duration::MAX };
        let large = Encoded::new("x".repeat(MAX_GROUP_BYTES / 8).into());
        for sequence in 1..=9 {
            let (growth, before) = (history.growth(&large, store), bytes.load(Relaxed));
            history.store(large.clone(), sequence, store);
            assert_eq!(bytes.load(Relaxed) - before, growth);
        }
        let sequences = |history: &mut History| -> Vec<u64> {
            history.valid().map(|(_, sequence)| sequence).collect()
        };
        assert_eq!(sequences(&mut history), [7, 8, 9]);
        let huge = Encoded::new("x".repeat(MAX_GROUP_BYTES).into());
        history.store(huge, 10, store);
        assert_eq!(sequences(&mut history), [10]);
        assert_eq!(history.growth(&large, store), 0);
    }
}
