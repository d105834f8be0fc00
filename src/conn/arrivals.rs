//! Messages of the client that wait for the handler.
//!
//! A client with many small messages in flight sends them at once. Only the first of a read is made
//! at once, since it is taken next; those behind it are packed.

use std::collections::VecDeque;

use crate::ws::Message;
use crate::ws::small::Packed;

/// What a waiting message costs beside its payload.
pub(crate) const MESSAGE_OVERHEAD: usize = 64;

/// The messages that wait, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    messages: VecDeque<Message>,
    /// Those behind them; boxed, since most connections never have any.
    packed: Option<Box<Packed>>,
    /// What all of them cost.
    bytes: usize,
}

impl Arrivals {
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len() + self.packed.as_ref().map_or(0, |packed| packed.len())
    }

    /// What they cost: payloads and overhead.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Makes room for the one that is taken next, which is all that most ever need.
    pub(super) fn reserve_one(&mut self) {
        self.messages.reserve_exact(1);
    }

    /// Adds a message.
    pub(super) fn push(&mut self, message: Message) {
        self.unpack();
        self.bytes += message.len() + MESSAGE_OVERHEAD;
        self.messages.push_back(message);
    }

    /// Adds many small ones.
    pub(super) fn push_packed(&mut self, packed: Packed) {
        self.unpack();
        self.bytes += packed.payload_bytes() + MESSAGE_OVERHEAD * packed.len();
        self.packed = Some(Box::new(packed));
    }

    /// Takes the oldest.
    pub(super) fn pop(&mut self) -> Option<Message> {
        let message = self.messages.pop_front().or_else(|| self.pop_packed())?;
        self.bytes -= message.len() + MESSAGE_OVERHEAD;
        Some(message)
    }

    /// Gives memory back that was needed for more than `most` messages, if there are none.
    pub(super) fn shrink(&mut self, most: usize) {
        if self.messages.is_empty() && self.messages.capacity() > most {
            self.messages = VecDeque::new();
        }
    }

    fn pop_packed(&mut self) -> Option<Message> {
        let message = self.packed.as_mut()?.pop();
        if self.packed.as_ref().is_some_and(|packed| packed.len() == 0) {
            self.packed = None;
        }
        message
    }

    /// Makes room for what comes behind the packed ones.
    fn unpack(&mut self) {
        while let Some(message) = self.pop_packed() {
            self.messages.push_back(message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(texts: &[&str]) -> Packed {
        let frames = texts.iter().flat_map(|text| {
            [&[0x81, 0x80 | text.len() as u8, 0, 0, 0, 0], text.as_bytes()].concat()
        });
        let mut frames = frames.collect::<Vec<_>>();
        Packed::take(&mut &mut frames[..], 125).expect("many enough")
    }

    #[test]
    fn what_is_packed_counts_and_comes_in_turn() {
        let mut arrivals = Arrivals::default();
        arrivals.push("one".into());
        arrivals.push_packed(packed(&["a", "b", "", "cde"]));
        assert_eq!((arrivals.len(), arrivals.bytes()), (5, 3 + 5 + 5 * MESSAGE_OVERHEAD));
        assert_eq!(arrivals.pop(), Some("one".into()));
        assert_eq!(arrivals.pop(), Some("a".into()));
        arrivals.push_packed(packed(&["f", "g", "h", "i"]));
        arrivals.push("last".into());
        for text in ["b", "", "cde", "f", "g", "h", "i", "last"] {
            assert!(!arrivals.is_empty());
            assert_eq!(arrivals.pop(), Some(text.into()));
        }
        assert_eq!((arrivals.pop(), arrivals.len(), arrivals.bytes()), (None, 0, 0));
    }
}
