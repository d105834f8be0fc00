//! The frame decoder: bytes of any cut in, events out.
//!
//! ```text
//!            vetted header              payload whole: message, ping, pong, close
//!  ┌────────┐ ──────────► ┌─────────┐ ───────────────────────────────────────────► event
//!  │ header │             │ payload │
//!  └────────┘ ◄────────── └─────────┘  a fragment that is not the last only adds to the message
//! ```
//!
//! The decoder keeps no input: pieces of a payload go to the message they belong to at once, and
//! only a header that is cut is remembered (14 bytes). Nothing is ever allocated from a length
//! that was announced and has not arrived.
//!
//! Header parsing is tungstenite's `FrameHeader`; every rule on top is here.

use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use crate::ws::assemble::Assembly;
use crate::ws::close::{CloseFrame, Violation};
use crate::ws::deflate::inflation::Inflation;
use crate::ws::mask::unmask;
use crate::ws::message::Message;
use crate::ws::small::{Packed, SmallFrame};

/// Longest header of a masked frame.
const MAX_HEADER_BYTES: usize = 14;

/// Longest payload of a control frame (RFC 6455 5.5).
const MAX_CONTROL_BYTES: usize = 125;

/// How much of a payload is worked on at a time.
const CACHED_BYTES: usize = 8 * 1024;

/// Rest of a binary frame from which on receiving into the message itself saves a copy.
const DIRECT_BYTES: u64 = 16 * 1024;

/// Something whole that the peer sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Message(Message),
    /// Its payload is [`Decoder::control_payload`] until the next call.
    Ping,
    /// Its payload is [`Decoder::control_payload`] until the next call.
    Pong,
    /// The last event; whatever follows is ignored.
    Close(CloseFrame),
}

/// The receiving end of one client's frames.
#[derive(Debug)]
pub(crate) struct Decoder {
    max_message_bytes: usize,
    header: [u8; MAX_HEADER_BYTES],
    header_len: u8,
    frame: Option<Frame>,
    message: Option<Assembly>,
    control: Vec<u8>,
    ended: bool,
    /// How compressed messages are read, if that was agreed.
    inflation: Option<Box<Inflation>>,
}

/// A frame whose payload is arriving.
#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: OpCode,
    is_final: bool,
    /// The first frame of a compressed message.
    is_compressed: bool,
    mask: [u8; 4],
    /// Payload bytes taken so far.
    taken: usize,
    remaining: u64,
}

impl Decoder {
    pub(crate) fn new(max_message_bytes: usize) -> Self {
        Self {
            max_message_bytes,
            header: [0; MAX_HEADER_BYTES],
            header_len: 0,
            frame: None,
            message: None,
            control: Vec::new(),
            ended: false,
            inflation: None,
        }
    }

    /// Reads compressed messages as well from now on.
    pub(crate) fn inflate_with(&mut self, inflation: Inflation) {
        self.inflation = Some(Box::new(inflation));
    }

    /// Ignores what still comes, and lets go of the message that was arriving and of what it needed.
    pub(crate) fn stop(&mut self) {
        *self = Self { ended: true, ..Self::new(0) };
    }

    /// True if messages may be larger than what came in for them.
    pub(crate) fn inflates(&self) -> bool {
        self.inflation.is_some()
    }

    /// What inflates the message that is arriving, if it is compressed.
    fn active_inflation(&mut self) -> Option<&mut Box<Inflation>> {
        self.inflation.as_mut().filter(|inflation| inflation.is_active())
    }

    /// Takes bytes from the front of `input` up to the end of one event.
    ///
    /// `None` means that all of the input was taken and more is needed. The input is unmasked in
    /// place. After an error the decoder must not be fed again.
    pub(crate) fn decode(&mut self, input: &mut &mut [u8]) -> Result<Option<Event>, Violation> {
        if let Some(small) = self.decode_small(input) {
            return small.map(|message| Some(Event::Message(message)));
        }
        loop {
            if self.ended {
                *input = &mut [];
                return Ok(None);
            }
            if self.frame.is_none() {
                match self.take_header(input)? {
                    None => return Ok(None),
                    Some(frame) => self.begin(frame)?,
                }
            }
            if !self.take_payload(input)? {
                return Ok(None);
            }
            if let Some(event) = self.end_frame()? {
                return Ok(Some(event));
            }
        }
    }

    /// Takes a small message that is whole at the front of `input`, which
    /// [`decode`](Self::decode) would take as well; `None` if there is something else.
    #[inline]
    pub(crate) fn decode_small(
        &mut self,
        input: &mut &mut [u8],
    ) -> Option<Result<Message, Violation>> {
        if !self.is_between_messages() {
            return None;
        }
        Some(SmallFrame::of(input, self.max_message_bytes)?.take(input))
    }

    /// Takes the small messages at the front of `input` that
    /// [`decode_small`](Self::decode_small) would take one after the other; `None` if they are few.
    pub(crate) fn pack(&self, input: &mut &mut [u8]) -> Option<Packed> {
        if self.is_between_messages() { Packed::take(input, self.max_message_bytes) } else { None }
    }

    /// True if the next byte begins a frame that begins a message, unless it is a control frame.
    fn is_between_messages(&self) -> bool {
        self.frame.is_none() && self.message.is_none() && self.header_len == 0 && !self.ended
    }

    /// Payload of the ping or pong that [`decode`](Self::decode) just returned.
    pub(crate) fn control_payload(&self) -> &[u8] {
        &self.control
    }

    /// Bytes still due of a data frame, zero between frames: what is worth receiving at once.
    pub(crate) fn due(&self) -> u64 {
        self.frame.map_or(0, |frame| frame.remaining)
    }

    /// The buffer of a large binary message that is arriving, with room made, so that the socket
    /// can be read straight into it; follow with [`direct_filled`](Self::direct_filled).
    pub(crate) fn direct(&mut self) -> Option<&mut Vec<u8>> {
        let frame = self.frame?;
        if frame.remaining < DIRECT_BYTES
            || matches!(frame.opcode, OpCode::Control(_))
            || self.active_inflation().is_some()
        {
            return None;
        }
        let message = self.message.as_mut()?;
        if matches!(message, Assembly::Text(_)) {
            return None;
        }
        message.reserve(usize::try_from(frame.remaining).unwrap_or(usize::MAX));
        let Assembly::Binary(bytes) = message else { return None };
        Some(bytes)
    }

    /// Accounts for what was received behind the first `before` bytes of the direct buffer.
    ///
    /// Returns the event if the message is whole now, and the bytes that were received beyond the
    /// end of the frame, which have to be decoded next.
    pub(crate) fn direct_filled(
        &mut self,
        before: usize,
    ) -> Result<(Option<Event>, Vec<u8>), Violation> {
        let (Some(frame), Some(Assembly::Binary(bytes))) = (&mut self.frame, &mut self.message)
        else {
            return Ok((None, Vec::new()));
        };
        let received = bytes.len() - before;
        let own = received.min(usize::try_from(frame.remaining).unwrap_or(usize::MAX));
        let beyond = bytes.split_off(before + own);
        unmask(&mut bytes[before..], frame.mask, frame.taken);
        frame.taken += own;
        frame.remaining -= own as u64;
        if frame.remaining > 0 {
            return Ok((None, beyond));
        }
        Ok((self.end_frame()?, beyond))
    }

    /// Reads a header from the front of the input, or remembers the part that is there.
    fn take_header(&mut self, input: &mut &mut [u8]) -> Result<Option<Frame>, Violation> {
        let inflates = self.inflates();
        if self.header_len == 0
            && let Some((frame, length)) = parse_header(input, inflates)?
        {
            skip(input, length);
            return Ok(Some(frame));
        }
        let known = usize::from(self.header_len);
        let copied = input.len().min(MAX_HEADER_BYTES - known);
        self.header[known..known + copied].copy_from_slice(&input[..copied]);
        let header = &self.header[..known + copied];
        let Some((frame, length)) = parse_header(header, inflates)? else {
            self.header_len = (known + copied) as u8;
            skip(input, copied);
            return Ok(None);
        };
        self.header_len = 0;
        skip(input, length - known);
        Ok(Some(frame))
    }

    /// Checks a frame against the message it belongs to, before anything of it is kept.
    fn begin(&mut self, frame: Frame) -> Result<(), Violation> {
        if let OpCode::Data(kind) = frame.opcode {
            match (kind, &self.message) {
                (Data::Continue, None) => {
                    return Err(Violation::Protocol("continuation without a message"));
                }
                (Data::Continue, Some(_)) => {}
                (_, Some(_)) => {
                    return Err(Violation::Protocol("new message inside a fragmented one"));
                }
                (Data::Text, None) => self.message = Some(Assembly::text()),
                (_, None) => self.message = Some(Assembly::binary()),
            }
            let most = self.max_message_bytes;
            if frame.is_compressed
                && let Some(inflation) = &mut self.inflation
            {
                inflation.begin();
            }
            if let Some(inflation) = self.active_inflation() {
                inflation.announce(frame.remaining, most)?;
            } else {
                let message = self.message.as_mut().ok_or(Violation::Protocol("no message"))?;
                let room = most.saturating_sub(message.len()) as u64;
                if frame.remaining > room {
                    return Err(Violation::TooBig(most));
                }
                message.reserve(usize::try_from(frame.remaining).unwrap_or(usize::MAX));
            }
        } else {
            self.control.clear();
        }
        self.frame = Some(frame);
        Ok(())
    }

    /// Moves payload from the input to where it belongs; true once the frame is whole.
    fn take_payload(&mut self, input: &mut &mut [u8]) -> Result<bool, Violation> {
        let Some(frame) = &mut self.frame else { return Ok(false) };
        let length = input.len().min(usize::try_from(frame.remaining).unwrap_or(usize::MAX));
        let (piece, rest) = std::mem::take(input).split_at_mut(length);
        *input = rest;
        // Unmasked, checked and copied while it is in the processor's first cache.
        for piece in piece.chunks_mut(CACHED_BYTES) {
            unmask(piece, frame.mask, frame.taken);
            frame.taken += piece.len();
            frame.remaining -= piece.len() as u64;
            match (&frame.opcode, &mut self.message, &mut self.inflation) {
                (OpCode::Data(_), Some(message), Some(inflation)) if inflation.is_active() => {
                    inflation.inflate(piece, message, self.max_message_bytes)?;
                }
                (OpCode::Data(_), Some(message), _) => message.append(piece)?,
                _ => self.control.extend_from_slice(piece),
            }
        }
        Ok(frame.remaining == 0)
    }

    /// Ends a whole frame; a fragment that is not the last is no event.
    fn end_frame(&mut self) -> Result<Option<Event>, Violation> {
        let Some(frame) = self.frame.take() else { return Ok(None) };
        match frame.opcode {
            OpCode::Control(Control::Ping) => Ok(Some(Event::Ping)),
            OpCode::Control(Control::Pong) => Ok(Some(Event::Pong)),
            OpCode::Control(_) => {
                self.ended = true;
                Ok(Some(Event::Close(CloseFrame::parse(&self.control)?)))
            }
            OpCode::Data(_) if !frame.is_final => Ok(None),
            OpCode::Data(_) => {
                let Some(mut message) = self.message.take() else { return Ok(None) };
                let most = self.max_message_bytes;
                if let Some(inflation) = self.active_inflation() {
                    inflation.finish(&mut message, most)?;
                }
                Ok(Some(Event::Message(message.finish()?)))
            }
        }
    }
}

/// Drops the first `count` bytes of the input.
fn skip(input: &mut &mut [u8], count: usize) {
    *input = &mut std::mem::take(input)[count..];
}

/// A whole header at the front of `bytes` and its length; `None` if it is cut.
fn parse_header(bytes: &[u8], inflates: bool) -> Result<Option<(Frame, usize)>, Violation> {
    let [first, second, ..] = *bytes else { return Ok(None) };
    vet(first, second, inflates)?;
    let mut cursor = Cursor::new(bytes);
    let parsed = FrameHeader::parse(&mut cursor).map_err(|_| Violation::Protocol("bad header"))?;
    let Some((header, remaining)) = parsed else { return Ok(None) };
    if remaining >> 63 != 0 {
        return Err(Violation::Protocol("frame length over 2^63"));
    }
    let mask = header.mask.ok_or(Violation::Protocol("frame is not masked"))?;
    let FrameHeader { opcode, is_final, rsv1: is_compressed, .. } = header;
    let frame = Frame { opcode, is_final, is_compressed, mask, taken: 0, remaining };
    Ok(Some((frame, cursor.position() as usize)))
}

/// Judges a frame by its first two bytes, before the rest of the header is there.
///
/// The first reserved bit says that a message is compressed, on its first frame and where that was
/// agreed (`inflates`).
///
/// # Source
/// RFC 6455 5.2, 5.5; RFC 7692 6
fn vet(first: u8, second: u8, inflates: bool) -> Result<(), Violation> {
    let is_final = first & 0x80 != 0;
    let opcode = first & 0x0f;
    let length = usize::from(second & 0x7f);
    let reserved = first & 0x70;
    if reserved != 0 && !(inflates && reserved == 0x40 && matches!(opcode, 1 | 2)) {
        return Err(Violation::Protocol("reserved bit set"));
    }
    if !matches!(opcode, 0..=2 | 8..=10) {
        return Err(Violation::Protocol("unknown opcode"));
    }
    if second & 0x80 == 0 {
        return Err(Violation::Protocol("frame is not masked"));
    }
    if opcode >= 8 && !is_final {
        return Err(Violation::Protocol("fragmented control frame"));
    }
    if opcode >= 8 && length > MAX_CONTROL_BYTES {
        return Err(Violation::Protocol("control frame over 125 bytes"));
    }
    Ok(())
}

#[cfg(test)]
#[path = "frame/tests.rs"]
mod tests;
