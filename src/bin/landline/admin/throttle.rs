//! Wrong keys: so many of one address, then one every few seconds.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Wrong keys that are forgiven at once.
const BURST: u32 = 5;

/// How long it takes until one of them is forgotten.
const FORGET: Duration = Duration::from_secs(10);

/// Addresses that are told apart; the others count together.
const MOST: usize = 1024;

/// Counts wrong keys by address.
#[derive(Default)]
pub(super) struct Throttle {
    wrong: Mutex<HashMap<IpAddr, Wrong>>,
}

#[derive(Clone, Copy)]
struct Wrong {
    number: u32,
    last: Instant,
}

impl Wrong {
    fn left(self, now: Instant) -> u32 {
        let forgotten = now.duration_since(self.last).as_secs() / FORGET.as_secs();
        self.number.saturating_sub(u32::try_from(forgotten).unwrap_or(u32::MAX))
    }
}

/// What stands for the addresses that there is no room for.
const OTHERS: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// A site has a whole /64 of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 1))
        }
    }
}

impl Throttle {
    /// True if a key of this address is to be looked at.
    pub(super) fn may_try(&self, address: IpAddr) -> bool {
        let wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        let known = wrong.get(&network(address)).or_else(|| wrong.get(&OTHERS));
        known.is_none_or(|known| known.left(Instant::now()) < BURST)
    }

    /// Takes note of a wrong one.
    pub(super) fn note(&self, address: IpAddr) {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, mut key) = (Instant::now(), network(address));
        if wrong.len() >= MOST && !wrong.contains_key(&key) {
            wrong.retain(|_, wrong| wrong.left(now) > 0);
            if wrong.len() >= MOST {
                key = OTHERS;
            }
        }
        let number = wrong.get(&key).map_or(0, |known| known.left(now)) + 1;
        wrong.insert(key, Wrong { number, last: now });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_few_wrong_keys_an_address_has_to_wait_and_others_need_not() {
        let throttle = Throttle::default();
        let [one, same, other] =
            ["2001:db8::1", "2001:db8::2", "2001:db9::1"].map(|text| text.parse().unwrap());
        for _ in 0..BURST {
            assert!(throttle.may_try(one));
            throttle.note(one);
        }
        assert!(!throttle.may_try(one) && !throttle.may_try(same) && throttle.may_try(other));
    }

    #[test]
    fn however_many_addresses_try_the_list_is_bounded() {
        let throttle = Throttle::default();
        for number in 0..2 * MOST as u32 {
            throttle.note(IpAddr::V4(number.into()));
        }
        assert_eq!(throttle.wrong.lock().unwrap().len(), MOST + 1);
        assert!(!throttle.may_try(IpAddr::V4(u32::MAX.into())));
    }
}
