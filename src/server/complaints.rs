//! Complaints about clients that are turned away: of each kind one a second at most, so that a flood
//! of clients is no flood of lines.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::conn::RefusalReason;
use crate::sync::Mutex;

/// How often the same is complained of.
const PAUSE: Duration = Duration::from_secs(1);

/// Says one thing of a kind in a second and counts the others.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    /// When each kind was said last, and how many have not been since.
    said: Mutex<HashMap<RefusalReason, (Instant, u64)>>,
}

impl Complaints {
    /// Says it, unless the like was said just now; the text is made only if it is.
    pub(crate) fn say(&self, reason: RefusalReason, text: impl FnOnce() -> String) {
        if let Some(unsaid) = self.take_turn(reason, Instant::now()) {
            match unsaid {
                0 => log::warn!("{}", text()),
                unsaid => log::warn!("{} ({unsaid} more like this)", text()),
            }
        }
    }

    /// How many of a kind were not said since the last one, if one may be said now.
    fn take_turn(&self, reason: RefusalReason, now: Instant) -> Option<u64> {
        let mut said = self.said.lock();
        let Some((last, unsaid)) = said.get_mut(&reason) else {
            said.insert(reason, (now, 0));
            return Some(0);
        };
        if now.saturating_duration_since(*last) < PAUSE {
            *unsaid += 1;
            return None;
        }
        *last = now;
        Some(std::mem::take(unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_a_second_is_said_and_the_others_are_counted() {
        let (complaints, start) = (Complaints::default(), Instant::now());
        let full = |now| complaints.take_turn(RefusalReason::Full, now);
        assert_eq!(full(start), Some(0));
        for millis in [0, 1, 999] {
            assert_eq!(full(start + Duration::from_millis(millis)), None);
        }
        assert_eq!(complaints.take_turn(RefusalReason::Silent, start), Some(0), "another kind");
        assert_eq!(full(start + PAUSE), Some(3));
        assert_eq!(full(start + 2 * PAUSE), Some(0));
    }
}
