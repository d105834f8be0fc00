//! What becomes of a group's message for a member that has not taken the ones before it.

use std::time::Duration;

/// What a group does with a message for a member whose queue is full.
///
/// A queue is full when more than [`outbound_bytes`](crate::Config::outbound_bytes) would wait for
/// the client, or more than [`group_inbox_messages`](crate::Config::group_inbox_messages) for the
/// handler. One message is always taken where none waits. Whatever is lost is counted: for the
/// member, the group and the hub.
///
/// # Source
/// DESIGN of the Channels layers: capacity there drops the newest message in silence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// Close the member with 1013 and drop what waits for it. For groups whose members must not
    /// miss anything and can come back: a chat, a feed with a history.
    #[default]
    Disconnect,
    /// Drop the oldest messages of this group that wait for the member, until there is room. The
    /// newest always waits, even if what others have sent leaves no room for it.
    DropOldest,
    /// Keep only the newest message of this group waiting, however much room there is: prices,
    /// positions, progress. A member that keeps up gets every message. The newest always waits, as
    /// for `DropOldest`.
    Latest,
    /// Let the publisher wait until every member has room, at most this long; a member that is
    /// full even then is closed with 1013. Nothing is lost for those that stay.
    ///
    /// Of many publishers so many wait at a time that what they send fits 32 messages or 64 KiB, by
    /// which a queue can pass its limit; the others wait for their turn. What is sent without
    /// waiting for a client ([`Hub::send_to`](crate::Hub::send_to), announcements of presence,
    /// stored messages for those who come) is taken up to twice the limit; then the member is
    /// closed as with `Disconnect`.
    Block(Duration),
}

impl Overflow {
    /// The policies by name, for those who count them.
    pub(crate) const LABELS: [&str; 4] = ["disconnect", "drop-oldest", "latest", "block"];

    /// The place of the policy among the [`LABELS`](Self::LABELS).
    pub(crate) fn place(self) -> usize {
        match self {
            Self::Disconnect => 0,
            Self::DropOldest => 1,
            Self::Latest => 2,
            Self::Block(_) => 3,
        }
    }
}
