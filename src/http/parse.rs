//! Finds the end of a request head in a growing buffer, then checks and decodes it.
//!
//! ```text
//! received bytes ─► HeadParser: lines, limits, control bytes ─► Found: httparse, grammar
//!                   (each byte looked at once)                       │
//!                       RequestHead ◄─ target, host, framing, expectation
//! ```
//! The first pass exists because a head may arrive byte by byte: it remembers how far it got, so
//! that many small reads cost no more than one. It is also stricter than httparse, which takes a
//! bare LF for a line end. What is refused never depends on how the bytes were split.
//!
//! Source: RFC 9112 2 to 6.

use std::mem::MaybeUninit;

use httparse::Status;

use super::framing::Framing;
use super::headers::Headers;
use super::host;
use super::method::Method;
use super::refusal::Refusal;
use super::request::{RequestHead, Version};
use super::target::Target;
use super::token::text_run;
use crate::config::Config;

/// Empty lines that are forgiven before a request line (RFC 9112 2.2).
const LEADING_LINES: usize = 2;

/// Header lines for which there is room on the stack.
const USUAL_LINES: usize = 8;

/// No setting lifts the limit of a head above this, since positions in it are kept in 32 bits.
const MAX_HEAD_BYTES: usize = 1 << 30;

/// Finds and parses one head after the other.
///
/// Between two calls the buffer may only grow at its end; after a head was found, its bytes are
/// taken away and the parser is ready for the next one. After a refusal the connection closes.
#[derive(Debug, Default)]
pub(crate) struct HeadParser {
    /// Where the head begins, after the leading empty lines.
    start: usize,
    /// Where the line that is not yet complete begins.
    line_start: usize,
    /// Complete lines, the request line included.
    lines: usize,
    /// Bytes that need not be looked at again.
    scanned: usize,
}

/// Where a head that is complete lies in its buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    start: usize,
    /// How many bytes it takes, leading empty lines included.
    pub(crate) end: usize,
    /// Header lines.
    lines: usize,
}

impl Found {
    /// Parses the head, which lies at the start of the buffer it was found in.
    ///
    /// # Errors
    /// What can only be said of a whole head: most are 400. Every refusal closes.
    pub(crate) fn parse(self, buffer: &[u8]) -> Result<Box<RequestHead>, Refusal> {
        read_head(&buffer[self.start..self.end], self.lines)
    }
}

impl HeadParser {
    /// Looks for a whole head at the start of `buffer`; `None` if it is not complete yet.
    ///
    /// # Errors
    /// As soon as the bytes that are there cannot become a valid head: 414, 431 and control
    /// bytes at once, the version at the end of the request line. Every refusal closes.
    pub(crate) fn find(
        &mut self,
        buffer: &[u8],
        config: &Config,
    ) -> Result<Option<Found>, Refusal> {
        let Some(end) = self.find_end(buffer, config)? else { return Ok(None) };
        let done = std::mem::take(self);
        Ok(Some(Found { start: done.start, end, lines: done.lines - 1 }))
    }

    /// Finds a head and parses it: the head and how many bytes it took.
    ///
    /// # Errors
    /// Those of both.
    #[cfg(any(test, feature = "internals"))]
    pub(crate) fn parse(
        &mut self,
        buffer: &[u8],
        config: &Config,
    ) -> Result<Option<(RequestHead, usize)>, Refusal> {
        let Some(found) = self.find(buffer, config)? else { return Ok(None) };
        Ok(Some((*found.parse(buffer)?, found.end)))
    }

    /// True if at least one byte of a head is there; the forgiven empty lines before it do not
    /// count, so a connection that sent only those is still idle.
    pub(crate) fn started(&self, buffer: &[u8]) -> bool {
        let mut rest = buffer;
        for _ in 0..LEADING_LINES {
            rest = rest.strip_prefix(b"\r\n").unwrap_or(rest);
        }
        !matches!(rest, b"" | b"\r")
    }

    /// Walks over new bytes: the position after the empty line that ends the head, if it is there.
    fn find_end(&mut self, buffer: &[u8], config: &Config) -> Result<Option<usize>, Refusal> {
        let limit = config.head_bytes().min(MAX_HEAD_BYTES);
        while let Some(rest) = buffer.get(self.scanned..).filter(|rest| !rest.is_empty()) {
            let at = self.scanned;
            if rest[0] == b'\r' {
                let Some(&next) = rest.get(1) else { break };
                if next != b'\n' {
                    return Err(Refusal::bad_request("The request head has a bare CR."));
                }
                self.within(at + 2, limit)?;
                if self.end_line(at, buffer)? {
                    return Ok(Some(self.scanned));
                }
                continue;
            }
            if at == self.line_start && self.lines > config.head_lines() {
                return Err(Refusal::too_many_header_lines());
            }
            let run = text_run(rest);
            self.within(at + run.max(1), limit)?;
            if run == 0 {
                return Err(Refusal::bad_request("The request head has a control character."));
            }
            self.scanned += run;
        }
        Ok(None)
    }

    /// Takes the line that ends with the CR LF at `at`; true if it is the last of the head.
    fn end_line(&mut self, at: usize, buffer: &[u8]) -> Result<bool, Refusal> {
        let line = &buffer[self.line_start..at];
        self.scanned = at + 2;
        self.line_start = self.scanned;
        match (line.is_empty(), self.lines) {
            (true, 0) if at < 2 * LEADING_LINES => self.start = self.scanned,
            (true, 0) => return Err(Refusal::bad_request("The request line is missing.")),
            (true, _) => return Ok(true),
            (false, 0) => check_version(line)?,
            (false, _) => {}
        }
        self.lines += usize::from(!line.is_empty());
        Ok(false)
    }

    /// Refuses a head that reaches over the limit.
    fn within(&self, end: usize, limit: usize) -> Result<(), Refusal> {
        match end - self.start <= limit {
            true => Ok(()),
            false if self.lines == 0 => Err(Refusal::uri_too_long()),
            false => Err(Refusal::head_too_long()),
        }
    }
}

/// Answers a wrong version before the head is complete: the sender may wait for an answer first.
fn check_version(line: &[u8]) -> Result<(), Refusal> {
    let version = line.rsplit(|&byte| byte == b' ').next().unwrap_or_default();
    match version.strip_prefix(b"HTTP/") {
        Some(b"1.1" | b"1.0") => Ok(()),
        Some([b'0'..=b'9'] | [b'0'..=b'9', b'.', b'0'..=b'9']) => {
            Err(Refusal::version_not_supported())
        }
        _ => Err(Refusal::bad_request("The request line is malformed.")),
    }
}

/// Parses a whole head with this many header lines.
fn read_head(text: &[u8], lines: usize) -> Result<Box<RequestHead>, Refusal> {
    let (method, target, version, headers) = take_apart(text, lines)?;
    check_head(method, target, version, headers)
}

/// The method, the target, the version and the fields of a head.
// A function of its own so that the room for the lines is given back before the checks: the stack
// of a connection is small.
#[inline(never)]
fn take_apart(text: &[u8], lines: usize) -> Result<(&str, &str, Version, Headers), Refusal> {
    let (mut usual, mut more);
    let storage = if lines <= USUAL_LINES {
        usual = [const { MaybeUninit::uninit() }; USUAL_LINES];
        &mut usual[..]
    } else {
        more = Vec::with_capacity(lines);
        more.spare_capacity_mut()
    };
    let mut parsed = httparse::Request::new(&mut []);
    let status = parsed
        .parse_with_uninit_headers(text, storage)
        .map_err(|error| Refusal::bad_request(describe(error)))?;
    let (Status::Complete(length), Some(method), Some(target), Some(minor)) =
        (status, parsed.method, parsed.path, parsed.version)
    else {
        return Err(Refusal::bad_request("The request head is malformed."));
    };
    // Both passes must agree on where the head ends.
    if length != text.len() {
        return Err(Refusal::bad_request("The request head is malformed."));
    }
    let version = if minor == 0 { Version::Http10 } else { Version::Http11 };
    let headers = Headers::from_fields(parsed.headers.iter().map(|line| (line.name, line.value)));
    Ok((method, target, version, headers))
}

/// What httparse refuses, in words for the peer.
fn describe(error: httparse::Error) -> &'static str {
    match error {
        // Also a space before the colon and a folded line.
        httparse::Error::HeaderName => "A header name is malformed.",
        httparse::Error::HeaderValue => "A header value is malformed.",
        httparse::Error::Token => "The request line is malformed.",
        _ => "The request head is malformed.",
    }
}

/// The checks that need more than one line.
#[inline(never)]
fn check_head(
    method: &str,
    target: &str,
    version: Version,
    headers: Headers,
) -> Result<Box<RequestHead>, Refusal> {
    let method = match method {
        // What nearly all are; the general way takes its time.
        "GET" => Method::Get,
        _ => method.parse().map_err(|()| Refusal::bad_request("The method is malformed."))?,
    };
    let (target, authority) = Target::parse(target, &method)?;
    check_host(version, &headers)?;
    let framing = Framing::of(version, &headers)?;
    let expects_continue = check_expectation(version, &headers)? && framing != Framing::None;
    let authority = authority.map(Box::from);
    let head =
        RequestHead { method, version, framing, expects_continue, target, authority, headers };
    Ok(Box::new(head))
}

/// The `Host` line must be there and valid, also if an absolute target names another host
/// (RFC 9112 3.2).
fn check_host(version: Version, headers: &Headers) -> Result<(), Refusal> {
    let mut lines = headers.raw("host");
    match (lines.next(), lines.next()) {
        (None, _) if version == Version::Http10 => Ok(()),
        (None, _) => Err(Refusal::bad_request("The Host is missing.")),
        (Some(host), None) if host::is_valid(host) => Ok(()),
        (Some(_), None) => Err(Refusal::bad_request("The Host is malformed.")),
        _ => Err(Refusal::bad_request("The Host is there more than once.")),
    }
}

/// True for `Expect: 100-continue`; HTTP/1.0 has no expectations (RFC 9110 10.1.1).
fn check_expectation(version: Version, headers: &Headers) -> Result<bool, Refusal> {
    let mut expected = headers.raw("expect").peekable();
    if version == Version::Http10 || expected.peek().is_none() {
        return Ok(false);
    }
    if expected.all(|value| value.eq_ignore_ascii_case(b"100-continue")) {
        return Ok(true);
    }
    Err(Refusal::expectation_failed())
}

#[cfg(test)]
mod tests;
