//! What an application is written against: requests, handlers, wrappers and routes.

mod admission;
pub(crate) mod auth;
mod consumer;
mod context;
mod facility;
mod flags;
pub(crate) mod handler;
mod heart;
pub(crate) mod hosts;
mod identity;
mod json_consumer;
pub(crate) mod methods;
pub(crate) mod pattern;
pub(crate) mod probe;
pub(crate) mod proxies;
mod publish;
pub(crate) mod request;
pub(crate) mod router;
mod speech;
mod statement;
pub(crate) mod users;
pub(crate) mod wrap;

pub use admission::Admission;
pub use auth::{Auth, Authenticator, Denial, TrustedHeader, Verdict};
#[cfg(feature = "auth")]
pub use auth::{BackendAuth, BasicAuth, GroupSigner, Jwt, TokenSource};
pub use consumer::{Consumer, ConsumerRoute, consumer};
pub use context::Context;
pub use facility::{Facility, facility};
pub use flags::{Flags, IntoFlags};
pub use handler::{Handler, IntoResponse};
pub use identity::Identity;
pub use json_consumer::{JsonConsumer, json_consumer};
pub use methods::{Methods, delete, get, patch, post, put};
pub use probe::Probe;
pub use publish::{Publication, PublishApi, PublishByGet, Target};
pub use request::Request;
pub use wrap::{AcceptWebSocket, RequireWebSocket, accept_websocket, require_websocket};
