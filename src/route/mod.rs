//! What an application is written against: requests, handlers, wrappers and routes.

mod facility;
mod flags;
pub(crate) mod handler;
mod heart;
pub(crate) mod hosts;
mod identity;
pub(crate) mod methods;
pub(crate) mod pattern;
pub(crate) mod request;
pub(crate) mod router;
pub(crate) mod wrap;

pub use facility::{Facility, facility};
pub use flags::{Flags, IntoFlags};
pub use handler::{Handler, IntoResponse};
pub use identity::Identity;
pub use methods::{Methods, delete, get, patch, post, put};
pub use request::Request;
pub use wrap::{AcceptWebSocket, RequireWebSocket, accept_websocket, require_websocket};
