//! The servers that are compared: small, and each as its users would write it.
//!
//! All of them speak the same: `/echo` (WebSocket: every message back; plain GET: what `message` in
//! the query says), `/broadcast` (WebSocket: becomes a member) and `/publish` (WebSocket: every
//! message goes to all members). A client is a member before it has its 101.

mod actix_ws;
mod axum;
mod fastwebsockets;
mod floor;
mod landline;
mod name;
mod tungstenite;

pub(crate) use name::Name;
