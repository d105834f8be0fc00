//! Listening sockets, and what to do when no descriptor is left.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType, sockopt};

use crate::net::stream::Stream;

/// Why no connection was accepted.
#[derive(Debug)]
pub(crate) enum AcceptFailure {
    /// The listener was closed by [`Listener::close`].
    Closed,
    /// The process or the host has no descriptor (or memory) for it; try again later.
    Exhausted(io::Error),
    /// This connection is gone already, or was refused by a rule of the host; the next may be
    /// fine.
    Passing(io::Error),
}

/// A bound, listening TCP socket.
#[derive(Debug)]
pub(crate) struct Listener {
    fd: OwnedFd,
    address: SocketAddr,
    /// Connections begin with a PROXY header.
    expects_proxy: AtomicBool,
}

impl Listener {
    /// Binds and listens; port 0 takes a free one. The kernel holds `backlog` connections for us
    /// until they are accepted, cut to `somaxconn`.
    pub(crate) fn bind(address: SocketAddr, backlog: u32) -> io::Result<Self> {
        let family = match address {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let flags = SocketFlags::CLOEXEC;
        let fd = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
        // A restart must not wait for connections of the last run to time out.
        sockopt::set_socket_reuseaddr(&fd, true)?;
        // Nagle's algorithm off: what is accepted takes this over, which saves it a call each.
        sockopt::set_tcp_nodelay(&fd, true)?;
        rustix::net::bind(&fd, &address)?;
        rustix::net::listen(&fd, i32::try_from(backlog).unwrap_or(i32::MAX))?;
        let address = SocketAddr::try_from(rustix::net::getsockname(&fd)?)?;
        Ok(Self { fd, address, expects_proxy: AtomicBool::new(false) })
    }

    /// The address it listens on, with the real port.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Has connections begin with a PROXY header.
    pub(crate) fn expect_proxy(&self) {
        self.expects_proxy.store(true, Ordering::Relaxed);
    }

    /// True if connections begin with a PROXY header.
    pub(crate) fn expects_proxy(&self) -> bool {
        self.expects_proxy.load(Ordering::Relaxed)
    }

    /// Blocks for the next connection, until [`close`](Self::close).
    pub(crate) fn accept(&self) -> Result<Stream, AcceptFailure> {
        match rustix::net::acceptfrom_with(&self.fd, SocketFlags::CLOEXEC) {
            Ok((fd, peer)) => {
                let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
                Ok(Stream::new(fd, peer.unwrap_or(self.address)))
            }
            Err(Errno::INVAL | Errno::BADF) => Err(AcceptFailure::Closed),
            Err(error @ (Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)) => {
                Err(AcceptFailure::Exhausted(error.into()))
            }
            Err(error) => Err(AcceptFailure::Passing(error.into())),
        }
    }

    /// Stops listening and wakes the thread blocked in [`accept`](Self::accept).
    pub(crate) fn close(&self) {
        let _ = rustix::net::shutdown(&self.fd, Shutdown::Both);
    }
}

/// A descriptor kept for the moment when none is left, so that a client can still be answered.
#[derive(Debug)]
pub(crate) struct SpareDescriptor {
    file: Option<File>,
}

impl SpareDescriptor {
    pub(crate) fn new() -> Self {
        Self { file: File::open("/dev/null").ok() }
    }

    /// Gives the descriptor up and blocks for the next connection with it.
    ///
    /// The kernel refuses `accept` for want of a descriptor before it looks for a connection, so
    /// this is the only way to wait for one without spinning.
    pub(crate) fn accept(&mut self, listener: &Listener) -> Result<Stream, AcceptFailure> {
        self.file = None;
        listener.accept()
    }

    /// Takes a descriptor back, if one is free.
    pub(crate) fn restore(&mut self) {
        self.file = File::open("/dev/null").ok();
    }

    /// True while the descriptor is in reserve.
    pub(crate) fn is_held(&self) -> bool {
        self.file.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    #[test]
    fn what_is_accepted_does_not_wait_for_full_packets() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            // A host may have no IPv6.
            let Ok(listener) = Listener::bind(address.parse().unwrap(), 8) else { continue };
            let client = TcpStream::connect(listener.address()).unwrap();
            let stream = listener.accept().unwrap();
            assert_eq!(stream.peer(), client.local_addr().unwrap());
            assert!(sockopt::tcp_nodelay(&stream).unwrap());
        }
    }
}
