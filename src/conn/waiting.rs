//! How long a reader waits, and how others know that it does.

use crate::conn::connection::Connection;
use crate::conn::mailbox::Mailbox;
use crate::deadline::Deadline;

/// How long a fill may wait for bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until<'a> {
    /// Take what is there.
    Now,
    /// Wait for bytes, the deadline, or the keeper ending the stream.
    Deadline(Deadline),
    /// Wait for bytes, a message of a group, the deadline, or the keeper ending the stream.
    Either(&'a Mailbox, Deadline),
    /// Wait for bytes or the keeper ending the stream.
    Forever,
}

/// Tells other threads that the receive lock is held by somebody who waits for the peer.
pub(super) struct Waiting<'a>(&'a Connection);

impl<'a> Waiting<'a> {
    pub(super) fn new(conn: &'a Connection) -> Self {
        conn.record.mark_waiting();
        Self(conn)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.record.mark_back(self.0.shared.clock.coarse());
    }
}
