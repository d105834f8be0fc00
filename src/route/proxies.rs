//! Which proxies are trusted, and with what.

use std::net::IpAddr;

use crate::http::{Networks, ProxyHeaders};

/// The proxies in front of a server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxies {
    pub(crate) trusted: Networks,
    pub(crate) headers: ProxyHeaders,
}

impl Proxies {
    /// True if the other end of a connection is one of them.
    pub(crate) fn is_trusted(&self, peer: IpAddr) -> bool {
        !self.trusted.is_empty() && self.trusted.contains(peer)
    }

    /// True if the header fields of its requests are to be believed.
    pub(crate) fn trusts(&self, peer: IpAddr) -> bool {
        self.headers != ProxyHeaders::Off && self.is_trusted(peer)
    }
}
