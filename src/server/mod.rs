//! The only place that puts everything together: listeners, threads, routes and the stop.

pub(crate) mod accept;
pub(crate) mod access_log;
pub(crate) mod app;
mod arrivals;
pub(crate) mod builder;
mod client;
mod complaints;
pub(crate) mod http_io;
mod network;
pub(crate) mod run;
pub(crate) mod serve;
mod silent;
mod spare;
pub(crate) mod stats;

pub use builder::Builder;
pub use run::{Handle, Server};
