//! The server from outside: real sockets, raw bytes, real processes. One module an ability.

mod harness;

mod binary;
mod demo;
mod http;
mod http_body;
mod http_head;
mod http_stream;
mod http_text;
mod http_time;
mod logbook;
mod program;
mod smoke;
mod starved;
mod stopping;
