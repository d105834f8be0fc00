//! The server from outside: real sockets, raw bytes, real processes. One module an ability.

mod harness;
#[cfg(feature = "cli")]
mod program;

#[cfg(feature = "cli")]
mod binary;
#[cfg(feature = "cli")]
mod demo;
mod smoke;
#[cfg(feature = "cli")]
mod starved;
#[cfg(feature = "cli")]
mod stopping;
