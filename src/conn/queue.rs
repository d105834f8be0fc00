//! The bytes that wait for a slow client: whole frames in order, sent in any pieces.

use std::collections::VecDeque;
use std::io::IoSlice;

use crate::ws::Bytes;
use crate::ws::encoded::{FrameKind, HeaderBytes};

/// A frame (or other bytes, without a header) that has not been sent whole.
#[derive(Debug)]
struct Entry {
    header: HeaderBytes,
    payload: Bytes,
    is_pong: bool,
}

impl Entry {
    fn len(&self) -> usize {
        self.header.as_slice().len() + self.payload.len()
    }
}

/// Frames in the order of sending; the front one may be sent in part.
#[derive(Debug, Default)]
pub(crate) struct SendQueue {
    entries: VecDeque<Entry>,
    /// Bytes of the front entry that are with the kernel already.
    front_sent: usize,
    /// Unsent bytes of all entries.
    bytes: usize,
}

impl SendQueue {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Unsent bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds bytes that are no frame, such as the handshake's answer.
    pub(crate) fn push_raw(&mut self, bytes: Bytes, sent: usize) {
        self.push_entry(HeaderBytes::NONE, bytes, sent);
    }

    /// Adds a frame at the end; `sent` of its bytes have gone already (only if the queue is
    /// empty).
    pub(crate) fn push(&mut self, header: HeaderBytes, payload: Bytes, sent: usize) {
        self.push_entry(header, payload, sent);
    }

    fn push_entry(&mut self, header: HeaderBytes, payload: Bytes, sent: usize) {
        debug_assert!(sent == 0 || self.entries.is_empty());
        let entry = Entry { header, payload, is_pong: false };
        self.bytes += entry.len() - sent;
        if self.entries.is_empty() {
            self.front_sent = sent;
        }
        self.entries.push_back(entry);
    }

    /// Adds a ping or pong before everything that has not begun; of several pongs only the last
    /// stays, so that a flood of pings cannot fill memory (RFC 6455 5.5.3).
    pub(crate) fn push_control(&mut self, kind: FrameKind, payload: &[u8]) {
        let is_pong = kind == FrameKind::Pong;
        // The handshake's answer goes before any frame, begun or not.
        let is_answer = |entry: &Entry| entry.header.as_slice().is_empty();
        let has_begun = self.front_sent > 0 || self.entries.front().is_some_and(is_answer);
        let first_unsent = usize::from(has_begun);
        if is_pong
            && let Some(old) = self.entries.get(first_unsent)
            && old.is_pong
        {
            self.bytes -= old.len();
            self.entries.remove(first_unsent);
        }
        let header = HeaderBytes::new(kind, payload.len());
        let entry = Entry { header, payload: Bytes::copy_from_slice(payload), is_pong };
        self.bytes += entry.len();
        self.entries.insert(first_unsent, entry);
    }

    /// The unsent bytes from the front on, as many slices as are taken.
    pub(crate) fn slices(&self) -> impl Iterator<Item = IoSlice<'_>> {
        let mut skip = self.front_sent;
        self.entries
            .iter()
            .flat_map(|entry| [entry.header.as_slice(), &entry.payload[..]])
            .filter_map(move |part| {
                let cut = skip.min(part.len());
                skip -= cut;
                (cut < part.len()).then(|| IoSlice::new(&part[cut..]))
            })
    }

    /// Takes note of `count` more bytes sent.
    pub(crate) fn advance(&mut self, count: usize) {
        self.bytes -= count;
        self.front_sent += count;
        while let Some(front) = self.entries.front()
            && self.front_sent >= front.len()
        {
            self.front_sent -= front.len();
            self.entries.pop_front();
        }
        if self.entries.is_empty() {
            // A burst must not leave its queue's memory behind.
            self.entries = VecDeque::new();
        }
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(payload: &'static str) -> (HeaderBytes, Bytes) {
        (HeaderBytes::new(FrameKind::Text, payload.len()), Bytes::from_static(payload.as_bytes()))
    }

    fn unsent(queue: &SendQueue) -> Vec<u8> {
        queue.slices().flat_map(|slice| slice.to_vec()).collect()
    }

    #[test]
    fn any_pieces_add_up_to_the_frames_in_order() {
        for step in 1..12 {
            let mut queue = SendQueue::default();
            for payload in ["one", "", "three"] {
                let (header, payload) = text(payload);
                queue.push(header, payload, 0);
            }
            let mut sent: Vec<u8> = Vec::new();
            while !queue.is_empty() {
                let bytes = unsent(&queue);
                assert_eq!(bytes.len(), queue.bytes());
                let count = step.min(bytes.len());
                sent.extend(&bytes[..count]);
                queue.advance(count);
            }
            assert_eq!(sent, b"\x81\x03one\x81\x00\x81\x05three", "steps of {step}");
            assert_eq!(queue.bytes(), 0);
        }
    }

    #[test]
    fn a_frame_may_start_partly_sent() {
        let mut queue = SendQueue::default();
        let (header, payload) = text("hello");
        queue.push(header, payload, 4);
        assert_eq!(unsent(&queue), b"llo");
        assert_eq!(queue.bytes(), 3);
    }

    #[test]
    fn a_pong_waits_for_the_frame_that_has_begun_and_for_no_other() {
        let mut queue = SendQueue::default();
        for (payload, sent) in [("begun", 3), ("next", 0)] {
            let (header, payload) = text(payload);
            queue.push(header, payload, sent);
        }
        queue.push_control(FrameKind::Pong, b"p");
        assert_eq!(unsent(&queue), b"egun\x8a\x01p\x81\x04next");
    }

    #[test]
    fn no_pong_goes_before_the_answer_of_the_handshake() {
        let mut queue = SendQueue::default();
        queue.push_control(FrameKind::Pong, b"alone");
        queue.clear();
        queue.push_raw(Bytes::from_static(b"HTTP/1.1 101"), 0);
        queue.push_control(FrameKind::Pong, b"p");
        assert_eq!(unsent(&queue), b"HTTP/1.1 101\x8a\x01p");
    }

    #[test]
    fn of_many_pongs_the_last_stays() {
        let mut queue = SendQueue::default();
        let (header, payload) = text("begun");
        queue.push(header, payload, 1);
        for number in 0..1000u32 {
            queue.push_control(FrameKind::Pong, &number.to_be_bytes());
        }
        assert_eq!(unsent(&queue)[6..], *b"\x8a\x04\x00\x00\x03\xe7");
        assert_eq!(queue.bytes(), unsent(&queue).len());
    }
}
