//! The large read buffers of all connections of a server.
//!
//! A buffer that was used a moment ago is still in the processor's cache, whoever used it: one for
//! all is cheaper than one for each, which would also cost the allocator a trip to the kernel and
//! back for every large message.

use std::hint::black_box;

use crate::sync::Mutex;

/// What one read may bring.
pub(crate) const LARGE_READ: usize = 64 * 1024;

/// Buffers that wait for their next use; more than these are freed.
const MAX_KEPT: usize = 8;

/// Buffers that are not in use; the one that was used last is taken first.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    kept: Mutex<Vec<Vec<u8>>>,
}

/// glibc gives freed memory back at every 128 KiB and fetches it again for the next large message,
/// zeroed page by page, until a block beyond that has come and gone: then it keeps twice its size.
const FIRST_BLOCK: usize = 256 * 1024;

impl Buffers {
    /// No buffers yet, and an allocator that expects large messages to come and go.
    pub(crate) fn new() -> Self {
        drop(black_box(Vec::<u8>::with_capacity(FIRST_BLOCK)));
        Self::default()
    }

    /// An empty buffer of [`LARGE_READ`] bytes.
    pub(crate) fn take(&self) -> Vec<u8> {
        let kept = self.kept.lock().pop();
        kept.unwrap_or_else(|| Vec::with_capacity(LARGE_READ))
    }

    /// Takes a buffer back.
    pub(crate) fn give(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut kept = self.kept.lock();
        if kept.len() < MAX_KEPT && buffer.capacity() == LARGE_READ {
            kept.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_used_is_the_next_and_few_are_kept() {
        let buffers = Buffers::default();
        let (one, mut other) = (buffers.take(), buffers.take());
        let address = other.as_ptr();
        other.extend_from_slice(b"left over");
        buffers.give(one);
        buffers.give(other);
        let again = buffers.take();
        assert_eq!((again.as_ptr(), again.len(), again.capacity()), (address, 0, LARGE_READ));
        let many: Vec<_> = (0..3 * MAX_KEPT).map(|_| buffers.take()).collect();
        many.into_iter().for_each(|buffer| buffers.give(buffer));
        assert_eq!(buffers.kept.lock().len(), MAX_KEPT);
        buffers.give(Vec::with_capacity(2 * LARGE_READ));
        assert_eq!(buffers.kept.lock().len(), MAX_KEPT);
    }
}
