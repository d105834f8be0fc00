//! Where a server listens besides plain addresses: with TLS, on Unix sockets, on sockets that
//! somebody else has opened.

use std::fmt;
use std::net::ToSocketAddrs;
use std::os::fd::OwnedFd;
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};
use crate::net::listener::Listener;
#[cfg(feature = "tls")]
use crate::net::tls::Tls;
use crate::server::builder::Builder;
use crate::server::run::Server;

/// Listens on an address, or on each that a name stands for.
pub(super) fn listen(
    address: impl ToSocketAddrs + fmt::Debug,
    backlog: u32,
) -> Result<Vec<Listener>> {
    let wrong = |error| {
        let text = format!("{address:?} is not an address to listen on");
        Error::new(ErrorKind::Bind, text).with_source(error)
    };
    let addresses = address.to_socket_addrs().map_err(wrong)?;
    let listeners = addresses.map(|address| {
        Listener::bind(address, backlog).map_err(|error| {
            let text = format!("cannot listen on {address}");
            Error::new(ErrorKind::Bind, text).with_source(error)
        })
    });
    listeners.collect()
}

fn inherit(socket: OwnedFd) -> Result<Listener> {
    Listener::inherit(socket).map_err(|error| {
        let text = "cannot listen on a socket that was handed over";
        Error::new(ErrorKind::Bind, text).with_source(error)
    })
}

impl Server {
    /// Where it is reached, in the order of binding: `http://127.0.0.1:8000/`,
    /// `https://[::]:8443/`, `unix:/run/landline.sock`.
    pub fn local_urls(&self) -> Vec<String> {
        self.listeners.iter().map(|listener| listener.url()).collect()
    }

    /// Listens on one more address with TLS. Servers may have listeners with and without it at the
    /// same time; a client that speaks plain HTTP here is answered 400.
    ///
    /// # Blocking
    /// For the resolution of a host name, if one is given.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    #[cfg(feature = "tls")]
    pub fn bind_tls(self, address: impl ToSocketAddrs + fmt::Debug, tls: &Tls) -> Result<Self> {
        let listeners = listen(address, self.backlog())?.into_iter();
        let listeners = listeners.map(|listener| listener.with_tls(tls)).collect();
        Ok(self.with_listeners(listeners))
    }

    /// Listens on a Unix socket, for programs of this host that may write to its file.
    ///
    /// A file that a server has left behind is replaced; one that somebody listens on is not. The
    /// file has its mode before anybody can connect, and is removed when the server stops, unless
    /// another one has taken its place by then.
    ///
    /// Requests may name any host, as behind a proxy, unless
    /// [`allowed_hosts`](Builder::allowed_hosts) lists them; and no limit for each address counts,
    /// since such clients have none. To believe what a proxy says that comes this way, trust the
    /// address that stands for it, `0.0.0.0` ([`trusted_proxies`](Builder::trusted_proxies)).
    ///
    /// # Blocking
    /// While another server of this host is just starting on the same path.
    ///
    /// # Units
    /// `mode`: as for `chmod`, `0o660` lets the owner and the group in; who may not write to the
    /// file, or enter its directory, cannot connect.
    ///
    /// # Errors
    /// `Bind`: somebody listens there, there is something else, or the path may not be written.
    pub fn bind_unix(self, path: impl AsRef<Path>, mode: u32) -> Result<Self> {
        let listener = Listener::bind_unix(path.as_ref(), mode, self.backlog())?;
        Ok(self.with_listeners(vec![listener]))
    }

    /// Listens on a socket that somebody else has opened: a `TcpListener` or `UnixListener` of the
    /// standard library, or what systemd hands over. It goes on listening when this server stops,
    /// so that no client is turned away while another one starts.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Errors
    /// `Bind`: it does not listen, or for something else than TCP or a Unix socket.
    ///
    /// # Source
    /// systemd `sd_listen_fds(3)`.
    pub fn bind_listener(self, socket: impl Into<OwnedFd>) -> Result<Self> {
        let listener = inherit(socket.into())?;
        Ok(self.with_listeners(vec![listener]))
    }

    /// As [`bind_listener`](Self::bind_listener), with TLS.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Errors
    /// As [`bind_listener`](Self::bind_listener).
    #[cfg(feature = "tls")]
    pub fn bind_tls_listener(self, socket: impl Into<OwnedFd>, tls: &Tls) -> Result<Self> {
        let listener = inherit(socket.into())?.with_tls(tls);
        Ok(self.with_listeners(vec![listener]))
    }
}

impl Builder {
    /// Checks the routes and listens with TLS; see [`Server::bind_tls`].
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    #[cfg(feature = "tls")]
    pub fn bind_tls(self, address: impl ToSocketAddrs + fmt::Debug, tls: &Tls) -> Result<Server> {
        self.build()?.bind_tls(address, tls)
    }

    /// Checks the routes and listens on a Unix socket; see [`Server::bind_unix`].
    ///
    /// # Errors
    /// As [`bind`](Self::bind), and [`Server::bind_unix`].
    pub fn bind_unix(self, path: impl AsRef<Path>, mode: u32) -> Result<Server> {
        self.build()?.bind_unix(path, mode)
    }
}
