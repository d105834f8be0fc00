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
//!         a handler that finds no message, `held_bytes`, the keeper after a few milliseconds
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
use crate::ws::Message;
use crate::ws::encoded::{FrameKind, HeaderBytes};

/// Payloads up to this size are copied behind their header, which is cheaper than a second slice.
pub(super) const COPY_BYTES: usize = 512;

/// Room for the first replies of a hold.
const FIRST_BYTES: usize = 1024;

/// After so many rounds to nobody the keeper waits to be told of the next one.
const VAIN_ROUNDS: u32 = if cfg!(all(test, shuttle)) { 2 } else { 50 };

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
    pub(super) fn add(&self, id: u64) -> bool {
        let mut list = self.list.lock();
        list.ids.push(id);
        !std::mem::replace(&mut list.is_visited, true)
    }

    /// Moves the connections that were added to `holders`, with a number that no hold has; false
    /// if the keeper is at its slow pace.
    fn take(&self, holders: &mut Vec<(u64, u64)>) -> bool {
        let mut list = self.list.lock();
        holders.extend(list.ids.drain(..).map(|id| (id, 0)));
        list.is_visited
    }

    /// The keeper goes back to its slow pace; false if there is somebody to look at.
    fn leave(&self) -> bool {
        let mut list = self.list.lock();
        list.is_visited = !list.ids.is_empty();
        !list.is_visited
    }
}

/// The keeper's rounds to the connections that hold replies.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    /// Each connection with the number of the hold that was seen last.
    holders: Vec<(u64, u64)>,
    /// Rounds in a row with nobody to look at.
    vain: u32,
}

impl Rounds {
    /// Begins a round: takes note of who has begun to hold. False if there is none to make.
    pub(crate) fn begin(&mut self, holders: &Holders) -> bool {
        holders.take(&mut self.holders)
    }

    /// Looks at everybody and returns whether another round is due after a while. `look_at` gets a
    /// connection's id and the number of the hold that was seen, and returns that of the hold to
    /// come again for.
    pub(crate) fn make(
        &mut self,
        holders: &Holders,
        mut look_at: impl FnMut(u64, u64) -> Option<u64>,
    ) -> bool {
        self.vain = if self.holders.is_empty() { self.vain + 1 } else { 0 };
        self.holders.retain_mut(|(id, seen)| {
            let hold = look_at(*id, *seen);
            *seen = hold.unwrap_or(0);
            hold.is_some()
        });
        let is_over = self.vain >= VAIN_ROUNDS && holders.leave();
        if is_over {
            self.holders = Vec::new();
        }
        !is_over
    }
}

impl Connection {
    /// Holds a small reply back that goes out as it is, and nothing stands in its way: what most
    /// replies are, for a third of the cost. False if it has to take the usual way.
    pub(super) fn hold_plain(&self, message: &Message) -> bool {
        let is_plain = message.len() <= COPY_BYTES && self.outbox.deflating().is_none();
        if !self.record.has_more() || !is_plain {
            return false;
        }
        let header = HeaderBytes::new(FrameKind::of(message), message.len());
        let mut state = self.outbox.state.lock();
        let is_free = !state.is_shut() && state.queue.is_empty();
        is_free && self.hold_frame(&mut state, &header, message.as_bytes())
    }

    /// Holds a reply back if more messages of the client wait; false if it has to be sent.
    pub(super) fn hold(&self, state: &mut SendState, outgoing: &Outgoing) -> bool {
        let payload = outgoing.payload();
        payload.len() <= COPY_BYTES && self.hold_frame(state, outgoing.header(), payload)
    }

    fn hold_frame(&self, state: &mut SendState, header: &HeaderBytes, payload: &[u8]) -> bool {
        let held_bytes = state.held.len() + header.as_slice().len() + payload.len();
        // What is held may have to be queued.
        let limit = self.config.held_bytes().min(self.config.outbound_bytes());
        // Under the lock, since another thread may have taken the last message and answered it.
        if !self.record.has_more() || held_bytes > limit {
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
        state.held.add(header, payload);
        state.messages_sent += 1;
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
        state.bytes_sent += sent.min(held) as u64;
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

    /// Sends what is held because its handler has come for the next message and there is none.
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

#[cfg(test)]
#[path = "hold/tests.rs"]
pub(super) mod tests;

#[cfg(all(test, shuttle))]
#[path = "hold/shuttle_tests.rs"]
mod shuttle_tests;
