//! TLS from outside: real certificates, real clients.

pub(crate) mod certificates;
mod client;
mod duplex;
mod files;
mod handshakes;
mod hostile;
#[cfg(feature = "cli")]
mod program;
mod proxied;
mod unix;
