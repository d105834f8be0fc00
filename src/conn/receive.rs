//! The receive half: bytes from the socket, messages into the inbox, pings and closes answered.
//!
//! It is a state machine that anybody who holds its lock can drive: the handler's thread, which
//! blocks, or the keeper while the handler is away, which does not.
//!
//! # Order
//! Whatever ends the connection (the peer's close, a violation, the end of the stream) takes
//! effect in its turn: when the handler has taken every message before it and comes for the next,
//! so that it can still answer them. A handler that is away with nothing left to take is not
//! waited for, and no handler longer than the close deadline.

use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::conn::arrivals::{Arrivals, MESSAGE_OVERHEAD};
use crate::conn::connection::Connection;
use crate::conn::throttle::{Pace, Throttle};
use crate::conn::trace::Mark;
use crate::conn::waiting::Until;
use crate::net::stream::{Blocking, Received, Stream};
use crate::ws::Message;
use crate::ws::close::{CloseFrame, Side, Violation};
use crate::ws::deflate::agreement::Terms;
use crate::ws::deflate::inflation::Inflation;
use crate::ws::encoded::FrameKind;
use crate::ws::frame::{Decoder, Event};

mod pacing;
mod reading;

/// How often the time is taken that the handler is away with a message.
const TIMED_EVERY_MILLIS: u64 = 1000;

/// What the peer did to end the connection.
#[derive(Debug)]
enum Ending {
    Closed(CloseFrame),
    Violated(Violation),
    Lost(String),
}

/// The receive half of a connection.
#[derive(Debug)]
pub(crate) struct Receive {
    /// `None` before the handshake's answer and after the end.
    stream: Option<Arc<Stream>>,
    decoder: Decoder,
    inbox: Arrivals,
    /// Of messages that were decoded at once after our close frame.
    dropped_bytes: usize,
    large: Option<Vec<u8>>,
    /// A read has filled the tiny buffer, so it is no longer used.
    is_past_tiny: bool,
    /// Where messages are compressed: received and not decoded, because the read has not returned,
    /// or because the inbox is full and one read can hold a thousand times its size.
    undecoded: Vec<u8>,
    /// The peer broke the protocol: its bytes are read and dropped, so that our close frame is
    /// not lost to a reset.
    is_deaf: bool,
    /// Nothing more will come.
    has_ended: bool,
    /// What ends the connection once the messages before it are taken; boxed, since it is rare.
    ending: Option<Box<Ending>>,
    /// When the handler took a message whose time is taken, in microseconds; zero if none is.
    taken_at: u64,
    /// From when on, by the keeper's clock, the next one's is.
    timed_from: u64,
    /// Of the pings of one read only the last is answered, by who reads (RFC 6455 5.5.3).
    answers_last_ping: bool,
    /// Answered when the read has returned, out of less of the stack.
    unanswered_ping: Option<Box<[u8]>>,
    /// Holds back what comes too fast; there only if that is limited.
    throttle: Option<Box<Throttle>>,
    /// Of a client and groups that both have messages, whose is the next.
    pub(super) is_groups_turn: bool,
}

impl Receive {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            stream: None,
            decoder: Decoder::new(config.message_bytes()),
            inbox: Arrivals::default(),
            dropped_bytes: 0,
            large: None,
            is_past_tiny: false,
            undecoded: Vec::new(),
            is_deaf: false,
            has_ended: false,
            ending: None,
            taken_at: 0,
            timed_from: 0,
            answers_last_ping: false,
            unanswered_ping: None,
            throttle: None,
            is_groups_turn: false,
        }
    }

    /// Opens the half; `compressed` says how, if messages may be; `pace` how fast they may come;
    /// `early` is what came behind the request head.
    pub(crate) fn open(
        &mut self,
        conn: &Connection,
        stream: Arc<Stream>,
        compressed: Option<Terms>,
        pace: Pace,
        mut early: Vec<u8>,
    ) {
        self.throttle = pace.watch(conn.shared.clock.coarse());
        self.count_received(conn, early.len());
        if let Some(terms) = compressed {
            let pools = Arc::clone(&conn.shared.pools);
            self.decoder.inflate_with(Inflation::new(pools, terms.has_context_takeover));
        }
        self.inbox.reserve_one();
        self.stream = Some(stream);
        conn.heard.count_bytes(early.len());
        self.digest(conn, &mut early);
        self.answer_ping(conn);
    }

    /// The oldest waiting message; if there is none, what was held back for more to come goes out.
    ///
    /// There is none either while the one that waits has come too fast.
    pub(crate) fn pop(&mut self, conn: &Connection) -> Option<Message> {
        if self.taken_at != 0 {
            self.note_handler_time(conn);
        }
        let may_pop = self.throttle.is_none() || self.may_deliver(conn);
        let Some(message) = may_pop.then(|| self.inbox.pop()).flatten() else {
            conn.end_hold();
            return None;
        };
        let has_more = !self.inbox.is_empty();
        conn.record.set_more(has_more);
        if !has_more {
            // The handler is there, even if it had no need to wait for long: an end that has come
            // must not overtake its answer to this message.
            let now = conn.shared.clock.coarse();
            conn.record.mark_away(now);
            if now >= self.timed_from {
                self.time_handler(conn, now);
            }
            self.inbox.shrink(conn.config.inbox_messages());
        }
        if conn.record.is_paused() && !self.is_full(conn) {
            // The silence was ours, not the peer's.
            conn.record.mark_life(conn.shared.clock.coarse());
            conn.record.set_paused(false);
            conn.note(Mark::Resumed, 0);
        }
        Some(message)
    }

    /// Whole messages that wait.
    pub(crate) fn waiting_messages(&self) -> usize {
        self.inbox.len()
    }

    /// The handler takes a message whose time is taken: no more than one a second, because two
    /// looks at the clock are much of what a small message costs.
    #[cold]
    fn time_handler(&mut self, conn: &Connection, now: u64) {
        self.timed_from = now + TIMED_EVERY_MILLIS;
        self.taken_at = conn.shared.clock.micros();
    }

    /// The handler has returned: with a message whose time is taken, this is the end of it.
    pub(super) fn handler_returned(&mut self, conn: &Connection) {
        if self.taken_at != 0 {
            self.note_handler_time(conn);
        }
    }

    /// The handler is back from such a message.
    #[cold]
    fn note_handler_time(&mut self, conn: &Connection) {
        let micros = conn.shared.clock.micros().saturating_sub(self.taken_at);
        conn.shared.handler_times.observe(conn.id(), Duration::from_micros(micros));
        self.taken_at = 0;
    }

    /// True once nothing more will come.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// True if nothing worth delivering will come: the end, or only bytes to be dropped.
    pub(crate) fn is_over(&self) -> bool {
        self.has_ended || self.is_deaf
    }

    /// True if nobody but the handler may add to the inbox now.
    pub(crate) fn is_full(&self, conn: &Connection) -> bool {
        let is_long = self.inbox.len() >= conn.config.inbox_messages();
        self.is_stuffed(conn) || (is_long && !is_closing(conn))
    }

    /// True if not even the handler's own look-ahead may add to the inbox.
    fn is_stuffed(&self, conn: &Connection) -> bool {
        self.inbox.bytes() >= conn.config.inbox_bytes() && !is_closing(conn)
    }

    /// True if what was dropped after our close frame would have filled the inbox: whoever decodes
    /// it may be the keeper, which has others to see to.
    fn has_dropped_much(&self, conn: &Connection) -> bool {
        self.dropped_bytes >= conn.config.inbox_bytes()
    }

    /// Reads everything the kernel holds, up to the inbox's limit of bytes.
    ///
    /// What comes while it reads is left alone: a client that sends without end, and nothing that
    /// fills the inbox (pings, empty fragments), must not keep the caller here.
    pub(crate) fn look_ahead(&mut self, conn: &Connection) {
        let mut held = None;
        while !self.is_stuffed(conn) {
            let before = conn.heard.bytes();
            if !self.fill(conn, Until::Now) {
                return;
            }
            held = match held {
                None => self.stream.as_ref().map(|stream| stream.waiting_bytes()),
                // This read was for the end of the stream, which counts no bytes.
                Some(0) => return,
                Some(left) => Some(left.saturating_sub(conn.heard.bytes() - before)),
            };
        }
    }

    /// True if bytes were received that the inbox had no room for.
    pub(crate) fn has_undecoded(&self) -> bool {
        !self.undecoded.is_empty()
    }

    /// True if there is something to take in of which the socket says nothing any more.
    pub(crate) fn has_unread(&self) -> bool {
        self.has_undecoded() || self.stream.as_ref().is_some_and(|stream| stream.has_buffered())
    }

    /// One read of the keeper: of many pings only the last is answered, so that a flood of them
    /// costs the others no time. False if nothing came.
    pub(crate) fn fill_for_keeper(&mut self, conn: &Connection) -> bool {
        self.answers_last_ping = true;
        let has_come = self.fill(conn, Until::Now);
        self.answers_last_ping = false;
        has_come
    }

    /// Lets the end that has come take effect; to be called when no message before it is left, or
    /// nobody comes for them.
    pub(crate) fn conclude(&mut self, conn: &Connection) {
        match self.ending.take().map(|ending| *ending) {
            None => return,
            Some(Ending::Closed(frame)) => conn.peer_closed(frame),
            Some(Ending::Violated(violation)) => conn.violated(violation),
            Some(Ending::Lost(reason)) => conn.lost(Side::Client, &reason),
        }
        conn.record.set_ending_by(0);
    }

    /// The handler may stay away for long: what it has to take waits, but not half a message.
    fn end_with(&mut self, conn: &Connection, ending: Ending) {
        self.decoder.stop();
        self.large = None;
        self.ending.get_or_insert_with(|| Box::new(ending));
        let timeout = conn.config.close_timeout();
        conn.record.set_ending_by(conn.shared.clock.after(timeout));
    }

    /// Forgets waiting messages: nobody is left to take them.
    pub(crate) fn discard_inbox(&mut self) {
        self.inbox = Arrivals::default();
    }

    /// Lets go of the socket, the buffers and what nobody took: a forgotten `Sender` keeps the
    /// connection's record, and must not keep its messages.
    pub(crate) fn release(&mut self) {
        self.stream = None;
        self.large = None;
        self.undecoded = Vec::new();
        self.decoder.stop();
        self.discard_inbox();
        self.has_ended = true;
    }

    /// Reads once and digests what came; false if nothing did, or nothing ever will.
    pub(crate) fn fill(&mut self, conn: &Connection, until: Until<'_>) -> bool {
        if self.has_ended || (self.throttle.is_some() && !self.may_read(conn)) {
            return false;
        }
        let has_come = self.has_undecoded() || self.receive(conn, until);
        if self.has_undecoded() {
            let mut bytes = std::mem::take(&mut self.undecoded);
            self.digest(conn, &mut bytes);
        }
        self.answer_ping(conn);
        has_come
    }

    /// Reads once; false if nothing came.
    fn receive(&mut self, conn: &Connection, until: Until<'_>) -> bool {
        // Taken out and put back, which is cheaper than counting one more owner per message.
        let Some(stream) = self.stream.take() else { return false };
        let outcome = match until {
            Until::Now => self.read(conn, &stream, Blocking::Never),
            Until::Deadline(deadline) => self.read_until(conn, &stream, deadline),
            Until::Either(mailbox, deadline) => self.read_either(conn, &stream, mailbox, deadline),
            Until::Forever => self.read_waiting(conn, &stream),
        };
        if stream.has_unsent() {
            // What TLS answers by itself waits for the keeper, as anything that does not fit.
            conn.watch_write(&stream);
        }
        self.stream = Some(stream);
        let reason = match outcome {
            Ok(Received::Bytes(count)) => {
                self.count_received(conn, count);
                conn.heard.count_bytes(count);
                conn.record.mark_life(conn.shared.clock.coarse());
                return true;
            }
            Ok(Received::Nothing) => return false,
            Ok(Received::End) => "ended without a close frame".into(),
            Err(error) => format!("failed: {error}"),
        };
        conn.note(Mark::Lost, 0);
        self.has_ended = true;
        self.end_with(conn, Ending::Lost(reason));
        true
    }

    /// Decodes bytes and acts on what they say.
    fn digest(&mut self, conn: &Connection, bytes: &mut [u8]) {
        let mut input = bytes;
        self.dropped_bytes = 0;
        while !self.is_deaf && !input.is_empty() {
            if self.pack(conn, &mut input) {
                continue;
            }
            if let Some(small) = self.decoder.decode_small(&mut input) {
                match small {
                    Ok(message) => self.keep(conn, message),
                    Err(violation) => self.refuse(conn, violation),
                }
            } else {
                match self.decoder.decode(&mut input) {
                    Ok(None) => break,
                    Ok(Some(event)) => self.act(conn, event),
                    Err(violation) => self.refuse(conn, violation),
                }
            }
            if self.decoder.inflates() && (self.is_stuffed(conn) || self.has_dropped_much(conn)) {
                self.undecoded = input.to_vec();
                break;
            }
        }
    }

    /// Adds many small messages at once, if one that is taken before them is there.
    fn pack(&mut self, conn: &Connection, input: &mut &mut [u8]) -> bool {
        if self.inbox.is_empty() || self.decoder.inflates() {
            return false;
        }
        let Some(packed) = self.decoder.pack(input) else { return false };
        conn.heard.count_messages(packed.len());
        if !is_closing(conn) {
            self.inbox.push_packed(packed);
        }
        true
    }

    fn digest_direct(
        &mut self,
        conn: &Connection,
        filled: Result<(Option<Event>, Vec<u8>), Violation>,
    ) {
        match filled {
            Ok((event, mut beyond)) => {
                if let Some(event) = event {
                    self.act(conn, event);
                }
                self.digest(conn, &mut beyond);
            }
            Err(violation) => self.refuse(conn, violation),
        }
    }

    fn act(&mut self, conn: &Connection, event: Event) {
        match event {
            Event::Message(message) => self.keep(conn, message),
            Event::Ping => self.owe_pong(conn),
            Event::Pong => conn.note(Mark::PongReceived, 1),
            Event::Close(frame) => {
                conn.note(Mark::CloseReceived(frame.code()), 0);
                self.has_ended = true;
                self.end_with(conn, Ending::Closed(frame));
            }
        }
    }

    /// Takes note of a ping. The one before it is answered now, or by this one's answer.
    fn owe_pong(&mut self, conn: &Connection) {
        conn.note(Mark::PingReceived, 1);
        let payload = self.decoder.control_payload().into();
        let before = self.unanswered_ping.replace(payload);
        if let Some(before) = before.filter(|_| !self.answers_last_ping) {
            conn.send_control(FrameKind::Pong, &before);
        }
    }

    /// Answers the last ping of a read.
    fn answer_ping(&mut self, conn: &Connection) {
        if let Some(payload) = self.unanswered_ping.take() {
            conn.send_control(FrameKind::Pong, &payload);
        }
    }

    /// Adds a message to the inbox.
    #[inline]
    fn keep(&mut self, conn: &Connection, message: Message) {
        conn.heard.count_messages(1);
        if is_closing(conn) {
            self.dropped_bytes += message.len() + MESSAGE_OVERHEAD;
            return;
        }
        self.inbox.push(message);
    }

    fn refuse(&mut self, conn: &Connection, violation: Violation) {
        self.is_deaf = true;
        conn.note(Mark::Violated(violation.answer().code()), 0);
        self.end_with(conn, Ending::Violated(violation));
    }
}

/// True once we have said goodbye: as in a browser, what still comes is read and not delivered,
/// so that a full inbox cannot hide the peer's answer.
fn is_closing(conn: &Connection) -> bool {
    conn.record.is_closing()
}

#[cfg(test)]
mod tests;
