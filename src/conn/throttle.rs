//! How fast one client may send: what comes too fast waits, and who goes on is closed.
//!
//! A message that comes too fast is not delivered before its time, and bytes that come too fast
//! are not read, so that TCP slows the client down. A client that makes nothing of that is held
//! back without end; the time for which it is, less the time for which it is not, is its strain,
//! and when that passes the patience of the server, the connection is closed with 1008. So a burst
//! that is over soon costs a client some delay, and a client that always sends twice of what it
//! may is closed after twice the patience at the latest.
//!
//! Bytes are counted as they were received: headers, pings and compressed messages as they are.

use std::time::Duration;

use crate::config::{Config, Rate};
use crate::conn::bucket::Bucket;
use crate::conn::record::millis;

/// What may be asked of the clients of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    pub(crate) messages: Option<Rate>,
    pub(crate) bytes: Option<Rate>,
    /// For how long a client may be held back; `None` for as long as it likes.
    pub(crate) patience: Option<Duration>,
}

impl Pace {
    pub(crate) fn of(config: &Config) -> Self {
        let (messages, bytes) = (config.message_rate(), config.byte_rate());
        Self { messages, bytes, patience: config.rate_patience() }
    }

    /// What watches over a connection from now on; nothing if nothing is limited.
    pub(crate) fn watch(self, now: u64) -> Option<Box<Throttle>> {
        if self.messages.is_none() && self.bytes.is_none() {
            return None;
        }
        let flow = |rate: Option<Rate>| {
            rate.map(|rate| Flow { rate, bucket: Bucket::full(&rate, now), held_until: 0 })
        };
        Some(Box::new(Throttle {
            messages: flow(self.messages),
            bytes: flow(self.bytes),
            patience: self.patience.map_or(u64::MAX, millis),
            strain: 0,
            seen_at: now,
        }))
    }
}

/// What stands between a client and its handler. Times are milliseconds of the server's clock.
#[derive(Debug)]
pub(crate) struct Throttle {
    messages: Option<Flow>,
    bytes: Option<Flow>,
    patience: u64,
    /// For how long the client was held back, less for how long it was not.
    strain: u64,
    /// Up to when the strain counts.
    seen_at: u64,
}

/// One of the two that are limited.
#[derive(Debug)]
struct Flow {
    rate: Rate,
    bucket: Bucket,
    /// Until when it is held back, as far as was seen when it was last looked at.
    held_until: u64,
}

/// What becomes of the next message, or of the next read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Now,
    /// Not before this moment.
    Later(u64),
    /// The client has been held back for too long.
    TooMuch,
}

/// Which of the two is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A message is to be delivered.
    Deliver,
    /// Bytes are to be read.
    Read,
}

impl Throttle {
    /// Counts a message that is delivered; the clocks are those of [`may`](Self::may).
    pub(crate) fn delivered(&mut self, coarse: u64, exact: impl Fn() -> u64) {
        if let Some(flow) = &mut self.messages {
            flow.spend(1, coarse, exact);
        }
    }

    /// Counts bytes that were received.
    pub(crate) fn received(&mut self, count: usize, coarse: u64, exact: impl Fn() -> u64) {
        if let Some(flow) = &mut self.bytes {
            flow.spend(count as u64, coarse, exact);
        }
    }

    /// Whether it may be done. `coarse` is a clock that costs nothing and may be late; `exact` is
    /// asked if it says no.
    pub(crate) fn may(&mut self, step: Step, coarse: u64, exact: impl Fn() -> u64) -> Verdict {
        let seen_at = self.seen_at;
        let Some(flow) = self.flow(step) else { return Verdict::Now };
        if flow.held_until <= seen_at && flow.due(coarse) <= coarse {
            return Verdict::Now;
        }
        let now = exact();
        self.pass_time(now);
        let due = self.flow(step).map_or(now, |flow| flow.look(now));
        if due <= now {
            Verdict::Now
        } else if self.strain > self.patience {
            Verdict::TooMuch
        } else {
            Verdict::Later(due)
        }
    }

    fn flow(&mut self, step: Step) -> Option<&mut Flow> {
        match step {
            Step::Deliver => self.messages.as_mut(),
            Step::Read => self.bytes.as_mut(),
        }
    }

    /// Counts the time since the last look: that for which something was held back, and the rest.
    /// What nobody came for when it was due counts no longer.
    fn pass_time(&mut self, now: u64) {
        let held_until = |flow: &Option<Flow>| flow.as_ref().map_or(0, |flow| flow.held_until);
        let held_until = held_until(&self.messages).max(held_until(&self.bytes));
        let passed = now.saturating_sub(self.seen_at);
        let held = now.min(held_until).saturating_sub(self.seen_at);
        self.strain = self.strain.saturating_add(held).saturating_sub(passed - held);
        self.seen_at = self.seen_at.max(now);
    }
}

impl Flow {
    /// Takes what has come. A full bucket is asked by the exact clock: what came back since the
    /// coarse one was set has run over, and is not to come back again.
    fn spend(&mut self, tokens: u64, coarse: u64, exact: impl Fn() -> u64) {
        let is_full = self.bucket.is_full(&self.rate, coarse);
        let now = if is_full { exact() } else { coarse };
        self.bucket.spend(&self.rate, now, tokens);
    }

    /// From when on more may come.
    fn due(&mut self, now: u64) -> u64 {
        self.bucket.due(&self.rate, now, 1)
    }

    /// As [`due`](Self::due), and notes whether it is held back from now on.
    fn look(&mut self, now: u64) -> u64 {
        let due = self.due(now);
        self.held_until = if due > now { due } else { 0 };
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn watch(messages: Option<Rate>, bytes: Option<Rate>, patience: Option<u64>) -> Box<Throttle> {
        let pace = Pace { messages, bytes, patience: patience.map(Duration::from_millis) };
        pace.watch(0).unwrap()
    }

    #[test]
    fn without_a_limit_nobody_watches() {
        let patience = Some(Duration::ZERO);
        assert!(Pace { messages: None, bytes: None, patience }.watch(0).is_none());
    }

    #[test]
    fn a_burst_is_delivered_at_once_and_the_rest_in_time() {
        let mut throttle = watch(Some(Rate::per_second(10).with_burst(2)), None, None);
        for _ in 0..2 {
            assert_eq!(throttle.may(Step::Deliver, 7, || panic!("no clock is read")), Verdict::Now);
            throttle.delivered(7, || 7);
        }
        assert_eq!(throttle.may(Step::Deliver, 7, || 50), Verdict::Later(107));
        assert_eq!(throttle.may(Step::Read, 7, || 50), Verdict::Now, "bytes are not limited");
        assert_eq!(throttle.may(Step::Deliver, 7, || 106), Verdict::Later(107));
        assert_eq!(throttle.may(Step::Deliver, 7, || 107), Verdict::Now);
    }

    #[test]
    fn a_clock_that_is_late_holds_nobody_back() {
        let mut throttle = watch(Some(Rate::per_second(1000).with_burst(1)), None, None);
        for now in 1..90 {
            assert_eq!(throttle.may(Step::Deliver, 1, || now), Verdict::Now);
            throttle.delivered(now, || now);
        }
    }

    #[test]
    fn what_ran_over_since_the_clock_was_set_does_not_come_back() {
        let mut throttle = watch(Some(Rate::per_second(10).with_burst(1)), None, None);
        throttle.delivered(900, || 999);
        assert_eq!(throttle.may(Step::Deliver, 900, || 1000), Verdict::Later(1099));
    }

    #[test]
    fn bytes_are_owed_before_more_are_read() {
        let mut throttle = watch(None, Some(Rate::per_second(1000)), None);
        assert_eq!(throttle.may(Step::Read, 0, || 0), Verdict::Now);
        throttle.received(5000, 0, || 0);
        assert_eq!(throttle.may(Step::Read, 0, || 0), Verdict::Later(4001));
        assert_eq!(throttle.may(Step::Deliver, 0, || 0), Verdict::Now);
    }

    /// Delivers as fast as may be for so long; until when that went well.
    fn flood(throttle: &mut Throttle, from: u64, until: u64) -> Result<(), u64> {
        let mut now = from;
        while now < until {
            match throttle.may(Step::Deliver, now, || now) {
                Verdict::Now => throttle.delivered(now, || now),
                Verdict::Later(due) => now = due,
                Verdict::TooMuch => return Err(now),
            }
        }
        Ok(())
    }

    #[test]
    fn who_goes_on_is_too_much_when_patience_ends() {
        let rate = Some(Rate::per_second(10).with_burst(1));
        let mut throttle = watch(rate, None, Some(3000));
        let end = flood(&mut throttle, 0, 60_000).unwrap_err();
        assert!((3000..3200).contains(&end), "{end}");
        let mut patient = watch(rate, None, None);
        assert_eq!(flood(&mut patient, 0, 10_000_000), Ok(()));
    }

    #[test]
    fn a_pause_makes_good_for_as_long_as_it_lasts() {
        let rate = Some(Rate::per_second(10).with_burst(1));
        let mut throttle = watch(rate, None, Some(3000));
        for round in 0..20 {
            let start = round * 5000;
            assert_eq!(flood(&mut throttle, start, start + 2000), Ok(()), "round {round}");
        }
        let start = 20 * 5000;
        assert!(flood(&mut throttle, start, start + 4000).is_err());
    }

    #[test]
    fn a_handler_that_stays_away_strains_nobody() {
        let mut throttle = watch(Some(Rate::per_second(1).with_burst(1)), None, Some(1500));
        throttle.delivered(0, || 0);
        assert_eq!(throttle.may(Step::Deliver, 0, || 0), Verdict::Later(1000));
        assert_eq!(throttle.may(Step::Deliver, 60_000, || 60_000), Verdict::Now);
        throttle.delivered(60_000, || 60_000);
        assert_eq!(throttle.may(Step::Deliver, 60_000, || 60_000), Verdict::Later(61_000));
        assert_eq!(throttle.may(Step::Deliver, 60_900, || 60_900), Verdict::Later(61_000));
    }

    #[test]
    fn a_read_that_is_allowed_does_not_end_the_strain_of_messages() {
        let messages = Some(Rate::per_second(1).with_burst(1));
        let mut throttle = watch(messages, Some(Rate::per_second(1_000_000)), Some(500));
        throttle.delivered(0, || 0);
        assert_eq!(throttle.may(Step::Deliver, 0, || 0), Verdict::Later(1000));
        for now in 1..=500 {
            assert_eq!(throttle.may(Step::Read, now, || now), Verdict::Now);
        }
        assert_eq!(throttle.may(Step::Deliver, 501, || 501), Verdict::TooMuch);
    }

    proptest! {
        /// Who keeps to the rate is never held back, however its messages fall.
        #[test]
        fn who_keeps_to_the_rate_is_not_held_back(
            per_second in 1u64..500, jitter in proptest::collection::vec(0u64..1000, 1..100),
        ) {
            let rate = Rate::per_second(per_second).with_burst(2);
            let mut throttle = watch(Some(rate), None, Some(0));
            let apart = 1000u64.div_ceil(per_second);
            for (at, late) in jitter.into_iter().enumerate() {
                let now = at as u64 * apart + late * apart / 1000;
                prop_assert_eq!(throttle.may(Step::Deliver, now, || now), Verdict::Now);
                throttle.delivered(now, || now);
            }
        }
    }
}
