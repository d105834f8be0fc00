//! One request and its answer, over a connection of its own.

use std::io::{ErrorKind as IoErrorKind, Read, Write};
use std::net::SocketAddr;

use crate::error::{Error, ErrorKind, Result};
use crate::http::client::{Answer, ClientRequest};
use crate::net::client::ClientStream;
use crate::testing::due::Due;

/// What came, and what can go on after a 101.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) answer: Answer,
    pub(super) stream: ClientStream,
    /// Bytes behind the answer.
    pub(super) rest: Vec<u8>,
}

impl Exchange {
    /// Connects, sends, and receives the whole answer.
    pub(super) fn run(address: SocketAddr, request: &ClientRequest<'_>, due: &Due) -> Result<Self> {
        let bytes = request.encode()?;
        let failed = |error: std::io::Error| match error.kind() {
            IoErrorKind::WouldBlock | IoErrorKind::TimedOut => due.late(),
            _ => Error::new(ErrorKind::Io, format!("cannot talk to {address}")).with_source(error),
        };
        let mut stream = ClientStream::connect(address, due.deadline).map_err(failed)?;
        match stream.write_all(&bytes) {
            Err(error) if error.kind() == IoErrorKind::WouldBlock => return Err(due.late()),
            // A server that refuses a request early may answer and take no more.
            Err(_) | Ok(()) => {}
        }
        let (mut answer, mut rest) = (None, Vec::new());
        loop {
            let has_ended = !receive(&mut stream, &mut rest).map_err(failed)?;
            if answer.is_none()
                && let Some((head, used)) = Answer::parse(&rest, request.method)?
            {
                rest.drain(..used);
                answer = Some(head);
            }
            if let Some(answer) = &mut answer {
                let used = answer.take(&rest)?;
                rest.drain(..used);
            }
            match answer {
                Some(answer) if answer.is_complete(has_ended) => {
                    return Ok(Self { answer, stream, rest });
                }
                _ if has_ended => return Err(due.instead("the end of the connection")),
                unfinished => answer = unfinished,
            }
        }
    }
}

/// Receives more; false at the end.
fn receive(stream: &mut ClientStream, bytes: &mut Vec<u8>) -> std::io::Result<bool> {
    let mut piece = [0; 16 * 1024];
    let count = stream.read(&mut piece)?;
    bytes.extend_from_slice(&piece[..count]);
    Ok(count > 0)
}
