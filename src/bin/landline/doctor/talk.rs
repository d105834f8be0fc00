//! A WebSocket of the doctor: one message or ping at a time, each with a deadline.

use std::time::{Duration, Instant};

use crate::bench::frames::{FrameReader, Piece};
use crate::bench::handshake::Handshake;
use crate::bench::template::frame;
use crate::bench::url::Url;
use crate::doctor::wire::{Came, Wire};

const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PONG: u8 = 0x8a;

/// What came next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Text(String),
    /// The server asked whether somebody is there, and was answered.
    Ping,
    /// The other end closed, with these words.
    Closed(String),
    /// The line was cut without a word.
    Cut,
    /// Nothing until the deadline.
    Nothing,
}

#[derive(Debug)]
pub(crate) struct Talk {
    wire: Wire,
    reader: FrameReader,
    received: Vec<u8>,
    message: Vec<u8>,
    /// When something came last.
    heard: Instant,
}

impl Talk {
    /// Says the handshake, with further header lines.
    ///
    /// # Errors
    /// A sentence: refused, answered wrongly, or not answered.
    pub(crate) fn open(
        mut wire: Wire,
        url: &Url,
        headers: &str,
        deadline: Instant,
    ) -> Result<Self, String> {
        let handshake = Handshake::new(url, false);
        // Before the empty line that ends the head.
        let end = handshake.request.len() - 2;
        let request = [&handshake.request[..end], headers.as_bytes(), b"\r\n"].concat();
        wire.send(&request).map_err(|error| format!("the request did not get through: {error}"))?;
        let mut received = Vec::new();
        loop {
            match wire.receive(&mut received, deadline) {
                Ok(Came::Bytes) => {}
                Ok(Came::Nothing) => return Err("the handshake was not answered in time".into()),
                Ok(Came::End) => return Err("the line was cut during the handshake".into()),
                Err(error) => return Err(format!("the line broke during the handshake: {error}")),
            }
            if let Some(length) = handshake.judge(&received)? {
                received.drain(..length);
                let reader = FrameReader::new(false);
                let (message, heard) = (Vec::new(), Instant::now());
                return Ok(Self { wire, reader, received, message, heard });
            }
        }
    }

    /// Sends a text message.
    pub(crate) fn say(&mut self, text: &str) -> Result<(), String> {
        self.send(&frame(TEXT, text.as_bytes()))
    }

    /// How long nothing has come.
    pub(crate) fn silence(&self) -> Duration {
        self.heard.elapsed()
    }

    /// Says goodbye; what becomes of it is of no interest.
    pub(crate) fn leave(mut self) {
        let _ = self.send(&frame(CLOSE, &1000_u16.to_be_bytes()));
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.wire.send(bytes).map_err(|error| format!("the line broke: {error}"))
    }

    /// Waits for what comes next.
    ///
    /// # Errors
    /// What comes is no WebSocket, or the line broke.
    pub(crate) fn next(&mut self, deadline: Instant) -> Result<Said, String> {
        loop {
            if let Some(said) = self.take()? {
                return Ok(said);
            }
            match self.wire.receive(&mut self.received, deadline) {
                Ok(Came::Bytes) => self.heard = Instant::now(),
                Ok(Came::Nothing) => return Ok(Said::Nothing),
                Ok(Came::End) | Err(_) => return Ok(Said::Cut),
            }
        }
    }

    /// What has come already.
    fn take(&mut self) -> Result<Option<Said>, String> {
        let received = std::mem::take(&mut self.received);
        let mut input = received.as_slice();
        let mut said = None;
        while said.is_none() {
            let piece = self.reader.next(&mut input);
            match piece.map_err(|what| format!("what comes is no WebSocket: {what}"))? {
                None => break,
                Some(Piece::Data { bytes, is_last, .. }) => {
                    self.message.extend_from_slice(bytes);
                    if is_last {
                        let message = std::mem::take(&mut self.message);
                        said = Some(Said::Text(String::from_utf8_lossy(&message).into_owned()));
                    }
                }
                Some(Piece::Ping(payload)) => {
                    self.send(&frame(PONG, &payload))?;
                    said = Some(Said::Ping);
                }
                Some(Piece::Pong(_)) => {}
                Some(Piece::Close { code, reason }) => {
                    let code = code.map_or("no code".to_owned(), |code| code.to_string());
                    said = Some(Said::Closed(format!("{code} {reason}").trim().to_owned()));
                }
            }
        }
        self.received = input.to_vec();
        Ok(said)
    }
}
