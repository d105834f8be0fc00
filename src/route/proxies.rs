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
    /// True if the other end of a connection is one of them. Who comes through a Unix socket has
    /// the address that nobody can have.
    pub(crate) fn is_trusted(&self, peer: IpAddr) -> bool {
        if peer.is_unspecified() {
            self.trusted.contains_unix()
        } else {
            self.trusted.contains(peer)
        }
    }

    /// True if the header fields of its requests are to be believed.
    pub(crate) fn trusts(&self, peer: IpAddr) -> bool {
        self.headers != ProxyHeaders::Off && self.is_trusted(peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(trusted: &str, headers: ProxyHeaders) -> Proxies {
        Proxies { trusted: trusted.parse().unwrap(), headers }
    }

    #[test]
    fn who_comes_through_a_unix_socket_is_trusted_by_that_word_alone() {
        let (unix, there) = ("0.0.0.0".parse().unwrap(), "192.0.2.1".parse().unwrap());
        for (trusted, is_unix, is_there) in [
            ("unix", true, false),
            ("0.0.0.0/0", false, true),
            ("*", true, true),
            ("192.0.2.1", false, true),
            ("", false, false),
        ] {
            let proxies = proxies(trusted, ProxyHeaders::XForwarded);
            assert_eq!((proxies.trusts(unix), proxies.trusts(there)), (is_unix, is_there));
        }
        let silent = proxies("*", ProxyHeaders::Off);
        assert!(silent.is_trusted(there) && !silent.trusts(there));
    }
}
