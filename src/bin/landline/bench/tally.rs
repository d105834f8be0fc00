//! What a thread of load has counted.

use hdrhistogram::Histogram;

/// Highest delay that is told apart, in microseconds: ten minutes.
const MOST_MICROS: u64 = 600_000_000;

/// Digits of a delay that are right.
const PRECISION: u8 = 3;

/// What was wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// Messages that are not what they had to be.
    pub(crate) content: u64,
    /// Messages that came late, or twice.
    pub(crate) order: u64,
    /// Messages that never came.
    pub(crate) lost: u64,
    /// Connections that the server ended.
    pub(crate) closed: u64,
}

impl Faults {
    pub(crate) fn sum(&self) -> u64 {
        self.content + self.order + self.lost + self.closed
    }
}

/// Counts of a run, or of one of its threads.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Within the measured time.
    pub(crate) messages: u64,
    /// Within the measured time.
    pub(crate) published: u64,
    /// Microseconds.
    pub(crate) delays: Histogram<u64>,
    /// At any time.
    pub(crate) faults: Faults,
    /// The first of the faults, as a sentence.
    pub(crate) first_fault: Option<String>,
    /// Connections that were made anew because the server ended them in good order.
    pub(crate) reconnects: u64,
    /// Connections that the server left open after the close handshake.
    pub(crate) left_open: u64,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            messages: 0,
            published: 0,
            // Both are within what a histogram can have.
            delays: Histogram::new_with_max(MOST_MICROS, PRECISION).expect("sound bounds"),
            faults: Faults::default(),
            first_fault: None,
            reconnects: 0,
            left_open: 0,
        }
    }

    /// Counts messages that took as long.
    pub(crate) fn count(&mut self, messages: u64, micros: u64) {
        self.messages += messages;
        self.delays.saturating_record_n(micros.max(1), messages);
    }

    /// Remembers the first fault.
    pub(crate) fn blame(&mut self, text: impl FnOnce() -> String) {
        self.first_fault.get_or_insert_with(text);
    }

    /// Adds what another thread has counted.
    pub(crate) fn add(&mut self, other: Self) {
        self.messages += other.messages;
        self.published += other.published;
        // Both have the same bounds.
        self.delays.add(&other.delays).expect("the same bounds");
        self.faults.content += other.faults.content;
        self.faults.order += other.faults.order;
        self.faults.lost += other.faults.lost;
        self.faults.closed += other.faults.closed;
        self.first_fault = self.first_fault.take().or(other.first_fault);
        self.reconnects += other.reconnects;
        self.left_open += other.left_open;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_add_up() {
        let (mut one, mut other) = (Tally::new(), Tally::new());
        one.count(2, 10);
        other.count(1, 1000);
        other.faults.lost = 3;
        other.blame(|| "first".into());
        other.blame(|| "second".into());
        one.add(other);
        assert_eq!((one.messages, one.delays.len(), one.delays.max()), (3, 3, 1000));
        assert_eq!((one.faults.sum(), one.first_fault.as_deref()), (3, Some("first")));
    }

    #[test]
    fn no_delay_is_too_long() {
        let mut tally = Tally::new();
        tally.count(1, u64::MAX);
        assert!(tally.delays.max() >= MOST_MICROS);
    }
}
