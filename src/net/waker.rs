//! A descriptor that ends another thread's wait for a socket.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

/// A wake-up that stays until it is taken: one given before the wait begins is not lost.
#[derive(Debug)]
pub(crate) struct Waker {
    fd: OwnedFd,
}

impl Waker {
    /// Takes a descriptor; fails where there is none left.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { fd: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)? })
    }

    /// Ends the current or the next wait.
    pub(crate) fn wake(&self) {
        // Full means that a wake-up is pending already.
        let _ = rustix::io::write(&self.fd, &1u64.to_ne_bytes());
    }

    /// Waits for a wake-up, but no longer than `time`, and takes it.
    pub(crate) fn wait(&self, time: Duration) {
        let time = Timespec::try_from(time).ok();
        // Whatever ends the wait, the caller looks by itself.
        let _ = poll(&mut [PollFd::new(&self.fd, PollFlags::IN)], time.as_ref());
        self.clear();
    }

    /// Takes all wake-ups given so far.
    pub(crate) fn clear(&self) {
        // Empty means that there was none.
        let _ = rustix::io::read(&self.fd, &mut [0u8; 8]);
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
