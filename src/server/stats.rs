//! How many connections there are, and whether one more fits.

use std::net::IpAddr;
use std::sync::Arc;

use crate::config::Config;
use crate::conn::RefusalReason;
use crate::net::stream::Stream;
use crate::server::arrivals::Arrivals;
use crate::server::network::{NetworkSeat, Networks};
use crate::server::silent::{SentAway, Silent};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The number of the next connection. Servers that share a hub must not share a number, so there
/// is one row of them in a process; it is no lock, so no model checker needs to see it.
static NEXT_ID: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);

/// Share of the places that connections may have which have not sent a request: one of so many.
const SILENT_SHARE: usize = 2;

/// Places that they may have in any case, but for a quarter of all.
const SILENT_LEAST: usize = 64;

/// Counts connections and admits them up to a limit.
#[derive(Debug)]
pub(crate) struct Stats {
    limits: Mutex<Limits>,
    /// Places by network; who came while there was no limit for them has none.
    networks: Arc<Networks>,
    arrivals: Mutex<Arrivals>,
    silent: Silent,
    open: AtomicUsize,
    is_draining: AtomicBool,
    is_stopping: AtomicBool,
}

/// How many connections there may be.
#[derive(Clone, Copy, Debug)]
struct Limits {
    all: usize,
    per_address: Option<usize>,
    silent: usize,
}

impl Limits {
    fn new(all: usize, config: &Config) -> Self {
        let share = (all / SILENT_SHARE).max(SILENT_LEAST.min(all - all / 4));
        let silent = config.max_silent_connections().unwrap_or(share).max(1);
        Self { all, per_address: config.max_connections_per_address(), silent }
    }
}

impl Stats {
    /// Admits `limit` connections, and what the settings say beside it.
    pub(crate) fn new(limit: usize, config: &Config) -> Self {
        Self {
            limits: Mutex::new(Limits::new(limit, config)),
            networks: Arc::default(),
            // The clock of the server begins with it.
            arrivals: Mutex::new(Arrivals::new(config, 0)),
            silent: Silent::default(),
            open: AtomicUsize::new(0),
            is_draining: AtomicBool::new(false),
            is_stopping: AtomicBool::new(false),
        }
    }

    /// Most open connections.
    pub(crate) fn limit(&self) -> usize {
        self.limits.lock().all
    }

    /// Sets other limits; who is in stays in, and nobody owes anything for what came before.
    pub(crate) fn reload(&self, limit: usize, config: &Config, now: u64) {
        *self.limits.lock() = Limits::new(limit, config);
        *self.arrivals.lock() = Arrivals::new(config, now);
    }

    /// Open connections, HTTP and WebSocket.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Connections that have not sent a whole request.
    pub(crate) fn silent(&self) -> usize {
        self.silent.len()
    }

    /// The number of the next connection; never given twice in a process.
    pub(crate) fn next_id() -> u64 {
        NEXT_ID.fetch_add(1, Ordering::Relaxed)
    }

    /// Takes a place for one connection, if there is one, and says who had to go for it. `address` is `None` if it is not known
    /// yet whose it is; `now` asks the clock, if connections may not come as fast as they like.
    pub(crate) fn admit(
        self: &Arc<Self>,
        id: u64,
        stream: &Arc<Stream>,
        address: Option<IpAddr>,
        now: impl FnOnce() -> u64,
    ) -> Result<(Place, SentAway), RefusalReason> {
        let mut arrivals = self.arrivals.lock();
        if !arrivals.are_free() {
            arrivals.admit(address, now())?;
        }
        drop(arrivals);
        let limits = *self.limits.lock();
        let admitted = self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| {
            (open < limits.all).then_some(open + 1)
        });
        admitted.map_err(|_| RefusalReason::Full)?;
        // From here on the place is given back whatever happens.
        let is_silent = AtomicBool::new(false);
        let mut place = Place { stats: Arc::clone(self), seat: None, id, is_silent };
        if let Some(address) = address {
            place.seat = self.seat(address)?;
        }
        let entered = self.silent.enter(id, stream, limits.silent);
        let sent_away = entered.ok_or(RefusalReason::Silent)?;
        place.is_silent = AtomicBool::new(true);
        Ok((place, sent_away))
    }

    /// Takes a place for a client among those of its address, if that is limited.
    pub(crate) fn seat(&self, address: IpAddr) -> Result<Option<Box<NetworkSeat>>, RefusalReason> {
        let Some(limit) = self.limits.lock().per_address else { return Ok(None) };
        let seat = self.networks.seat(address, limit).ok_or(RefusalReason::AddressFull)?;
        Ok(Some(Box::new(seat)))
    }

    /// Counts a new connection for an address that was not known when it was accepted.
    pub(crate) fn count_arrival(
        &self,
        address: IpAddr,
        now: impl FnOnce() -> u64,
    ) -> Result<(), RefusalReason> {
        let mut arrivals = self.arrivals.lock();
        if arrivals.are_free() { Ok(()) } else { arrivals.admit_address(address, now()) }
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

/// The place of one connection; free again when dropped, whatever ended the connection.
#[derive(Debug)]
pub(crate) struct Place {
    stats: Arc<Stats>,
    /// Boxed: it is there only if there is a limit for each address.
    seat: Option<Box<NetworkSeat>>,
    id: u64,
    /// It has not sent a whole request.
    is_silent: AtomicBool,
}

impl Place {
    /// The first request has come, or will not; false if the connection was sent away meanwhile.
    /// Called again it does nothing.
    pub(crate) fn end_silence(&self) -> bool {
        !self.is_silent.swap(false, Ordering::Relaxed) || self.stats.silent.leave(self.id)
    }

    /// Counts the connection for an address that was not known when it was accepted.
    pub(crate) fn sit(&mut self, address: IpAddr) -> Result<(), RefusalReason> {
        self.seat = self.stats.seat(address)?;
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.end_silence();
        self.stats.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::config::Rate;

    const HERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

    fn stats(limit: usize, config: Config) -> Arc<Stats> {
        Arc::new(Stats::new(limit, &config))
    }

    fn admit(stats: &Arc<Stats>, address: Option<IpAddr>) -> Result<Place, RefusalReason> {
        let (server, _client) = UnixStream::pair().unwrap();
        let stream = Stream::new(OwnedFd::from(server), ([127, 0, 0, 1], 1).into());
        let admitted = stats.admit(Stats::next_id(), &Arc::new(stream), address, || 7);
        admitted.map(|(place, _)| place)
    }

    #[test]
    fn a_place_is_free_again_when_it_is_dropped() {
        let stats = stats(2, Config::default());
        let first = admit(&stats, HERE);
        let second = admit(&stats, HERE);
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(admit(&stats, HERE).err(), Some(RefusalReason::Full));
        drop(first);
        assert_eq!((stats.open(), stats.silent()), (1, 1));
        assert!(admit(&stats, HERE).is_ok());
    }

    #[test]
    fn who_is_refused_takes_no_place_anywhere() {
        let rate = Some(Rate::per_second(1).with_burst(3));
        let config = Config::default().with_max_connections_per_address(Some(1));
        let stats = stats(10, config.with_connection_rate(rate));
        let mut first = admit(&stats, HERE).unwrap();
        assert_eq!(admit(&stats, HERE).err(), Some(RefusalReason::AddressFull));
        let mut unknown = admit(&stats, None).unwrap();
        assert_eq!(admit(&stats, None).err(), Some(RefusalReason::TooFast));
        assert_eq!((stats.open(), stats.silent()), (2, 2));
        assert_eq!(unknown.sit(HERE.unwrap()), Err(RefusalReason::AddressFull));
        assert_eq!(first.sit(IpAddr::from([10, 0, 0, 1])), Ok(()));
        assert_eq!(unknown.sit(HERE.unwrap()), Ok(()));
    }

    #[test]
    fn silence_ends_once_and_half_of_the_places_are_for_it() {
        let limits = |all| Limits::new(all, &Config::default()).silent;
        assert_eq!([0, 1, 64, 100, 10_000].map(limits), [1, 1, 48, 64, 5000]);
        // However few places there are, some are left for those who speak.
        let few = stats(8, Config::default());
        let silent: Vec<Place> = (0..7).map(|_| admit(&few, HERE).unwrap()).collect();
        assert!(!silent[0].end_silence() && silent[1].end_silence());
        let stats = stats(3, Config::default().with_max_silent_connections(Some(1)));
        let first = admit(&stats, HERE).unwrap();
        assert!(first.end_silence() && first.end_silence());
        let second = admit(&stats, HERE).unwrap();
        let third = admit(&stats, HERE).unwrap();
        assert!(!second.end_silence(), "it was sent away");
        assert!(third.end_silence());
        assert_eq!(stats.silent(), 0);
    }
}
