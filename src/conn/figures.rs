//! The send half of a connection in numbers.

use crate::conn::outbox::Outbox;

/// The queue of a connection in numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueFigures {
    /// Bytes that wait for the client, or for more to go with.
    pub(crate) bytes: usize,
    /// The memory that they hold now.
    pub(crate) cost: usize,
    /// The most memory that they ever held.
    pub(crate) high: usize,
    /// Messages of groups that never went out whole.
    pub(crate) lost: u64,
}

impl Outbox {
    /// Whole messages taken for sending, but for those that made room for newer ones.
    pub(crate) fn messages_sent(&self) -> u64 {
        let state = self.state.lock();
        state.messages_sent - state.displaced
    }

    /// Messages taken for sending, and bytes that the kernel has taken; neither ever goes back.
    pub(crate) fn sent(&self) -> (u64, u64) {
        let state = self.state.lock();
        (state.messages_sent, state.bytes_sent)
    }

    /// Bytes that wait for the client, or for more to go with.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.queue_figures().bytes
    }

    /// How much waits for the client, and what became of it.
    pub(crate) fn queue_figures(&self) -> QueueFigures {
        let state = self.state.lock();
        let held = state.held.len();
        QueueFigures {
            bytes: state.queue.bytes() + held,
            cost: state.queue.cost() + held,
            high: state.queue.high(),
            lost: state.lost,
        }
    }
}
