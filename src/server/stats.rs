//! How many connections there are, and whether one more fits.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// The number of the next connection. Servers that share a hub must not share a number, so there
/// is one row of them in a process; it is no lock, so no model checker needs to see it.
static NEXT_ID: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);

/// Counts connections and admits them up to a limit.
#[derive(Debug)]
pub(crate) struct Stats {
    limit: AtomicUsize,
    /// `usize::MAX` if there is none.
    limit_per_address: AtomicUsize,
    /// Open connections by network; those that came while there was no limit for them are not here.
    by_network: Mutex<HashMap<Network, usize>>,
    open: AtomicUsize,
    refused: AtomicU64,
    is_draining: AtomicBool,
    is_stopping: AtomicBool,
}

impl Stats {
    pub(crate) fn new(limit: usize, limit_per_address: Option<usize>) -> Self {
        Self {
            limit: AtomicUsize::new(limit),
            limit_per_address: AtomicUsize::new(limit_per_address.unwrap_or(usize::MAX)),
            by_network: Mutex::new(HashMap::new()),
            open: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
            is_draining: AtomicBool::new(false),
            is_stopping: AtomicBool::new(false),
        }
    }

    /// Most open connections.
    pub(crate) fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// Sets other limits; who is in stays in.
    pub(crate) fn reload(&self, limit: usize, limit_per_address: Option<usize>) {
        self.limit.store(limit, Ordering::Relaxed);
        let limit_per_address = limit_per_address.unwrap_or(usize::MAX);
        self.limit_per_address.store(limit_per_address, Ordering::Relaxed);
    }

    /// Open connections, HTTP and WebSocket.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// The number of the next connection; never given twice in a process.
    pub(crate) fn next_id() -> u64 {
        NEXT_ID.fetch_add(1, Ordering::Relaxed)
    }

    /// Counts a client that is answered 503.
    pub(crate) fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Clients that were answered 503.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Takes a place for one connection, if there is one.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Place, Full> {
        let limit = self.limit();
        let admitted = self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| {
            (open < limit).then_some(open + 1)
        });
        admitted.map_err(|_| Full::Server)?;
        // From here on the place is given back whatever happens.
        let mut place = Place { stats: Arc::clone(self), network: None };
        let limit = self.limit_per_address.load(Ordering::Relaxed);
        if limit != usize::MAX {
            let network = Network::of(address);
            let mut by_network = self.by_network.lock();
            let open = by_network.get(&network).copied().unwrap_or(0);
            if open >= limit {
                return Err(Full::Address);
            }
            by_network.insert(network, open + 1);
            place.network = Some(Box::new(network));
        }
        Ok(place)
    }

    pub(crate) fn start_draining(&self) {
        self.is_draining.store(true, Ordering::SeqCst);
    }

    /// True once the server was told to stop, in the delay before it accepts nothing new as well.
    pub(crate) fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::SeqCst)
    }

    pub(crate) fn start_stopping(&self) {
        self.start_draining();
        self.is_stopping.store(true, Ordering::SeqCst);
    }

    /// True once the server accepts nothing new.
    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::SeqCst)
    }
}

/// Why a connection is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// The server holds as many as it may.
    Server,
    /// The client's address has as many as it may.
    Address,
}

/// What counts as one client: an IPv4 address, or the first half of an IPv6 address, because a
/// site gets a whole /64 and can take a new address for each connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Network {
    V4([u8; 4]),
    V6([u16; 4]),
}

impl Network {
    fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

/// The place of one connection; free again when dropped, whatever ended the connection.
#[derive(Debug)]
pub(crate) struct Place {
    stats: Arc<Stats>,
    /// Boxed: it is there only if there is a limit for each.
    network: Option<Box<Network>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.stats.open.fetch_sub(1, Ordering::Relaxed);
        let Some(network) = self.network.as_deref() else { return };
        let mut by_network = self.stats.by_network.lock();
        if let Some(open) = by_network.get_mut(network) {
            *open -= 1;
            if *open == 0 {
                by_network.remove(network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_place_is_free_again_when_it_is_dropped() {
        let stats = Arc::new(Stats::new(2, None));
        let first = stats.admit(HERE);
        let second = stats.admit(HERE);
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(stats.admit(HERE).err(), Some(Full::Server));
        drop(first);
        assert_eq!(stats.open(), 1);
        assert!(stats.admit(HERE).is_ok());
    }

    #[test]
    fn one_network_cannot_take_every_place() {
        let stats = Arc::new(Stats::new(10, Some(2)));
        for (one, same, other) in [
            ("10.0.0.1", "10.0.0.1", "10.0.0.2"),
            ("2001:db8::1", "2001:db8::ffff:1", "2001:db9::1"),
        ] {
            let places = [stats.admit(ip(one)), stats.admit(ip(same))];
            assert_eq!(stats.admit(ip(one)).err(), Some(Full::Address));
            assert!(stats.admit(ip(other)).is_ok());
            drop(places);
            assert!(stats.admit(ip(one)).is_ok());
        }
        assert_eq!((stats.open(), stats.by_network.lock().len()), (0, 0), "nothing is left behind");
    }
}
