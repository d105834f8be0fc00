//! The server from outside: real sockets, raw bytes, real processes. One module an ability.

mod harness;
mod logbook;
mod packed;
#[cfg(feature = "cli")]
mod program;
#[cfg(feature = "cli")]
mod stand_in;
#[cfg(feature = "auth")]
mod tokens;

#[cfg(feature = "cli")]
mod admin;
mod api;
mod auth;
#[cfg(feature = "auth")]
mod auth_backend;
#[cfg(all(feature = "auth", feature = "cli", feature = "tls"))]
mod auth_backend_tls;
#[cfg(feature = "auth")]
mod auth_basic;
#[cfg(feature = "cli")]
mod auth_binary;
mod auth_dismiss;
mod auth_expiry;
#[cfg(feature = "auth")]
mod auth_groups;
#[cfg(feature = "auth")]
mod auth_jwt;
mod backpressure;
#[cfg(feature = "cli")]
mod bench;
#[cfg(feature = "cli")]
mod binary;
#[cfg(feature = "cli")]
mod chat;
mod close;
mod closed;
mod consumer;
mod consumer_groups;
mod crowd;
mod deflate;
mod deflate_groups;
#[cfg(feature = "cli")]
mod demo;
#[cfg(feature = "cli")]
mod doctor;
mod drain;
mod facility;
mod flood;
mod fronts;
mod groups;
mod handshake;
#[cfg(feature = "cli")]
mod hangup;
mod health;
mod heartbeat;
mod hold;
mod http;
mod http_body;
mod http_head;
mod http_idle;
mod http_stop;
mod http_stream;
mod http_text;
mod http_time;
mod inbox;
mod limits;
mod messages;
mod metrics;
mod overflow;
mod pace;
mod presence;
mod protocol;
mod proxied;
mod publish;
mod publish_access;
#[cfg(feature = "cli")]
mod publish_key;
mod publisher;
mod reload;
mod routes;
#[cfg(all(feature = "cli", feature = "auth"))]
mod secrets;
mod security;
#[cfg(feature = "cli")]
mod settings;
mod smoke;
mod soak;
#[cfg(feature = "cli")]
mod starved;
mod stop;
#[cfg(feature = "cli")]
mod stopping;
#[cfg(feature = "cli")]
mod supervised;
#[cfg(feature = "testing")]
mod testing;
#[cfg(feature = "tls")]
mod tls;
