//! So many at a time and no more, however many want to.

use std::time::Instant;

use crate::sync::{Condvar, Mutex};

/// Places for those whose turn it is.
#[derive(Debug)]
pub(super) struct Turns {
    free: Mutex<usize>,
    returned: Condvar,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a>(&'a Turns);

impl Turns {
    pub(super) fn new(places: usize) -> Self {
        Self { free: Mutex::new(places), returned: Condvar::new() }
    }

    /// Waits for a place, until the deadline at most.
    pub(super) fn take(&self, deadline: Instant) -> Option<Turn<'_>> {
        let mut free = self.free.lock();
        while *free == 0 {
            if self.returned.wait_until(&mut free, deadline).timed_out() && *free == 0 {
                return None;
            }
        }
        *free -= 1;
        Some(Turn(self))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.free.lock() += 1;
        self.0.returned.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_there_again_when_it_is_returned() {
        let turns = Turns::new(1);
        let first = turns.take(Instant::now()).unwrap();
        assert!(turns.take(Instant::now()).is_none());
        drop(first);
        assert!(turns.take(Instant::now()).is_some());
    }
}
