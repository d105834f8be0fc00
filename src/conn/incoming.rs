//! Waiting for the client and the groups at once.

use std::time::Duration;

use crate::conn::mailbox::{GroupMessage, Mailbox};
use crate::conn::receive::Receive;
use crate::conn::socket::{REST, WebSocket, rest, timed_out};
use crate::conn::waiting::Until;
use crate::deadline::Deadline;
use crate::error::Result;
use crate::ws::Message;

/// A message from one of the two sides a handler can wait for.
///
/// The list is complete: there is no third side.
#[derive(Clone, Debug)]
pub enum Incoming {
    /// From the client.
    Client(Message),
    /// From a group that was joined [`to_inbox`](crate::Join::to_inbox).
    Group(GroupMessage),
}

/// What a wait for both sides came to.
enum Step {
    Incoming(Incoming),
    /// The connection is over, and that has taken effect.
    Over,
    /// The deadline passed.
    Late,
}

impl WebSocket {
    /// Waits for the next message of the client or of a group that was joined
    /// [`to_inbox`](crate::Join::to_inbox).
    ///
    /// The two take turns when both have messages, so neither can starve the other. Messages that
    /// the client sent before its close are delivered first; group messages that still wait when
    /// the connection ends are dropped. `Ok(None)` means that the connection ended cleanly; it
    /// stays so.
    ///
    /// The first use takes a second descriptor for the connection, which it keeps to its end: a
    /// server with many such connections needs twice the limit on open files.
    ///
    /// # Blocking
    /// Until a message or the end of the connection, as [`wait`](Self::wait). One thread at a time
    /// waits: a second one waits for the first.
    ///
    /// # Errors
    /// - `Io`: there is no descriptor. If the handshake is not answered yet, it still is not, and a
    ///   handler that passes this on answers 500.
    /// - `Closed`: as [`wait`](Self::wait).
    ///
    /// # Source
    /// A Channels consumer, which gets both as calls of its methods.
    pub fn wait_any(&self) -> Result<Option<Incoming>> {
        match self.next_any(Deadline::NEVER)? {
            Step::Incoming(incoming) => Ok(Some(incoming)),
            Step::Over | Step::Late => self.outcome(),
        }
    }

    /// Waits as [`wait_any`](Self::wait_any) does, but not longer than `time`.
    ///
    /// # Blocking
    /// Until a message, the end of the connection or the end of `time`.
    ///
    /// # Errors
    /// - `Timeout`: no message came in time; the connection is as it was.
    /// - `Closed`: the connection is over, cleanly or not; see [`closed`](Self::closed).
    /// - `Io`: as [`wait_any`](Self::wait_any).
    pub fn wait_any_timeout(&self, time: Duration) -> Result<Incoming> {
        match self.next_any(Deadline::after(time))? {
            Step::Incoming(incoming) => Ok(incoming),
            Step::Over => Err(self.end_error()),
            Step::Late => Err(timed_out(time)),
        }
    }

    /// Takes the next message of the client or a group if one is there.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Errors
    /// `Closed`: the connection is over and every message of the client has been taken.
    pub fn read_any(&self) -> Result<Option<Incoming>> {
        self.open()?;
        let mailbox = self.conn.mailbox();
        let Some(mut receive) = self.lock_now() else {
            // Whoever waits takes what comes from the client; this is there for both.
            return Ok(mailbox.and_then(Mailbox::pop).map(Incoming::Group));
        };
        if receive.waiting_messages() == 0 {
            receive.look_ahead(&self.conn);
        }
        if let Some(incoming) = self.take_in_turn(&mut receive, mailbox) {
            return Ok(Some(incoming));
        }
        if !receive.is_over() {
            return Ok(None);
        }
        receive.conclude(&self.conn);
        drop(receive);
        Err(self.end_error())
    }

    /// Waits as [`wait_any`](Self::wait_any) does, but takes no second descriptor as long as no
    /// group was joined to the inbox; for who joins on the waiting thread only.
    pub(crate) fn wait_joined(&self) -> Result<Option<Incoming>> {
        match self.conn.mailbox() {
            Some(_) => self.wait_any(),
            None => Ok(self.wait()?.map(Incoming::Client)),
        }
    }

    fn next_any(&self, deadline: Deadline) -> Result<Step> {
        // Before the handshake is answered: without a descriptor there is still HTTP to say so.
        let mailbox = self.conn.open_mailbox()?;
        self.open()?;
        let Some(mut receive) = self.lock_until(deadline) else { return Ok(Step::Late) };
        let mut is_last_look = false;
        loop {
            if let Some(incoming) = self.take_in_turn(&mut receive, Some(mailbox)) {
                return Ok(Step::Incoming(incoming));
            }
            if receive.is_over() {
                receive.conclude(&self.conn);
                return Ok(Step::Over);
            }
            if is_last_look {
                return Ok(Step::Late);
            }
            // Bytes that come without end and make no message must not outlast the deadline.
            is_last_look = deadline.is_past();
            if is_last_look {
                receive.look_ahead(&self.conn);
            } else if let Some(held) = receive.held_back(&self.conn) {
                drop(receive);
                self.rest_for_groups(mailbox, held.min(deadline.remaining().unwrap_or(held)));
                let Some(again) = self.lock_until(deadline) else { return Ok(Step::Late) };
                receive = again;
            } else {
                receive.fill(&self.conn, Until::Either(mailbox, deadline));
            }
        }
    }

    /// Lets time pass while what the client sent has to wait, but not what groups send. Of several
    /// threads that wait here, one may see a message of a group a step later.
    #[cold]
    #[inline(never)]
    fn rest_for_groups(&self, mailbox: &Mailbox, time: Duration) {
        let waited = mailbox.stand_by(|waker| {
            match waker {
                Some(waker) => waker.wait(time.min(REST)),
                None => rest(time),
            }
            Ok(false)
        });
        debug_assert!(waited.is_ok(), "waiting for a waker has no errors");
    }

    /// A message of the side whose turn it is, or of the other if that one has none.
    fn take_in_turn(&self, receive: &mut Receive, mailbox: Option<&Mailbox>) -> Option<Incoming> {
        if self.conn.record.is_closing() {
            // As after a goodbye of ours nothing is taken from the client, nothing is from groups.
            self.conn.close_mailbox();
        }
        let has_letters = mailbox.is_some_and(|mailbox| !mailbox.is_empty());
        if has_letters && !receive.is_groups_turn && receive.waiting_messages() == 0 {
            // The client's turn: what the kernel has of it counts, its pings and its close too.
            receive.fill(&self.conn, Until::Now);
        }
        let taken = if receive.is_groups_turn {
            pop_group(mailbox).or_else(|| self.pop_client(receive))
        } else {
            let client = self.pop_client(receive);
            // The end is a turn of the client as well.
            client.or_else(|| if receive.is_over() { None } else { pop_group(mailbox) })
        };
        let taken = taken?;
        receive.is_groups_turn = matches!(taken, Incoming::Client(_));
        if matches!(taken, Incoming::Group(_)) {
            // As after the last message of the client: the handler is there, though it need not
            // have waited.
            self.conn.record.mark_away(self.conn.shared.clock.coarse());
        }
        Some(taken)
    }

    fn pop_client(&self, receive: &mut Receive) -> Option<Incoming> {
        receive.pop(&self.conn).map(Incoming::Client)
    }
}

fn pop_group(mailbox: Option<&Mailbox>) -> Option<Incoming> {
    mailbox?.pop().map(Incoming::Group)
}

#[cfg(test)]
mod tests;
