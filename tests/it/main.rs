//! The server from outside: real sockets, raw bytes, real processes. One module an ability.

mod harness;

mod api;
mod backpressure;
mod close;
mod handshake;
mod heartbeat;
mod messages;
mod protocol;
mod smoke;
mod soak;
mod stop;
