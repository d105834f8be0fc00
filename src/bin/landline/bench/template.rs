//! Messages made once: a frame differs from the next in the digits of its number only.
//!
//! ```text
//! payload   number (8 hexadecimal digits) | stamp (of a broadcast) | filler
//! deflated  a stored block with number and stamp | the filler, deflated
//! ```
//! A payload of fewer bytes than that has fewer digits, and no filler.

use crate::bench::deflate;
use crate::bench::frames::Kind;

/// Digits of a number.
pub(crate) const DIGITS: usize = 8;

/// Bytes that tell the run and the publisher of a broadcast.
pub(crate) const STAMP: usize = 8;

/// The mask of every frame. Servers have to unmask, so it is not zero.
const MASK: [u8; 4] = [0x12, 0xa7, 0x5c, 0xe9];

/// Most bytes of frames that stand ready to be sent in one write.
const BURST_BYTES: usize = 256 * 1024;

/// What the payloads of a run are made of.
#[derive(Clone, Debug)]
pub(crate) struct Payload {
    pub(crate) kind: Kind,
    pub(crate) stamp: Vec<u8>,
    pub(crate) filler: Vec<u8>,
    /// Digits of the number.
    pub(crate) width: usize,
}

impl Payload {
    /// A payload of `length` bytes, at least one and as many as the stamp and a number need.
    pub(crate) fn new(kind: Kind, length: usize, stamp: &str, compressible: bool) -> Self {
        let width = length.min(DIGITS);
        let filler_len = length.saturating_sub(width + stamp.len());
        let filler = match kind {
            _ if compressible => records(filler_len),
            Kind::Text => (b'a'..=b'z').cycle().take(filler_len).collect(),
            Kind::Binary => (0..=u8::MAX).cycle().take(filler_len).collect(),
        };
        Self { kind, stamp: stamp.as_bytes().to_vec(), filler, width }
    }

    /// The bytes that differ between messages or publishers.
    pub(crate) fn head_len(&self) -> usize {
        self.width + self.stamp.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.head_len() + self.filler.len()
    }

    pub(crate) fn bits(&self) -> u32 {
        self.width as u32 * 4
    }
}

/// JSON as applications send it, which can be compressed.
fn records(length: usize) -> Vec<u8> {
    let mut text = String::with_capacity(length + 80);
    let mut value: u32 = 1;
    while text.len() < length {
        value = value.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (name, number) = (value >> 28, value >> 12 & 0xffff);
        text.push_str(&format!("{{\"sensor\":\"room-{name}\",\"value\":{number},\"ok\":true}},"));
    }
    text.truncate(length);
    text.into_bytes()
}

/// Frames of a client, ready but for their numbers.
#[derive(Debug)]
pub(crate) struct Template {
    /// The same frame several times in a row.
    frames: Vec<u8>,
    frame_len: usize,
    /// Where the number stands in a frame.
    number_at: usize,
    width: usize,
    mask: [u8; DIGITS],
}

impl Template {
    /// Makes up to `burst` frames of a payload.
    pub(crate) fn new(payload: &Payload, burst: usize, is_compressed: bool) -> Self {
        let head = [&b"00000000"[..payload.width], &payload.stamp].concat();
        let (body, number_in_body) = match is_compressed {
            true => deflate::message(&head, &payload.filler),
            false => ([&head[..], &payload.filler].concat(), 0),
        };
        let opcode = if payload.kind == Kind::Text { 0x81 } else { 0x82 };
        let frame = frame(if is_compressed { opcode | 0x40 } else { opcode }, &body);
        let mut mask = [0; DIGITS];
        for (at, byte) in mask.iter_mut().enumerate() {
            *byte = MASK[(number_in_body + at) % MASK.len()];
        }
        let burst = burst.min(BURST_BYTES / frame.len()).max(1);
        Self {
            frames: frame.repeat(burst),
            frame_len: frame.len(),
            number_at: frame.len() - body.len() + number_in_body,
            width: payload.width,
            mask,
        }
    }

    /// Most frames that can be had at once.
    pub(crate) fn burst(&self) -> usize {
        self.frames.len() / self.frame_len
    }

    /// So many frames with numbers from `first` on, `burst` at most.
    pub(crate) fn frames(&mut self, first: u32, count: usize) -> &[u8] {
        let mut number = first;
        for frame in self.frames.chunks_exact_mut(self.frame_len).take(count) {
            let digits = u64::from_ne_bytes(digits(number)) ^ u64::from_ne_bytes(self.mask);
            let digits = digits.to_ne_bytes();
            if self.width == DIGITS {
                frame[self.number_at..self.number_at + DIGITS].copy_from_slice(&digits);
            } else {
                // The lowest digits, masked anew for where they stand.
                for at in 0..self.width {
                    let from = DIGITS - self.width + at;
                    frame[self.number_at + at] = digits[from] ^ self.mask[from] ^ self.mask[at];
                }
            }
            number = number.wrapping_add(1);
        }
        &self.frames[..count * self.frame_len]
    }
}

/// A client's frame.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length @ 126..=65_535 => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// The eight hexadecimal digits of a number, all at once.
pub(crate) fn digits(number: u32) -> [u8; DIGITS] {
    // Each half byte into a byte of its own, the highest into the lowest byte of the word.
    let mut word = u64::from(number.swap_bytes());
    word = (word | word << 16) & 0x0000_ffff_0000_ffff;
    word = (word | word << 8) & 0x00ff_00ff_00ff_00ff;
    word = (word >> 4 & 0x000f_000f_000f_000f) | (word & 0x000f_000f_000f_000f) << 8;
    let is_letter = (word + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101;
    (word + 0x3030_3030_3030_3030 + is_letter * 0x27).to_le_bytes()
}

/// The number that digits say.
pub(crate) fn number(digits: &[u8]) -> Option<u32> {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let text = std::str::from_utf8(digits).ok().filter(|_| digits.iter().all(is_digit))?;
    u32::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unmasked(frame: &[u8]) -> Vec<u8> {
        let start = match frame[1] & 0x7f {
            126 => 4,
            127 => 10,
            _ => 2,
        };
        let mask = &frame[start..start + 4];
        frame[start + 4..].iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect()
    }

    #[test]
    fn digits_are_those_of_a_number() {
        for number in [0, 1, 9, 10, 0xabc_def0, 0x1234_5678, u32::MAX, 0x9a9a_9a9a] {
            assert_eq!(digits(number), format!("{number:08x}").as_bytes());
            assert_eq!(super::number(&digits(number)), Some(number));
        }
        assert_eq!(super::number(b"+1"), None);
        assert_eq!(super::number(b"0G"), None);
    }

    #[test]
    fn frames_differ_in_their_number_only() {
        let payload = Payload::new(Kind::Text, 20, "", false);
        let mut template = Template::new(&payload, 3, false);
        let frames = template.frames(0xff, 3).to_vec();
        for (frame, number) in frames.chunks(26).zip(["000000ff", "00000100", "00000101"]) {
            assert_eq!(frame[..2], [0x81, 0x80 | 20]);
            assert_eq!(unmasked(frame), [number, "abcdefghijkl"].concat().as_bytes());
        }
        assert_eq!(unmasked(template.frames(7, 1)), b"00000007abcdefghijkl");
    }

    #[test]
    fn short_and_long_payloads_have_their_length() {
        for length in [1, 5, 8, 9, 125, 126, 70_000] {
            let payload = Payload::new(Kind::Binary, length, "", false);
            let frame = unmasked(Template::new(&payload, 1, false).frames(0x123, 1));
            assert_eq!(frame.len(), length);
            let width = length.min(8);
            assert_eq!(&frame[..width], &b"00000123"[8 - width..]);
        }
    }

    #[test]
    fn a_burst_is_bounded_in_bytes() {
        let payload = Payload::new(Kind::Text, 65_536, "", false);
        assert_eq!(Template::new(&payload, 16, false).burst(), 3);
        assert_eq!(
            Template::new(&Payload::new(Kind::Text, 1 << 20, "", false), 9, false).burst(),
            1
        );
    }

    #[test]
    fn a_compressed_frame_inflates_to_the_payload() {
        let payload = Payload::new(Kind::Text, 500, "stamp", true);
        let mut template = Template::new(&payload, 2, true);
        let frames = template.frames(0xbeef, 2).to_vec();
        let half = frames.len() / 2;
        assert!(half < 300 && frames[0] == 0xc1);
        let mut inflater = deflate::Inflater::default();
        for (frame, number) in frames.chunks(half).zip(["0000beef", "0000bef0"]) {
            let plain = inflater.inflate(&unmasked(frame), 500).unwrap();
            assert_eq!(plain[..13], *[number, "stamp"].concat().as_bytes());
            assert_eq!(plain[13..], payload.filler);
        }
    }
}
