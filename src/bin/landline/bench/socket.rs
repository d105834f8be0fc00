//! One socket of the load: it never waits.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, connect, ipproto, recv,
    send, socket_with, sockopt,
};

/// A TCP connection of the load, or one on its way.
#[derive(Debug)]
pub(crate) struct Socket(OwnedFd);

impl Socket {
    /// Begins to connect, from an address of this machine if one is given.
    pub(crate) fn connect(to: SocketAddr, from: Option<IpAddr>) -> io::Result<Self> {
        let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
        sockopt::set_tcp_nodelay(&socket, true)?;
        if let Some(from) = from {
            bind(&socket, &SocketAddr::new(from, 0))?;
        }
        match connect(&socket, &to) {
            Ok(()) | Err(Errno::INPROGRESS) => Ok(Self(socket)),
            Err(error) => Err(error.into()),
        }
    }

    /// What became of connecting.
    pub(crate) fn result(&self) -> io::Result<()> {
        Ok(sockopt::socket_error(&self.0)??)
    }

    /// Sends what the kernel takes now, and says how much that was.
    pub(crate) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        match send(&self.0, bytes, SendFlags::NOSIGNAL) {
            Ok(count) => Ok(count),
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// Receives what is there: `None` if there is nothing, 0 at the end of the stream.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match recv(&self.0, buffer, RecvFlags::empty()) {
            Ok((count, _)) => Ok(Some(count)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Why a connection cannot be opened, and what to do about it.
pub(crate) fn advice(error: &io::Error, to: SocketAddr) -> String {
    let what = format!("cannot connect to {to}");
    let errno = Errno::from_io_error(error);
    match errno {
        Some(Errno::CONNREFUSED) => {
            format!("{what}: connection refused; does the server run, and on this port?")
        }
        Some(Errno::MFILE) => format!(
            "{what}: too many open files; raise the limit (ulimit -n), or use fewer connections"
        ),
        Some(Errno::NFILE) => format!(
            "{what}: the machine has too many open files; raise fs.file-max, or use fewer \
             connections"
        ),
        Some(Errno::ADDRNOTAVAIL) => format!(
            "{what}: out of ports, or not an address of this machine; one local address has about \
             28,000 ports for one server: give more with --source (repeatable)"
        ),
        Some(Errno::ADDRINUSE) => {
            format!("{what}: out of ports of a local address; give more addresses with --source")
        }
        Some(Errno::NETUNREACH | Errno::HOSTUNREACH) => {
            format!("{what}: no way there; is the address right, and this machine on the network?")
        }
        Some(Errno::CONNRESET) => {
            format!("{what}: the server cut the connection; is it full? try fewer connections")
        }
        Some(Errno::INVAL) => {
            format!("{what}: a --source of loopback cannot reach other machines")
        }
        _ => format!("{what}: {error}"),
    }
}
