//! Small messages: those in one frame that is whole in the input, with the shortest header.
//!
//! Nearly all messages are, so they are taken without the decoder's states, at a third of its
//! cost. The rules are the same.

use crate::ws::close::Violation;
use crate::ws::mask::unmask;
use crate::ws::message::Message;

/// Longest payload of the shortest header (RFC 6455 5.2).
const MAX_PAYLOAD_BYTES: usize = 125;

/// Length of the shortest header of a masked frame.
const HEADER_BYTES: usize = 6;

/// From so many in a row it pays to pack them.
const PACKED_FROM: usize = 4;

/// One such message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SmallFrame {
    is_text: bool,
    len: usize,
}

/// Several of them, one behind the other: unmasked, and known to be what they say.
///
/// They are made into messages as they are taken, so that few are alive at a time: the memory of
/// the last one serves for the next.
#[derive(Debug, Default)]
pub(crate) struct Packed {
    /// The frames.
    bytes: Vec<u8>,
    /// How much of `bytes` has been taken.
    taken: usize,
    /// Messages that are left.
    len: usize,
}

impl Packed {
    /// Takes those at the front of the input, if they are many enough for it to be worth while.
    /// Text that is none is left where it is, with all that is behind it.
    pub(crate) fn take(input: &mut &mut [u8], max_message_bytes: usize) -> Option<Self> {
        let mut end = 0;
        for _ in 0..PACKED_FROM {
            end += SmallFrame::of(&input[end..], max_message_bytes)?.frame_bytes();
        }
        let (mut len, mut end) = (0, 0);
        while let Some(frame) = SmallFrame::of(&input[end..], max_message_bytes)
            && frame.unmask_if_sound(&mut input[end..])
        {
            len += 1;
            end += frame.frame_bytes();
        }
        if len == 0 {
            return None;
        }
        let (frames, rest) = std::mem::take(input).split_at_mut(end);
        *input = rest;
        Some(Self { bytes: frames.to_vec(), taken: 0, len })
    }

    /// Messages that are left.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of the payloads of those that are left.
    pub(crate) fn payload_bytes(&self) -> usize {
        self.bytes.len() - self.taken - HEADER_BYTES * self.len
    }

    /// Takes the next message.
    pub(crate) fn pop(&mut self) -> Option<Message> {
        let frame = SmallFrame::of(&self.bytes[self.taken..], usize::MAX)?;
        let payload = frame.payload(&mut self.bytes[self.taken..]);
        // It is text, or it would not be here.
        let message = frame.message(payload).ok()?;
        self.taken += frame.frame_bytes();
        self.len -= 1;
        if self.len == 0 {
            *self = Self::default();
        }
        Some(message)
    }
}

impl SmallFrame {
    /// The frame at the front of the input, if it is such a one.
    #[inline]
    pub(crate) fn of(input: &[u8], max_message_bytes: usize) -> Option<Self> {
        let [first, second, ..] = *input else { return None };
        let is_text = match first {
            0x81 => true,
            0x82 => false,
            _ => return None,
        };
        let len = usize::from(second.checked_sub(0x80)?);
        let is_small = len <= MAX_PAYLOAD_BYTES && len <= max_message_bytes;
        (is_small && input.len() >= HEADER_BYTES + len).then_some(Self { is_text, len })
    }

    /// Bytes of header and payload.
    #[inline]
    pub(crate) fn frame_bytes(self) -> usize {
        HEADER_BYTES + self.len
    }

    /// The payload of the frame at the front of the input.
    #[inline]
    fn payload(self, input: &mut [u8]) -> &mut [u8] {
        &mut input[HEADER_BYTES..HEADER_BYTES + self.len]
    }

    /// Unmasks the payload of the frame at the front of the input.
    #[inline]
    fn unmask(self, input: &mut [u8]) -> &mut [u8] {
        let mask = [input[2], input[3], input[4], input[5]];
        let payload = self.payload(input);
        unmask(payload, mask, 0);
        payload
    }

    /// Unmasks as [`unmask`](Self::unmask) does, unless it is no text and should be.
    #[inline]
    fn unmask_if_sound(self, input: &mut [u8]) -> bool {
        let payload = self.unmask(input);
        let is_sound = !self.is_text || payload.is_ascii() || str::from_utf8(payload).is_ok();
        if !is_sound {
            // What is done twice is undone.
            self.unmask(input);
        }
        is_sound
    }

    /// Takes the message at the front of the input, which is such a frame.
    ///
    /// # Errors
    /// `Utf8`: it says that it is text, and is not.
    #[inline]
    pub(crate) fn take(self, input: &mut &mut [u8]) -> Result<Message, Violation> {
        let (frame, rest) = std::mem::take(input).split_at_mut(self.frame_bytes());
        *input = rest;
        self.message(self.unmask(frame))
    }

    #[inline]
    fn message(self, payload: &[u8]) -> Result<Message, Violation> {
        if !self.is_text {
            return Ok(Message::from(payload));
        }
        // The copy is aligned, and so is checked faster than the payload where it lies.
        String::from_utf8(payload.to_vec()).map(Message::from).map_err(|_| Violation::Utf8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: [u8; 4] = [0x11, 0x92, 0x44, 0x88];

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut masked = payload.to_vec();
        unmask(&mut masked, MASK, 0);
        [&[first, 0x80 | payload.len() as u8], &MASK[..], &masked].concat()
    }

    /// The messages packed of the frames and what is behind them, and how much is left of it.
    fn pack(behind: &[u8], max_message_bytes: usize) -> Option<(Vec<Message>, Vec<u8>)> {
        let four = [frame(0x81, b"a"), frame(0x82, &[0xff; 125]), frame(0x81, b""), chinese()];
        let mut bytes = [&four.concat(), behind].concat();
        let mut input = &mut bytes[..];
        let mut packed = Packed::take(&mut input, max_message_bytes)?;
        let messages = std::iter::from_fn(|| {
            let (len, bytes) = (packed.len(), packed.payload_bytes());
            let message = packed.pop();
            let taken = message.as_ref().map_or(0, Message::len);
            assert_eq!(packed.len(), len.saturating_sub(1));
            assert_eq!(packed.payload_bytes(), bytes - taken);
            message
        });
        let messages = messages.collect();
        assert_eq!(packed.bytes.capacity(), 0, "nothing is kept");
        Some((messages, input.to_vec()))
    }

    #[test]
    fn with_no_text_in_front_everything_stays_as_it_is() {
        let bytes = [frame(0x81, b"\xe4\xbd"), chinese().repeat(PACKED_FROM)].concat();
        let mut copy = bytes.clone();
        let mut input = &mut copy[..];
        assert!(Packed::take(&mut input, 125).is_none());
        assert_eq!(input, bytes);
    }

    fn chinese() -> Vec<u8> {
        frame(0x81, "你好".as_bytes())
    }

    #[test]
    fn messages_are_packed_up_to_what_is_not_small_not_whole_or_no_text() {
        let four = ["a".into(), Message::from(&[0xff; 125]), "".into(), "你好".into()];
        let unmasked = [0x81, 1, b'a', 0, 0, 0, 0];
        let long = [0x82, 0x80 | 126, 0, 1, 0, 0, 0, 0, 0];
        let cut = &chinese()[..9];
        let (ping, fragment, no_text) =
            (frame(0x89, b""), frame(1, b"x"), frame(0x81, b"\xe4\xbd"));
        for behind in [&[][..], &[0x81], cut, &unmasked, &long, &ping, &fragment, &no_text] {
            let behind = [behind, &[1, 2, 3]].concat();
            assert_eq!(pack(&behind, 125), Some((four.to_vec(), behind)));
        }
        assert_eq!(pack(&[], 124), None, "the second is too big, so it is one in a row");
    }
}
