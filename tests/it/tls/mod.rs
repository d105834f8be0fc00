//! TLS from outside: real certificates, real clients.

mod certificates;
mod client;
mod duplex;
mod files;
mod handshakes;
mod proxied;
mod unix;
