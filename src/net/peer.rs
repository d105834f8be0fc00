//! Who is at the other end of a connection.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The other end: an address, or a program of this host behind a Unix socket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    address: Option<SocketAddr>,
}

impl Peer {
    /// Somebody who came through a Unix socket.
    pub(crate) const UNIX: Self = Self { address: None };

    /// What stands where an address is asked for and there is none: nobody can have it.
    const NO_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

    /// The address of the peer; `0.0.0.0:0` for one behind a Unix socket.
    pub(crate) fn address(self) -> SocketAddr {
        self.address.unwrap_or(Self::NO_ADDRESS)
    }

    /// True if the peer came through a Unix socket, so that it has no address.
    pub(crate) fn is_unix(self) -> bool {
        self.address.is_none()
    }
}

impl From<SocketAddr> for Peer {
    /// An IPv4 peer of an IPv6 listener is shown as IPv4, and what no peer can have is that of a
    /// Unix socket.
    fn from(address: SocketAddr) -> Self {
        if address == Self::NO_ADDRESS {
            return Self::UNIX;
        }
        let plain = SocketAddr::new(address.ip().to_canonical(), address.port());
        Self { address: Some(if address.ip() == plain.ip() { address } else { plain }) }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => address.fmt(f),
            None => f.write_str("unix"),
        }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_shown_as_people_know_it() {
        for (address, shown) in [
            ("192.0.2.1:80", "192.0.2.1:80"),
            ("[::ffff:192.0.2.1]:80", "192.0.2.1:80"),
            ("[2001:db8::1]:80", "[2001:db8::1]:80"),
        ] {
            assert_eq!(Peer::from(address.parse::<SocketAddr>().unwrap()).to_string(), shown);
        }
        assert_eq!(Peer::UNIX.to_string(), "unix");
        assert_eq!(Peer::UNIX.address().to_string(), "0.0.0.0:0");
        assert!(Peer::from(Peer::UNIX.address()).is_unix());
    }
}
