//! Landline
#![allow(dead_code)]
pub mod config;
mod deadline;
pub mod error;
mod ws;
pub use config::Config;
pub use error::{Error, ErrorKind, Result};
pub use ws::*;
