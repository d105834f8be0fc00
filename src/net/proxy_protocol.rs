//! The header that a proxy puts before a connection to say for whom it is: PROXY protocol,
//! versions 1 and 2.
//!
//! What follows it, TLS or HTTP, is for somebody else, so never a byte more is read than must
//! belong to the header.
//!
//! Source: "The PROXY protocol, versions 1 & 2", HAProxy's `doc/proxy-protocol.txt`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::RecvFlags;

use crate::deadline::Deadline;

/// Longest header that is taken: that of version 2 with 4 KiB of addresses and further fields, of
/// which a client's certificate is the largest.
const MAX_BYTES: usize = V2_FIXED + 4096;

/// Longest line of version 1, its end included.
const V1_MAX: usize = 107;

/// Shortest lines of version 1: `PROXY UNKNOWN` and `PROXY TCP6 :: :: 1 1`.
const V1_MIN_UNKNOWN: usize = 15;
const V1_MIN_TCP: usize = 22;

/// What version 2 begins with.
const V2_SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family and protocol, length.
const V2_FIXED: usize = 16;

/// Bytes that tell the versions, and what is none, apart.
const FIRST: usize = 8;

/// What a proxy says of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It is for a client with this address.
    Client(SocketAddr),
    /// It is the proxy's own, for a health check, or the client has no address of IP.
    Proxy,
}

/// Why no header was read.
#[derive(Debug)]
pub(crate) enum NoHeader {
    /// The connection begins with something else.
    Missing,
    /// It is not written as it must be.
    Malformed(&'static str),
    /// It did not come in time.
    Late,
    /// The connection ended before.
    Gone,
}

/// How far a header has come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// So many bytes belong to it at least.
    Needs(usize),
    Whole(Origin),
}

/// Receives a header, and nothing beyond it.
///
/// # Blocking
/// Until it is there or the deadline passes.
pub(crate) fn receive(socket: impl AsFd, deadline: Deadline) -> Result<Origin, NoHeader> {
    let mut bytes = vec![0; V1_MAX];
    let mut len = 0;
    loop {
        let needs = match progress(&bytes[..len])? {
            Progress::Whole(origin) => return Ok(origin),
            Progress::Needs(needs) => needs,
        };
        if bytes.len() < needs {
            bytes.resize(needs, 0);
        }
        let room = &mut bytes[len..needs];
        len += match rustix::net::recv(&socket, room, RecvFlags::DONTWAIT) {
            Ok((0, _)) => return Err(NoHeader::Gone),
            Ok((count, _)) => count,
            Err(Errno::AGAIN) => {
                wait_readable(&socket, deadline)?;
                0
            }
            Err(Errno::INTR) => 0,
            Err(_) => return Err(NoHeader::Gone),
        };
    }
}

fn wait_readable(socket: &impl AsFd, deadline: Deadline) -> Result<(), NoHeader> {
    let is_over = deadline.is_past();
    let time = deadline.remaining().and_then(|time| Timespec::try_from(time).ok());
    let mut fds = [PollFd::new(socket, PollFlags::IN | PollFlags::RDHUP)];
    match poll(&mut fds, time.as_ref()) {
        Ok(0) if is_over => Err(NoHeader::Late),
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(_) => Err(NoHeader::Gone),
    }
}

/// What the bytes are so far.
pub(crate) fn progress(bytes: &[u8]) -> Result<Progress, NoHeader> {
    let Some(first) = bytes.get(..FIRST) else {
        // Told apart as early as can be, so that who speaks first is not waited for.
        let begins = |header: &[u8]| header.starts_with(bytes);
        return if begins(V2_SIGNATURE) || begins(b"PROXY TC") || begins(b"PROXY UN") {
            Ok(Progress::Needs(FIRST))
        } else {
            Err(NoHeader::Missing)
        };
    };
    match first {
        b"PROXY TC" => progress_v1(bytes, V1_MIN_TCP),
        b"PROXY UN" => progress_v1(bytes, V1_MIN_UNKNOWN),
        first if V2_SIGNATURE.starts_with(first) => progress_v2(bytes).map_err(NoHeader::Malformed),
        _ => Err(NoHeader::Missing),
    }
}

fn progress_v1(bytes: &[u8], least: usize) -> Result<Progress, NoHeader> {
    if let Some(line) = bytes.strip_suffix(b"\r\n") {
        let malformed = NoHeader::Malformed("a line of version 1 that cannot be read");
        let origin = str::from_utf8(line).ok().and_then(parse_v1);
        return origin.map(Progress::Whole).ok_or(malformed);
    }
    let end = if bytes.ends_with(b"\r") { 1 } else { 2 };
    let needs = least.max(bytes.len() + end);
    if needs > V1_MAX || bytes[..bytes.len() - 1].contains(&b'\r') || bytes.contains(&b'\n') {
        return Err(NoHeader::Malformed("a line of version 1 without its end"));
    }
    Ok(Progress::Needs(needs))
}

fn parse_v1(line: &str) -> Option<Origin> {
    let mut words = line.split(' ');
    let (_proxy, family) = (words.next()?, words.next()?);
    if family == "UNKNOWN" {
        return Some(Origin::Proxy);
    }
    let [source, destination] = [words.next()?, words.next()?];
    let [port, to_port] = [words.next()?, words.next()?].map(parse_port);
    let both: (IpAddr, IpAddr) = match family {
        "TCP4" => {
            (source.parse::<Ipv4Addr>().ok()?.into(), destination.parse::<Ipv4Addr>().ok()?.into())
        }
        "TCP6" => {
            (source.parse::<Ipv6Addr>().ok()?.into(), destination.parse::<Ipv6Addr>().ok()?.into())
        }
        _ => return None,
    };
    to_port?;
    words.next().is_none().then_some(client(both.0, port?))
}

/// Digits without a zero before them.
fn parse_port(text: &str) -> Option<u16> {
    let is_plain = text == "0" || text.starts_with(|first: char| ('1'..='9').contains(&first));
    is_plain.then(|| text.parse().ok()).flatten()
}

fn progress_v2(bytes: &[u8]) -> Result<Progress, &'static str> {
    let Some((fixed, rest)) = bytes.split_first_chunk::<V2_FIXED>() else {
        return Ok(Progress::Needs(V2_FIXED));
    };
    let [signature @ .., version_command, family, high, low] = *fixed;
    if signature != *V2_SIGNATURE {
        return Err("a broken signature of version 2");
    }
    let length = usize::from(u16::from_be_bytes([high, low]));
    let is_local = match version_command {
        0x20 => true,
        0x21 => false,
        _ => return Err("another version or command than those of version 2"),
    };
    let addresses = match family {
        _ if is_local => 0,
        0x00 => 0,
        0x11 => 12,
        0x21 => 36,
        0x31 => 216,
        _ => return Err("a family or protocol that is no stream"),
    };
    if length < addresses {
        return Err("too short for its addresses");
    }
    let whole = V2_FIXED + length;
    if whole > MAX_BYTES {
        return Err("longer than 4 KiB");
    }
    if bytes.len() < whole {
        return Ok(Progress::Needs(whole));
    }
    Ok(Progress::Whole(if is_local { Origin::Proxy } else { origin_v2(family, rest) }))
}

/// The client of a block of addresses that is long enough for its family.
fn origin_v2(family: u8, block: &[u8]) -> Origin {
    let port =
        |at: usize| block.get(at..at + 2).map_or(0, |port| u16::from_be_bytes([port[0], port[1]]));
    match family {
        0x11 => block
            .first_chunk::<4>()
            .map_or(Origin::Proxy, |octets| client(IpAddr::from(*octets), port(8))),
        0x21 => block
            .first_chunk::<16>()
            .map_or(Origin::Proxy, |octets| client(IpAddr::from(*octets), port(32))),
        _ => Origin::Proxy,
    }
}

fn client(address: IpAddr, port: u16) -> Origin {
    Origin::Client(SocketAddr::new(address.to_canonical(), port))
}

impl fmt::Display for NoHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("begins without a PROXY header"),
            Self::Malformed(why) => write!(f, "has a malformed PROXY header: {why}"),
            Self::Late => f.write_str("sent no whole PROXY header in time"),
            Self::Gone => f.write_str("ended before its PROXY header"),
        }
    }
}

#[cfg(test)]
mod tests;
