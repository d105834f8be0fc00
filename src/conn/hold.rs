//! Replies that are held back while more messages of the same client wait, to go out with one
//! write.
//!
//! A client that has several messages in flight gets its replies at the cost of one: a write is
//! most of what a small reply costs. The handler knows nothing of it.
//!
//! ```text
//!          send, and the client's next message waits
//!  nothing ────────────────────────────────────────► held ──► the next such send adds to it
//!     ▲                                                │
//!     └── the reply to the last one, any other send, ping, pong, close, frame of a group,
//!         a handler that waits, `held_bytes`, the keeper after a few milliseconds
//! ```
//!
//! Nothing is held while anything is queued, and nothing is queued before what is held has been
//! handed to the kernel, so the order of frames is that of the calls.

use std::io::{self, ErrorKind as IoErrorKind, IoSlice};

use crate::conn::connection::Connection;
use crate::conn::outgoing::Outgoing;
use crate::conn::send_state::SendState;
use crate::net::stream::{Blocking, Stream};
use crate::sync::{Mutex, MutexGuard};
use crate::ws::encoded::HeaderBytes;

/// Payloads up to this size are copied behind their header, which is cheaper than a second slice.
pub(super) const COPY_BYTES: usize = 512;

/// Room for the first replies of a hold.
const FIRST_BYTES: usize = 1024;

/// Frames held back, in one piece.
#[derive(Debug, Default)]
pub(super) struct Held {
    bytes: Vec<u8>,
    /// Tells this hold from those before it.
    number: u64,
    /// The keeper looks at this connection.
    is_watched: bool,
}

impl Held {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    fn add(&mut self, header: &HeaderBytes, payload: &[u8]) {
        if self.bytes.is_empty() {
            self.number += 1;
            // Not kept from hold to hold: an idle connection owns no buffer.
            self.bytes.reserve(FIRST_BYTES);
        }
        self.bytes.extend_from_slice(header.as_slice());
        self.bytes.extend_from_slice(payload);
    }
}

/// The connections that the keeper looks at because they hold replies.
#[derive(Debug, Default)]
pub(crate) struct Holders {
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    ids: Vec<u64>,
    /// The keeper comes every few milliseconds.
    is_visited: bool,
}

impl Holders {
    /// Adds a connection; true if the keeper has to be woken.
    fn add(&self, id: u64) -> bool {
        let mut list = self.list.lock();
        list.ids.push(id);
        !std::mem::replace(&mut list.is_visited, true)
    }

    /// Moves the connections that were added to `holders`, with a number that no hold has; false
    /// if the keeper is at its slow pace.
    pub(crate) fn take(&self, holders: &mut Vec<(u64, u64)>) -> bool {
        let mut list = self.list.lock();
        holders.extend(list.ids.drain(..).map(|id| (id, 0)));
        list.is_visited
    }

    /// The keeper goes back to its slow pace; false if there is somebody to look at.
    pub(crate) fn leave(&self) -> bool {
        let mut list = self.list.lock();
        list.is_visited = !list.ids.is_empty();
        !list.is_visited
    }
}

impl Connection {
    /// Holds a reply back if more messages of the client wait; false if it has to be sent.
    pub(super) fn hold(&self, state: &mut SendState, outgoing: &Outgoing) -> bool {
        if !self.record.has_more()
            || outgoing.payload().len() > COPY_BYTES
            || state.held.len() + outgoing.frame_bytes() > self.shared.config.held_bytes()
        {
            return false;
        }
        if state.held.is_empty() {
            self.record.set_holding(true);
            if !std::mem::replace(&mut state.held.is_watched, true)
                && self.shared.holders.add(self.id())
            {
                self.shared.poller.wake();
            }
        }
        state.held.add(outgoing.header(), outgoing.payload());
        true
    }

    /// Sends what is held and a frame behind it with one call. What the kernel does not take of
    /// what was held is queued; returns how much of the frame it took. To be called while nothing
    /// is queued.
    ///
    /// # Errors
    /// The kernel takes nothing any more.
    pub(super) fn send_joined(
        &self,
        state: &mut SendState,
        stream: &Stream,
        outgoing: &Outgoing,
    ) -> io::Result<usize> {
        self.record.set_holding(false);
        let mut joined = std::mem::take(&mut state.held.bytes);
        let (held, payload) = (joined.len(), outgoing.payload());
        joined.extend_from_slice(outgoing.header().as_slice());
        let outcome = if payload.len() <= COPY_BYTES {
            joined.extend_from_slice(payload);
            stream.send(&joined, Blocking::Never)
        } else {
            let slices = [IoSlice::new(&joined), IoSlice::new(payload)];
            stream.send_slices(&slices, Blocking::Never)
        };
        let sent = match outcome {
            Err(error) if error.kind() == IoErrorKind::WouldBlock => 0,
            outcome => outcome?,
        };
        if sent < held {
            joined.truncate(held);
            state.queue.push(HeaderBytes::NONE, joined.into(), sent);
        }
        Ok(sent.saturating_sub(held))
    }

    /// Sends what is held, if anything is.
    pub(super) fn send_held(&self, state: &mut MutexGuard<'_, SendState>) {
        if state.held.is_empty() {
            return;
        }
        self.record.set_holding(false);
        let held = std::mem::take(&mut state.held.bytes);
        state.queue.push(HeaderBytes::NONE, held.into(), 0);
        self.flush_locked(state);
    }

    /// Sends what is held before its handler begins to wait.
    pub(super) fn end_hold(&self) {
        if self.record.is_holding() {
            self.send_held(&mut self.outbox.state.lock());
        }
    }

    /// The keeper's look: sends what is held since its last look, when the hold was `seen`.
    /// Returns the number of a hold that has begun since, `None` if there is no need to come again.
    pub(crate) fn look_at_hold(&self, seen: u64) -> Option<u64> {
        let mut state = self.outbox.state.lock();
        if !state.held.is_empty() && state.held.number != seen {
            return Some(state.held.number);
        }
        state.held.is_watched = false;
        self.send_held(&mut state);
        None
    }
}
