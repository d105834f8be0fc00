//! permessage-deflate as the load needs it (RFC 7692): both sides forget after each message.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// What a flushed stream ends with, and a message leaves out (RFC 7692 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// A compressed message whose `head` stands in it as it is, and where. The head may be changed
/// afterwards: it is a stored block (RFC 1951 3.2.4), and nothing refers to it.
pub(crate) fn message(head: &[u8], body: &[u8]) -> (Vec<u8>, usize) {
    let length = (head.len() as u16).to_le_bytes();
    let mut message = vec![0, length[0], length[1], !length[0], !length[1]];
    let head_at = message.len();
    message.extend_from_slice(head);
    let mut deflated = Vec::with_capacity(body.len() + body.len() / 8 + 64);
    // The room is enough for whatever cannot be compressed, so it is done in one call.
    let _ = Compress::new(Compression::default(), false).compress_vec(
        body,
        &mut deflated,
        FlushCompress::Sync,
    );
    message.extend_from_slice(deflated.strip_suffix(&TAIL).unwrap_or(&deflated));
    (message, head_at)
}

/// Takes messages of any connection, one after the other.
#[derive(Debug)]
pub(crate) struct Inflater {
    state: Decompress,
    plain: Vec<u8>,
}

impl Default for Inflater {
    fn default() -> Self {
        Self { state: Decompress::new(false), plain: Vec::new() }
    }
}

impl Inflater {
    /// Inflates a message that should have `expected` bytes; what is longer is cut right behind
    /// them. `None` if it is no deflate stream.
    pub(crate) fn inflate(&mut self, message: &[u8], expected: usize) -> Option<&[u8]> {
        self.state.reset(false);
        self.plain.resize(expected + 1, 0);
        let mut filled = 0;
        for part in [message, &TAIL] {
            let mut rest = part;
            while !rest.is_empty() && filled < self.plain.len() {
                let (read, wrote) = (self.state.total_in(), self.state.total_out());
                let room = &mut self.plain[filled..];
                let status = self.state.decompress(rest, room, FlushDecompress::None).ok()?;
                let read = (self.state.total_in() - read) as usize;
                let wrote = (self.state.total_out() - wrote) as usize;
                rest = &rest[read..];
                filled += wrote;
                if status == Status::StreamEnd || read + wrote == 0 {
                    break;
                }
            }
        }
        Some(&self.plain[..filled])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_and_what_is_broken_is_none() {
        let (message, at) = message(b"head", &[b'x'; 1000]);
        assert_eq!(&message[at..at + 4], b"head");
        let mut inflater = Inflater::default();
        assert_eq!(inflater.inflate(&message, 1004).unwrap().len(), 1004);
        assert_eq!(inflater.inflate(&message, 100).unwrap().len(), 101);
        assert_eq!(inflater.inflate(&message[..at + 4], 1004).unwrap(), b"head");
        assert!(inflater.inflate(b"\xff\xff\xff", 10).is_none());
        assert_eq!(inflater.inflate(&message, 1004).unwrap().len(), 1004);
    }
}
