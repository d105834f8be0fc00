//! What becomes of a group's message for a member that has not taken the ones before it.

use std::time::Duration;

/// What a group does with a message for a member whose queue is full.
///
/// A queue is full when more than [`outbound_bytes`](crate::Config::outbound_bytes) would wait for
/// the client. Whatever is lost is counted: for the member, the group and the hub.
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
    /// Drop the oldest messages of this group that wait for the member, until there is room.
    DropOldest,
    /// Keep only the newest message of this group waiting, however much room there is: prices,
    /// positions, progress. A member that keeps up gets every message.
    Latest,
    /// Let the publisher wait until every member has room, at most this long; a member that is
    /// full even then is closed with 1013. Nothing is lost for those that stay.
    Block(Duration),
}
