//! What went through a connection, counted without a lock of its own.

use std::iter::Sum;
use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What came in, counted by whoever has the receive half and read by anybody: a handler holds that
/// half's lock while it waits for the client.
///
/// With one writer at a time a count costs no more than a plain number.
// No lock, so no model checker needs to see its atomics.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    messages: AtomicU64,
    bytes: AtomicU64,
}

fn add(count: &AtomicU64, number: u64) {
    count.store(count.load(Relaxed) + number, Relaxed);
}

impl Heard {
    /// Counts whole messages; to be called with the receive half's lock held.
    #[inline]
    pub(super) fn count_messages(&self, number: usize) {
        add(&self.messages, number as u64);
    }

    /// Counts bytes; to be called with the receive half's lock held.
    #[inline]
    pub(super) fn count_bytes(&self, number: usize) {
        add(&self.bytes, number as u64);
    }

    pub(crate) fn messages(&self) -> u64 {
        self.messages.load(Relaxed)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }
}

/// What went through one WebSocket, or through several of them.
///
/// # Units
/// Messages are whole messages, pings and other control frames not counted. Bytes are those of the
/// connection, from the handshake's answer on: headers, control frames and compression included,
/// TLS not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Messages of the client.
    pub messages_received: u64,
    /// Messages that were taken to be sent. A group's policy, or the end of the connection, may
    /// have dropped some of them since.
    pub messages_sent: u64,
    /// Bytes of the client.
    pub bytes_received: u64,
    /// Bytes that the kernel has taken.
    pub bytes_sent: u64,
}

impl Traffic {
    /// True if a message went either way.
    pub(super) fn has_messages(&self) -> bool {
        self.messages_received > 0 || self.messages_sent > 0
    }
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.messages_received += other.messages_received;
        self.messages_sent += other.messages_sent;
        self.bytes_received += other.bytes_received;
        self.bytes_sent += other.bytes_sent;
    }
}

impl Sum for Traffic {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |mut sum, one| {
            sum += one;
            sum
        })
    }
}
