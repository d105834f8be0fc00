//! Landline
#![allow(dead_code, unused_imports)]
mod config;
mod conn;
mod deadline;
mod error;
mod http;
mod net;
mod route;
mod ws;
pub use config::Config;
pub use conn::*;
pub use error::{Error, ErrorKind, Result};
pub use http::{Cookie, Headers, Method, Response, Templates};
pub use ws::*;
