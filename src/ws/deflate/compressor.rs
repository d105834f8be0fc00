//! A compressor of whole messages.

use flate2::{Compress, Compression, FlushCompress};

use crate::config::Deflate;
use crate::ws::deflate::agreement::Agreement;

/// The empty block every flush ends with, which is not sent (RFC 7692 7.2.1).
pub(crate) const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// What the end of a flush may take beside its blocks.
const FLUSH_BYTES: usize = 16;

/// A buffer that is larger than this is not kept.
const MAX_KEPT_BYTES: usize = 64 * 1024;

/// How messages are compressed for a connection: what those with the same can share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dialect {
    pub(crate) window_bits: u8,
    pub(crate) level: u8,
    /// Shorter payloads go out as they are.
    pub(crate) threshold_bytes: usize,
}

impl Dialect {
    pub(crate) fn new(agreement: &Agreement, settings: &Deflate) -> Self {
        Self {
            window_bits: agreement.server.window_bits,
            level: settings.level(),
            threshold_bytes: settings.threshold_bytes(),
        }
    }
}

/// A compressor; it remembers what it has compressed until it is reset.
#[derive(Debug)]
pub(crate) struct Compressor {
    raw: Compress,
    window_bits: u8,
    level: u8,
    out: Vec<u8>,
}

impl Compressor {
    pub(crate) fn new(dialect: &Dialect) -> Self {
        let Dialect { window_bits, level, .. } = *dialect;
        let compression = Compression::new(u32::from(level));
        let raw = Compress::new_with_window_bits(compression, false, window_bits);
        Self { raw, window_bits, level, out: Vec::new() }
    }

    /// One on the heap, made out of the way: what that takes of the stack is not below its use.
    #[inline(never)]
    pub(crate) fn boxed(dialect: &Dialect) -> Box<Self> {
        Box::new(Self::new(dialect))
    }

    /// True if it compresses as the dialect says.
    pub(crate) fn speaks(&self, dialect: &Dialect) -> bool {
        self.window_bits == dialect.window_bits && self.level == dialect.level
    }

    /// Forgets what was compressed before.
    pub(crate) fn reset(&mut self) {
        self.raw.reset();
    }

    /// The payload of a compressed message; `None` if that would not be smaller, and then nothing
    /// is remembered.
    pub(crate) fn deflate(&mut self, payload: &[u8]) -> Option<&[u8]> {
        self.out.clear();
        self.out.reserve(payload.len() + FLUSH_BYTES);
        let before = self.raw.total_in();
        let flushed = self.raw.compress_vec(payload, &mut self.out, FlushCompress::Sync);
        let taken = self.raw.total_in() - before;
        let is_whole = flushed.is_ok()
            && taken == payload.len() as u64
            && self.out.len() < self.out.capacity()
            && self.out.ends_with(&TAIL)
            && self.out.len() - TAIL.len() < payload.len();
        if !is_whole {
            self.reset();
            return None;
        }
        Some(&self.out[..self.out.len() - TAIL.len()])
    }

    /// Lets go of a buffer that was made for a large message.
    pub(crate) fn shrink(&mut self) {
        if self.out.capacity() > MAX_KEPT_BYTES {
            self.out = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Decompress, FlushDecompress, Status};

    const DIALECT: Dialect = Dialect { window_bits: 15, level: 2, threshold_bytes: 0 };

    /// zlib's own opinion.
    fn inflate(raw: &mut Decompress, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(1 << 20);
        let input = [payload, &TAIL].concat();
        let status = raw.decompress_vec(&input, &mut out, FlushDecompress::Sync).unwrap();
        assert_eq!(status, Status::Ok);
        out
    }

    #[test]
    fn what_does_not_become_smaller_is_not_remembered() {
        let mut compressor = Compressor::new(&DIALECT);
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let noise: Vec<u8> = (0..300).map(|_| next()).collect();
        for payload in [&b""[..], b"a", b"ab", &noise] {
            assert_eq!(compressor.deflate(payload), None, "{} bytes", payload.len());
        }
        let twice = [&noise[..], &noise].concat();
        let packed = compressor.deflate(&twice).unwrap();
        assert!(packed.len() > noise.len(), "the noise was not known");
        assert_eq!(inflate(&mut Decompress::new(false), packed), twice);
    }

    #[test]
    fn each_message_builds_on_those_before_until_the_reset() {
        let mut compressor = Compressor::new(&DIALECT);
        let mut raw = Decompress::new(false);
        let text =
            b"{\"old\":{\"price\":17.25,\"open\":true},\"new\":{\"price\":17.5,\"open\":true}}";
        let first = compressor.deflate(text).map(<[u8]>::to_vec).unwrap();
        let second = compressor.deflate(text).map(<[u8]>::to_vec).unwrap();
        assert!(second.len() < first.len() / 2);
        compressor.reset();
        let third = compressor.deflate(text).map(<[u8]>::to_vec).unwrap();
        assert_eq!(first, third);
        for packed in [first, second, third] {
            assert_eq!(inflate(&mut raw, &packed), text);
        }
    }

    #[test]
    fn a_window_is_kept_to() {
        let line: Vec<u8> = (0..=255u8).chain((0..=255).rev()).cycle().take(700).collect();
        let payload = [&line[..], &vec![b'-'; 600], &line].concat();
        for window_bits in 9..=15 {
            let mut compressor = Compressor::new(&Dialect { window_bits, ..DIALECT });
            let packed = compressor.deflate(&payload).unwrap();
            let mut raw = Decompress::new_with_window_bits(false, window_bits);
            assert_eq!(inflate(&mut raw, packed), payload, "{window_bits} bits");
        }
    }
}
