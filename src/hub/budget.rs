//! A bound on what is published and not yet relayed, so that no publisher can fill the memory.

use std::sync::Arc;

use crate::deadline::Deadline;
use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use crate::sync::{Condvar, Mutex};

/// Room for so many messages and bytes. The last message in may pass the limit of bytes: what is
/// large waits no longer than what is small.
#[derive(Debug)]
pub(crate) struct Budget {
    used: Mutex<Used>,
    freed: Condvar,
    max_messages: usize,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Used {
    messages: usize,
    bytes: usize,
}

/// A part of a budget, given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    budget: Arc<Budget>,
    bytes: AtomicUsize,
}

impl Budget {
    pub(crate) fn new(max_messages: usize, max_bytes: usize) -> Arc<Self> {
        let (used, freed) = (Mutex::new(Used::default()), Condvar::new());
        Arc::new(Self { used, freed, max_messages, max_bytes })
    }

    /// Takes room for one message; `None` if there was none until the deadline.
    ///
    /// # Blocking
    /// Until there is room or the deadline has passed.
    pub(crate) fn take(self: &Arc<Self>, bytes: usize, deadline: Deadline) -> Option<Permit> {
        let mut used = self.used.lock();
        while !self.has_room(&used) {
            match deadline.instant() {
                Some(instant) => {
                    let is_late = self.freed.wait_until(&mut used, instant).timed_out();
                    if is_late && !self.has_room(&used) {
                        return None;
                    }
                }
                None => self.freed.wait(&mut used),
            }
        }
        used.messages += 1;
        used.bytes += bytes;
        Some(Permit { budget: Arc::clone(self), bytes: AtomicUsize::new(bytes) })
    }

    /// Messages and bytes that have room now.
    pub(crate) fn used(&self) -> (usize, usize) {
        let used = self.used.lock();
        (used.messages, used.bytes)
    }

    fn has_room(&self, used: &Used) -> bool {
        used.messages < self.max_messages && used.bytes < self.max_bytes
    }
}

impl Permit {
    /// Counts so many bytes more, without waiting: they are there already.
    pub(crate) fn grow(&self, bytes: usize) {
        if bytes > 0 {
            self.bytes.fetch_add(bytes, Relaxed);
            self.budget.used.lock().bytes += bytes;
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut used = self.budget.used.lock();
        used.messages -= 1;
        used.bytes -= self.bytes.load(Relaxed);
        drop(used);
        // What was large makes room for many.
        self.budget.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn now() -> Deadline {
        Deadline::after(Duration::ZERO)
    }

    #[test]
    fn room_is_bounded_in_messages_and_bytes_and_comes_back() {
        let budget = Budget::new(2, 10);
        let one = budget.take(4, now()).unwrap();
        let two = budget.take(0, now()).unwrap();
        assert!(budget.take(0, now()).is_none());
        drop(two);
        let two = budget.take(6, now()).unwrap();
        drop(one);
        assert!(budget.take(4, now()).is_some());
        drop(two);
    }

    #[test]
    fn small_ones_that_never_end_do_not_keep_a_large_one_out() {
        let budget = Budget::new(2, 10);
        let small = budget.take(9, now()).unwrap();
        let large = budget.take(1000, now()).unwrap();
        drop(small);
        assert!(budget.take(1, now()).is_none());
        drop(large);
        assert!(budget.take(1, now()).is_some());
    }

    #[test]
    fn what_grows_later_is_counted_and_comes_back() {
        let budget = Budget::new(4, 10);
        let permit = budget.take(4, now()).unwrap();
        permit.grow(6);
        assert!(budget.take(0, now()).is_none());
        drop(permit);
        assert_eq!(budget.used.lock().bytes, 0);
    }

    #[test]
    fn who_waits_is_woken_by_room() {
        let budget = Budget::new(1, 10);
        let permit = budget.take(1, now()).unwrap();
        let waiter = {
            let budget = Arc::clone(&budget);
            std::thread::spawn(move || budget.take(1, Deadline::after(Duration::MAX)).is_some())
        };
        drop(permit);
        assert!(waiter.join().unwrap());
    }
}
