//! How fast new connections may come, from everybody and from one address.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::config::{Config, Rate};
use crate::conn::RefusalReason;
use crate::conn::bucket::Bucket;
use crate::server::network::Network;

/// Most networks that have a bucket of their own at a time; the others share one, so that nobody
/// can fill the memory by coming from everywhere.
const MAX_NETWORKS: usize = 64 * 1024;

/// While there are that many, the full ones are thrown away once in so many milliseconds.
const SWEEP_PAUSE: u64 = 1000;

/// Least number of buckets at which the full ones are thrown away.
const FIRST_SWEEP: usize = 1024;

/// The buckets from which new connections take. Times are milliseconds of the server's clock.
#[derive(Debug)]
pub(crate) struct Arrivals {
    all: Option<(Rate, Bucket)>,
    each: Option<Each>,
}

#[derive(Debug)]
struct Each {
    rate: Rate,
    buckets: HashMap<Network, Bucket>,
    /// Of those who came when there were too many buckets.
    others: Bucket,
    /// The number of buckets at which the full ones are thrown away: twice of what was left the
    /// last time, so that this costs a connection little.
    sweep_at: usize,
    swept_at: u64,
}

impl Arrivals {
    pub(crate) fn new(config: &Config, now: u64) -> Self {
        let all = config.connection_rate().map(|rate| (rate, Bucket::full(&rate, now)));
        let each = config.connection_rate_per_address().map(|rate| Each {
            rate,
            buckets: HashMap::new(),
            others: Bucket::full(&rate, now),
            sweep_at: FIRST_SWEEP,
            swept_at: now,
        });
        Self { all, each }
    }

    /// True if nothing is limited.
    pub(crate) fn are_free(&self) -> bool {
        self.all.is_none() && self.each.is_none()
    }

    /// Takes what a new connection costs. An address without a token leaves those of all alone.
    pub(crate) fn admit(&mut self, address: Option<IpAddr>, now: u64) -> Result<(), RefusalReason> {
        if let Some(address) = address {
            self.admit_address(address, now)?;
        }
        let is_due = self.all.as_mut().is_none_or(|(rate, bucket)| bucket.take(rate, now, 1));
        if is_due { Ok(()) } else { Err(RefusalReason::TooFast) }
    }

    /// Takes what a new connection costs its address.
    pub(crate) fn admit_address(&mut self, address: IpAddr, now: u64) -> Result<(), RefusalReason> {
        let each = self.each.as_mut();
        let is_due = each.is_none_or(|each| each.take(Network::of(address), now));
        if is_due { Ok(()) } else { Err(RefusalReason::AddressTooFast) }
    }
}

impl Each {
    fn take(&mut self, network: Network, now: u64) -> bool {
        if let Some(bucket) = self.buckets.get_mut(&network) {
            return bucket.take(&self.rate, now, 1);
        }
        let is_brimming = self.buckets.len() >= MAX_NETWORKS;
        let may_sweep = !is_brimming || now >= self.swept_at.saturating_add(SWEEP_PAUSE);
        if self.buckets.len() >= self.sweep_at && may_sweep {
            self.sweep(now);
        }
        if self.buckets.len() >= MAX_NETWORKS {
            return self.others.take(&self.rate, now, 1);
        }
        let mut bucket = Bucket::full(&self.rate, now);
        let is_there = bucket.take(&self.rate, now, 1);
        self.buckets.insert(network, bucket);
        is_there
    }

    /// Throws away the full ones, which say no more than none.
    fn sweep(&mut self, now: u64) {
        let rate = self.rate;
        self.swept_at = now;
        self.buckets.retain(|_, bucket| !bucket.is_full(&rate, now));
        self.buckets.shrink_to(FIRST_SWEEP);
        self.sweep_at = (2 * self.buckets.len()).clamp(FIRST_SWEEP, MAX_NETWORKS);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn arrivals(all: Option<Rate>, each: Option<Rate>) -> Arrivals {
        let config = Config::default();
        Arrivals::new(&config.with_connection_rate(all).with_connection_rate_per_address(each), 0)
    }

    fn ip(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(number).into()
    }

    #[test]
    fn without_limits_everybody_may_come() {
        let mut free = arrivals(None, None);
        assert!(free.are_free());
        assert!((0..1000).all(|_| free.admit(Some(ip(1)), 0).is_ok()));
    }

    #[test]
    fn an_address_that_is_too_fast_takes_nothing_from_the_others() {
        let mut arrivals =
            arrivals(Some(Rate::per_second(10)), Some(Rate::per_second(1).with_burst(3)));
        assert!(!arrivals.are_free());
        let flood = (0..100).filter(|_| arrivals.admit(Some(ip(1)), 0).is_ok()).count();
        assert_eq!(flood, 3);
        assert_eq!(arrivals.admit(Some(ip(1)), 999), Err(RefusalReason::AddressTooFast));
        let others = (2..100).filter(|&other| arrivals.admit(Some(ip(other)), 0).is_ok()).count();
        assert_eq!(others, 7);
        assert_eq!(arrivals.admit(Some(ip(200)), 0), Err(RefusalReason::TooFast));
        assert_eq!(arrivals.admit(None, 0), Err(RefusalReason::TooFast));
        assert_eq!(arrivals.admit(Some(ip(1)), 1000), Ok(()));
    }

    #[test]
    fn who_comes_from_everywhere_fills_no_memory() {
        let mut arrivals = arrivals(None, Some(Rate::per_second(1).with_burst(2)));
        let admitted = (0..100_000).filter(|&from| arrivals.admit(Some(ip(from)), 0).is_ok());
        assert_eq!(admitted.count(), MAX_NETWORKS + 2, "the others share a bucket");
        let count = |arrivals: &Arrivals| arrivals.each.as_ref().unwrap().buckets.len();
        assert_eq!(count(&arrivals), MAX_NETWORKS);
        assert_eq!(arrivals.admit(Some(ip(200_000)), 1000), Ok(()));
        assert_eq!(count(&arrivals), 1, "the full ones are gone");
    }
}
