//! Frames to send: a server's header is at most ten bytes and never masked.

use std::sync::Arc;

use crate::sync::Mutex;
use crate::ws::Bytes;
use crate::ws::deflate::compressor::Dialect;
use crate::ws::deflate::pools::Pools;
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

    /// The header of a message that is compressed: its first reserved bit says so (RFC 7692 6).
    pub(crate) fn of_compressed(kind: FrameKind, payload_bytes: usize) -> Self {
        let mut header = Self::new(kind, payload_bytes);
        header.bytes[0] |= 0x40;
        header
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// A message with its frames, encoded once and shared by everybody it goes to; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Encoded(Arc<Frames>);

#[derive(Debug)]
struct Frames {
    message: Message,
    plain: Bytes,
    /// Made when somebody first asks for them.
    compressed: Mutex<Vec<Compressed>>,
}

/// What a message is for those whose compressors would all make the same of it.
#[derive(Debug)]
struct Compressed {
    window_bits: u8,
    level: u8,
    /// `None` if it did not become smaller.
    frame: Option<Bytes>,
}

/// The frame of a message as somebody is to get it.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) bytes: Bytes,
    pub(crate) is_compressed: bool,
    /// Memory that it took to make it just now.
    pub(crate) new_bytes: usize,
}

impl Encoded {
    pub(crate) fn new(message: Message) -> Self {
        let header = HeaderBytes::new(FrameKind::of(&message), message.len());
        let plain = [header.as_slice(), message.as_bytes()].concat().into();
        Self(Arc::new(Frames { message, plain, compressed: Mutex::default() }))
    }

    pub(crate) fn message(&self) -> &Message {
        &self.0.message
    }

    /// Header and payload in one piece: a copy per message saves a slice per receiver.
    pub(crate) fn frame(&self) -> &Bytes {
        &self.0.plain
    }

    /// The frame for those who speak a dialect: deflated by whoever asks first, while others who
    /// want the same wait for it.
    ///
    /// It refers to no other message, so any inflater of the dialect's window can read it at any
    /// time.
    pub(crate) fn frame_in(&self, dialect: &Dialect, pools: &Pools) -> Frame {
        let plain = || Frame { bytes: self.0.plain.clone(), is_compressed: false, new_bytes: 0 };
        if self.0.message.len() < dialect.threshold_bytes {
            return plain();
        }
        let mut made = self.0.compressed.lock();
        let Dialect { window_bits, level, .. } = *dialect;
        let found = made.iter().find(|one| one.window_bits == window_bits && one.level == level);
        let (frame, new_bytes) = match found {
            Some(known) => (known.frame.clone(), 0),
            None => {
                let frame = compressed_frame(&self.0.message, dialect, pools);
                let new_bytes = frame.as_ref().map_or(0, Bytes::len);
                made.push(Compressed { window_bits, level, frame: frame.clone() });
                (frame, new_bytes)
            }
        };
        let compressed = |bytes| Frame { bytes, is_compressed: true, new_bytes };
        frame.map_or_else(plain, compressed)
    }

    /// Memory of all its frames, the message itself not counted.
    pub(crate) fn frame_bytes(&self) -> usize {
        let compressed = self.0.compressed.lock();
        let frames = compressed.iter().filter_map(|one| one.frame.as_ref());
        self.0.plain.len() + frames.map(Bytes::len).sum::<usize>()
    }
}

/// `None` if it would not be smaller.
fn compressed_frame(message: &Message, dialect: &Dialect, pools: &Pools) -> Option<Bytes> {
    pools.deflate(dialect, message.as_bytes(), |payload| {
        let header = HeaderBytes::of_compressed(FrameKind::of(message), payload.len());
        [header.as_slice(), payload].concat().into()
    })
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
        assert_eq!(HeaderBytes::of_compressed(FrameKind::Text, 5).as_slice(), [0xc1, 5]);
    }

    #[test]
    fn a_message_is_deflated_once_for_all_who_want_the_same() {
        let (pools, encoded) = (Pools::new(2), Encoded::new("ab".repeat(2000).into()));
        let dialect = Dialect { window_bits: 15, level: 2, threshold_bytes: 1024 };
        let first = encoded.frame_in(&dialect, &pools);
        assert!(first.is_compressed && first.new_bytes == first.bytes.len());
        assert_eq!(first.bytes[0], 0xc1);
        let again = encoded.clone().frame_in(&Dialect { threshold_bytes: 0, ..dialect }, &pools);
        assert_eq!((again.new_bytes, again.bytes.as_ptr()), (0, first.bytes.as_ptr()));
        let small = encoded.frame_in(&Dialect { window_bits: 9, ..dialect }, &pools);
        assert_eq!(small.new_bytes, small.bytes.len());
        let held = encoded.frame().len() + first.bytes.len() + small.bytes.len();
        assert_eq!(encoded.frame_bytes(), held);
    }

    #[test]
    fn what_is_short_or_would_not_shrink_is_shared_as_it_is() {
        let (pools, encoded) = (Pools::new(2), Encoded::new("abcdefghijklmnop".into()));
        for threshold_bytes in [0, 17] {
            let dialect = Dialect { window_bits: 15, level: 2, threshold_bytes };
            let frame = encoded.frame_in(&dialect, &pools);
            assert_eq!((frame.is_compressed, frame.new_bytes), (false, 0));
            assert_eq!(frame.bytes.as_ptr(), encoded.frame().as_ptr());
        }
    }
}
