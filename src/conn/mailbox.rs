//! Group messages that wait for a handler, instead of going straight to its client.

use std::sync::Arc;

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

    /// Its number in the group, from 1 on. All members see the same numbers in the same order; a gap is a message that was
    /// dropped or not meant for this member.
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
