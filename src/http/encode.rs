//! Puts a response into bytes.

use std::io;

use super::request::Version;
use super::response::Response;

/// The interim response that asks for the body (RFC 9110 10.1.1).
pub(crate) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What of the request shapes the bytes of its response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How<'a> {
    /// The version of the request.
    pub(crate) version: Version,
    /// The request was HEAD: everything but the body.
    pub(crate) head_only: bool,
    /// The connection may go on, as far as client and server wish.
    pub(crate) keep_alive: bool,
    /// More headers, checked like those of the response.
    pub(crate) extra: &'a [(&'a str, &'a str)],
}

/// What became of a response.
#[derive(Debug)]
pub(crate) struct Encoded {
    /// The connection goes on after the response, and the response said so.
    pub(crate) keep_alive: bool,
    /// The part of the body that is still to be read and sent.
    pub(crate) rest: Option<Rest>,
}

/// A body that is read while it is sent.
pub(crate) struct Rest {}

impl std::fmt::Debug for Rest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rest")
    }
}

impl Rest {
    /// Appends the next piece to `out`; true if there is more.
    pub(crate) fn next(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        let _ = out;
        todo!()
    }
}

/// Appends head and in-memory body to `out`.
pub(crate) fn encode(response: Response, how: &How<'_>, out: &mut Vec<u8>) -> io::Result<Encoded> {
    let _ = (response, how, out);
    todo!()
}
