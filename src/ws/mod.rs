//! WebSocket (RFC 6455) as values: no socket, no thread, no clock.
//!
//! ```text
//! request head ─► handshake ─► origin                          bytes to send
//! bytes in ─► frame ─► assemble ─► message              message ─► encoded ─┘
//!                └────► close      (deflate: compressed messages, both ways)
//! ```

pub(crate) mod assemble;
#[cfg(feature = "testing")]
pub(crate) mod client;
pub(crate) mod close;
pub(crate) mod deflate;
pub(crate) mod encoded;
pub(crate) mod frame;
pub(crate) mod handshake;
pub(crate) mod mask;
pub(crate) mod message;
pub(crate) mod origin;
pub(crate) mod small;

pub use bytes::Bytes;
pub use close::{Closed, Side, close_code};
pub use message::Message;
pub use origin::Origins;
pub use tungstenite::Utf8Bytes;
