//! Landline: a synchronous WebSocket and HTTP server.
#![allow(dead_code, unused_imports)]

mod config;
mod deadline;
mod error;
mod http;
mod route;

pub use config::Config;
pub use error::{Error, ErrorKind, Result};
pub use http::{Cookie, Headers, Method, Response, Templates};
