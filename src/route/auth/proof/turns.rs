//! So many at a time and no more, however many want to; and each site in its turn, so that one with
//! many requests keeps nobody else waiting for them.
//!
//! ```text
//! take ──a place is free──► it is taken
//!   └──► the row of the site ──► the first row's first is called, and the row goes to the end
//! ```

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Instant;

use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Condvar, Mutex};

/// Places for those whose turn it is.
#[derive(Debug)]
pub(super) struct Turns {
    state: Mutex<State>,
}

/// Who waits; nobody does while a place is free.
#[derive(Debug)]
struct State {
    free: usize,
    /// The rows of the sites, the one whose turn it is first; none is empty.
    rows: VecDeque<Row>,
}

#[derive(Debug)]
struct Row {
    site: IpAddr,
    waiting: VecDeque<Arc<Waiter>>,
}

#[derive(Debug, Default)]
struct Waiter {
    /// Changed with the state locked.
    is_called: AtomicBool,
    called: Condvar,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a>(&'a Turns);

impl Turns {
    pub(super) fn new(places: usize) -> Self {
        Self { state: Mutex::new(State { free: places, rows: VecDeque::new() }) }
    }

    /// Waits for a place, until the deadline at most. One more of a client that has many waiting
    /// comes after the first of everybody else.
    pub(super) fn take(&self, client: IpAddr, deadline: Instant) -> Option<Turn<'_>> {
        let mut state = self.state.lock();
        if state.free > 0 {
            state.free -= 1;
            return Some(Turn(self));
        }
        let (site, waiter) = (site(client), Arc::new(Waiter::default()));
        state.stand_in_line(site, Arc::clone(&waiter));
        loop {
            let is_late = waiter.called.wait_until(&mut state, deadline).timed_out();
            if waiter.is_called.load(Ordering::Relaxed) {
                return Some(Turn(self));
            }
            if is_late {
                state.leave(site, &waiter);
                return None;
            }
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        match state.next() {
            Some(waiter) => {
                waiter.is_called.store(true, Ordering::Relaxed);
                waiter.called.notify_one();
            }
            None => state.free += 1,
        }
    }
}

impl State {
    fn stand_in_line(&mut self, site: IpAddr, waiter: Arc<Waiter>) {
        match self.rows.iter_mut().find(|row| row.site == site) {
            Some(row) => row.waiting.push_back(waiter),
            None => self.rows.push_back(Row { site, waiting: VecDeque::from([waiter]) }),
        }
    }

    /// Who is next; the row goes behind the others.
    fn next(&mut self) -> Option<Arc<Waiter>> {
        let mut row = self.rows.pop_front()?;
        let waiter = row.waiting.pop_front();
        if !row.waiting.is_empty() {
            self.rows.push_back(row);
        }
        waiter
    }

    fn leave(&mut self, site: IpAddr, waiter: &Arc<Waiter>) {
        for row in self.rows.iter_mut().filter(|row| row.site == site) {
            row.waiting.retain(|other| !Arc::ptr_eq(other, waiter));
        }
        self.rows.retain(|row| !row.waiting.is_empty());
    }
}

/// What stands in one row: an IPv4 address, or the half of an IPv6 address that a site has whole.
fn site(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    const NOBODY: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    fn waiting(turns: &Turns) -> usize {
        turns.state.lock().rows.iter().map(|row| row.waiting.len()).sum()
    }

    #[test]
    fn a_place_is_there_again_when_it_is_returned() {
        let turns = Turns::new(1);
        let first = turns.take(NOBODY, Instant::now()).unwrap();
        assert!(turns.take(NOBODY, Instant::now()).is_none());
        assert_eq!(waiting(&turns), 0, "who gave up waits no more");
        drop(first);
        assert!(turns.take(NOBODY, Instant::now()).is_some());
    }

    #[test]
    fn who_comes_with_many_keeps_nobody_else_waiting_for_them() {
        let turns = Turns::new(1);
        let order = Mutex::new(Vec::new());
        let first = turns.take(NOBODY, soon()).unwrap();
        thread::scope(|scope| {
            // The last of the many is of the same /64 as they are.
            for (at, client) in
                ["2001:db8::1", "2001:db8::1", "2001:db8::2", "192.0.2.1", "2001:db9::1"]
                    .into_iter()
                    .enumerate()
            {
                let (turns, order) = (&turns, &order);
                scope.spawn(move || {
                    let _turn = turns.take(client.parse().unwrap(), soon()).unwrap();
                    order.lock().push(at);
                });
                while waiting(turns) != at + 1 {
                    thread::yield_now();
                }
            }
            drop(first);
        });
        assert_eq!(*order.lock(), [0, 3, 4, 1, 2]);
        assert_eq!(turns.state.lock().free, 1);
    }
}
