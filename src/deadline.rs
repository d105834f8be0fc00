//! One absolute instant carried through several blocking steps.
//!
//! A relative time-out restarts at every partial transfer; an instant does not.

use std::time::{Duration, Instant};

/// The instant at which waiting ends, or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadline {
    at: Option<Instant>,
}

impl Deadline {
    /// Never passes.
    pub(crate) const NEVER: Self = Self { at: None };

    /// Passes `duration` from now; a duration too large for the clock never passes.
    pub(crate) fn after(duration: Duration) -> Self {
        Self { at: Instant::now().checked_add(duration) }
    }

    /// The instant, unless it never passes.
    pub(crate) fn instant(self) -> Option<Instant> {
        self.at
    }

    /// What is left: zero once passed, `None` if it never passes.
    pub(crate) fn remaining(self) -> Option<Duration> {
        self.at.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// True once the instant is reached.
    pub(crate) fn is_past(self) -> bool {
        self.at.is_some_and(|at| Instant::now() >= at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_beyond_the_clock_never_passes() {
        let never = Deadline::after(Duration::MAX);
        assert!(!never.is_past());
        assert_eq!(never.remaining(), None);
    }

    #[test]
    fn zero_has_passed_at_once() {
        let now = Deadline::after(Duration::ZERO);
        assert!(now.is_past());
        assert_eq!(now.remaining(), Some(Duration::ZERO));
    }
}
