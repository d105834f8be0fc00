//! `landline bench`: a load generator for WebSocket servers, this one or any other.
//!
//! ```text
//! lead ──► plan ──► worker (a thread each) ──► core: connections, poller, socket, handshake
//!   │                  │
//!   │                  └► echo, broadcast, hold, connect, http: what is sent, what must come
//!   └► process, report                 └► template, frames, check, sequence, deflate: values
//! ```

mod args;
mod arrivals;
mod board;
mod broadcast;
mod check;
mod connect;
mod core;
mod deflate;
mod echo;
pub(crate) mod frames;
pub(crate) mod handshake;
mod hold;
mod http;
mod known;
mod lead;
mod peer;
mod plan;
mod poller;
mod process;
mod report;
mod response;
mod secure;
mod sequence;
mod shared;
mod socket;
mod tally;
pub(crate) mod template;
pub(crate) mod url;
mod worker;

pub(crate) use args::BenchArgs;
pub(crate) use lead::run;
