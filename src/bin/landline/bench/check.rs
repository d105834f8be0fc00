//! What a message must be, compared as it arrives.

use crate::bench::deflate::Inflater;
use crate::bench::frames::{Kind, Violation};
use crate::bench::template::{DIGITS, Payload, digits, number};

/// Longest part before the filler: number and stamp.
const HEAD_BYTES: usize = 32;

/// A message that is arriving.
#[derive(Debug, Default)]
pub(crate) struct Arriving {
    /// Bytes so far.
    len: usize,
    head: [u8; HEAD_BYTES],
    is_wrong: bool,
    /// Its bytes so far, if it is compressed.
    deflated: Vec<u8>,
}

impl Arriving {
    /// True if nothing has come of it yet.
    pub(crate) fn is_new(&self) -> bool {
        self.len == 0 && self.deflated.is_empty()
    }
}

/// What a whole message says of itself; its filler is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) number: u32,
    head: [u8; HEAD_BYTES],
}

impl Head {
    /// What stands between number and filler.
    pub(crate) fn stamp(&self, length: usize) -> &[u8] {
        &self.head[DIGITS..][..length]
    }
}

/// Compares messages with a payload.
#[derive(Debug)]
pub(crate) struct Checker {
    payload: Payload,
    inflater: Inflater,
}

impl Checker {
    pub(crate) fn new(payload: Payload) -> Self {
        Self { payload, inflater: Inflater::default() }
    }

    /// True if `bytes` are the whole message of that number, without a stamp: the usual case.
    pub(crate) fn is_plainly(&self, kind: Kind, bytes: &[u8], number: u32) -> bool {
        let Some((first, rest)) = bytes.split_first_chunk::<DIGITS>() else { return false };
        kind == self.payload.kind && *first == digits(number) && rest == self.payload.filler
    }

    /// Takes a piece of a message; at the last one, what the message says of itself, or `None` if
    /// it is not one of ours.
    ///
    /// # Errors
    /// A compressed message is longer than any of ours can be.
    pub(crate) fn take(
        &mut self,
        arriving: &mut Arriving,
        kind: Kind,
        bytes: &[u8],
        ending: Ending,
    ) -> Result<Option<Head>, Violation> {
        if ending.is_compressed {
            // What cannot be compressed grows by a few bytes in each 16 KiB.
            let most = self.payload.len() + self.payload.len() / 64 + 1024;
            if arriving.deflated.len() + bytes.len() > most {
                return Err("a compressed message that is too long");
            }
            if !ending.is_last || !arriving.deflated.is_empty() {
                arriving.deflated.extend_from_slice(bytes);
            }
            if !ending.is_last {
                return Ok(None);
            }
            let kept = std::mem::take(&mut arriving.deflated);
            let deflated = if kept.is_empty() { bytes } else { &kept };
            match self.inflater.inflate(deflated, self.payload.len()) {
                Some(plain) => compare(&self.payload, arriving, plain),
                None => arriving.is_wrong = true,
            }
        } else {
            compare(&self.payload, arriving, bytes);
        }
        if !ending.is_last {
            return Ok(None);
        }
        let whole = std::mem::take(arriving);
        Ok(self.judge(&whole, kind))
    }

    fn judge(&self, whole: &Arriving, kind: Kind) -> Option<Head> {
        if whole.is_wrong || whole.len != self.payload.len() || kind != self.payload.kind {
            return None;
        }
        let number = number(&whole.head[..self.payload.width])?;
        Some(Head { number, head: whole.head })
    }
}

/// How a piece stands in its message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    pub(crate) is_compressed: bool,
    pub(crate) is_last: bool,
}

fn compare(payload: &Payload, arriving: &mut Arriving, bytes: &[u8]) {
    let head_len = payload.head_len();
    let (start, end) = (arriving.len, arriving.len + bytes.len());
    arriving.len = end;
    if arriving.is_wrong || end > payload.len() {
        arriving.is_wrong = true;
        return;
    }
    let in_head = head_len.saturating_sub(start).min(bytes.len());
    let (head, rest) = bytes.split_at(in_head);
    arriving.head[start.min(head_len)..][..in_head].copy_from_slice(head);
    let from = start.max(head_len) - head_len;
    arriving.is_wrong = *rest != payload.filler[from..from + rest.len()];
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(checker: &mut Checker, message: &[u8], step: usize) -> Option<Head> {
        let mut arriving = Arriving::default();
        let mut last = None;
        let parts: Vec<&[u8]> = message.chunks(step).collect();
        for (at, part) in parts.iter().enumerate() {
            let ending = Ending { is_compressed: false, is_last: at + 1 == parts.len() };
            last = checker.take(&mut arriving, Kind::Text, part, ending).unwrap();
        }
        last
    }

    #[test]
    fn messages_are_compared_wherever_they_are_cut() {
        let mut checker = Checker::new(Payload::new(Kind::Text, 20, "stmp", false));
        for step in [1, 3, 8, 11, 20] {
            let head = take(&mut checker, b"0000002astmpabcdefgh", step).unwrap();
            assert_eq!((head.number, head.stamp(4)), (42, &b"stmp"[..]));
            for wrong in [
                &b"0000002astmpabcdefgx"[..],
                b"0000002astmpabcdefg",
                b"0000002astmpabcdefghi",
                b"0000002xstmpabcdefgh",
                b"x",
            ] {
                assert_eq!(take(&mut checker, wrong, step), None, "{step} {wrong:?}");
            }
        }
    }

    #[test]
    fn the_usual_case_is_seen_at_a_glance() {
        let checker = Checker::new(Payload::new(Kind::Text, 10, "", false));
        assert!(checker.is_plainly(Kind::Text, b"0000000aab", 10));
        for (kind, bytes) in [
            (Kind::Binary, &b"0000000aab"[..]),
            (Kind::Text, b"0000000bab"),
            (Kind::Text, b"0000000aac"),
            (Kind::Text, b"0000000aabc"),
            (Kind::Text, b"0000000"),
        ] {
            assert!(!checker.is_plainly(kind, bytes, 10), "{bytes:?}");
        }
    }
}
