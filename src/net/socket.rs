//! One connected socket, as the kernel has it: bytes as they are on the wire.
//!
//! The descriptor stays in blocking mode for its whole life: `O_NONBLOCK` lives on the open file
//! description and would switch the reader too. Calls that must not block say so one by one.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, sockopt};

use crate::net::waker::Waker;

/// Most slices given to the kernel in one send.
pub(crate) const MAX_SLICES: usize = 64;

/// Whether a call may wait for the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blocking {
    Wait,
    Never,
}

impl Blocking {
    fn recv_flags(self) -> RecvFlags {
        match self {
            Self::Wait => RecvFlags::empty(),
            Self::Never => RecvFlags::DONTWAIT,
        }
    }

    fn send_flags(self) -> SendFlags {
        match self {
            Self::Wait => SendFlags::NOSIGNAL,
            Self::Never => SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
        }
    }
}

/// What a receive brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// So many bytes, at least one.
    Bytes(usize),
    /// Nothing is there now (only without waiting).
    Nothing,
    /// The peer, or a local shutdown, ended the stream.
    End,
}

/// A connected socket; closed when it is dropped.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
}

impl Socket {
    /// Takes a connected socket.
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self { fd }
    }

    /// Receives into the spare capacity of `buffer`, which must not be full.
    pub(crate) fn recv_into(
        &self,
        buffer: &mut Vec<u8>,
        blocking: Blocking,
    ) -> io::Result<Received> {
        let flags = blocking.recv_flags();
        let received = retry_on_intr(|| rustix::net::recv(&self.fd, spare_capacity(buffer), flags));
        outcome(received.map(|(count, _)| count))
    }

    /// Receives into memory that need not be initialised; returns the bytes that arrived.
    ///
    /// A signal ends the call with [`Received::Nothing`], even where it may wait.
    pub(crate) fn recv_uninit<'a>(
        &self,
        buffer: &'a mut [MaybeUninit<u8>],
        blocking: Blocking,
    ) -> io::Result<(Received, &'a mut [u8])> {
        match rustix::net::recv(&self.fd, buffer, blocking.recv_flags()) {
            Ok(((bytes, _), count)) => Ok((outcome(Ok(count))?, bytes)),
            Err(Errno::INTR) => Ok((Received::Nothing, &mut [])),
            Err(error) => Ok((outcome(Err(error))?, &mut [])),
        }
    }

    /// Sends some of the slices' bytes; `WouldBlock` if nothing fits and waiting is not allowed.
    pub(crate) fn send_slices(
        &self,
        slices: &[IoSlice<'_>],
        blocking: Blocking,
    ) -> io::Result<usize> {
        let flags = blocking.send_flags();
        let slices = &slices[..slices.len().min(MAX_SLICES)];
        let mut none = SendAncillaryBuffer::default();
        Ok(retry_on_intr(|| rustix::net::sendmsg(&self.fd, slices, &mut none, flags))?)
    }

    /// Sends some of the bytes; `WouldBlock` if nothing fits and waiting is not allowed.
    pub(crate) fn send(&self, bytes: &[u8], blocking: Blocking) -> io::Result<usize> {
        let flags = blocking.send_flags();
        Ok(retry_on_intr(|| rustix::net::send(&self.fd, bytes, flags))?)
    }

    /// Waits until bytes (or the end) can be received; false once the time is over.
    pub(crate) fn wait_readable(&self, time: Option<Duration>) -> io::Result<bool> {
        let time = time.and_then(|time| Timespec::try_from(time).ok());
        let mut fds = [PollFd::new(&self.fd, PollFlags::IN | PollFlags::RDHUP)];
        match poll(&mut fds, time.as_ref()) {
            // The caller's deadline is absolute: it computes what is left and comes again.
            Err(Errno::INTR) => Ok(false),
            ready => Ok(ready? > 0),
        }
    }

    /// Waits until something can be sent, or nothing ever will; false once the time is over.
    pub(crate) fn wait_writable(&self, time: Option<Duration>) -> io::Result<bool> {
        let time = time.and_then(|time| Timespec::try_from(time).ok());
        match poll(&mut [PollFd::new(&self.fd, PollFlags::OUT)], time.as_ref()) {
            // The caller's deadline is absolute: it computes what is left and comes again.
            Err(Errno::INTR) => Ok(false),
            ready => Ok(ready? > 0),
        }
    }

    /// Waits until bytes (or the end) can be received, the waker is used or the time is over; true
    /// if it was the socket. Takes the wake-up.
    pub(crate) fn wait_readable_or_woken(
        &self,
        waker: &Waker,
        time: Option<Duration>,
    ) -> io::Result<bool> {
        let time = time.and_then(|time| Timespec::try_from(time).ok());
        let mut fds = [
            PollFd::new(&self.fd, PollFlags::IN | PollFlags::RDHUP),
            PollFd::new(waker, PollFlags::IN),
        ];
        match poll(&mut fds, time.as_ref()) {
            // The caller's deadline is absolute: it computes what is left and comes again.
            Err(Errno::INTR) => return Ok(false),
            ready => ready?,
        };
        let [socket, woken] = fds.map(|fd| !fd.revents().is_empty());
        if woken {
            waker.clear();
        }
        Ok(socket)
    }

    /// Bytes that can be received now.
    pub(crate) fn waiting_bytes(&self) -> u64 {
        // A socket that cannot tell holds nothing worth waiting for.
        rustix::io::ioctl_fionread(&self.fd).unwrap_or(0)
    }

    /// Ends receiving: a blocked reader wakes and sees what was queued, then the end.
    pub(crate) fn shutdown_read(&self) {
        let _ = rustix::net::shutdown(&self.fd, Shutdown::Read);
    }

    /// Ends sending: the peer sees the end behind everything sent.
    pub(crate) fn shutdown_write(&self) {
        let _ = rustix::net::shutdown(&self.fd, Shutdown::Write);
    }

    /// Ends both directions and wakes everybody who is blocked here.
    pub(crate) fn shutdown(&self) {
        let _ = rustix::net::shutdown(&self.fd, Shutdown::Both);
    }

    /// Ends the connection without waiting for the peer to take what is queued: a reset, so that
    /// a peer that has stopped reading holds no memory of the kernel either.
    pub(crate) fn cut(&self) {
        self.reset_on_close();
        self.shutdown();
    }

    /// Has the kernel give the peer up when it has taken nothing for so long, also after the close.
    pub(crate) fn limit_unread(&self, time: Duration) {
        // Zero would mean the kernel's default, which is many minutes.
        let millis = u32::try_from(time.as_millis()).unwrap_or(u32::MAX).max(1);
        // A socket that is already dead refuses the option.
        let _ = sockopt::set_tcp_user_timeout(&self.fd, millis);
    }

    /// Makes the close of the last owner a reset, so that the peer cannot take what was sent for
    /// the whole.
    pub(crate) fn reset_on_close(&self) {
        // A socket that is already dead refuses the option.
        let _ = sockopt::set_socket_linger(&self.fd, Some(Duration::ZERO));
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn outcome(received: rustix::io::Result<usize>) -> io::Result<Received> {
    match received {
        Ok(0) => Ok(Received::End),
        Ok(count) => Ok(Received::Bytes(count)),
        Err(Errno::AGAIN) => Ok(Received::Nothing),
        Err(error) => Err(error.into()),
    }
}
