//! Puts a response into bytes.
//!
//! The head is printed by tiny_http, without a body, and then corrected: tiny_http drops
//! `Connection` and `Upgrade`, and announces a length where there must be none (204, 304) or
//! where none is known (HTTP/1.0). The head of most responses is the same but for its status, type
//! and length, and written without that way round. The body is appended here, so that nothing of the request
//! (its `TE`) or of the size of the body changes the framing.

use std::fmt;
use std::io::{self, Read, Write};

use tiny_http::{HTTPVersion, Header, StatusCode};

use super::date;
use super::refusal::Refusal;
use super::request::Version;
use super::response::{Body, Head, Response};

/// The interim response that asks for the body (RFC 9110 10.1.1).
pub(crate) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Bytes that are read from a streamed body at a time.
const PIECE_BYTES: usize = 16 * 1024;

/// What of the request shapes the bytes of its response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How {
    /// The version of the request; HTTP/1.1 if it is not known.
    pub(crate) version: Version,
    /// The request was HEAD: everything but the body.
    pub(crate) head_only: bool,
    /// The connection may go on, as far as client and server wish.
    pub(crate) keep_alive: bool,
}

/// What became of a response.
#[derive(Debug)]
pub(crate) struct Encoded {
    /// The connection goes on after the response, and the response said so.
    pub(crate) keep_alive: bool,
    /// The part of the body that is still to be read and sent.
    pub(crate) rest: Option<Rest>,
}

/// How the client finds the end of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// There can be no body (204, 304).
    Bodiless,
    /// After this many bytes.
    Length(u64),
    /// After the chunk of size zero.
    Chunked,
    /// When the connection closes (HTTP/1.0).
    Close,
}

/// Appends the head and a body that is in memory to `out`; a streamed body comes back as
/// [`Encoded::rest`]. A faulty response becomes 500, the marker of a WebSocket session nothing.
///
/// # Errors
/// Those of tiny_http's printing, which writes to memory and so has none of its own.
pub(crate) fn encode(response: Response, how: &How, out: &mut Vec<u8>) -> io::Result<Encoded> {
    if response.is_closed_marker() {
        return Ok(Encoded { keep_alive: false, rest: None });
    }
    let response = match response.fault() {
        Some(_) => Refusal::internal().and_close().into_response(),
        None => response,
    };
    let closes = response.closes();
    let (head, body) = response.into_parts();
    let end = End::of(head.status, &body, how.version);
    let keep_alive = how.keep_alive && !closes && end != End::Close;
    match end {
        End::Length(length) if keep_alive && how.version == Version::Http11 && head.is_usual() => {
            write_usual_head(&head, length, out);
        }
        _ => write_head(head, end, &Wish { version: how.version, keep_alive }, out)?,
    }
    let has_body = !how.head_only && end != End::Bodiless;
    let rest = match body {
        Body::Memory(data) if has_body => {
            out.extend_from_slice(&data);
            None
        }
        Body::Reader { reader, .. } if has_body => Some(Rest { reader, end }),
        _ => None,
    };
    Ok(Encoded { keep_alive, rest })
}

impl End {
    fn of(status: StatusCode, body: &Body, version: Version) -> Self {
        match body {
            _ if matches!(status.0, 204 | 304) => Self::Bodiless,
            Body::Memory(data) => Self::Length(data.len() as u64),
            Body::Reader { length: Some(length), .. } => Self::Length(*length),
            Body::Reader { length: None, .. } if version == Version::Http11 => Self::Chunked,
            Body::Reader { length: None, .. } => Self::Close,
            Body::SessionOver => Self::Bodiless,
        }
    }

    /// What tiny_http has to be told so that it announces this end, or one that is taken away.
    fn announced(self) -> Option<usize> {
        match self {
            Self::Chunked => None,
            Self::Length(length) => Some(usize::try_from(length).unwrap_or(usize::MAX)),
            Self::Bodiless | Self::Close => Some(0),
        }
    }
}

/// What the `Connection` line depends on.
struct Wish {
    version: Version,
    keep_alive: bool,
}

/// Writes the head that most responses have, byte by byte as [`write_head`] would.
fn write_usual_head(head: &Head, length: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    put_number(head.status.0.into(), out);
    out.push(b' ');
    out.extend_from_slice(head.status.default_reason_phrase().as_bytes());
    out.extend_from_slice(b"\r\nDate: ");
    out.extend_from_slice(&date::now());
    for (name, value) in head.usual() {
        for part in ["\r\n", name, ": ", value] {
            out.extend_from_slice(part.as_bytes());
        }
    }
    out.extend_from_slice(b"\r\nServer: landline\r\nContent-Length: ");
    put_number(length, out);
    out.extend_from_slice(b"\r\n\r\n");
}

fn put_number(mut number: u64, out: &mut Vec<u8>) {
    // As long as the longest.
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return out.extend_from_slice(&digits[start..]);
        }
    }
}

/// Prints the head through tiny_http and corrects it.
fn write_head(head: Head, end: End, wish: &Wish, out: &mut Vec<u8>) -> io::Result<()> {
    let (start, status) = (out.len(), head.status);
    let mut headers = head.into_headers();
    let upgrade = headers.iter().find(|header| header.field.equiv("Upgrade"));
    let connection = connection_lines(upgrade, wish);
    if !headers.iter().any(|header| header.field.equiv("Server")) {
        headers.extend(Header::from_bytes("Server", "landline"));
    }
    let version = match wish.version {
        Version::Http10 => HTTPVersion(1, 0),
        Version::Http11 => HTTPVersion(1, 1),
    };
    // The threshold keeps tiny_http from choosing chunks for a body whose length is known.
    tiny_http::Response::new(status, headers, io::empty(), end.announced(), None)
        .with_chunked_threshold(usize::MAX)
        .raw_print(&mut *out, version, &[], true, None)?;
    if matches!(end, End::Bodiless | End::Close) {
        drop_line(out, start, b"\r\nContent-Length: 0\r\n");
    }
    insert_after_status(out, start, connection.as_bytes());
    Ok(())
}

/// The lines that tiny_http leaves out, each with its line end.
fn connection_lines(upgrade: Option<&Header>, wish: &Wish) -> String {
    let mut lines = String::new();
    let mut tokens = Vec::with_capacity(2);
    if let Some(protocol) = upgrade {
        lines = format!("Upgrade: {}\r\n", protocol.value);
        tokens.push("Upgrade");
    }
    match (wish.version, wish.keep_alive) {
        (Version::Http11, true) => {}
        (Version::Http10, true) => tokens.push("keep-alive"),
        (_, false) => tokens.push("close"),
    }
    if !tokens.is_empty() {
        lines.push_str(&format!("Connection: {}\r\n", tokens.join(", ")));
    }
    lines
}

/// Takes a line out of the head that starts at `start`; `line` has the line ends around it.
fn drop_line(out: &mut Vec<u8>, start: usize, line: &[u8]) {
    if let Some(at) = out[start..].windows(line.len()).position(|window| window == line) {
        let at = start + at;
        // The line end before it stays.
        out.drain(at + 2..at + line.len());
    }
}

/// Puts lines below the status line of the head that starts at `start`.
fn insert_after_status(out: &mut Vec<u8>, start: usize, lines: &[u8]) {
    if let Some(at) = out[start..].windows(2).position(|window| window == b"\r\n") {
        let at = start + at + 2;
        out.splice(at..at, lines.iter().copied());
    }
}

/// A body that is read while it is sent.
///
/// The server takes piece after piece and sends each within its own deadline.
pub(crate) struct Rest {
    reader: Box<dyn Read + Send>,
    /// With a length: what is still missing.
    end: End,
}

impl Rest {
    /// Appends the next piece, at most about 16 KiB; false once the body is complete.
    ///
    /// # Blocking
    /// As long as the reader does.
    ///
    /// # Errors
    /// What the reader fails with; `UnexpectedEof` if it ends before its length. Then the
    /// connection must be cut, so that the client notices.
    pub(crate) fn next(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        match self.end {
            End::Bodiless | End::Length(0) => Ok(false),
            End::Length(left) => {
                let most = usize::try_from(left).unwrap_or(usize::MAX);
                let read = self.read(most, out)?;
                if read == 0 {
                    let text = format!("the response body ended {left} bytes early");
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
                }
                self.end = End::Length(left - read as u64);
                Ok(left > read as u64)
            }
            End::Chunked => self.next_chunk(out),
            End::Close => Ok(self.read(usize::MAX, out)? > 0),
        }
    }

    fn next_chunk(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        // As long as the size line of the largest piece; what is too much is taken out again.
        const ROOM: usize = 6;
        let start = out.len();
        out.resize(start + ROOM, 0);
        let read = self.read(usize::MAX, out).inspect_err(|_| out.truncate(start))?;
        let line = format!("{read:x}\r\n");
        out.splice(start..start + ROOM, line.bytes());
        write!(out, "\r\n")?;
        Ok(read > 0)
    }

    /// Appends what one read gives: how many bytes; 0 at the end.
    fn read(&mut self, most: usize, out: &mut Vec<u8>) -> io::Result<usize> {
        let start = out.len();
        out.resize(start + most.min(PIECE_BYTES), 0);
        let result = loop {
            match self.reader.read(&mut out[start..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        // A reader that lies about its count must not make this panic.
        let read = result.as_ref().map_or(0, |&read| read.min(out.len() - start));
        out.truncate(start + read);
        result.map(|_| read)
    }
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rest").field("end", &self.end).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
