//! What counts as one client, and how many connections each has.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::sync::Mutex;

/// What counts as one client: an IPv4 address, or the first half of an IPv6 address, because a
/// site gets a whole /64 and can take a new address for each connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Network {
    V4([u8; 4]),
    V6([u16; 4]),
}

impl Network {
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

/// How many places each network has taken.
#[derive(Debug, Default)]
pub(crate) struct Networks {
    /// Only who has one is there.
    taken: Mutex<HashMap<Network, usize>>,
}

impl Networks {
    /// Takes a place for a client, if its network has fewer than `limit`.
    pub(crate) fn seat(self: &Arc<Self>, address: IpAddr, limit: usize) -> Option<NetworkSeat> {
        let network = Network::of(address);
        let mut taken = self.taken.lock();
        let before = taken.get(&network).copied().unwrap_or(0);
        if before >= limit {
            return None;
        }
        taken.insert(network, before + 1);
        Some(NetworkSeat { networks: Arc::clone(self), network })
    }
}

/// A place among those of one network; free again when dropped.
#[derive(Debug)]
pub(crate) struct NetworkSeat {
    networks: Arc<Networks>,
    network: Network,
}

impl Drop for NetworkSeat {
    fn drop(&mut self) {
        let mut taken = self.networks.taken.lock();
        if let Some(count) = taken.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_network_cannot_take_every_place() {
        let networks = Arc::new(Networks::default());
        for (one, same, other) in [
            ("10.0.0.1", "10.0.0.1", "10.0.0.2"),
            ("10.0.0.1", "::ffff:10.0.0.1", "::ffff:10.0.0.2"),
            ("2001:db8::1", "2001:db8::ffff:1", "2001:db9::1"),
            ("2001:db8:0:7::1", "2001:db8:0:7:ffff:ffff:ffff:ffff", "2001:db8:0:8::1"),
        ] {
            let seats = [networks.seat(ip(one), 2), networks.seat(ip(same), 2)];
            assert!(seats.iter().all(Option::is_some));
            assert!(networks.seat(ip(one), 2).is_none());
            assert!(networks.seat(ip(other), 2).is_some());
            drop(seats);
            assert!(networks.seat(ip(one), 1).is_some());
        }
        assert!(networks.taken.lock().is_empty(), "nothing is left behind");
    }
}
