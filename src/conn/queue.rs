//! The bytes that wait for a slow client: whole frames in order, sent in any pieces.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;

use crate::conn::lane::Lane;
use crate::ws::Bytes;
use crate::ws::encoded::{FrameKind, HeaderBytes};

/// What an entry is, as far as the queue treats it differently.
#[derive(Clone, Debug)]
enum Kind {
    /// The handshake's answer: before any frame, and never dropped.
    Answer,
    /// A frame of the connection's own.
    Own,
    Pong,
    /// A frame of a group, header and payload in one piece.
    Group(Arc<Lane>),
}

/// A frame (or the handshake's answer, without a header) that has not been sent whole.
#[derive(Debug)]
struct Entry {
    header: HeaderBytes,
    payload: Bytes,
    kind: Kind,
}

impl Entry {
    fn len(&self) -> usize {
        self.header.as_slice().len() + self.payload.len()
    }

    fn is_of(&self, lane: &Arc<Lane>) -> bool {
        matches!(&self.kind, Kind::Group(own) if Arc::ptr_eq(own, lane))
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
    /// The most that `cost` ever was when something was added.
    high: usize,
}

impl SendQueue {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Entries that are not sent whole.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if there is more than the handshake's answer.
    pub(crate) fn has_frames(&self) -> bool {
        self.entries.iter().any(|entry| !matches!(entry.kind, Kind::Answer))
    }

    /// Unsent bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The memory that is held, which for many small frames is mostly the queue itself.
    pub(crate) fn cost(&self) -> usize {
        self.bytes + self.entries.len() * size_of::<Entry>()
    }

    /// The most memory that was ever held.
    pub(crate) fn high(&self) -> usize {
        self.high
    }

    /// What [`cost`](Self::cost) will be with one more frame of so many bytes.
    pub(crate) fn cost_with(&self, frame_bytes: usize) -> usize {
        self.cost() + frame_bytes + size_of::<Entry>()
    }

    /// Adds the handshake's answer.
    pub(crate) fn push_answer(&mut self, bytes: Bytes) {
        // It is alone as a rule, and what the allocator keeps for later is kept for each thread.
        self.entries.reserve_exact(1);
        self.push_entry(Entry { header: HeaderBytes::NONE, payload: bytes, kind: Kind::Answer }, 0);
    }

    /// Adds a frame at the end; `sent` of its bytes have gone already (only if the queue is
    /// empty).
    pub(crate) fn push(&mut self, header: HeaderBytes, payload: Bytes, sent: usize) {
        self.push_entry(Entry { header, payload, kind: Kind::Own }, sent);
    }

    /// Adds a group's frame at the end, as [`push`](Self::push) does.
    pub(crate) fn push_group(&mut self, frame: Bytes, lane: &Arc<Lane>, sent: usize) {
        let kind = Kind::Group(Arc::clone(lane));
        self.push_entry(Entry { header: HeaderBytes::NONE, payload: frame, kind }, sent);
    }

    fn push_entry(&mut self, entry: Entry, sent: usize) {
        debug_assert!(sent == 0 || self.entries.is_empty());
        self.bytes += entry.len() - sent;
        if self.entries.is_empty() {
            self.front_sent = sent;
        }
        self.entries.push_back(entry);
        self.high = self.high.max(self.cost());
    }

    /// The place of the first entry of which the peer has seen nothing and may see nothing.
    fn first_unbegun(&self) -> usize {
        let is_answer =
            self.entries.front().is_some_and(|entry| matches!(entry.kind, Kind::Answer));
        usize::from(self.front_sent > 0 || is_answer)
    }

    /// Adds a ping or pong before everything that has not begun; of several pongs only the last
    /// stays, so that a flood of pings cannot fill memory (RFC 6455 5.5.3).
    pub(crate) fn push_control(&mut self, kind: FrameKind, payload: &[u8]) {
        let is_pong = kind == FrameKind::Pong;
        let at = self.first_unbegun();
        if is_pong
            && let Some(old) = self.entries.get(at)
            && matches!(old.kind, Kind::Pong)
        {
            self.bytes -= old.len();
            self.entries.remove(at);
        }
        let header = HeaderBytes::new(kind, payload.len());
        let kind = if is_pong { Kind::Pong } else { Kind::Own };
        let entry = Entry { header, payload: Bytes::copy_from_slice(payload), kind };
        self.bytes += entry.len();
        self.entries.insert(at, entry);
    }

    /// Drops the oldest frame of a group that has not begun; false if there is none.
    pub(crate) fn drop_oldest(&mut self, lane: &Arc<Lane>) -> bool {
        let begun = self.first_unbegun();
        let found = self.entries.iter().skip(begun).position(|entry| entry.is_of(lane));
        let Some(entry) = found.and_then(|at| self.entries.remove(begun + at)) else {
            return false;
        };
        self.bytes -= entry.len();
        true
    }

    /// Drops all frames of a group that have not begun, and returns how many that were.
    pub(crate) fn drop_lane(&mut self, lane: &Arc<Lane>) -> usize {
        let begun = self.first_unbegun();
        let (before, mut at, mut bytes) = (self.entries.len(), 0, self.bytes);
        self.entries.retain(|entry| {
            at += 1;
            let stays = at <= begun || !entry.is_of(lane);
            if !stays {
                bytes -= entry.len();
            }
            stays
        });
        self.bytes = bytes;
        before - self.entries.len()
    }

    /// How many frames of a group wait and have not begun.
    pub(crate) fn count(&self, lane: &Arc<Lane>) -> usize {
        let unbegun = self.entries.iter().skip(self.first_unbegun());
        unbegun.filter(|entry| entry.is_of(lane)).count()
    }

    /// Drops every frame that has not begun, and counts those of groups as `lost`.
    pub(crate) fn drop_unbegun(&mut self, lost: impl FnMut(&Lane)) {
        let begun = self.first_unbegun().min(self.entries.len());
        let dropped = self.entries.split_off(begun);
        self.bytes -= dropped.iter().map(Entry::len).sum::<usize>();
        lanes(&dropped).for_each(lost);
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

    /// Drops everything, and counts the frames of groups that never went out whole as `lost`.
    pub(crate) fn clear(&mut self, lost: impl FnMut(&Lane)) {
        let high = self.high;
        lanes(&std::mem::take(self).entries).for_each(lost);
        self.high = high;
    }
}

fn lanes(entries: &VecDeque<Entry>) -> impl Iterator<Item = &Lane> {
    entries.iter().filter_map(|entry| match &entry.kind {
        Kind::Group(lane) => Some(&**lane),
        Kind::Answer | Kind::Own | Kind::Pong => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conn::overflow::Overflow;
    use crate::ws::encoded::Encoded;

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
        queue.clear(|_| ());
        queue.push_answer(Bytes::from_static(b"HTTP/1.1 101"));
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

    fn group(overflow: Overflow) -> Arc<Lane> {
        Arc::new(Lane::new(overflow, Arc::default()))
    }

    fn frame(payload: &str) -> Bytes {
        Encoded::new(payload.into()).frame().clone()
    }

    #[test]
    fn a_frame_that_has_begun_is_never_dropped() {
        let (lane, mut queue) = (group(Overflow::DropOldest), SendQueue::default());
        for (payload, sent) in [("begun", 3), ("old", 0), ("new", 0)] {
            queue.push_group(frame(payload), &lane, sent);
        }
        assert!(queue.drop_oldest(&lane));
        assert_eq!(unsent(&queue), b"egun\x81\x03new");
        assert_eq!(queue.drop_lane(&lane), 1);
        assert!(!queue.drop_oldest(&lane));
        assert_eq!(unsent(&queue), b"egun");
        assert_eq!(queue.bytes(), 4);
    }

    #[test]
    fn only_the_frames_of_the_group_are_dropped() {
        let (one, other) = (group(Overflow::Latest), group(Overflow::Latest));
        let mut queue = SendQueue::default();
        for lane in [&one, &other, &one] {
            queue.push_group(frame("x"), lane, 0);
        }
        let (header, payload) = text("own");
        queue.push(header, payload, 0);
        assert_eq!(queue.drop_lane(&one), 2);
        assert_eq!(unsent(&queue), b"\x81\x01x\x81\x03own");
    }

    #[test]
    fn what_is_dropped_at_the_end_is_counted_for_its_group() {
        let (lane, mut queue) = (group(Overflow::Disconnect), SendQueue::default());
        queue.push_answer(Bytes::from_static(b"HTTP/1.1 101"));
        for _ in 0..3 {
            queue.push_group(frame("x"), &lane, 0);
        }
        let (header, payload) = text("own");
        queue.push(header, payload, 0);
        let mut lost = 0;
        queue.drop_unbegun(|_| lost += 1);
        assert_eq!((lost, queue.bytes(), unsent(&queue)), (3, 12, b"HTTP/1.1 101".to_vec()));
        queue.push_group(frame("x"), &lane, 0);
        queue.clear(|_| lost += 1);
        assert_eq!((lost, queue.bytes()), (4, 0));
    }
}
