//! How the messages that go out on one connection are compressed, if that was agreed.

use crate::config::Deflate;
use crate::ws::Bytes;
use crate::ws::Message;
use crate::ws::deflate::agreement::Agreement;
use crate::ws::deflate::compressor::{Compressor, Dialect};
use crate::ws::deflate::pools::Pools;

/// What was agreed for what goes out.
#[derive(Debug)]
pub(super) struct Deflating {
    pub(super) dialect: Dialect,
    has_context_takeover: bool,
}

impl Deflating {
    pub(super) fn new(agreement: &Agreement, settings: &Deflate) -> Self {
        let has_context_takeover = agreement.server.has_context_takeover;
        Self { dialect: Dialect::new(agreement, settings), has_context_takeover }
    }

    /// True if the message is worth compressing.
    fn applies_to(&self, message: &Message) -> bool {
        message.len() >= self.dialect.threshold_bytes
    }

    /// The payload of a message that is compressed by itself; `None` if it goes out plain, or has
    /// to be compressed in its turn.
    ///
    /// # Blocking
    /// Never; to be called without a lock, for it takes its time.
    #[inline(never)]
    pub(super) fn pack(&self, message: &Message, pools: &Pools) -> Option<Bytes> {
        if self.has_context_takeover || !self.applies_to(message) {
            return None;
        }
        pools.deflate(&self.dialect, message.as_bytes(), Bytes::copy_from_slice)
    }
}

/// The compressor of a connection whose messages refer to those before; made at its first use.
#[derive(Debug, Default)]
pub(super) struct OwnCompressor {
    compressor: Option<Box<Compressor>>,
    /// Something compressed by another went out meanwhile, so that the client's history is no
    /// longer this one's.
    is_stale: bool,
}

impl OwnCompressor {
    /// The payload of a message that is sent next, whatever else happens; `None` if it goes out
    /// plain.
    pub(super) fn pack(&mut self, deflating: &Deflating, message: &Message) -> Option<Bytes> {
        if !deflating.has_context_takeover || !deflating.applies_to(message) {
            return None;
        }
        let make = || Compressor::boxed(&deflating.dialect);
        let compressor = self.compressor.get_or_insert_with(make);
        if std::mem::take(&mut self.is_stale) {
            compressor.reset();
        }
        let packed = compressor.deflate(message.as_bytes()).map(Bytes::copy_from_slice);
        compressor.shrink();
        packed
    }

    /// A frame goes out that was compressed for many: it refers to nothing before it, and nothing
    /// may refer to what was before it.
    pub(super) fn begin_anew(&mut self) {
        self.is_stale = self.compressor.is_some();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ws::deflate::offer::DeflateOffer;

    const TEXT: &str =
        "{\"old\":{\"price\":17.25,\"open\":true},\"new\":{\"price\":17.5}}{\"old\":{}";

    fn deflating(takes_over: bool) -> Deflating {
        let settings = Deflate::new().with_threshold_bytes(16);
        let settings = settings.with_server_context_takeover(takes_over);
        let agreement = Agreement::first_of(&[DeflateOffer::default()], &settings).unwrap();
        Deflating::new(&agreement, &settings)
    }

    #[test]
    fn a_message_is_compressed_in_one_way_only() {
        let (pools, mut own) = (Pools::new(1), OwnCompressor::default());
        let (short, long) = (Message::from("short short"), Message::from(TEXT));
        assert!(deflating(false).pack(&long, &pools).is_some());
        assert!(deflating(false).pack(&short, &pools).is_none());
        assert!(own.pack(&deflating(false), &long).is_none());
        assert!(deflating(true).pack(&long, &pools).is_none());
        assert!(own.pack(&deflating(true), &short).is_none());
        assert!(own.compressor.is_none(), "made at its first use");
        assert!(own.pack(&deflating(true), &long).is_some());
    }

    #[test]
    fn after_a_frame_for_many_nothing_before_it_is_referred_to() {
        let (deflating, message) = (deflating(true), Message::from(TEXT));
        let mut own = OwnCompressor::default();
        own.begin_anew();
        let first = own.pack(&deflating, &message).unwrap();
        let second = own.pack(&deflating, &message).unwrap();
        assert!(second.len() < first.len() / 2);
        own.begin_anew();
        assert_eq!(own.pack(&deflating, &message), Some(first));
    }
}
