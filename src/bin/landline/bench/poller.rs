//! Readiness of the load's sockets: epoll, level-triggered, with a way to wake its waiter.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;

/// The token of the waker; no connection has it.
const WAKE: u64 = u64::MAX;

/// Most events taken in one wait.
const BATCH: usize = 1024;

/// What a socket is watched for besides its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    Read,
    /// A connection that is made, or bytes that did not fit.
    ReadAndWrite,
}

impl Interest {
    fn flags(self) -> EventFlags {
        match self {
            Self::Read => EventFlags::IN,
            Self::ReadAndWrite => EventFlags::IN | EventFlags::OUT,
        }
    }
}

/// A socket that is ready.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ready {
    pub(crate) id: usize,
    pub(crate) can_read: bool,
    pub(crate) can_write: bool,
}

/// Ends the wait of a [`Poller`], from any thread.
#[derive(Debug)]
pub(crate) struct Waker(OwnedFd);

impl Waker {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// Ends the current or the next wait.
    pub(crate) fn wake(&self) {
        // Full means that a wake-up is pending already.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }

    fn clear(&self) {
        // Empty means that there was none.
        let _ = rustix::io::read(&self.0, &mut [0u8; 8]);
    }
}

/// An epoll instance.
pub(crate) struct Poller {
    epoll: OwnedFd,
    events: Vec<Event>,
}

impl Poller {
    pub(crate) fn new(waker: &Waker) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &waker.0, EventData::new_u64(WAKE), EventFlags::IN)?;
        Ok(Self { epoll, events: Vec::with_capacity(BATCH) })
    }

    pub(crate) fn add(&self, fd: impl AsFd, id: usize, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, EventData::new_u64(id as u64), interest.flags())?)
    }

    pub(crate) fn modify(&self, fd: impl AsFd, id: usize, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, fd, EventData::new_u64(id as u64), interest.flags())?)
    }

    /// Waits for events, a wake-up or the end of the time; `ready` has then what is ready.
    pub(crate) fn wait(
        &mut self,
        time: Duration,
        waker: &Waker,
        ready: &mut Vec<Ready>,
    ) -> io::Result<()> {
        let time = Timespec::try_from(time).ok();
        ready.clear();
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), time.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &self.events {
            let (token, flags) = (event.data.u64(), event.flags);
            if token == WAKE {
                waker.clear();
                continue;
            }
            let is_gone = flags.intersects(EventFlags::HUP | EventFlags::ERR);
            let can_read = is_gone || flags.contains(EventFlags::IN);
            let can_write = is_gone || flags.contains(EventFlags::OUT);
            ready.push(Ready { id: token as usize, can_read, can_write });
        }
        Ok(())
    }
}
