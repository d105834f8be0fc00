//! Groups and broadcasts: who is a member of what, and how a message gets to all of them.
//!
//! ```text
//!               room (members, order)          relay-0 ──► recipient, recipient, …
//! group.send ──► number, snapshot ──► channels ┤
//!               budget (bounds what is on       relay-1 ──► recipient, recipient, …
//!               its way)
//! ```
//!
//! The hub knows connections as recipients of frames, never their sockets.

mod budget;
mod builder;
pub(crate) mod channel;
mod core;
mod delivery;
mod group;
mod handle;
mod history;
mod member;
mod name;
mod policy;
mod presence;
mod publisher;
mod registry;
mod relay;
mod room;
mod stats;
mod watch;
mod wire;

pub use builder::HubBuilder;
pub use delivery::{Counts, Delivery};
pub use group::Group;
pub use handle::Hub;
pub use member::Member;
pub use presence::{Presence, PresenceChange, Present};
pub use publisher::Publisher;
#[cfg(any(test, feature = "internals"))]
pub(crate) use relay::batch::Batch;
pub use stats::{GroupStats, HubStats};
pub use watch::{MemberEvent, Watch};
