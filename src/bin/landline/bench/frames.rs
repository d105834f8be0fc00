//! What a server sends, read as it arrives: frames may be cut anywhere and messages be in several
//! fragments. Payload is handed on without a copy; only a cut header and control frames are kept.

/// Longest payload of a control frame (RFC 6455 5.5).
const CONTROL_BYTES: u64 = 125;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Binary,
}

/// What stands next in the stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Some of a message's payload; perhaps none.
    Data {
        kind: Kind,
        is_compressed: bool,
        bytes: &'a [u8],
        is_last: bool,
    },
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close {
        code: Option<u16>,
        reason: String,
    },
}

/// Why what came is no WebSocket.
pub(crate) type Violation = &'static str;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opcode {
    Data,
    Close,
    Ping,
    Pong,
}

/// Takes the frames of one server apart.
#[derive(Debug, Default)]
pub(crate) struct FrameReader {
    /// A header that is cut.
    head: [u8; 10],
    head_len: usize,
    /// The frame whose payload is due, with the number of its bytes that are still to come.
    frame: Option<(Opcode, bool, u64)>,
    /// The message that is not at its end.
    message: Option<(Kind, bool)>,
    control: Vec<u8>,
    /// True if messages may be compressed.
    allows_compression: bool,
}

impl FrameReader {
    pub(crate) fn new(allows_compression: bool) -> Self {
        Self { allows_compression, ..Self::default() }
    }

    /// Takes the next piece off the front of `input`; `None` if more has to arrive.
    pub(crate) fn next<'a>(
        &mut self,
        input: &mut &'a [u8],
    ) -> Result<Option<Piece<'a>>, Violation> {
        loop {
            let (opcode, is_final, left) = match self.frame {
                Some(frame) => frame,
                None => match self.header(input)? {
                    true => continue,
                    false => return Ok(None),
                },
            };
            let available = input.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            if available == 0 && left > 0 {
                return Ok(None);
            }
            let (bytes, rest) = input.split_at(available);
            *input = rest;
            let left = left - available as u64;
            self.frame = (left > 0).then_some((opcode, is_final, left));
            if opcode != Opcode::Data {
                self.control.extend_from_slice(bytes);
                if left > 0 {
                    return Ok(None);
                }
                return control(opcode, std::mem::take(&mut self.control)).map(Some);
            }
            let Some((kind, is_compressed)) = self.message else {
                return Err("data without a message");
            };
            let is_last = is_final && left == 0;
            if is_last {
                self.message = None;
            } else if bytes.is_empty() {
                continue;
            }
            return Ok(Some(Piece::Data { kind, is_compressed, bytes, is_last }));
        }
    }

    /// Reads a header; false if more has to arrive.
    fn header(&mut self, input: &mut &[u8]) -> Result<bool, Violation> {
        if self.head_len == 0
            && let Some(length) = header_len(input)
            && input.len() >= length
        {
            let (head, rest) = input.split_at(length);
            *input = rest;
            self.begin(head)?;
            return Ok(true);
        }
        while let Some((byte, rest)) = input.split_first() {
            self.head[self.head_len] = *byte;
            self.head_len += 1;
            *input = rest;
            if header_len(&self.head[..self.head_len]) == Some(self.head_len) {
                let (head, length) = (self.head, self.head_len);
                self.head_len = 0;
                self.begin(&head[..length])?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn begin(&mut self, head: &[u8]) -> Result<(), Violation> {
        let is_final = head[0] & 0x80 != 0;
        let is_compressed = head[0] & 0x40 != 0;
        let length = payload_len(head);
        if head[0] & 0x30 != 0 || is_compressed && !self.allows_compression {
            return Err("a frame with reserved bits");
        }
        if head[1] & 0x80 != 0 {
            return Err("a masked frame");
        }
        let opcode = match (head[0] & 0x0f, self.message) {
            (0, Some(_)) if is_compressed => {
                return Err("a continuation that begins a compression");
            }
            (0, Some(_)) => Opcode::Data,
            (0, None) => return Err("a continuation of nothing"),
            (1 | 2, Some(_)) => return Err("a message within another"),
            (1, None) => self.start(Kind::Text, is_compressed),
            (2, None) => self.start(Kind::Binary, is_compressed),
            (8, _) => Opcode::Close,
            (9, _) => Opcode::Ping,
            (10, _) => Opcode::Pong,
            _ => return Err("a frame of unknown kind"),
        };
        if opcode != Opcode::Data && (length > CONTROL_BYTES || !is_final || is_compressed) {
            return Err("a control frame that is long, compressed or in fragments");
        }
        self.frame = Some((opcode, is_final, length));
        Ok(())
    }

    fn start(&mut self, kind: Kind, is_compressed: bool) -> Opcode {
        self.message = Some((kind, is_compressed));
        Opcode::Data
    }
}

fn header_len(bytes: &[u8]) -> Option<usize> {
    Some(match bytes.get(1)? & 0x7f {
        126 => 4,
        127 => 10,
        _ => 2,
    })
}

fn payload_len(head: &[u8]) -> u64 {
    match head {
        [_, _, high, low] => u64::from(u16::from_be_bytes([*high, *low])),
        [_, _, rest @ ..] if rest.len() == 8 => {
            rest.iter().fold(0, |length, byte| length << 8 | u64::from(*byte))
        }
        _ => u64::from(head[1] & 0x7f),
    }
}

fn control<'a>(opcode: Opcode, payload: Vec<u8>) -> Result<Piece<'a>, Violation> {
    Ok(match (opcode, payload.as_slice()) {
        (Opcode::Ping, _) => Piece::Ping(payload),
        (Opcode::Pong, _) => Piece::Pong(payload),
        (_, []) => Piece::Close { code: None, reason: String::new() },
        (_, [_]) => return Err("a close frame of one byte"),
        (_, [high, low, reason @ ..]) => Piece::Close {
            code: Some(u16::from_be_bytes([*high, *low])),
            reason: String::from_utf8_lossy(reason).into_owned(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything in `stream`, read in parts of `step` bytes; messages put together.
    fn read(stream: &[u8], step: usize) -> Result<Vec<String>, Violation> {
        let mut reader = FrameReader::new(true);
        let (mut seen, mut message) = (Vec::new(), Vec::new());
        for mut part in stream.chunks(step) {
            while let Some(piece) = reader.next(&mut part)? {
                match piece {
                    Piece::Data { kind, is_compressed, bytes, is_last } => {
                        message.extend_from_slice(bytes);
                        if is_last {
                            let text = String::from_utf8_lossy(&message);
                            seen.push(format!("{kind:?} {is_compressed} {text}"));
                            message.clear();
                        }
                    }
                    other => seen.push(format!("{other:?}")),
                }
            }
            assert!(part.is_empty());
        }
        Ok(seen)
    }

    #[test]
    fn frames_are_the_same_wherever_they_are_cut() {
        let long = vec![b'x'; 70_000];
        let mut stream = b"\x81\x02ab\x82\x00\x01\x01c\x89\x01p\x00\x00\x80\x01d\x8a\x00".to_vec();
        stream.extend(b"\x81\x7e\x00\x80");
        stream.extend(&long[..128]);
        stream.extend(b"\xc2\x7f\0\0\0\0\0\x01\x11\x70");
        stream.extend(&long);
        stream.extend(b"\x88\x04\x03\xe8ok");
        let whole = read(&stream, stream.len()).unwrap();
        assert_eq!(
            whole[..5],
            ["Text false ab", "Binary false ", "Ping([112])", "Text false cd", "Pong([])"]
        );
        assert_eq!(whole[5].len(), "Text false ".len() + 128);
        assert_eq!(whole[6].len(), "Binary true ".len() + 70_000);
        assert_eq!(whole[7], "Close { code: Some(1000), reason: \"ok\" }");
        for step in [1, 2, 3, 7, 1000] {
            assert_eq!(read(&stream, step).unwrap(), whole, "{step}");
        }
    }

    #[test]
    fn what_is_no_websocket_is_told() {
        for wrong in [
            &b"\x91\x00"[..],
            b"\x81\x80\0\0\0\0",
            b"\x80\x00",
            b"\x01\x00\x81\x00",
            b"\x83\x00",
            b"\x09\x00",
            b"\x88\x01x",
            b"\x89\x7e\x00\x80",
            b"\x01\x00\xc0\x00",
        ] {
            assert!(read(wrong, 100).is_err(), "{wrong:x?}");
        }
        let mut reader = FrameReader::default();
        assert!(reader.next(&mut &b"\xc1\x00"[..]).is_err());
    }
}
