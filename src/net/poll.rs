//! Readiness of many sockets for one thread, one shot at a time.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;

use crate::net::stream::Stream;
use crate::net::waker::Waker;

/// The token of [`Poller::wake`]; no connection has it.
const WAKE: u64 = u64::MAX;

/// Most events taken in one wait.
const BATCH: usize = 256;

/// What a socket is watched for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interest {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

/// A socket that became ready and is no longer watched until it is armed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) token: u64,
    pub(crate) read: bool,
    pub(crate) write: bool,
}

/// An epoll instance with a way to wake its waiter. Any thread may arm.
#[derive(Debug)]
pub(crate) struct Poller {
    epoll: OwnedFd,
    waker: Waker,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let waker = Waker::new()?;
        epoll::add(&epoll, &waker, EventData::new_u64(WAKE), EventFlags::IN)?;
        Ok(Self { epoll, waker })
    }

    /// Watches a socket until the first event; `known` tells whether it was armed before.
    pub(crate) fn arm(
        &self,
        stream: &Stream,
        token: u64,
        interest: Interest,
        known: bool,
    ) -> io::Result<()> {
        let mut flags = EventFlags::ONESHOT;
        flags.set(EventFlags::IN, interest.read);
        flags.set(EventFlags::OUT, interest.write);
        let data = EventData::new_u64(token);
        if known {
            epoll::modify(&self.epoll, stream, data, flags)?;
        } else {
            epoll::add(&self.epoll, stream, data, flags)?;
        }
        Ok(())
    }

    /// Ends the current or the next wait.
    pub(crate) fn wake(&self) {
        self.waker.wake();
    }

    /// True if a wait would have been ended by a wake-up, which it takes.
    #[cfg(all(test, shuttle))]
    pub(crate) fn was_woken(&self) -> bool {
        let mut event = Vec::with_capacity(1);
        let time = Timespec::default();
        let count = epoll::wait(&self.epoll, spare_capacity(&mut event), Some(&time));
        let is_woken = count.is_ok_and(|count| count > 0) && event[0].data.u64() == WAKE;
        if is_woken {
            self.waker.clear();
        }
        is_woken
    }

    /// Waits for events, a wake-up or the end of the time; adds what is ready to `ready`.
    pub(crate) fn wait(&self, time: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        let time = time.and_then(|time| Timespec::try_from(time).ok());
        let mut events = Vec::with_capacity(BATCH);
        match epoll::wait(&self.epoll, spare_capacity(&mut events), time.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events {
            let (token, flags) = (event.data.u64(), event.flags);
            if token == WAKE {
                self.waker.clear();
                continue;
            }
            let gone = flags.intersects(EventFlags::HUP | EventFlags::ERR);
            let read = gone || flags.contains(EventFlags::IN);
            let write = gone || flags.contains(EventFlags::OUT);
            ready.push(Ready { token, read, write });
        }
        Ok(())
    }
}
