//! How long things take: times counted in buckets, without a line of memory that all threads write.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The upper ends of the buckets in microseconds; beyond the last one there is one more.
const BOUNDS: [u64; 18] = [
    10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000,
    500_000, 1_000_000, 2_500_000, 10_000_000,
];

const BUCKETS: usize = BOUNDS.len() + 1;

/// Parts of a histogram, so that threads rarely meet in one.
const SHARDS: usize = 8;

/// Counts times; anybody may add to it and read it at any time.
// No lock, so no model checker needs to see its atomics.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    shards: [Shard; SHARDS],
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Shard {
    buckets: [AtomicU64; BUCKETS],
    nanos: AtomicU64,
}

impl Histogram {
    /// Counts one time; `key` spreads those who count, the number of a connection or relay.
    pub(crate) fn observe(&self, key: u64, time: Duration) {
        let shard = &self.shards[(key % SHARDS as u64) as usize];
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| bound * 1000 < nanos);
        shard.buckets[bucket].fetch_add(1, Relaxed);
        shard.nanos.fetch_add(nanos, Relaxed);
    }

    /// What was counted so far.
    pub(crate) fn read(&self) -> Timings {
        let mut timings = Timings::default();
        for shard in &self.shards {
            for (sum, bucket) in timings.counts.iter_mut().zip(&shard.buckets) {
                *sum += bucket.load(Relaxed);
            }
            timings.nanos = timings.nanos.wrapping_add(shard.nanos.load(Relaxed));
        }
        timings
    }
}

/// How long something took, many times over: counts in buckets, as Prometheus keeps them.
///
/// # Example
/// ```
/// let timings = landline::Timings::default();
/// assert_eq!((timings.count(), timings.quantile(0.99)), (0, None));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    counts: [u64; BUCKETS],
    nanos: u64,
}

impl Timings {
    /// How many times it was.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All times together.
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.nanos)
    }

    /// The upper end of each bucket and how many took no longer; those beyond the last are in
    /// [`count`](Self::count) alone.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        let mut below = 0;
        BOUNDS.iter().zip(&self.counts).map(move |(bound, count)| {
            below += count;
            (Duration::from_micros(*bound), below)
        })
    }

    /// The time within which such a part of them ended, `0.99` for 99 of a hundred: taken as if
    /// the times of a bucket lay evenly in it. `None` if there are none.
    pub fn quantile(&self, part: f64) -> Option<Duration> {
        let rank = part.clamp(0.0, 1.0) * self.count() as f64;
        let (mut below, mut lower) = (0.0, 0.0);
        if self.count() == 0 {
            return None;
        }
        for (count, bound) in self.counts.iter().zip(BOUNDS) {
            let (count, bound) = (*count as f64, bound as f64);
            if count > 0.0 && below + count >= rank {
                let within = lower + (bound - lower) * ((rank - below) / count).max(0.0);
                return Some(Duration::from_nanos((within * 1000.0) as u64));
            }
            (below, lower) = (below + count, bound);
        }
        Some(Duration::from_micros(BOUNDS[BOUNDS.len() - 1]))
    }

    /// Those that were counted after `earlier` was read.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut counts = self.counts;
        for (count, before) in counts.iter_mut().zip(earlier.counts) {
            *count = count.saturating_sub(before);
        }
        Self { counts, nanos: self.nanos.saturating_sub(earlier.nanos) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_falls_into_the_bucket_that_ends_with_it() {
        let histogram = Histogram::default();
        let times = [0, 10, 11, 1_000, 10_000_000, 10_000_001].map(Duration::from_micros);
        for (key, time) in times.into_iter().enumerate() {
            histogram.observe(key as u64, time);
        }
        let timings = histogram.read();
        let at = |micros| {
            let bound = Duration::from_micros(micros);
            timings.buckets().find(|(end, _)| *end == bound).map(|(_, below)| below)
        };
        assert_eq!((at(10), at(25), at(500), at(1_000)), (Some(2), Some(3), Some(3), Some(4)));
        assert_eq!((at(10_000_000), timings.count()), (Some(5), 6));
        assert_eq!(timings.sum(), times.iter().sum::<Duration>());
    }

    #[test]
    fn quantiles_lie_within_their_bucket() {
        let histogram = Histogram::default();
        (0..99).for_each(|key| histogram.observe(key, Duration::from_micros(20)));
        histogram.observe(0, Duration::from_millis(300));
        let timings = histogram.read();
        let half = timings.quantile(0.5).unwrap();
        assert!(half > Duration::from_micros(10) && half <= Duration::from_micros(25), "{half:?}");
        assert!(timings.quantile(0.999).unwrap() > Duration::from_millis(250));
        assert_eq!(Timings::default().quantile(0.5), None);
    }

    #[test]
    fn what_was_counted_since_is_the_difference() {
        let histogram = Histogram::default();
        histogram.observe(1, Duration::from_secs(100));
        let earlier = histogram.read();
        histogram.observe(2, Duration::from_micros(5));
        let since = histogram.read().since(&earlier);
        assert_eq!((since.count(), since.sum()), (1, Duration::from_micros(5)));
    }
}
