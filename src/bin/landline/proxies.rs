//! Proxies in front: who is believed about clients, and what is read.

use landline::{Builder, Error, Handle, Networks, ProxyHeaders, Server};

use crate::settings::Said;

/// As with uvicorn, proxies on this machine, those that come through a Unix socket included.
pub(crate) const TRUSTED: &str = "127.0.0.1,::1,unix";

/// What is believed, and of whom.
#[derive(Clone, Debug)]
pub(crate) struct Proxies {
    trusted: Networks,
    headers: ProxyHeaders,
    has_protocol: bool,
}

impl Proxies {
    /// Fills in what was not said.
    ///
    /// # Errors
    /// A network that is none.
    pub(crate) fn new(said: &Said) -> Result<Self, Error> {
        let said = &said.proxies;
        let trusted = match &said.forwarded_allow_ips {
            Some(networks) => Networks::list(networks)?,
            None => TRUSTED.parse()?,
        };
        let headers = match said.proxy_headers {
            Some(true) => said.proxy_header_style.unwrap_or(ProxyHeaders::XForwarded),
            _ => ProxyHeaders::Off,
        };
        Ok(Self { trusted, headers, has_protocol: said.proxy_protocol.unwrap_or(false) })
    }

    /// True if anybody at all is believed.
    pub(crate) fn trust_everybody(said: &Said) -> bool {
        let said = &said.proxies;
        let is_used = said.proxy_headers == Some(true) || said.proxy_protocol == Some(true);
        is_used && has_everybody(said.forwarded_allow_ips.as_deref())
    }

    /// Tells the server before it is bound.
    pub(crate) fn set_up(&self, builder: Builder) -> Builder {
        builder.trusted_proxies(self.trusted.clone()).proxy_headers(self.headers)
    }

    /// Has what was bound last expect PROXY headers, if that was said.
    pub(crate) fn guard(&self, server: Server) -> Server {
        if self.has_protocol { server.expect_proxy_protocol() } else { server }
    }

    /// Tells a server that runs.
    pub(crate) fn reload(&self, handle: &Handle) {
        handle.reload_proxies(self.trusted.clone(), self.headers);
    }
}

/// True if a list of networks names all addresses there are, of IPv4 or IPv6, in whatever words.
pub(crate) fn has_everybody(networks: Option<&[String]>) -> bool {
    // What is no list is reported by its reader.
    let networks = Networks::list(networks.unwrap_or_default()).unwrap_or_default();
    networks.to_string().split(", ").any(|network| network.ends_with("/0"))
}
