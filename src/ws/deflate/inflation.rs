//! The decoder's part of permessage-deflate: one client's compressed messages, as they arrive.

use std::sync::Arc;

use crate::ws::assemble::Assembly;
use crate::ws::close::Violation;
use crate::ws::deflate::inflater::Inflater;
use crate::ws::deflate::pools::Pools;

/// Inflates the messages of one client.
///
/// Between two messages it owns no inflater, unless messages refer to those before.
#[derive(Debug)]
pub(crate) struct Inflation {
    pools: Arc<Pools>,
    has_context_takeover: bool,
    /// That of the message that is arriving, or the client's own.
    inflater: Option<Box<Inflater>>,
    is_active: bool,
    /// Compressed bytes of the message that were announced.
    announced: u64,
}

impl Inflation {
    pub(crate) fn new(pools: Arc<Pools>, has_context_takeover: bool) -> Self {
        Self { pools, has_context_takeover, inflater: None, is_active: false, announced: 0 }
    }

    /// True while a compressed message is arriving.
    pub(crate) fn is_active(&self) -> bool {
        self.is_active
    }

    /// A compressed message begins.
    pub(crate) fn begin(&mut self) {
        self.is_active = true;
        self.announced = 0;
    }

    /// Takes note of a frame of the message, which may be `max_message_bytes` long when inflated.
    ///
    /// # Errors
    /// `TooBig`: the message is longer than its compressed form needs to be, so its end is not
    /// worth waiting for: blocks that hold nothing can go on for ever.
    pub(crate) fn announce(
        &mut self,
        bytes: u64,
        max_message_bytes: usize,
    ) -> Result<(), Violation> {
        self.announced = self.announced.saturating_add(bytes);
        if self.announced > max_compressed_bytes(max_message_bytes) {
            return Err(Violation::TooBig(max_message_bytes));
        }
        Ok(())
    }

    /// Inflates a piece of the message to where it is assembled.
    ///
    /// # Errors
    /// `TooBig`, as soon as the message is; `Utf8`, at the first byte that cannot be;
    /// `Deflate`: it was not compressed as RFC 1951 says.
    pub(crate) fn inflate(
        &mut self,
        piece: &[u8],
        message: &mut Assembly,
        max_message_bytes: usize,
    ) -> Result<(), Violation> {
        if piece.is_empty() {
            return Ok(());
        }
        let inflater = self.inflater.get_or_insert_with(|| self.pools.take_inflater());
        inflater.inflate(piece, |step| message.append_within(step, max_message_bytes))
    }

    /// Ends the message.
    ///
    /// # Errors
    /// As [`inflate`](Self::inflate).
    pub(crate) fn finish(
        &mut self,
        message: &mut Assembly,
        max_message_bytes: usize,
    ) -> Result<(), Violation> {
        self.is_active = false;
        let take = |step: &[u8]| message.append_within(step, max_message_bytes);
        if self.has_context_takeover {
            return self.inflater.as_mut().map_or(Ok(()), |own| own.end_message(take));
        }
        // Nothing was inflated of a message without a byte.
        let Some(mut inflater) = self.inflater.take() else { return Ok(()) };
        let ended = inflater.end_stream(take);
        self.pools.give_inflater(inflater);
        ended
    }
}

impl Drop for Inflation {
    fn drop(&mut self) {
        if let Some(inflater) = self.inflater.take() {
            self.pools.give_inflater(inflater);
        }
    }
}

/// What the worst of compressors makes of a message: 5 bytes more for each block, and flushes
/// between them.
fn max_compressed_bytes(max_message_bytes: usize) -> u64 {
    let bytes = max_message_bytes as u64;
    bytes.saturating_add(bytes / 8).saturating_add(1024)
}

#[cfg(test)]
mod tests;
