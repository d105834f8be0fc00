//! The only place that puts everything together: listeners, threads, routes and the stop.

pub(crate) mod accept;
pub(crate) mod access_log;
pub(crate) mod app;
mod arrivals;
pub(crate) mod builder;
mod client;
mod complaints;
pub(crate) mod counts;
pub(crate) mod http_io;
mod listen;
pub(crate) mod metrics;
mod network;
mod reload;
pub(crate) mod run;
mod seeing;
pub(crate) mod serve;
mod silent;
mod spare;
pub(crate) mod stats;
pub(crate) mod threads;

pub use builder::Builder;
pub use metrics::{CloseFigures, Metrics, RouteFigures};
pub use run::{Handle, Server};
