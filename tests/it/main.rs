//! The server from outside: real sockets, raw bytes, real processes. One module an ability.

mod harness;
mod logbook;

mod http;
mod http_body;
mod http_head;
mod http_stop;
mod http_stream;
mod http_text;
mod http_time;
mod limits;
mod routes;
mod security;
mod smoke;
