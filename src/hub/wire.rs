//! What the messages of a run are on the wire: for each dialect that a member speaks made once,
//! when the first of them is served.

use std::sync::Arc;

use crate::conn::recipient::{Lane, Parcel, Recipient};
use crate::hub::relay::Publication;
use crate::ws::Bytes;
use crate::ws::deflate::compressor::Dialect;

/// Bytes for which a buffer is kept from run to run.
const MAX_KEPT_BYTES: usize = 128 * 1024;

/// Buffers to join frames in, for the next run.
pub(super) type Buffers = Vec<Vec<u8>>;

/// Messages of one group that go to the same members.
pub(super) struct Wires<'a> {
    publications: Vec<&'a Publication>,
    made: Vec<Wire>,
    buffers: &'a mut Buffers,
}

/// The frames for those who speak one dialect, or none.
struct Wire {
    dialect: Option<Dialect>,
    frames: Vec<Bytes>,
    /// All of them in one piece, unless it is one alone.
    joined: Vec<u8>,
    is_compressed: bool,
}

impl<'a> Wires<'a> {
    /// At least one message.
    pub(super) fn new(publications: Vec<&'a Publication>, buffers: &'a mut Buffers) -> Self {
        Self { publications, made: Vec::new(), buffers }
    }

    /// The messages as a member is to get them.
    pub(super) fn parcel(&mut self, recipient: &Recipient) -> Parcel<'_> {
        let dialect = recipient.dialect();
        let known = self.made.iter().position(|wire| wire.dialect == dialect);
        let at = known.unwrap_or_else(|| {
            let wire = self.make(dialect, recipient);
            self.made.push(wire);
            self.made.len() - 1
        });
        let (wire, first) = (&self.made[at], self.publications[0]);
        let lane: &Arc<Lane> = &first.room.lane;
        let joined = if let [only] = &wire.frames[..] { only } else { &wire.joined[..] };
        Parcel {
            frames: &wire.frames,
            joined,
            is_compressed: wire.is_compressed,
            lane,
            is_awaited: first.is_awaited(),
        }
    }

    fn make(&mut self, dialect: Option<Dialect>, recipient: &Recipient) -> Wire {
        let mut is_compressed = false;
        let frame = |publication: &&Publication| {
            let Some(dialect) = dialect else { return publication.encoded.frame().clone() };
            let frame = publication.encoded.frame_in(&dialect, recipient.pools());
            publication.note_made(frame.new_bytes);
            is_compressed |= frame.is_compressed;
            frame.bytes
        };
        let frames: Vec<Bytes> = self.publications.iter().map(frame).collect();
        let mut joined = Vec::new();
        if frames.len() > 1 {
            joined = self.buffers.pop().unwrap_or_default();
            joined.clear();
            frames.iter().for_each(|frame| joined.extend_from_slice(frame));
        }
        Wire { dialect, frames, joined, is_compressed }
    }
}

impl Drop for Wires<'_> {
    fn drop(&mut self) {
        let joined = self.made.drain(..).map(|wire| wire.joined);
        let kept = joined.filter(|buffer| (1..=MAX_KEPT_BYTES).contains(&buffer.capacity()));
        self.buffers.extend(kept);
    }
}
