//! Which names this server answers to.
//!
//! A page of any site can have its own name resolve to 127.0.0.1 and then read a local server
//! as its own origin (DNS rebinding). A server bound to loopback therefore answers to the names
//! of loopback only, unless told otherwise.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

use crate::http::refusal::Refusal;

/// The rule for the `Host` of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hosts {
    /// Lower-case names without port; `None` allows loopback names on a loopback listener and
    /// everything elsewhere.
    allowed: Option<Vec<String>>,
}

impl Hosts {
    pub(crate) fn listed(names: impl IntoIterator<Item = String>) -> Self {
        let names = names.into_iter().map(|name| name.to_ascii_lowercase());
        Self { allowed: Some(names.collect()) }
    }

    /// Refuses a request for another host; HTTP/1.0 without a host is no browser.
    pub(crate) fn check(&self, host: &str, listens_on_loopback: bool) -> Result<(), Refusal> {
        let name = name_of(host);
        let is_ours = match &self.allowed {
            _ if host.is_empty() => true,
            Some(names) if names.iter().any(|known| known == "*") => true,
            Some(names) => is_loopback(&name) || names.iter().any(|known| covers(known, &name)),
            None => !listens_on_loopback || is_loopback(&name),
        };
        if is_ours {
            return Ok(());
        }
        Err(Refusal::misdirected("This server does not answer to that host name."))
    }
}

/// True if an entry names the host, or with a leading dot a parent of it.
fn covers(entry: &str, name: &str) -> bool {
    match entry.strip_prefix('.') {
        Some(parent) => {
            name == parent || name.strip_suffix(entry).is_some_and(|rest| !rest.is_empty())
        }
        None => entry == name,
    }
}

fn is_loopback(name: &str) -> bool {
    if matches!(name, "localhost" | "127.0.0.1") {
        return true;
    }
    if name.ends_with(".localhost") {
        return true;
    }
    let address = name.trim_start_matches('[').trim_end_matches(']');
    address.parse::<IpAddr>().is_ok_and(|ip| match ip {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip == Ipv6Addr::LOCALHOST,
    })
}

/// The host without its port and a trailing dot, in lower case.
fn name_of(host: &str) -> Cow<'_, str> {
    let end = if host.starts_with('[') { host.find(']').map_or(0, |end| end + 1) } else { 0 };
    let colon = host.bytes().skip(end).position(|byte| byte == b':');
    let name = colon.map_or(host, |colon| &host[..end + colon]);
    let name = name.trim_end_matches('.');
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Cow::Owned(name.to_ascii_lowercase());
    }
    Cow::Borrowed(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loopback_server_answers_to_loopback_names() {
        let hosts = Hosts::default();
        for host in [
            "localhost:8000",
            "127.0.0.1",
            "127.8.8.8:1",
            "[::1]:8000",
            "LOCALHOST.",
            "x.localhost",
        ] {
            assert!(hosts.check(host, true).is_ok(), "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1"]
        {
            assert!(hosts.check(host, true).is_err(), "{host}");
            assert!(hosts.check(host, false).is_ok(), "{host}");
        }
    }

    #[test]
    fn a_list_counts_on_every_listener() {
        let hosts = Hosts::listed(["Chat.Example".to_owned(), ".in.example".to_owned()]);
        for host in ["chat.example:8000", "in.example", "a.in.example", "127.0.0.1:8000"] {
            assert!(hosts.check(host, true).is_ok() && hosts.check(host, false).is_ok(), "{host}");
        }
        for host in ["evilin.example", "chat.example.evil", "example"] {
            assert!(hosts.check(host, false).is_err(), "{host}");
        }
        assert!(Hosts::listed(["*".to_owned()]).check("any.example", true).is_ok());
    }
}
