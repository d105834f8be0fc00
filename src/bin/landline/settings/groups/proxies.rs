//! Proxies in front.

use landline::ProxyHeaders;

use crate::proxies::TRUSTED;
use crate::settings::form::{FLAG, NETWORK, PROXY_HEADERS};
use crate::settings::setting::{Many, One, Preset, declare};

declare! {
    /// Proxies in front.
    Proxies in "Proxies in front";

    /// Take a client's address and scheme from the header fields of proxies that are allowed
    /// (--forwarded-allow-ips): for limits, logs and handlers
    proxy_headers: One<bool> = FLAG, Preset::of(false), Live;

    /// Which header fields those are: X-Forwarded-For and X-Forwarded-Proto, these with
    /// X-Forwarded-Host, or Forwarded (RFC 7239). Choose what your proxy writes itself: it passes
    /// on the others as clients have sent them
    proxy_header_style: One<ProxyHeaders> = PROXY_HEADERS, Preset::of("x-forwarded"), Live;

    /// Addresses and networks of the proxies whose word is taken, "unix" for those that come
    /// through a Unix socket, or "*" for everybody; may be repeated, or several with commas
    forwarded_allow_ips: Many<String> = NETWORK, Preset::of(TRUSTED), Live;

    /// Take connections of these proxies only, each of which begins with a PROXY header
    /// (version 1 or 2)
    proxy_protocol: One<bool> = FLAG, Preset::of(false), Restart;
}
