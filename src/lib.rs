//! Landline
#![allow(dead_code, unused_imports)]
mod config;
mod deadline;
mod error;
mod http;
mod route;
mod ws;
pub use config::Config;
pub use error::{Error, ErrorKind, Result};
pub use ws::*;
