//! Which messages of a publisher all subscribers of a thread have.

use std::collections::VecDeque;

/// Counts the subscribers that have each message. Those that have ended count as having all.
#[derive(Debug)]
pub(crate) struct Arrivals {
    subscribers: u32,
    /// Numbers below this one are with everybody.
    pub(crate) done: u64,
    /// From `done` on.
    counts: VecDeque<u32>,
    ended: u32,
}

impl Arrivals {
    pub(crate) fn new(subscribers: usize) -> Self {
        Self { subscribers: subscribers as u32, done: 0, counts: VecDeque::new(), ended: 0 }
    }

    /// A subscriber has, or will never have, these numbers.
    pub(crate) fn add(&mut self, numbers: std::ops::Range<u64>) {
        for number in numbers.start.max(self.done)..numbers.end {
            let at = (number - self.done) as usize;
            if at >= self.counts.len() {
                self.counts.resize(at + 1, self.ended);
            }
            self.counts[at] += 1;
        }
        self.advance();
    }

    /// A subscriber has ended that had the numbers below `next`.
    pub(crate) fn end(&mut self, next: u64) {
        let known = self.done + self.counts.len() as u64;
        self.add(next..known.max(next));
        self.ended += 1;
        self.advance();
    }

    fn advance(&mut self) {
        while self.counts.front() == Some(&self.subscribers) {
            self.counts.pop_front();
            self.done += 1;
        }
    }

    /// True if nobody is left to receive anything.
    pub(crate) fn is_deserted(&self) -> bool {
        self.ended == self.subscribers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_done_when_everybody_has_it() {
        let mut arrivals = Arrivals::new(2);
        arrivals.add(0..3);
        assert_eq!(arrivals.done, 0);
        arrivals.add(0..2);
        assert_eq!(arrivals.done, 2);
        arrivals.add(2..4);
        assert_eq!(arrivals.done, 3);
    }

    #[test]
    fn nobody_waits_for_those_that_have_ended() {
        let mut arrivals = Arrivals::new(2);
        arrivals.add(0..3);
        arrivals.add(0..1);
        assert_eq!(arrivals.done, 1);
        arrivals.end(1);
        assert_eq!(arrivals.done, 3);
        arrivals.add(3..9);
        assert_eq!(arrivals.done, 9);
        assert!(!arrivals.is_deserted());
    }
}
