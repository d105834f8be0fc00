//! One open WebSocket: its two halves, what the keeper sees of it, and the face of it all.
//!
//! ```text
//!                     ┌── receive ── decoder ── inbox ──► wait, read, count_messages
//! socket ── stream ───┤
//!                     └── outbox ── queue ◄──────────────  send, close, Sender, pongs
//!                            ▲
//! keeper ── record ──────────┘ deadlines, pings, queued bytes, busy handlers
//! ```

mod accept;
mod arrivals;
pub(crate) mod bucket;
pub(crate) mod buffers;
pub(crate) mod connection;
mod deflating;
pub(crate) mod dismissals;
pub(crate) mod drain;
pub(crate) mod expiry;
pub(crate) mod figures;
pub(crate) mod groups;
pub(crate) mod hold;
mod inbox;
pub(crate) mod incoming;
pub(crate) mod json;
pub(crate) mod keeper;
pub(crate) mod lane;
pub(crate) mod mailbox;
pub(crate) mod outbox;
mod outgoing;
pub(crate) mod overflow;
mod own_config;
pub(crate) mod queue;
pub(crate) mod receive;
pub(crate) mod recipient;
pub(crate) mod record;
pub(crate) mod refusals;
pub(crate) mod roll;
mod send_state;
mod sender;
pub(crate) mod socket;
pub(crate) mod story;
pub(crate) mod throttle;
pub(crate) mod trace;
pub(crate) mod traffic;
mod waiting;

pub(crate) use crate::net::tls::ClientCertificate;
#[cfg(feature = "auth")]
pub(crate) use accept::BEARER;
pub use groups::Join;
pub use inbox::Inbox;
pub use incoming::Incoming;
pub use mailbox::GroupMessage;
pub use overflow::Overflow;
pub use refusals::RefusalReason;
pub use sender::Sender;
pub use socket::{Messages, WebSocket};
pub use story::{ClosedConnection, ConnectionInfo};
pub use trace::TraceEvent;
pub use traffic::Traffic;
