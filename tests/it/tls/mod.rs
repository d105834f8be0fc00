//! TLS from outside: real certificates, real clients.

pub(crate) mod certificates;
pub(crate) mod client;
mod duplex;
mod files;
mod handshakes;
mod hostile;
#[cfg(feature = "cli")]
mod keys;
#[cfg(feature = "cli")]
mod load;
mod misuse;
#[cfg(feature = "cli")]
mod program;
mod proxied;
mod unix;
