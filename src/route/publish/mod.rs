//! Publishing by HTTP: what other programs, in whatever language, send to the hub.
//!
//! ```text
//! request ──► access ──► asked (json, fields, publication) ──► allow ──► idempotency ──► delivery
//!             401 403    400 413 415                           403       409 422         404 503
//! ```
//!
//! Nothing is published before the last check of the whole request has passed.

mod access;
mod answer;
mod api;
mod asked;
mod by_get;
mod delivery;
mod fields;
mod idempotency;
mod json;
mod publication;

pub use api::PublishApi;
pub use by_get::PublishByGet;
pub use publication::{Publication, Target};
