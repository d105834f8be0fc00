//! What proxies say about a client: its address, the scheme and the host it used.
//!
//! Each proxy adds at the right who it was called by, so an entry is worth as much as the one who
//! wrote it: the list is read from the right as long as it names trusted proxies, and whom the
//! last of them names is the client. What stands left of that anybody can have written.
//!
//! Source: RFC 7239 (`Forwarded`); `X-Forwarded-For` and its kin are de facto, read as uvicorn's
//! `ProxyHeadersMiddleware` does.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use super::cidr::Networks;
use super::headers::Headers;
use super::host;
use super::refusal::Refusal;
use super::token::is_token_byte;

/// Most entries of a list that are looked at.
const MAX_HOPS: usize = 32;

/// Which header fields of trusted proxies are read.
///
/// Only one kind is: a proxy that writes one passes on the other as the client has sent it.
///
/// # Source
/// uvicorn's `--proxy-headers`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyHeaders {
    /// None: the other end of the connection is the client.
    #[default]
    Off,
    /// `X-Forwarded-For` and `X-Forwarded-Proto`.
    XForwarded,
    /// As [`XForwarded`](Self::XForwarded), and `X-Forwarded-Host`: only right where the proxy
    /// sets or removes that field itself, because clients can send it too.
    XForwardedWithHost,
    /// `Forwarded` of RFC 7239 with `for`, `proto` and `host`.
    Forwarded,
}

/// What is known of a client through its proxies; what is `None` nobody has said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Forwarded {
    pub(crate) client: Option<IpAddr>,
    pub(crate) scheme: Option<Scheme>,
    pub(crate) host: Option<Box<str>>,
}

/// How a client speaks to the outermost proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let is = |name| text.eq_ignore_ascii_case(name);
        match () {
            () if is("https") || is("wss") => Some(Self::Https),
            () if is("http") || is("ws") => Some(Self::Http),
            () => None,
        }
    }
}

impl Forwarded {
    /// Reads what the other end of the connection, a trusted proxy, says.
    ///
    /// # Errors
    /// 400: it cannot be read, or the host is none.
    pub(crate) fn read(
        headers: &Headers,
        kind: ProxyHeaders,
        trusted: &Networks,
    ) -> Result<Self, Refusal> {
        match kind {
            ProxyHeaders::Off => Ok(Self::default()),
            ProxyHeaders::XForwarded => Self::of_x(headers, false, trusted),
            ProxyHeaders::XForwardedWithHost => Self::of_x(headers, true, trusted),
            ProxyHeaders::Forwarded => Self::of_rfc(headers, trusted),
        }
    }

    fn of_x(headers: &Headers, has_host: bool, trusted: &Networks) -> Result<Self, Refusal> {
        let addresses = entries(headers, "x-forwarded-for");
        let hops = addresses.iter().map(|entry| address_of(entry));
        let (client, hop) = outermost(hops, trusted);
        // A list that is as long as that of the addresses was written with it.
        let beside = |name| {
            let list = entries(headers, name);
            let at = if list.len() == addresses.len() { hop.unwrap_or(0) } else { 0 };
            list.get(at).copied()
        };
        let scheme = beside("x-forwarded-proto").and_then(Scheme::parse);
        let host = if has_host { beside("x-forwarded-host") } else { None };
        Ok(Self { client, scheme, host: host.map(checked_host).transpose()? })
    }

    fn of_rfc(headers: &Headers, trusted: &Networks) -> Result<Self, Refusal> {
        let unreadable = || Refusal::bad_request("The field Forwarded cannot be read.");
        let mut elements = Vec::new();
        for line in headers.raw("forwarded") {
            let line = str::from_utf8(line).map_err(|_| unreadable())?;
            elements.extend(Element::read_all(line).ok_or_else(unreadable)?);
        }
        elements.reverse();
        let hops = elements.iter().map(|element| element.node.as_deref().and_then(address_of));
        let (client, hop) = outermost(hops, trusted);
        let Some(element) = elements.get(hop.unwrap_or(0)) else { return Ok(Self::default()) };
        let scheme = element.proto.as_deref().and_then(Scheme::parse);
        let host = element.host.as_deref().map(checked_host).transpose()?;
        Ok(Self { client, scheme, host })
    }
}

/// The entries of a list over all its lines, the last first; what is not UTF-8 is no entry that
/// could be read, and stands as one.
fn entries<'a>(headers: &'a Headers, name: &str) -> Vec<&'a str> {
    let lines = headers.raw(name).map(|line| str::from_utf8(line).unwrap_or("?"));
    let entries = lines.flat_map(|line| line.split(',')).map(str::trim);
    let mut entries: Vec<_> = entries.filter(|entry| !entry.is_empty()).collect();
    entries.reverse();
    entries
}

/// The address of the client, and at which hop it stands: the first that is not trusted, else the
/// last before what is no address.
fn outermost(
    hops: impl Iterator<Item = Option<IpAddr>>,
    trusted: &Networks,
) -> (Option<IpAddr>, Option<usize>) {
    let mut client = (None, None);
    for (at, hop) in hops.take(MAX_HOPS).enumerate() {
        let Some(address) = hop else { break };
        client = (Some(address), Some(at));
        if !trusted.contains(address) {
            break;
        }
    }
    client
}

/// The address of an entry, which may have a port: `192.0.2.7`, `192.0.2.7:80`, `2001:db8::7`,
/// `[2001:db8::7]`, `[2001:db8::7]:80`.
fn address_of(entry: &str) -> Option<IpAddr> {
    if let Ok(address) = entry.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = match bare {
        Some(bare) => IpAddr::V6(bare.parse().ok()?),
        None => entry.parse::<SocketAddr>().ok()?.ip(),
    };
    Some(address.to_canonical())
}

fn checked_host(host: &str) -> Result<Box<str>, Refusal> {
    if host::is_valid(host.as_bytes()) {
        return Ok(host.into());
    }
    Err(Refusal::bad_request("The forwarded host is not valid."))
}

/// What one proxy says in `Forwarded`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Element<'a> {
    node: Option<Cow<'a, str>>,
    proto: Option<Cow<'a, str>>,
    host: Option<Cow<'a, str>>,
}

impl<'a> Element<'a> {
    /// The elements of a line; `None` if it is not written as it must be. A quote that the client
    /// leaves open would hide what its proxy has added.
    ///
    /// # Source
    /// RFC 7239 4: `[ pair ] *( ";" [ pair ] )`, separated by commas.
    fn read_all(line: &'a str) -> Option<Vec<Self>> {
        let (mut elements, mut element, mut is_empty) = (Vec::new(), Self::default(), true);
        let mut rest = line;
        loop {
            rest = rest.trim_start_matches([' ', '\t']);
            if rest.starts_with(|c: char| c.is_ascii() && is_token_byte(c as u8)) {
                rest = element.read_pair(rest)?.trim_start_matches([' ', '\t']);
                is_empty = false;
            }
            let mut next = rest.chars();
            match next.next() {
                Some(';') => {}
                end @ (Some(',') | None) => {
                    if !std::mem::replace(&mut is_empty, true) {
                        elements.push(std::mem::take(&mut element));
                    }
                    if end.is_none() {
                        return Some(elements);
                    }
                }
                Some(_) => return None,
            }
            rest = next.as_str();
        }
    }

    /// Reads `name=value`; returns what follows. A name that is there twice is an error.
    fn read_pair(&mut self, text: &'a str) -> Option<&'a str> {
        let (name, rest) = text.split_once('=')?;
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let is_end = |c: char| !(c.is_ascii() && (is_token_byte(c as u8) || c == ':'));
                let end = rest.find(is_end).unwrap_or(rest.len());
                (Cow::Borrowed(&rest[..end]), &rest[end..])
            }
        };
        if value.is_empty() || !name.bytes().all(is_token_byte) {
            return None;
        }
        let place = match name {
            _ if name.eq_ignore_ascii_case("for") => &mut self.node,
            _ if name.eq_ignore_ascii_case("proto") => &mut self.proto,
            _ if name.eq_ignore_ascii_case("host") => &mut self.host,
            _ => return Some(rest),
        };
        if place.replace(value).is_some() { None } else { Some(rest) }
    }
}

/// A quoted string behind its first quote, and what follows it.
fn unquoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let plain = text.find(['"', '\\'])?;
    if text[plain..].starts_with('"') {
        return Some((Cow::Borrowed(&text[..plain]), &text[plain + 1..]));
    }
    let mut value = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next()? {
            '"' => return Some((Cow::Owned(value), chars.as_str())),
            '\\' => value.push(chars.next()?),
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests;
