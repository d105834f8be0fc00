//! Complaints that are said once a second at most, so that a flood of clients is no flood of lines.

use std::time::{Duration, Instant};

use crate::sync::Mutex;

/// How often something is complained of.
const PAUSE: Duration = Duration::from_secs(1);

/// Says one thing a second and counts the others.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    last: Option<Instant>,
    unsaid: u64,
}

impl Complaints {
    /// Says it, unless something was said just now; the text is made only if it is.
    pub(crate) fn say(&self, text: impl FnOnce() -> String) {
        if let Some(unsaid) = self.take_turn(Instant::now()) {
            match unsaid {
                0 => log::warn!("{}", text()),
                unsaid => log::warn!("{} ({unsaid} more like this)", text()),
            }
        }
    }

    /// How many were not said since the last one, if something may be said now.
    fn take_turn(&self, now: Instant) -> Option<u64> {
        let mut said = self.said.lock();
        if said.last.is_some_and(|last| now.saturating_duration_since(last) < PAUSE) {
            said.unsaid += 1;
            return None;
        }
        said.last = Some(now);
        Some(std::mem::take(&mut said.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_a_second_is_said_and_the_others_are_counted() {
        let (complaints, start) = (Complaints::default(), Instant::now());
        assert_eq!(complaints.take_turn(start), Some(0));
        for millis in [0, 1, 999] {
            assert_eq!(complaints.take_turn(start + Duration::from_millis(millis)), None);
        }
        assert_eq!(complaints.take_turn(start + PAUSE), Some(3));
        assert_eq!(complaints.take_turn(start + 2 * PAUSE), Some(0));
    }
}
