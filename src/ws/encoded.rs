//! Frames to send: a server's header is at most ten bytes and never masked.

use crate::ws::Bytes;
use crate::ws::message::Message;

/// Longest header of an unmasked frame: two bytes and a 64-bit length.
pub(crate) const MAX_HEADER_BYTES: usize = 10;

/// What a whole, unfragmented frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameKind {
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl FrameKind {
    pub(crate) fn of(message: &Message) -> Self {
        match message {
            Message::Text(_) => Self::Text,
            Message::Binary(_) => Self::Binary,
        }
    }

    fn opcode(self) -> u8 {
        match self {
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }
}

/// The header of a frame to send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeaderBytes {
    bytes: [u8; MAX_HEADER_BYTES],
    len: usize,
}

impl HeaderBytes {
    /// No header at all: what follows is no frame.
    pub(crate) const NONE: Self = Self { bytes: [0; MAX_HEADER_BYTES], len: 0 };

    pub(crate) fn new(kind: FrameKind, payload_bytes: usize) -> Self {
        let mut bytes = [0; MAX_HEADER_BYTES];
        bytes[0] = 0x80 | kind.opcode();
        let len = match payload_bytes {
            0..=125 => {
                bytes[1] = payload_bytes as u8;
                2
            }
            126..=65_535 => {
                bytes[1] = 126;
                bytes[2..4].copy_from_slice(&(payload_bytes as u16).to_be_bytes());
                4
            }
            _ => {
                bytes[1] = 127;
                bytes[2..].copy_from_slice(&(payload_bytes as u64).to_be_bytes());
                10
            }
        };
        Self { bytes, len }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// A message with its frame, encoded once and shared by everybody it goes to; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Encoded {
    message: Message,
    frame: Bytes,
}

impl Encoded {
    pub(crate) fn new(message: Message) -> Self {
        let header = HeaderBytes::new(FrameKind::of(&message), message.len());
        let frame = [header.as_slice(), message.as_bytes()].concat();
        Self { message, frame: frame.into() }
    }

    pub(crate) fn message(&self) -> &Message {
        &self.message
    }

    /// Header and payload in one piece: a copy per message saves a slice per receiver.
    pub(crate) fn frame(&self) -> &Bytes {
        &self.frame
    }
}

#[cfg(test)]
mod tests {
    use tungstenite::protocol::frame::FrameHeader;
    use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

    use super::*;

    #[test]
    fn headers_are_those_of_tungstenite() {
        let kinds = [
            (FrameKind::Text, OpCode::Data(Data::Text)),
            (FrameKind::Binary, OpCode::Data(Data::Binary)),
            (FrameKind::Close, OpCode::Control(Control::Close)),
            (FrameKind::Ping, OpCode::Control(Control::Ping)),
            (FrameKind::Pong, OpCode::Control(Control::Pong)),
        ];
        for (kind, opcode) in kinds {
            for payload in [0, 1, 125, 126, 127, 65_535, 65_536, 1 << 40] {
                let header = FrameHeader { opcode, ..FrameHeader::default() };
                let mut expected = Vec::new();
                header.format(payload as u64, &mut expected).expect("memory takes it");
                assert_eq!(HeaderBytes::new(kind, payload).as_slice(), expected, "{kind:?}");
            }
        }
    }

    #[test]
    fn lengths_take_the_shortest_form() {
        for (payload, header) in
            [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10), (1 << 40, 10)]
        {
            let bytes = HeaderBytes::new(FrameKind::Binary, payload);
            assert_eq!(bytes.as_slice().len(), header, "payload of {payload}");
            assert_eq!(bytes.as_slice()[0], 0x82);
            assert_eq!(bytes.as_slice()[1] & 0x80, 0, "a server never masks");
        }
    }
}
