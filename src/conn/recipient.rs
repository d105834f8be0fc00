//! A connection as the hub sees it: somebody to deliver frames to, who never makes it wait.

use std::io::ErrorKind as IoErrorKind;
use std::sync::Arc;

use crate::conn::connection::Connection;
pub(crate) use crate::conn::lane::{Counters, Lane, Totals};
use crate::conn::mailbox::{GroupMessage, Mailbox};
use crate::conn::outbox::wait_for_room;
use crate::conn::overflow::Overflow;
use crate::conn::send_state::SendState;
use crate::conn::story::words;
use crate::conn::trace::Mark;
use crate::deadline::Deadline;
use crate::net::stream::Blocking;
use crate::sync::MutexGuard;
use crate::sync::atomic::Ordering::Relaxed;
use crate::ws::Bytes;
use crate::ws::close::{CloseFrame, close_code};
use crate::ws::deflate::compressor::Dialect;
use crate::ws::deflate::pools::Pools;

/// How many times its limit a queue may take where publishers wait for members that are full, of
/// messages whose publishers do not: those who wait keep it near the limit, and what comes between
/// must not close a member that only they would wait for.
pub(crate) const UNAWAITED: usize = 2;

/// What became of one message for one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// With the client's kernel.
    Written,
    /// Waits for the client.
    Queued,
    /// Lost by the group's policy.
    Dropped,
    /// The member was gone before it came.
    Gone,
}

/// Frames of one group that go to many recipients at a time.
#[derive(Debug)]
pub(crate) struct Parcel<'a> {
    pub(crate) frames: &'a [Bytes],
    /// All frames in one piece.
    pub(crate) joined: &'a [u8],
    /// There are compressed ones among them.
    pub(crate) is_compressed: bool,
    pub(crate) lane: &'a Arc<Lane>,
    /// Their publishers have waited for members that are full, so that with `Overflow::Block`
    /// nothing else need bound what waits.
    pub(crate) is_awaited: bool,
}

/// What a delivery came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Delivered {
    /// The member was full and has been closed with 1013.
    pub(crate) was_closed: bool,
    /// The member is full: a publisher that may wait should.
    pub(crate) is_full: bool,
}

/// One connection to deliver to; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Recipient {
    conn: Arc<Connection>,
}

impl Recipient {
    pub(crate) fn new(conn: &Arc<Connection>) -> Self {
        Self { conn: Arc::clone(conn) }
    }

    /// Whose connection it is, unless that is known.
    pub(crate) fn name_user(&self, name: &str) {
        self.conn.name_user(name);
    }

    /// The number of the connection.
    pub(crate) fn id(&self) -> u64 {
        self.conn.id()
    }

    /// How its messages are compressed, if they are; it stays so.
    pub(crate) fn dialect(&self) -> Option<Dialect> {
        self.conn.outbox.deflating().map(|deflating| deflating.dialect)
    }

    /// What compresses for it.
    pub(crate) fn pools(&self) -> &Pools {
        &self.conn.shared.pools
    }

    /// Sends all frames, which are in its [`dialect`](Self::dialect), with one call to the kernel, and queues what it does not take as the
    /// group's policy says. `fates` gets what became of each; it never waits.
    pub(crate) fn deliver(&self, parcel: &Parcel<'_>, fates: &mut [Fate]) -> Delivered {
        let delivered = self.deliver_now(&mut self.conn.outbox.state.lock(), parcel, fates);
        if delivered.was_closed {
            self.log_slow();
        }
        delivered
    }

    fn deliver_now(
        &self,
        state: &mut MutexGuard<'_, SendState>,
        parcel: &Parcel<'_>,
        fates: &mut [Fate],
    ) -> Delivered {
        if state.is_shut() {
            fates.fill(Fate::Gone);
            return Delivered::default();
        }
        self.conn.send_held(state);
        if parcel.is_compressed {
            state.own_compressor.begin_anew();
        }
        if !state.queue.is_empty() {
            return self.queue_all(state, parcel, 0, fates);
        }
        let sent = match &state.stream {
            Some(stream) => stream.send(parcel.joined, Blocking::Never),
            None => Ok(0),
        };
        match sent {
            Ok(sent) if sent == parcel.joined.len() => {
                state.bytes_sent += sent as u64;
                state.messages_sent += fates.len() as u64;
                fates.fill(Fate::Written);
                Delivered::default()
            }
            Ok(sent) => {
                state.bytes_sent += sent as u64;
                self.queue_all(state, parcel, sent, fates)
            }
            Err(error) if error.kind() == IoErrorKind::WouldBlock => {
                self.queue_all(state, parcel, 0, fates)
            }
            Err(_) => {
                state.fail();
                fates.fill(Fate::Gone);
                Delivered::default()
            }
        }
    }

    /// Leaves messages of one group for the handler, as the group's policy says. `fates` gets what
    /// became of each; it never waits.
    pub(crate) fn deliver_to_handler(
        &self,
        lane: &Arc<Lane>,
        is_awaited: bool,
        messages: impl IntoIterator<Item = GroupMessage>,
        fates: &mut [Fate],
    ) -> Delivered {
        let conn = &*self.conn;
        let mailbox = conn.mailbox().filter(|_| !conn.record.is_closing());
        let Some(mailbox) = mailbox else {
            fates.fill(Fate::Gone);
            return Delivered::default();
        };
        let delivered = mailbox.push(lane, is_awaited, messages, fates);
        let dropped = fates.iter().filter(|fate| **fate == Fate::Dropped).count();
        if dropped > 0 {
            conn.note(Mark::Dropped, dropped as u64);
        }
        if delivered.was_closed {
            self.close_busy();
        }
        delivered
    }

    /// Closes a connection whose handler does not take what its groups send.
    fn close_busy(&self) {
        let conn = &self.conn;
        log::info!("conn-{} {}: the handler is too slow for its group", conn.id(), conn.peer());
        conn.close(CloseFrame::of_server(close_code::TRY_AGAIN, words::SLOW_HANDLER));
    }

    /// Queues the frames behind the `sent` bytes that have gone.
    fn queue_all(
        &self,
        state: &mut MutexGuard<'_, SendState>,
        parcel: &Parcel<'_>,
        sent: usize,
        fates: &mut [Fate],
    ) -> Delivered {
        let was_empty = state.queue.is_empty();
        let first = queue_begun(state, parcel, sent, fates);
        let mut was_closed = false;
        let mut displaced_all = 0;
        for (at, frame) in parcel.frames.iter().enumerate().skip(first) {
            let Some(displaced) = self.queue_one(state, frame, parcel) else {
                let missed = (fates.len() - at) as u64;
                state.lost += missed;
                parcel.lane.drop_at_once(missed);
                self.conn.note(Mark::Dropped, missed);
                self.close_slow(state);
                fates[first..].fill(Fate::Dropped);
                was_closed = true;
                break;
            };
            fates[at] = Fate::Queued;
            displaced_all += displaced;
        }
        if displaced_all > 0 {
            self.conn.note(Mark::Dropped, displaced_all as u64);
            // A small one may have taken the place of large ones.
            self.conn.outbox.room.notify_all();
            // The queue holds the newest of them.
            let waiting = state.queue.count(parcel.lane);
            let queued = fates[first..].iter_mut().rev().filter(|fate| **fate == Fate::Queued);
            queued.skip(waiting).for_each(|fate| *fate = Fate::Dropped);
        }
        if was_empty && !state.queue.is_empty() {
            self.conn.note_stuck(state);
        }
        let is_full = state.queue.cost() >= self.conn.config.outbound_bytes();
        Delivered { was_closed, is_full }
    }

    /// Queues one frame as the group's policy says; returns how many others had to go for it, or
    /// `None` if the policy is to close the member instead.
    fn queue_one(
        &self,
        state: &mut MutexGuard<'_, SendState>,
        frame: &Bytes,
        parcel: &Parcel<'_>,
    ) -> Option<usize> {
        let (limit, lane) = (self.conn.config.outbound_bytes(), parcel.lane);
        // One frame over the limit is taken where no other waits.
        let fits = |state: &SendState, limit: usize| {
            !state.queue.has_frames() || state.queue.cost_with(frame.len()) <= limit
        };
        let mut displaced = 0;
        match lane.overflow {
            Overflow::Latest => displaced = state.queue.drop_lane(lane),
            Overflow::DropOldest => {
                while !fits(state, limit) && state.queue.drop_oldest(lane) {
                    displaced += 1;
                }
            }
            Overflow::Disconnect if !fits(state, limit) => return None,
            Overflow::Block(_)
                if !parcel.is_awaited && !fits(state, limit.saturating_mul(UNAWAITED)) =>
            {
                return None;
            }
            Overflow::Disconnect | Overflow::Block(_) => {}
        }
        state.displaced(lane, displaced);
        state.queue_group(frame, lane, 0);
        Some(displaced)
    }

    /// Closes a client that does not take what is sent: it keeps the frame it has a part of and
    /// gets the reason right behind it, not behind everything it missed.
    fn close_slow(&self, state: &mut MutexGuard<'_, SendState>) {
        let conn = &self.conn;
        conn.shared.slow_clients.fetch_add(1, Relaxed);
        state.drop_unbegun();
        conn.queue_close(state, CloseFrame::of_server(close_code::TRY_AGAIN, words::SLOW_CLIENT));
        conn.outbox.room.notify_all();
    }

    /// Not with the send lock held: a logger is code of the application.
    fn log_slow(&self) {
        let conn = &self.conn;
        log::info!("conn-{} {}: the client is too slow for its group", conn.id(), conn.peer());
    }

    /// Waits until the queue has room again; false if the deadline passed before that.
    ///
    /// # Blocking
    /// Until room, the end of the connection or the deadline.
    pub(crate) fn wait_for_room(&self, deadline: Deadline) -> bool {
        let conn = &*self.conn;
        let mut state = conn.outbox.state.lock();
        loop {
            if state.is_shut() || state.queue.cost() < conn.config.outbound_bytes() {
                return true;
            }
            if !wait_for_room(&conn.outbox.room, &mut state, deadline) {
                // The kernel may take more long before it says so.
                conn.flush_locked(&mut state);
                return state.is_shut() || state.queue.cost() < conn.config.outbound_bytes();
            }
        }
    }

    /// Closes a client that had its time; what waits for it is dropped and counted. False if it
    /// was closing already.
    pub(crate) fn give_up_slow(&self) -> bool {
        let mut state = self.conn.outbox.state.lock();
        let is_open = !state.is_shut();
        if is_open {
            self.close_slow(&mut state);
            drop(state);
            self.log_slow();
        }
        is_open
    }

    /// As [`wait_for_room`](Self::wait_for_room), for what waits for the handler.
    pub(crate) fn wait_for_handler(&self, deadline: Deadline) -> bool {
        self.conn.mailbox().is_none_or(|mailbox| mailbox.wait_for_room(deadline))
    }

    /// Closes a connection whose handler had its time; what waits for it is dropped and counted.
    /// False if it was closing already.
    pub(crate) fn give_up_busy(&self) -> bool {
        let is_open = self.conn.mailbox().is_some_and(Mailbox::give_up);
        if is_open {
            self.close_busy();
        }
        is_open
    }

    /// Messages of groups that were meant for this client, or its handler, and never went out
    /// whole.
    pub(crate) fn lost(&self) -> u64 {
        let unsent = self.conn.outbox.state.lock().lost;
        unsent + self.conn.mailbox().map_or(0, Mailbox::lost)
    }
}

/// Queues the frame of which a part has gone; returns the place of the first that has not begun.
fn queue_begun(
    state: &mut SendState,
    parcel: &Parcel<'_>,
    mut sent: usize,
    fates: &mut [Fate],
) -> usize {
    for (at, frame) in parcel.frames.iter().enumerate() {
        if sent == 0 {
            return at;
        }
        if sent < frame.len() {
            state.queue_group(frame, parcel.lane, sent);
            fates[at] = Fate::Queued;
            return at + 1;
        }
        state.messages_sent += 1;
        sent -= frame.len();
        fates[at] = Fate::Written;
    }
    fates.len()
}
