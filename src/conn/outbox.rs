//! The send half: any thread, whole frames, no waiting for the peer under the lock.
//!
//! ```text
//!  open ──close() or violation──► close sent ──peer's close──► over
//!    ├──────────peer's close (answered)─────────────────────────▲
//!    └──────────end of stream, cut──────────────────────────────┘
//! ```
//!
//! A frame goes to the kernel at once if nothing is queued before it; what does not fit is
//! queued, and the keeper sends it when the socket can be written. The close frame is the last
//! frame; pings and pongs pass what has not begun and do not count against the limit.

use std::io::{self, ErrorKind as IoErrorKind, IoSlice};
use std::sync::Arc;

use once_cell::race::OnceBox;

use crate::conn::connection::Connection;
use crate::conn::deflating::{Deflating, OwnCompressor};
use crate::conn::hold::COPY_BYTES;
use crate::conn::outgoing::Outgoing;
use crate::conn::send_state::{End, SendState};
use crate::conn::story::words;
use crate::conn::trace::Mark;
use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::net::stream::{Blocking, Stream};
use crate::sync::atomic::Ordering;
use crate::sync::{Condvar, Mutex, MutexGuard};
use crate::ws::close::{CloseFrame, Closed, Side, Violation, close_code};
use crate::ws::encoded::{FrameKind, HeaderBytes, MAX_HEADER_BYTES};
use crate::ws::{Bytes, Message};

/// Payloads up to this size share two lines of memory with their header.
const SHORT_BYTES: usize = 118;

/// Whether a send may wait, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Wait for room until the send deadline; and as long as messages of the client wait to be
    /// answered, the message may be held back to go out together with those answers.
    Reply,
    /// Wait for room until the send deadline.
    Wait,
    /// Hand the message back at once.
    Refuse,
}

/// The send half of a connection.
#[derive(Debug)]
pub(crate) struct Outbox {
    pub(super) state: Mutex<SendState>,
    /// Signalled when queued bytes went out and when the connection ends.
    pub(super) room: Condvar,
    /// How messages are compressed; empty where they are not. Set before the half opens.
    deflating: OnceBox<Deflating>,
}

impl Outbox {
    pub(crate) fn new() -> Self {
        let (state, room) = (Mutex::new(SendState::default()), Condvar::new());
        Self { state, room, deflating: OnceBox::new() }
    }

    /// Has messages compressed from now on.
    pub(super) fn deflate_with(&self, deflating: Deflating) {
        // The handshake is answered once.
        let _ = self.deflating.set(Box::new(deflating));
    }

    /// How messages are compressed, if they are.
    pub(super) fn deflating(&self) -> Option<&Deflating> {
        self.deflating.get()
    }

    /// How the connection ended, if it has.
    pub(crate) fn end(&self) -> Option<End> {
        self.state.lock().end.as_deref().cloned()
    }

    /// How the connection ended, or how it will if the peer never answers our close frame.
    pub(crate) fn farewell(&self) -> Option<Closed> {
        let state = self.state.lock();
        let ended = state.end.as_ref().map(|end| end.closed.clone());
        let ours = state.close_sent.as_ref();
        ended.or_else(|| ours.map(|frame| Closed::from_frame(Side::Server, frame, false)))
    }

    /// True once our close frame is sent or queued, or the connection is over.
    pub(crate) fn is_closing(&self) -> bool {
        let state = self.state.lock();
        state.close_sent.is_some() || state.end.is_some() || state.is_broken
    }

    /// Waits until the kernel has everything that was queued, or will never take it.
    ///
    /// # Blocking
    /// As long as the client takes some of it within each send deadline, and at most until the
    /// close deadline if a close frame is among it: the keeper ends what takes longer.
    pub(crate) fn drain(&self) {
        let mut state = self.state.lock();
        while !state.queue.is_empty() && !state.is_broken {
            self.room.wait(&mut state);
        }
    }

    /// Lets go of the socket and of everything unsent.
    pub(crate) fn release(&self) {
        let mut state = self.state.lock();
        state.stream = None;
        state.own_compressor = OwnCompressor::default();
        state.clear_queue();
        drop(state);
        self.room.notify_all();
    }
}

impl Connection {
    /// Opens the send half with the handshake's answer, which goes out first: with the next
    /// [`flush`](Self::flush).
    pub(crate) fn open_outbox(&self, stream: Arc<Stream>, answer: Vec<u8>) {
        let mut state = self.outbox.state.lock();
        state.stream = Some(stream);
        state.queue.push_answer(Bytes::from(answer));
    }

    /// Sends a message whole or gives it back with the error.
    ///
    /// Waits only for room in the queue, and only if `patience` says so.
    pub(crate) fn send_message(&self, message: Message, patience: Patience) -> Result<()> {
        if patience == Patience::Reply && self.hold_plain(&message) {
            return Ok(());
        }
        // One after the other: zlib's frames must not lie below those of sending.
        let packed = self.pack(&message);
        self.send_outgoing(Outgoing::new(message, packed), patience)
    }

    #[inline(never)]
    fn send_outgoing(&self, mut outgoing: Outgoing, patience: Patience) -> Result<()> {
        let mut state = self.outbox.state.lock();
        let mut waiting_since = None;
        loop {
            if let Some(error) = state.refusal() {
                return Err(error.with_returned(outgoing.into_message()));
            }
            let frame_bytes = outgoing.frame_bytes();
            if state.queue.is_empty() {
                self.pack_in_turn(&mut state, &mut outgoing);
                if patience == Patience::Reply && self.hold(&mut state, &outgoing) {
                    return Ok(());
                }
                return self.send_direct(&mut state, outgoing);
            }
            if state.queue.cost_with(frame_bytes) <= self.config.outbound_bytes() {
                self.pack_in_turn(&mut state, &mut outgoing);
                state.messages_sent += 1;
                let (header, payload) = outgoing.into_parts();
                state.queue.push(header, payload, 0);
                return Ok(());
            }
            if patience == Patience::Refuse {
                let text = format!(
                    "{} bytes wait for the client, over the limit of {} with {frame_bytes} more",
                    state.queue.cost(),
                    self.config.outbound_bytes()
                );
                let error = Error::new(ErrorKind::QueueFull, text);
                return Err(error.with_returned(outgoing.into_message()));
            }
            let timeout = self.config.send_timeout();
            let (deadline, stuck_since) = *waiting_since
                .get_or_insert_with(|| (Deadline::after(timeout), self.record.stuck_since()));
            if wait_for_room(&self.outbox.room, &mut state, deadline) {
                continue;
            }
            // The kernel may take more long before it says so.
            self.flush_locked(&mut state);
            if state.queue.is_empty()
                || state.queue.cost_with(frame_bytes) <= self.config.outbound_bytes()
            {
                continue;
            }
            if self.record.stuck_since() == stuck_since {
                drop(state);
                self.give_up_slow();
                return Err(self.end_error().with_returned(outgoing.into_message()));
            }
            let text = format!("the client took too little in {timeout:?} to make room");
            let error = Error::new(ErrorKind::Timeout, text);
            return Err(error.with_returned(outgoing.into_message()));
        }
    }

    /// Compresses a message by itself, if that was agreed; to be called without the send lock.
    #[inline]
    fn pack(&self, message: &Message) -> Option<Bytes> {
        let deflating = self.outbox.deflating()?;
        if self.record.is_closing() {
            return None;
        }
        deflating.pack(message, &self.shared.pools)
    }

    /// Compresses a message with the help of those before, if that was agreed. It is sent next:
    /// so this is done when nothing can keep it back any more, and room was found for it as it is.
    fn pack_in_turn(&self, state: &mut SendState, outgoing: &mut Outgoing) {
        if let Some(deflating) = self.outbox.deflating()
            && let Some(packed) = state.own_compressor.pack(deflating, outgoing.message())
        {
            outgoing.pack(packed);
        }
    }

    /// Gives up a client that has taken nothing for the whole send deadline.
    pub(crate) fn give_up_slow(&self) {
        if self.give_up(close_code::TRY_AGAIN, words::SLOW_CLIENT) {
            log::info!("conn-{} {}: the client has stopped reading", self.id(), self.peer());
            self.shared.slow_clients.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The error for a call on a connection that is over.
    pub(crate) fn end_error(&self) -> Error {
        match self.outbox.end() {
            Some(end) => end.to_error(),
            None => Error::new(ErrorKind::Closed, "the connection is over"),
        }
    }

    /// Sends a frame before which nothing is queued, and what is held back before it; queues what
    /// the kernel does not take.
    fn send_direct(&self, state: &mut MutexGuard<'_, SendState>, outgoing: Outgoing) -> Result<()> {
        let gone = || Error::new(ErrorKind::Closed, "the client is gone");
        let Some(stream) = &state.stream else {
            return Err(gone().with_returned(outgoing.into_message()));
        };
        let outcome = if state.held.is_empty() {
            send_now(stream, outgoing.header().as_slice(), outgoing.payload())
        } else {
            let stream = Arc::clone(stream);
            self.send_joined(state, &stream, &outgoing)
        };
        let frame_bytes = outgoing.frame_bytes();
        let sent = match outcome {
            Ok(sent) => sent,
            Err(error) if error.kind() == IoErrorKind::WouldBlock => 0,
            Err(error) => {
                state.fail();
                return Err(gone().with_source(error).with_returned(outgoing.into_message()));
            }
        };
        state.messages_sent += 1;
        state.bytes_sent += sent as u64;
        if sent < frame_bytes {
            let (header, payload) = outgoing.into_parts();
            state.queue.push(header, payload, sent);
            self.note_stuck(state);
        }
        Ok(())
    }

    /// Sends a ping or pong without ever waiting.
    pub(crate) fn send_control(&self, kind: FrameKind, payload: &[u8]) {
        let mut state = self.outbox.state.lock();
        if state.refusal().is_some() {
            return;
        }
        self.send_held(&mut state);
        let is_first = state.queue.is_empty();
        state.queue.push_control(kind, payload);
        if is_first {
            // Behind something else it goes when the keeper is told that the socket can take it.
            self.flush_locked(&mut state);
        }
    }

    /// Begins the closing handshake from this side; an end that has come already counts first.
    pub(crate) fn close(&self, frame: CloseFrame) {
        if self.record.ending_by() != 0
            && let Some(mut receive) = self.receive.try_lock()
        {
            receive.conclude(self);
        }
        self.start_close(frame);
    }

    /// True once a close was sent or received or the connection is lost, as far as noticed.
    pub(crate) fn is_ending(&self) -> bool {
        self.record.ending_by() != 0 || self.outbox.is_closing()
    }

    /// Begins the closing handshake from this side, unless it has begun.
    fn start_close(&self, frame: CloseFrame) {
        let mut state = self.outbox.state.lock();
        if state.refusal().is_some() {
            return;
        }
        self.queue_close(&mut state, frame);
        drop(state);
        // Nobody may send any more, so nobody needs to wait for room.
        self.outbox.room.notify_all();
    }

    /// Answers the peer's close frame and ends the connection.
    pub(crate) fn peer_closed(&self, frame: CloseFrame) {
        let mut state = self.outbox.state.lock();
        if state.end.is_some() {
            return;
        }
        let closed = match &state.close_sent {
            Some(ours) => Closed::from_frame(Side::Server, ours, true),
            None => Closed::from_frame(Side::Client, &frame, true),
        };
        state.close_received = true;
        state.end = Some(Box::new(End { closed, violation: None }));
        if state.close_sent.is_none() {
            self.queue_close(&mut state, frame);
        }
        state.settle();
        drop(state);
        self.is_over();
    }

    /// Closes the connection of a peer that broke the protocol.
    pub(crate) fn violated(&self, violation: Violation) {
        let mut state = self.outbox.state.lock();
        if state.end.is_some() {
            return;
        }
        let answer = violation.answer();
        let closed = Closed::from_frame(Side::Server, &answer, false);
        state.end = Some(Box::new(End { closed, violation: Some(violation) }));
        if state.close_sent.is_none() {
            self.queue_close(&mut state, answer);
        }
        state.settle();
        drop(state);
        self.is_over();
    }

    /// Takes note that the stream ended without the closing handshake.
    pub(crate) fn lost(&self, by: Side, reason: &str) {
        let mut state = self.outbox.state.lock();
        self.send_held(&mut state);
        if state.end.is_none() {
            let closed = match &state.close_sent {
                Some(ours) => Closed::from_frame(Side::Server, ours, false),
                None => Closed::lost(by, reason),
            };
            state.end = Some(Box::new(End { closed, violation: None }));
        }
        drop(state);
        self.is_over();
    }

    /// Tells everybody who waits for room, and the groups, that the connection has ended.
    fn is_over(&self) {
        self.outbox.room.notify_all();
        self.leave_groups();
    }

    /// Gives a connection up: says why as far as the peer still listens, then cuts it. False if
    /// it was over already.
    pub(crate) fn give_up(&self, code: u16, reason: &'static str) -> bool {
        let mut state = self.outbox.state.lock();
        let is_news = state.end.is_none() && state.close_sent.is_none();
        if state.end.is_none() {
            let frame = CloseFrame::of_server(code, reason);
            let closed = match &state.close_sent {
                Some(ours) => Closed::from_frame(Side::Server, ours, false),
                None => Closed::from_frame(Side::Server, &frame, false),
            };
            state.end = Some(Box::new(End { closed, violation: None }));
            if state.close_sent.is_none() && !state.is_broken {
                self.queue_close(&mut state, frame);
            }
        }
        let is_flushed = state.queue.is_empty();
        state.fail();
        drop(state);
        self.is_over();
        // What the kernel has goes out before the end; what it would not take will never go.
        if !is_flushed && let Some(stream) = self.stream() {
            stream.cut();
        }
        is_news
    }

    /// Ends the connection without another word.
    pub(crate) fn cut(&self, by: Side, reason: &str) {
        self.note(Mark::Cut, 0);
        self.lost(by, reason);
        self.outbox.state.lock().fail();
        self.outbox.room.notify_all();
        if let Some(stream) = self.stream() {
            stream.cut();
        }
    }

    /// Sends queued bytes; called when the socket can be written.
    pub(crate) fn flush(&self) {
        let mut state = self.outbox.state.lock();
        self.flush_locked(&mut state);
        state.settle();
        drop(state);
        self.outbox.room.notify_all();
    }

    pub(super) fn queue_close(&self, state: &mut MutexGuard<'_, SendState>, frame: CloseFrame) {
        self.send_held(state);
        let payload = Bytes::from(frame.payload());
        state.queue.push(HeaderBytes::new(FrameKind::Close, payload.len()), payload, 0);
        self.note(Mark::CloseSent(frame.code()), 0);
        state.close_sent = Some(Box::new(frame));
        self.record.mark_closing();
        self.flush_locked(state);
        let mut timeout = self.config.close_timeout();
        if !state.queue.is_empty() {
            // The peer cannot answer before it has taken what is queued.
            timeout = timeout.saturating_add(self.config.send_timeout());
        }
        self.record.set_close_by(self.shared.clock.after(timeout));
    }

    pub(super) fn flush_locked(&self, state: &mut MutexGuard<'_, SendState>) {
        let before = state.queue.bytes();
        if let Err(error) = state.flush() {
            log::debug!("conn-{}: cannot send: {error}", self.id());
        }
        if state.queue.bytes() < before {
            self.outbox.room.notify_all();
        }
        if state.queue.is_empty() {
            self.record.set_stuck_since(0);
            if let Some(stream) = &state.stream
                && stream.has_unsent()
            {
                self.watch_write(stream);
            }
        } else if state.queue.bytes() < before || self.record.stuck_since() == 0 {
            self.note_stuck(state);
        } else if let Some(stream) = &state.stream {
            self.watch_write(stream);
        }
    }

    /// Bytes are queued: the keeper sends them when it can and watches the time.
    pub(super) fn note_stuck(&self, state: &MutexGuard<'_, SendState>) {
        self.record.set_stuck_since(self.shared.clock.now());
        if let Some(stream) = &state.stream {
            self.watch_write(stream);
        }
    }
}

/// One call to the kernel for one frame.
fn send_now(stream: &Stream, header: &[u8], payload: &[u8]) -> io::Result<usize> {
    if payload.len() > COPY_BYTES {
        let slices = [IoSlice::new(header), IoSlice::new(payload)];
        return stream.send_slices(&slices, Blocking::Never);
    }
    if payload.len() <= SHORT_BYTES {
        // Every line of memory that a message touches is fetched anew where many threads take
        // turns.
        return send_copied::<{ MAX_HEADER_BYTES + SHORT_BYTES }>(stream, header, payload);
    }
    send_copied::<{ MAX_HEADER_BYTES + COPY_BYTES }>(stream, header, payload)
}

fn send_copied<const ROOM: usize>(
    stream: &Stream,
    header: &[u8],
    payload: &[u8],
) -> io::Result<usize> {
    let mut frame = [0; ROOM];
    let total = header.len() + payload.len();
    frame[..header.len()].copy_from_slice(header);
    frame[header.len()..total].copy_from_slice(payload);
    stream.send(&frame[..total], Blocking::Never)
}

/// Waits until the state may have changed; false once the deadline has passed.
pub(super) fn wait_for_room(
    room: &Condvar,
    state: &mut MutexGuard<'_, SendState>,
    deadline: Deadline,
) -> bool {
    match deadline.instant() {
        Some(instant) => !room.wait_until(state, instant).timed_out(),
        None => {
            room.wait(state);
            true
        }
    }
}

#[cfg(all(test, shuttle))]
mod shuttle_tests;
