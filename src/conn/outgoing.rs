//! A message on its way out, and what goes out for it.

use crate::ws::encoded::{FrameKind, HeaderBytes};
use crate::ws::{Bytes, Message};

/// A message with the header and payload of its frame.
#[derive(Debug)]
pub(super) struct Outgoing {
    message: Message,
    header: HeaderBytes,
    /// Instead of the message's own bytes.
    packed: Option<Bytes>,
}

impl Outgoing {
    /// A message as it is, or in a compressed form.
    pub(super) fn new(message: Message, packed: Option<Bytes>) -> Self {
        let kind = FrameKind::of(&message);
        let header = match &packed {
            None => HeaderBytes::new(kind, message.len()),
            Some(packed) => HeaderBytes::of_compressed(kind, packed.len()),
        };
        Self { message, header, packed }
    }

    /// Gives the message a compressed form.
    pub(super) fn pack(&mut self, packed: Bytes) {
        self.header = HeaderBytes::of_compressed(FrameKind::of(&self.message), packed.len());
        self.packed = Some(packed);
    }

    pub(super) fn message(&self) -> &Message {
        &self.message
    }

    pub(super) fn header(&self) -> &HeaderBytes {
        &self.header
    }

    pub(super) fn payload(&self) -> &[u8] {
        self.packed.as_deref().unwrap_or_else(|| self.message.as_bytes())
    }

    /// Header and payload.
    pub(super) fn frame_bytes(&self) -> usize {
        self.header.as_slice().len() + self.payload().len()
    }

    /// What is queued.
    pub(super) fn into_parts(self) -> (HeaderBytes, Bytes) {
        let Self { message, header, packed } = self;
        (header, packed.unwrap_or_else(|| message.into_bytes()))
    }

    /// What goes back to who wanted it sent.
    pub(super) fn into_message(self) -> Message {
        self.message
    }
}
