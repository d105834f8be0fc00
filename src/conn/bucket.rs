//! A token bucket: does something come too fast, and from when on does it not?
//!
//! Time is handed in, in milliseconds of the server's clock, so it costs no call of the system and
//! tests need not wait. A thousandth of a token is the unit inside: at `n` tokens a second, `n` of
//! them come in a millisecond, and nothing is ever rounded.

use crate::config::Rate;

/// The fullness of one bucket; its rate is kept elsewhere, since many buckets have the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    /// Thousandths of a token; below zero after more was taken than there was.
    level: i64,
    /// Up to when it was filled, in milliseconds.
    at: u64,
}

impl Bucket {
    /// A full one.
    pub(crate) fn full(rate: &Rate, now: u64) -> Self {
        Self { level: brim(rate), at: now }
    }

    /// Takes tokens if there are so many.
    pub(crate) fn take(&mut self, rate: &Rate, now: u64, tokens: u64) -> bool {
        let is_there = self.due(rate, now, tokens) <= now;
        if is_there {
            self.spend(rate, now, tokens);
        }
        is_there
    }

    /// Takes tokens that may not be there; the bucket then owes them.
    pub(crate) fn spend(&mut self, rate: &Rate, now: u64, tokens: u64) {
        self.fill(rate, now);
        self.level = self.level.saturating_sub(thousandths(tokens));
    }

    /// From when on so many tokens are there, at most `now` if they are. More than the burst count
    /// as the burst.
    pub(crate) fn due(&mut self, rate: &Rate, now: u64, tokens: u64) -> u64 {
        self.fill(rate, now);
        let missing = thousandths(tokens).min(brim(rate)).saturating_sub(self.level);
        let Some(missing) = u64::try_from(missing).ok().filter(|&missing| missing > 0) else {
            return now;
        };
        self.at.saturating_add(missing.div_ceil(rate.amount()))
    }

    /// True if it is as if nothing had ever been taken.
    pub(crate) fn is_full(&mut self, rate: &Rate, now: u64) -> bool {
        self.fill(rate, now);
        self.level == brim(rate)
    }

    /// Adds what has come since; a clock that was read earlier changes nothing.
    fn fill(&mut self, rate: &Rate, now: u64) {
        let passed = now.saturating_sub(self.at);
        let come = i64::try_from(passed.saturating_mul(rate.amount())).unwrap_or(i64::MAX);
        self.level = self.level.saturating_add(come).min(brim(rate));
        self.at = self.at.max(now);
    }
}

fn brim(rate: &Rate) -> i64 {
    thousandths(rate.burst())
}

fn thousandths(tokens: u64) -> i64 {
    // What does not fit is more than will ever come.
    i64::try_from(tokens).unwrap_or(i64::MAX).saturating_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_burst_is_taken_at_once_and_the_rest_as_it_comes_back() {
        let rate = Rate::per_second(10).with_burst(3);
        let mut bucket = Bucket::full(&rate, 5000);
        for _ in 0..3 {
            assert!(bucket.take(&rate, 5000, 1));
        }
        assert!(!bucket.take(&rate, 5000, 1));
        assert_eq!(bucket.due(&rate, 5000, 1), 5100);
        assert!(!bucket.take(&rate, 5099, 1) && bucket.take(&rate, 5100, 1));
        assert!(!bucket.is_full(&rate, 5399) && bucket.is_full(&rate, 5400));
        let taken = (0..9).filter(|_| bucket.take(&rate, 1 << 40, 1)).count();
        assert_eq!(taken, 3, "no more than the burst is ever there");
    }

    #[test]
    fn what_was_taken_beyond_is_owed() {
        let rate = Rate::per_second(1000).with_burst(500);
        let mut bucket = Bucket::full(&rate, 0);
        bucket.spend(&rate, 0, 2500);
        assert_eq!(bucket.due(&rate, 0, 1), 2001);
        assert_eq!(bucket.due(&rate, 0, 9999), 2500, "more than the burst never comes");
        bucket.spend(&rate, 0, u64::MAX);
        bucket.spend(&rate, 0, u64::MAX);
        assert!(!bucket.take(&rate, 1 << 40, 1));
    }

    #[test]
    fn an_earlier_clock_changes_nothing() {
        let rate = Rate::per_second(10).with_burst(1);
        let mut bucket = Bucket::full(&rate, 900);
        assert!(bucket.take(&rate, 1000, 1));
        assert!(!bucket.take(&rate, 500, 1) && !bucket.take(&rate, 1099, 1));
        assert!(bucket.take(&rate, 1100, 1));
    }

    proptest! {
        /// In no stretch of time comes more than the burst and what comes back in it.
        #[test]
        fn the_rate_is_kept_in_any_stretch_of_time(
            per_second in 1u64..2000, burst in 1u64..50,
            steps in proptest::collection::vec((0u64..40, 1u64..4), 1..200),
        ) {
            let rate = Rate::per_second(per_second).with_burst(burst);
            let (mut now, mut bucket) = (0, Bucket::full(&rate, 0));
            let mut taken: Vec<(u64, u64)> = Vec::new();
            for (pause, tokens) in steps {
                now += pause;
                if bucket.take(&rate, now, tokens) {
                    // A request beyond the burst waits for a full bucket.
                    taken.push((now, tokens));
                }
            }
            for first in 0..taken.len() {
                let mut sum = 0;
                for &(at, tokens) in &taken[first..] {
                    sum += tokens;
                    let most = burst * 1000 + (at - taken[first].0) * per_second;
                    prop_assert!(sum * 1000 <= most + 3000, "{sum} at {at}");
                }
            }
        }

        /// Who waits until it is due gets what there is, and not a millisecond before.
        #[test]
        fn due_is_exact(per_second in 1u64..5000, burst in 1u64..50, spent in 0u64..200, tokens in 1u64..60) {
            let rate = Rate::per_second(per_second).with_burst(burst);
            let mut bucket = Bucket::full(&rate, 0);
            bucket.spend(&rate, 0, spent);
            let due = bucket.due(&rate, 0, tokens);
            if due > 0 {
                let mut early = bucket;
                prop_assert!(!early.take(&rate, due - 1, tokens));
            }
            prop_assert!(bucket.take(&rate, due, tokens));
        }
    }
}
