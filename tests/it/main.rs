//! The server from outside: real sockets, raw bytes, real processes. One module an ability.

mod harness;

mod close;
mod handshake;
mod heartbeat;
mod messages;
mod smoke;
