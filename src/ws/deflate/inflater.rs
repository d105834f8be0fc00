//! An inflater of messages that arrive in pieces.

use flate2::{Decompress, FlushDecompress, Status};

use crate::ws::close::Violation;
use crate::ws::deflate::compressor::TAIL;

/// What is inflated at a time, and by how much a message may pass its limit before that is noticed.
pub(crate) const STEP_BYTES: usize = 8 * 1024;

/// An empty last block.
const END: [u8; 5] = [1, 0, 0, 0xff, 0xff];

/// An inflater; between messages it remembers what it has inflated until it is reset.
#[derive(Debug)]
pub(crate) struct Inflater {
    raw: Decompress,
    out: Box<[u8; STEP_BYTES]>,
    /// Nothing of a stream of blocks has been taken: the message has just begun, or its last block
    /// said that it is the last, behind which others may come (RFC 7692 7.2.3.4).
    is_between: bool,
}

impl Inflater {
    /// An inflater for windows of up to 15 bits; the backend has the same memory for all of them.
    pub(crate) fn new() -> Self {
        let raw = Decompress::new(false);
        Self { raw, out: Box::new([0; STEP_BYTES]), is_between: true }
    }

    /// One on the heap, made out of the way: what that takes of the stack is not below its use.
    #[inline(never)]
    pub(crate) fn boxed() -> Box<Self> {
        Box::new(Self::new())
    }

    /// Forgets everything.
    pub(crate) fn reset(&mut self) {
        self.raw.reset(false);
        self.is_between = true;
    }

    /// Inflates a piece of a message's payload; `take` gets what comes out of it, in steps.
    pub(crate) fn inflate(
        &mut self,
        mut piece: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        loop {
            let (read, written) = (self.raw.total_in(), self.raw.total_out());
            let status = self.raw.decompress(piece, &mut self.out[..], FlushDecompress::None);
            let read = (self.raw.total_in() - read) as usize;
            let written = (self.raw.total_out() - written) as usize;
            piece = &piece[read..];
            self.is_between &= read == 0;
            // What comes before broken blocks is looked at first, however the piece was cut.
            take(&self.out[..written])?;
            let status = status.map_err(|_| Violation::Deflate)?;
            if status == Status::StreamEnd {
                self.reset();
            } else if written < self.out.len() && (piece.is_empty() || read == 0) {
                // With room left over everything was read, or never will be.
                return if piece.is_empty() { Ok(()) } else { Err(Violation::Deflate) };
            }
            if piece.is_empty() && self.is_between {
                return Ok(());
            }
        }
    }

    /// Ends a message whose payload was inflated: what it left out at its end comes out.
    ///
    /// The next message may refer to this one.
    pub(crate) fn end_message(
        &mut self,
        take: impl FnMut(&[u8]) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        if !self.is_between {
            self.inflate(&TAIL, take)?;
            self.is_between = true;
        }
        Ok(())
    }

    /// Ends a message as [`end_message`](Self::end_message) does, and checks that it was whole.
    /// The next one begins from nothing.
    pub(crate) fn end_stream(
        &mut self,
        take: impl FnMut(&[u8]) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        if self.is_between {
            return Ok(());
        }
        self.end_message(take)?;
        let before = self.raw.total_out();
        let status = self.raw.decompress(&END, &mut self.out[..], FlushDecompress::None);
        let is_whole = matches!(status, Ok(Status::StreamEnd)) && self.raw.total_out() == before;
        self.reset();
        if is_whole { Ok(()) } else { Err(Violation::Deflate) }
    }
}

#[cfg(test)]
mod tests;
