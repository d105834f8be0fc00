//! Group messages that wait for a handler, instead of going straight to its client.
//!
//! ```text
//! relay ── push ──► queue ──► pop, by wait_any, read_any, Inbox::read
//!            └─ waker ──► poll(socket, waker), the handler that waits for both
//! ```
//!
//! A push never waits. It wakes the handler by one write to a descriptor, and only if the handler
//! really waits; see [`Mailbox::stand_by`].

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use crate::config::Config;
use crate::conn::arrivals::MESSAGE_OVERHEAD;
use crate::conn::lane::Lane;
use crate::conn::overflow::Overflow;
use crate::conn::recipient::{Delivered, Fate, UNAWAITED};
use crate::deadline::Deadline;
use crate::net::waker::Waker;
use crate::sync::{Condvar, Mutex, MutexGuard};
use crate::ws::Message;

/// A message of a group, delivered to the handler of a member.
#[derive(Clone, Debug)]
pub struct GroupMessage {
    pub(crate) group: Arc<str>,
    pub(crate) sequence: u64,
    pub(crate) message: Message,
}

impl GroupMessage {
    /// The name of the group.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// Its number in the group, from 1 on. All members see the same numbers in the same order; a gap
    /// is a message that was dropped or not meant for this member.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// What was sent.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// What was sent, without a copy.
    pub fn into_message(self) -> Message {
        self.message
    }
}

/// The queue between the groups of a connection and its handler.
///
/// It is full when `group_inbox_messages` wait or one more message would pass `inbox_bytes`; one
/// message is always taken. Beyond that there is at most one message of each group that drops old
/// ones, because the newest is never the one to go, and with [`Overflow::Block`] what was on its
/// way when publishers learnt that it is full; what publishers that do not wait send to such a group
/// is taken up to twice the limits.
#[derive(Debug)]
pub(crate) struct Mailbox {
    state: Mutex<State>,
    /// Signalled when a full mailbox comes to have room and when it is closed.
    room: Condvar,
    message_limit: usize,
    byte_limit: usize,
}

#[derive(Debug)]
struct State {
    queue: VecDeque<Letter>,
    /// Payloads and overhead of what waits.
    bytes: usize,
    lost: u64,
    is_closed: bool,
    /// The handler waits, or is about to, and has not been woken.
    is_awaited: bool,
    /// Shared with whoever is about to write to it; `None` once closed.
    waker: Option<Arc<Waker>>,
}

/// A message with the way it came, which is the same for all of its group.
#[derive(Debug)]
struct Letter {
    lane: Arc<Lane>,
    message: GroupMessage,
}

impl Letter {
    fn cost(&self) -> usize {
        self.message.message.len() + MESSAGE_OVERHEAD
    }

    fn is_of(&self, lane: &Arc<Lane>) -> bool {
        Arc::ptr_eq(&self.lane, lane)
    }
}

impl Mailbox {
    /// Makes an empty one; fails if there is no descriptor for its waker.
    pub(crate) fn new(config: &Config) -> io::Result<Self> {
        let state = State {
            queue: VecDeque::new(),
            bytes: 0,
            lost: 0,
            is_closed: false,
            is_awaited: false,
            waker: Some(Arc::new(Waker::new()?)),
        };
        Ok(Self {
            state: Mutex::new(state),
            room: Condvar::new(),
            message_limit: config.group_inbox_messages(),
            byte_limit: config.inbox_bytes(),
        })
    }

    /// Adds messages of one group as its policy says; `fates` gets what became of each. Wakes the
    /// handler at most once.
    ///
    /// Never waits; a publisher that may be slowed down has called
    /// [`wait_for_room`](Self::wait_for_room) before: `is_awaited`. Where the policy is to close the
    /// member, nothing is taken any more and the caller closes with 1013.
    pub(crate) fn push(
        &self,
        lane: &Arc<Lane>,
        is_awaited: bool,
        messages: impl IntoIterator<Item = GroupMessage>,
        fates: &mut [Fate],
    ) -> Delivered {
        let mut state = self.state.lock();
        if state.is_closed {
            fates.fill(Fate::Gone);
            return Delivered::default();
        }
        let was_full = self.is_over(&state);
        let mut has_displaced = false;
        for (at, message) in messages.into_iter().enumerate() {
            fates[at] = Fate::Queued;
            let letter = Letter { lane: Arc::clone(lane), message };
            let Some(displaced) = self.add(&mut state, letter, is_awaited) else {
                let missed = (fates.len() - at) as u64;
                state.lost += missed;
                lane.drop_at_once(missed);
                fates.fill(Fate::Dropped);
                self.shut(state, Lane::drop_queued);
                return Delivered { was_closed: true, is_full: false };
            };
            lane.count(|counters| &counters.queued, 1);
            state.lost += displaced as u64;
            (0..displaced).for_each(|_| lane.drop_queued());
            has_displaced |= displaced > 0;
        }
        if has_displaced {
            // The queue holds the newest of them.
            let waiting = state.queue.iter().filter(|letter| letter.is_of(lane)).count();
            fates.iter_mut().rev().skip(waiting).for_each(|fate| *fate = Fate::Dropped);
        }
        let is_full = self.is_over(&state);
        let has_waiter = std::mem::take(&mut state.is_awaited);
        let waker = if has_waiter { state.waker.clone() } else { None };
        drop(state);
        if was_full && !is_full {
            // A smaller message has taken the place of larger ones.
            self.room.notify_all();
        }
        if let Some(waker) = waker {
            waker.wake();
        }
        Delivered { was_closed: false, is_full }
    }

    /// The oldest message.
    pub(crate) fn pop(&self) -> Option<GroupMessage> {
        let mut state = self.state.lock();
        let was_full = self.is_over(&state);
        let letter = state.queue.pop_front()?;
        state.bytes -= letter.cost();
        if state.queue.is_empty() && state.queue.capacity() > self.message_limit {
            state.queue = VecDeque::new();
        }
        let has_room = was_full && !self.is_over(&state);
        drop(state);
        if has_room {
            self.room.notify_all();
        }
        Some(letter.message)
    }

    /// Messages that wait.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().queue.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Messages that were dropped because the handler did not keep up.
    pub(crate) fn lost(&self) -> u64 {
        self.state.lock().lost
    }

    /// Waits until there is room, or nobody to make it; false if the deadline passed before that.
    ///
    /// # Blocking
    /// Until room, the end of the connection or the deadline.
    pub(crate) fn wait_for_room(&self, deadline: Deadline) -> bool {
        let mut state = self.state.lock();
        while self.is_over(&state) {
            let is_late = match deadline.instant() {
                None => {
                    self.room.wait(&mut state);
                    false
                }
                Some(instant) => self.room.wait_until(&mut state, instant).timed_out(),
            };
            if is_late {
                return !self.is_over(&state);
            }
        }
        true
    }

    /// Calls `wait` with the waker, unless a message can be taken at once; without a waker if the
    /// mailbox is closed.
    ///
    /// # No wake-up is lost
    /// That the handler waits is noted under the lock, while the queue is seen empty. Whoever
    /// pushes afterwards sees the note, takes it and writes to the waker, which keeps the write
    /// until the handler waits and takes it. A write that comes late, when the handler has found
    /// the message by itself, ends its next wait once for nothing. The handler takes writes before
    /// it looks at the queue again, so none is taken for a message that is overlooked.
    pub(crate) fn stand_by(
        &self,
        wait: impl FnOnce(Option<&Waker>) -> io::Result<bool>,
    ) -> io::Result<bool> {
        let mut state = self.state.lock();
        if !state.queue.is_empty() {
            return Ok(false);
        }
        let waker = state.waker.clone();
        state.is_awaited = true;
        drop(state);
        let outcome = wait(waker.as_deref());
        self.state.lock().is_awaited = false;
        outcome
    }

    /// Takes nothing more, drops and counts what waits, and gives the descriptor back.
    pub(crate) fn close(&self) {
        let state = self.state.lock();
        if !state.is_closed {
            self.shut(state, |lane| lane.lose_queued(|counters| &counters.abandoned));
        }
    }

    /// Closes because a publisher's patience is over; false if it is closed already.
    pub(crate) fn give_up(&self) -> bool {
        let state = self.state.lock();
        let is_open = !state.is_closed;
        if is_open {
            self.shut(state, Lane::drop_queued);
        }
        is_open
    }

    fn shut(&self, mut state: MutexGuard<'_, State>, count: impl Fn(&Lane)) {
        state.is_closed = true;
        state.bytes = 0;
        let (queue, waker) = (std::mem::take(&mut state.queue), state.waker.take());
        state.lost += queue.len() as u64;
        drop(state);
        queue.iter().for_each(|letter| count(&letter.lane));
        drop(waker);
        self.room.notify_all();
    }

    /// Adds a message; returns how many others had to go for it, or `None` if the policy is to
    /// close the member instead.
    fn add(&self, state: &mut State, letter: Letter, is_awaited: bool) -> Option<usize> {
        let mut displaced = 0;
        let fits = |times| self.fits(state, letter.cost(), times);
        match letter.lane.overflow {
            Overflow::Disconnect if !fits(1) => return None,
            Overflow::Block(_) if !is_awaited && !fits(UNAWAITED) => return None,
            Overflow::Disconnect | Overflow::Block(_) => state.add(letter),
            Overflow::DropOldest => {
                displaced = self.make_room(state, &letter);
                state.add(letter);
            }
            Overflow::Latest => displaced = state.replace(letter),
        }
        Some(displaced)
    }

    /// True if one more message of this cost may be added within so many times the limits.
    fn fits(&self, state: &State, cost: usize, times: usize) -> bool {
        let max_messages = self.message_limit.saturating_mul(times);
        let max_bytes = self.byte_limit.saturating_mul(times);
        state.queue.is_empty()
            || (state.queue.len() < max_messages && state.bytes + cost <= max_bytes)
    }

    /// True if not even the smallest message may be added.
    fn is_over(&self, state: &State) -> bool {
        !self.fits(state, MESSAGE_OVERHEAD, 1)
    }

    /// Drops the oldest messages of the letter's group until it fits, or until none is left.
    fn make_room(&self, state: &mut State, letter: &Letter) -> usize {
        let mut displaced = 0;
        while !self.fits(state, letter.cost(), 1) {
            let Some(at) = state.position(&letter.lane) else { break };
            state.remove(at);
            displaced += 1;
        }
        displaced
    }
}

impl State {
    fn add(&mut self, letter: Letter) {
        self.bytes += letter.cost();
        self.queue.push_back(letter);
    }

    fn remove(&mut self, at: usize) {
        if let Some(letter) = self.queue.remove(at) {
            self.bytes -= letter.cost();
        }
    }

    fn position(&self, lane: &Arc<Lane>) -> Option<usize> {
        self.queue.iter().position(|letter| letter.is_of(lane))
    }

    /// Puts the letter in the place of the one of its group that waits, so that a group that sends
    /// without end is not put off without end; returns how many were there.
    fn replace(&mut self, letter: Letter) -> usize {
        let Some(at) = self.position(&letter.lane) else {
            self.add(letter);
            return 0;
        };
        self.bytes += letter.cost();
        let old = std::mem::replace(&mut self.queue[at], letter);
        self.bytes -= old.cost();
        1
    }
}

#[cfg(test)]
mod tests;

#[cfg(all(test, shuttle))]
mod shuttle_tests;
