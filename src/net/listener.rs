//! Listening sockets, and what to do when no descriptor is left.

use std::fmt;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, Shutdown, SocketAddrAny, SocketFlags, SocketType, sockopt};

use crate::error::{Error, ErrorKind, Result};
use crate::net::peer::Peer;
use crate::net::stream::Stream;
use crate::net::tls::Tls;
use crate::net::unix::{self, SocketFile};
use crate::net::waker::Waker;
use crate::sync::atomic::{AtomicBool, Ordering};

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

/// Where a listener is reached.
#[derive(Debug)]
enum Place {
    Address(SocketAddr),
    /// The file, if it is ours to remove.
    Unix(Option<SocketFile>),
}

/// A bound, listening socket, and what its connections speak.
#[derive(Debug)]
pub(crate) struct Listener {
    fd: OwnedFd,
    place: Place,
    tls: Option<Tls>,
    /// Where the socket is another process's as well: it must go on listening when we stop, so this
    /// ends our waiting instead.
    waker: Option<Waker>,
    is_closed: AtomicBool,
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
        Ok(Self::new(fd, Place::Address(address), None))
    }

    /// Listens on a Unix socket, see [`unix::bind`].
    pub(crate) fn bind_unix(path: &Path, mode: u32, backlog: u32) -> Result<Self> {
        let (fd, file) = unix::bind(path, mode)?;
        rustix::net::listen(&fd, i32::try_from(backlog).unwrap_or(i32::MAX)).map_err(|error| {
            let text = format!("cannot listen on {}", path.display());
            Error::new(ErrorKind::Bind, text).with_source(io::Error::from(error))
        })?;
        Ok(Self::new(fd, Place::Unix(Some(file)), None))
    }

    /// Takes a socket that listens already, and that others may listen on as well.
    pub(crate) fn inherit(fd: OwnedFd) -> io::Result<Self> {
        let wrong = |text| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        if sockopt::socket_type(&fd)? != SocketType::STREAM || !sockopt::socket_acceptconn(&fd)? {
            return wrong("it is no socket that listens for streams");
        }
        let place = match SocketAddr::try_from(rustix::net::getsockname(&fd)?) {
            Ok(address) => {
                sockopt::set_tcp_nodelay(&fd, true)?;
                Place::Address(address)
            }
            Err(_) if sockopt::socket_domain(&fd)? == AddressFamily::UNIX => Place::Unix(None),
            Err(_) => return wrong("it listens neither for TCP nor on a Unix socket"),
        };
        // Somebody else may take the connection that was announced.
        rustix::io::ioctl_fionbio(&fd, true)?;
        Ok(Self::new(fd, place, Some(Waker::new()?)))
    }

    fn new(fd: OwnedFd, place: Place, waker: Option<Waker>) -> Self {
        Self {
            fd,
            place,
            tls: None,
            waker,
            is_closed: AtomicBool::new(false),
            expects_proxy: AtomicBool::new(false),
        }
    }

    /// Has its connections speak TLS.
    #[cfg(feature = "tls")]
    pub(crate) fn with_tls(self, tls: &Tls) -> Self {
        Self { tls: Some(tls.clone()), ..self }
    }

    /// The address it listens on, with the real port; `None` for a Unix socket.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self.place {
            Place::Address(address) => Some(address),
            Place::Unix(_) => None,
        }
    }

    /// Where it is reached, as it stands in a browser's line.
    pub(crate) fn url(&self) -> String {
        match &self.place {
            Place::Unix(_) => format!("unix:{self}"),
            Place::Address(address) if self.tls.is_some() => format!("https://{address}/"),
            Place::Address(address) => format!("http://{address}/"),
        }
    }

    /// True if only programs of this host can connect, and browsers among them.
    pub(crate) fn is_loopback(&self) -> bool {
        self.address().is_some_and(|address| address.ip().is_loopback())
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
        loop {
            if let Some(waker) = &self.waker {
                self.wait_for_one(waker)?;
            }
            match rustix::net::acceptfrom_with(&self.fd, SocketFlags::CLOEXEC) {
                Ok((fd, peer)) => return Ok(self.arrived(fd, peer)),
                Err(Errno::AGAIN) if self.waker.is_some() => {}
                Err(Errno::INVAL | Errno::BADF) => return Err(AcceptFailure::Closed),
                Err(error @ (Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)) => {
                    return Err(AcceptFailure::Exhausted(error.into()));
                }
                Err(error) => return Err(AcceptFailure::Passing(error.into())),
            }
        }
    }

    /// Waits until there seems to be a connection.
    fn wait_for_one(&self, waker: &Waker) -> Result<(), AcceptFailure> {
        let mut fds = [PollFd::new(&self.fd, PollFlags::IN), PollFd::new(waker, PollFlags::IN)];
        // What goes wrong here, accepting will tell.
        let _ = poll(&mut fds, None);
        if self.is_closed.load(Ordering::SeqCst) { Err(AcceptFailure::Closed) } else { Ok(()) }
    }

    fn arrived(&self, fd: OwnedFd, peer: Option<SocketAddrAny>) -> Stream {
        let address = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
        let peer = address.or(self.address()).map_or(Peer::UNIX, Peer::from);
        let stream = Stream::of(fd, peer);
        match &self.tls {
            Some(tls) => stream.with_tls(tls),
            None => stream,
        }
    }

    /// Stops listening and wakes the thread blocked in [`accept`](Self::accept). The file of a Unix
    /// socket goes, so that nobody knocks in vain; a socket that was inherited goes on listening.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
        if let Place::Unix(Some(file)) = &self.place {
            file.remove();
        }
        match &self.waker {
            Some(waker) => waker.wake(),
            None => {
                let _ = rustix::net::shutdown(&self.fd, Shutdown::Both);
            }
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Address(address) => address.fmt(f),
            Place::Unix(Some(file)) => file.path().display().fmt(f),
            Place::Unix(None) => f.write_str("a Unix socket"),
        }
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
            let client = TcpStream::connect(listener.address().unwrap()).unwrap();
            let stream = listener.accept().unwrap();
            assert_eq!(stream.peer().address(), client.local_addr().unwrap());
            assert!(sockopt::tcp_nodelay(&stream).unwrap());
        }
    }
}
