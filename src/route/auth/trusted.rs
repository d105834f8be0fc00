//! `TrustedHeader`, the word of a proxy that has its users log in itself.

use std::net::SocketAddr;

use super::verdict::{Authenticator, Denial, Verdict};
use crate::error::{Error, ErrorKind, Result};
use crate::http::Networks;
use crate::http::token::is_token;
use crate::route::identity::Identity;
use crate::route::request::Request;

/// Longest name of a user in bytes.
const NAME_BYTES: usize = 256;

/// Takes the user's name from a header that a trusted proxy sets, such as `X-Remote-User`.
///
/// The header counts only if the other end of the connection itself is one of the proxies (`unix` for
/// those that come through a Unix socket, see [`Networks`]); anybody else who sends it is refused with 403, and so is a proxy that sends two. The proxy has to remove
/// the header from what its clients send, as nginx' `proxy_set_header` does. Among several
/// authenticators of an [`Auth`](crate::Auth) it belongs first, so that a forged header is refused
/// whatever else the request brings.
///
/// # Example
/// ```
/// use landline::{Auth, TrustedHeader};
///
/// # fn main() -> landline::Result<()> {
/// let proxy = TrustedHeader::new("X-Remote-User", "127.0.0.1, 10.1.0.0/16".parse()?)?
///     .groups_header("X-Remote-Groups")?;
/// let auth = Auth::new(proxy);
/// # let _ = auth;
/// # Ok(())
/// # }
/// ```
///
/// # Source
/// Django's `RemoteUserMiddleware`, which believes whoever sends the header.
#[derive(Clone, Debug)]
pub struct TrustedHeader {
    user: String,
    groups: Option<String>,
    proxies: Networks,
}

impl TrustedHeader {
    /// Believes this header if one of these addresses sends it.
    ///
    /// # Errors
    /// `Config`: the name is no name of a header.
    pub fn new(header: impl Into<String>, proxies: Networks) -> Result<Self> {
        Ok(Self { user: checked(header.into())?, groups: None, proxies })
    }

    /// Takes the user's groups from another header of the proxy, separated by commas.
    ///
    /// # Errors
    /// `Config`: the name is no name of a header.
    pub fn groups_header(mut self, header: impl Into<String>) -> Result<Self> {
        self.groups = Some(checked(header.into())?);
        Ok(self)
    }

    fn is_proxy(&self, peer: SocketAddr) -> bool {
        // What a client of a Unix socket has for an address, and nobody else.
        let is_unix = peer.ip().is_unspecified() && peer.port() == 0;
        if is_unix { self.proxies.contains_unix() } else { self.proxies.contains(peer.ip()) }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        [Some(&self.user), self.groups.as_ref()].into_iter().flatten().map(String::as_str)
    }
}

fn checked(name: String) -> Result<String> {
    if is_token(name.as_bytes()) {
        return Ok(name);
    }
    let text = format!("{name:?} is no name of a header; write X-Remote-User");
    Err(Error::new(ErrorKind::Config, text))
}

impl Authenticator for TrustedHeader {
    fn authenticate(&self, request: &Request) -> Result<Verdict> {
        let headers = request.headers();
        if self.names().all(|name| headers.count(name) == 0) {
            return Ok(Verdict::NotMine);
        }
        if !self.is_proxy(request.peer()) {
            let text = format!("The header {} is for this server's proxy to set.", self.user);
            return Ok(Verdict::Refused(Denial::forbidden(text)));
        }
        if self.names().any(|name| headers.count(name) > 1) {
            let text = format!("The header {} is there more than once.", self.user);
            return Ok(Verdict::Refused(Denial::forbidden(text)));
        }
        let name = headers.get(&self.user).unwrap_or_default().trim();
        if name.is_empty() {
            // The proxy lets somebody through who has not logged in.
            return Ok(match headers.count(&self.user) {
                1 if headers.get(&self.user).is_none() => unreadable(&self.user),
                _ => Verdict::NotMine,
            });
        }
        if name.len() > NAME_BYTES || name.chars().any(char::is_control) {
            return Ok(unreadable(&self.user));
        }
        let groups = self.groups.as_ref().and_then(|header| headers.get(header));
        let groups = groups.unwrap_or_default().split(',').map(str::trim);
        Ok(Verdict::Known(Identity::default().user(name).groups(groups)))
    }
}

fn unreadable(header: &str) -> Verdict {
    Verdict::Refused(Denial::forbidden(format!("The header {header} is no name.")))
}
