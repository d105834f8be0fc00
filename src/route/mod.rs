//! What an application is written against: requests, handlers, wrappers and routes.

mod admission;
mod consumer;
mod context;
pub(crate) mod handler;
pub(crate) mod hosts;
mod json_consumer;
pub(crate) mod methods;
pub(crate) mod pattern;
pub(crate) mod request;
pub(crate) mod router;
pub(crate) mod wrap;

pub use admission::Admission;
pub use consumer::{Consumer, ConsumerRoute, consumer};
pub use context::Context;
pub use handler::{Handler, IntoResponse};
pub use json_consumer::{JsonConsumer, json_consumer};
pub use methods::{Methods, delete, get, patch, post, put};
pub use request::Request;
pub use wrap::{AcceptWebSocket, RequireWebSocket, accept_websocket, require_websocket};
