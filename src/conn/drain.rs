//! The end of a server's connections: when each is told, and how.
//!
//! Clients that are all told at the same moment come back at the same moment, to this server's
//! successor or to its neighbours. So a drain can be spread: the time is cut into as many slots as
//! there are connections, and each connection gets a moment in a slot of its own, by chance both.
//!
//! ```text
//! slots     |-------|-------|-------|-------|
//! told        c          a     d      b        then whoever is left, all at once
//! ```

use std::hash::{BuildHasher, RandomState};

use crate::conn::connection::Connection;
use crate::conn::record::Phase;
use crate::conn::story::words;
use crate::net::stream::Stream;
use crate::ws::Side;
use crate::ws::close::{CloseFrame, close_code};

/// What the server wants of its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Order {
    /// Go on.
    Run = 0,
    /// End them in good order.
    Drain = 1,
    /// End them now.
    Cut = 2,
}

impl From<u8> for Order {
    fn from(number: u8) -> Self {
        match number {
            0 => Self::Run,
            1 => Self::Drain,
            _ => Self::Cut,
        }
    }
}

/// When each connection is told that the server stops. Times are those of the clock, in
/// milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    /// Moments and connections, the last one first.
    due: Vec<(u64, u64)>,
    end: u64,
}

impl Schedule {
    /// Spreads connections over the time from `start` on; if that is none, it is over at once.
    pub(crate) fn new(mut ids: Vec<u64>, start: u64, span: u64, mut chance: Chance) -> Self {
        let end = start.saturating_add(span);
        if span == 0 {
            return Self { due: Vec::new(), end };
        }
        for at in (1..ids.len()).rev() {
            ids.swap(at, chance.below(at as u64 + 1) as usize);
        }
        let slots = ids.len().max(1) as u128;
        let moment = |slot: usize, chance: &mut Chance| {
            let within = u128::from(chance.below(span));
            let after = (slot as u128 * u128::from(span) + within) / slots;
            start.saturating_add(u64::try_from(after).unwrap_or(u64::MAX))
        };
        let due = ids.into_iter().enumerate();
        let mut due: Vec<_> = due.map(|(slot, id)| (moment(slot, &mut chance), id)).collect();
        due.reverse();
        Self { due, end }
    }

    /// When the next one is to be told.
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.due.last().map(|(at, _)| *at)
    }

    /// Takes a connection whose moment has come.
    pub(crate) fn take_due(&mut self, now: u64) -> Option<u64> {
        if self.next_at()? > now {
            return None;
        }
        self.due.pop().map(|(_, id)| id)
    }

    /// True once everybody is to be told who is still there, whoever came late included.
    pub(crate) fn is_over(&self, now: u64) -> bool {
        now >= self.end
    }
}

/// Numbers by chance (SplitMix64); no secret depends on them.
#[derive(Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    /// Another row in each process and at each call.
    pub(crate) fn new() -> Self {
        Self(RandomState::new().hash_one(0))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below another one, which is not zero.
    fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }
}

/// Tells one connection what the server wants; said again, it does nothing.
pub(crate) fn obey(conn: &Connection, stream: &Stream, order: Order) {
    match order {
        Order::Run => {}
        Order::Cut => conn.cut(Side::Server, words::STOPPED),
        Order::Drain => match conn.record.phase() {
            // One that has been sent bytes takes them, and its answer is the last.
            Phase::Idle if stream.waiting_bytes() == 0 => stream.shutdown_read(),
            Phase::Idle | Phase::Busy => {}
            Phase::WebSocket => {
                let frame = CloseFrame::of_server(close_code::GOING_AWAY, words::STOPPING);
                conn.close(frame);
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const START: u64 = 7000;

    fn moments(schedule: &mut Schedule) -> Vec<(u64, u64)> {
        std::iter::from_fn(|| Some((schedule.next_at()?, schedule.take_due(u64::MAX)?))).collect()
    }

    #[test]
    fn each_is_told_once_and_in_a_slot_of_its_own() {
        for (count, span) in [(1, 10_000), (3, 1000), (5000, 10_000), (5000, 700)] {
            for seed in 0..20 {
                let mut schedule = Schedule::new((0..count).collect(), START, span, Chance(seed));
                assert!(!schedule.is_over(START + span - 1) && schedule.is_over(START + span));
                let told = moments(&mut schedule);
                let ids: HashSet<u64> = told.iter().map(|(_, id)| *id).collect();
                assert_eq!((told.len() as u64, ids.len() as u64), (count, count));
                for (slot, (at, _)) in told.iter().enumerate() {
                    let slot = slot as u64;
                    let begin = START + slot * span / count;
                    let end = START + (slot + 1) * span / count;
                    assert!((begin..=end).contains(at), "{slot}: {at} in {begin}..={end}");
                    assert!(*at < START + span);
                }
            }
        }
    }

    #[test]
    fn neither_order_nor_moments_can_be_foretold() {
        let told = |seed| moments(&mut Schedule::new((0..100).collect(), 0, 100_000, Chance(seed)));
        let (one, other) = (told(1), told(2));
        let ids = |told: &[(u64, u64)]| told.iter().map(|(_, id)| *id).collect::<Vec<_>>();
        assert_ne!(ids(&one), ids(&other));
        assert!(!ids(&one).is_sorted());
        let steps: HashSet<u64> = one.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
        assert!(steps.len() > 50, "the distance is not always the same: {steps:?}");
        let seeds: HashSet<u64> = (0..4).map(|_| Chance::new().next()).collect();
        assert_eq!(seeds.len(), 4);
    }

    #[test]
    fn nobody_is_told_before_its_moment() {
        let mut schedule = Schedule::new(vec![1, 2], START, 1000, Chance(3));
        let first = schedule.next_at().unwrap();
        assert_eq!(schedule.take_due(first - 1), None);
        assert!(schedule.take_due(first).is_some());
        assert_eq!(schedule.take_due(first), None);
        assert!(schedule.next_at().unwrap() > first);
    }

    #[test]
    fn without_time_it_is_over_at_once_and_without_connections_it_is_empty() {
        let schedule = Schedule::new(vec![1, 2, 3], START, 0, Chance(0));
        assert!(schedule.is_over(START) && schedule.next_at().is_none());
        let schedule = Schedule::new(Vec::new(), START, 1000, Chance(0));
        assert!(!schedule.is_over(START) && schedule.next_at().is_none());
    }

    #[test]
    fn a_time_without_end_does_not_wrap() {
        let schedule = Schedule::new(vec![1], START, u64::MAX, Chance(5));
        assert!(schedule.next_at().unwrap() >= START && !schedule.is_over(START));
    }
}
