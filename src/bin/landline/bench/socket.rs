//! One socket of the load: it never waits.

use std::io::{self, IoSlice, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, SocketFlags, SocketType, bind,
    connect, ipproto, recv, send, sendmsg, socket_with, sockopt,
};

use crate::bench::secure::{self, Layer, Secured};

/// A TCP connection of the load, or one on its way, and what lies between it and the bytes.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    tls: Option<Layer>,
}

impl Socket {
    /// Begins to connect, from an address of this machine if one is given.
    pub(crate) fn connect(
        to: SocketAddr,
        from: Option<IpAddr>,
        secured: Option<&Secured>,
    ) -> io::Result<Self> {
        let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
        sockopt::set_tcp_nodelay(&socket, true)?;
        if let Some(from) = from {
            bind(&socket, &SocketAddr::new(from, 0))?;
        }
        match connect(&socket, &to) {
            Ok(()) | Err(Errno::INPROGRESS) => {
                Ok(Self { fd: socket, tls: secured.map(Layer::new).transpose()? })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What became of connecting.
    pub(crate) fn result(&self) -> io::Result<()> {
        Ok(sockopt::socket_error(&self.fd)??)
    }

    /// True while there are no keys yet, which TLS needs.
    pub(crate) fn is_shaking_hands(&self) -> bool {
        self.tls.as_ref().is_some_and(Layer::is_shaking_hands)
    }

    /// True if TLS keeps something that the kernel did not take.
    pub(crate) fn has_unsent(&self) -> bool {
        self.tls.as_ref().is_some_and(Layer::has_unsent)
    }

    /// Sends what the kernel takes now, and says how much that was; what TLS has taken, it keeps.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut raw = Raw(&self.fd);
        let outcome = match &mut self.tls {
            None => raw.write(bytes),
            Some(tls) => tls.send(&mut raw, bytes),
        };
        match outcome {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            outcome => outcome,
        }
    }

    /// Receives what is there: `None` if there is nothing, 0 at the end of the stream.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let mut raw = Raw(&self.fd);
        match &mut self.tls {
            None => match raw.read(buffer) {
                Ok(count) => Ok(Some(count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
                Err(error) => Err(error),
            },
            Some(tls) => tls.receive(&mut raw, buffer),
        }
    }
}

/// A socket without what lies above it: `WouldBlock` where the kernel has nothing or no room.
struct Raw<'a>(&'a OwnedFd);

impl Read for Raw<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match recv(self.0, buffer, RecvFlags::empty()) {
            Ok((count, _)) => Ok(count),
            Err(error) => Err(not_now(error).into()),
        }
    }
}

impl Write for Raw<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        send(self.0, bytes, SendFlags::NOSIGNAL).map_err(|error| not_now(error).into())
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut nothing = SendAncillaryBuffer::default();
        sendmsg(self.0, slices, &mut nothing, SendFlags::NOSIGNAL)
            .map_err(|error| not_now(error).into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A signal is no reason to try again at once.
fn not_now(error: Errno) -> Errno {
    if error == Errno::INTR { Errno::AGAIN } else { error }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Why a connection cannot be opened, and what to do about it.
pub(crate) fn advice(error: &io::Error, to: SocketAddr) -> String {
    let what = format!("cannot connect to {to}");
    if let Some(advice) = secure::advice(error) {
        return format!("{what}: {advice}");
    }
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
