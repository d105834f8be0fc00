//! A message in the making: unmasked pieces in, a whole message out.
//!
//! Text is checked piece by piece, so that the first byte that cannot be UTF-8 is noticed when
//! it arrives, and never checked again. Memory grows with what has arrived, never with what a
//! header announced.

use bytes::Bytes;

use crate::ws::close::Violation;
use crate::ws::message::Message;

/// Memory asked for at once on behalf of an unfinished message.
const STEP_BYTES: usize = 64 * 1024;

/// The pieces so far of one text or binary message.
#[derive(Debug)]
pub(crate) enum Assembly {
    Text(TextPieces),
    Binary(Vec<u8>),
}

/// Checked text and the first bytes of a character that is not whole yet.
#[derive(Debug, Default)]
pub(crate) struct TextPieces {
    text: String,
    partial: [u8; 4],
    partial_len: usize,
}

impl Assembly {
    pub(crate) fn text() -> Self {
        Self::Text(TextPieces::default())
    }

    pub(crate) fn binary() -> Self {
        Self::Binary(Vec::new())
    }

    /// Bytes that have arrived.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Text(pieces) => pieces.text.len() + pieces.partial_len,
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Makes room for the coming bytes of a frame: at most as much again as has arrived.
    pub(crate) fn reserve(&mut self, coming: usize) {
        let step = coming.min(self.len().max(STEP_BYTES));
        match self {
            Self::Text(pieces) => pieces.text.reserve_exact(step),
            Self::Binary(bytes) => bytes.reserve_exact(step),
        }
    }

    /// Adds an unmasked piece.
    pub(crate) fn append(&mut self, piece: &[u8]) -> Result<(), Violation> {
        match self {
            Self::Text(pieces) => pieces.append(piece),
            Self::Binary(bytes) => {
                bytes.extend_from_slice(piece);
                Ok(())
            }
        }
    }

    /// Adds an inflated piece, whose length nobody announced.
    ///
    /// Memory grows to twice what there is, and not beyond the limit.
    ///
    /// # Errors
    /// `TooBig`: the message is over the limit. As [`append`](Self::append), for what is not.
    pub(crate) fn append_within(&mut self, piece: &[u8], most: usize) -> Result<(), Violation> {
        let room = most.saturating_sub(self.len());
        let (piece, beyond) = piece.split_at(piece.len().min(room));
        let growth = self.len().min(room).max(piece.len());
        match self {
            // What is left of the character before comes on top.
            Self::Text(pieces) if pieces.text.capacity() - pieces.text.len() < piece.len() + 4 => {
                pieces.text.reserve_exact(growth + 4);
            }
            Self::Binary(bytes) if bytes.capacity() - bytes.len() < piece.len() => {
                bytes.reserve_exact(growth);
            }
            _ => {}
        }
        self.append(piece)?;
        if beyond.is_empty() { Ok(()) } else { Err(Violation::TooBig(most)) }
    }

    /// The whole message; text must not end inside a character.
    pub(crate) fn finish(self) -> Result<Message, Violation> {
        match self {
            Self::Text(pieces) if pieces.partial_len > 0 => Err(Violation::Utf8),
            Self::Text(TextPieces { mut text, .. }) => {
                if wastes(text.capacity(), text.len()) {
                    text.shrink_to_fit();
                }
                Ok(Message::Text(text.into()))
            }
            Self::Binary(mut bytes) => {
                if wastes(bytes.capacity(), bytes.len()) {
                    bytes.shrink_to_fit();
                }
                Ok(Message::Binary(Bytes::from(bytes)))
            }
        }
    }
}

/// True if a kept message would hold on to more than a quarter of its size for nothing.
fn wastes(capacity: usize, len: usize) -> bool {
    capacity - len > len / 4 + 64
}

impl TextPieces {
    fn append(&mut self, piece: &[u8]) -> Result<(), Violation> {
        let piece = self.complete_partial(piece)?;
        let valid = match simdutf8::compat::from_utf8(piece) {
            Ok(text) => {
                self.text.push_str(text);
                return Ok(());
            }
            Err(error) if error.error_len().is_some() => return Err(Violation::Utf8),
            Err(error) => error.valid_up_to(),
        };
        let (whole, cut) = piece.split_at(valid);
        // The part before `valid_up_to` was just found to be UTF-8; the check cannot fail again.
        self.text.push_str(simdutf8::basic::from_utf8(whole).map_err(|_| Violation::Utf8)?);
        self.partial[..cut.len()].copy_from_slice(cut);
        self.partial_len = cut.len();
        Ok(())
    }

    /// Feeds the unfinished character byte by byte; returns what is left of the piece.
    fn complete_partial<'a>(&mut self, mut piece: &'a [u8]) -> Result<&'a [u8], Violation> {
        while self.partial_len > 0
            && let [byte, rest @ ..] = piece
        {
            self.partial[self.partial_len] = *byte;
            self.partial_len += 1;
            piece = rest;
            match std::str::from_utf8(&self.partial[..self.partial_len]) {
                Ok(character) => {
                    self.text.push_str(character);
                    self.partial_len = 0;
                }
                Err(error) if error.error_len().is_some() => return Err(Violation::Utf8),
                Err(_) => {}
            }
        }
        Ok(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text_of(pieces: &[&[u8]]) -> Result<Message, Violation> {
        let mut assembly = Assembly::text();
        for piece in pieces {
            assembly.append(piece)?;
        }
        assembly.finish()
    }

    #[test]
    fn characters_may_be_cut_anywhere() {
        let text = "κόσμε 你好 🎈".as_bytes();
        for a in 0..=text.len() {
            for b in a..=text.len() {
                let message = text_of(&[&text[..a], &text[a..b], &text[b..]]);
                assert_eq!(message, Ok(Message::from("κόσμε 你好 🎈")), "cut at {a} and {b}");
            }
        }
    }

    #[test]
    fn the_first_impossible_byte_is_noticed_when_it_arrives() {
        let mut assembly = Assembly::text();
        assert_eq!(assembly.append(b"\xf4"), Ok(()));
        assert_eq!(assembly.append(b"\x90"), Err(Violation::Utf8), "beyond U+10FFFF");
        let mut assembly = Assembly::text();
        assert_eq!(assembly.append(b"ok \xed\xa0"), Err(Violation::Utf8), "a surrogate");
    }

    #[test]
    fn text_must_not_end_inside_a_character() {
        assert_eq!(text_of(&[b"a\xe4\xbd"]), Err(Violation::Utf8));
    }

    #[test]
    fn room_is_made_for_what_arrives_not_for_what_is_announced() {
        let mut assembly = Assembly::binary();
        assembly.reserve(1 << 40);
        let Assembly::Binary(bytes) = &assembly else { unreachable!() };
        assert!(bytes.capacity() <= STEP_BYTES);
    }

    proptest! {
        #[test]
        fn pieces_are_valid_exactly_when_the_whole_is(
            bytes in proptest::collection::vec(any::<u8>(), 0..24), cut in 0usize..24
        ) {
            let cut = cut.min(bytes.len());
            let pieces = text_of(&[&bytes[..cut], &bytes[cut..]]).is_ok();
            prop_assert_eq!(pieces, std::str::from_utf8(&bytes).is_ok());
        }

        #[test]
        fn any_text_cut_anywhere_comes_out_whole(text in "\\PC{0,24}", cut in 0usize..64) {
            let bytes = text.as_bytes();
            let cut = cut.min(bytes.len());
            let message = text_of(&[&bytes[..cut], &bytes[cut..]]);
            prop_assert_eq!(message, Ok(Message::from(text)));
        }
    }
}
