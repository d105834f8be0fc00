//! Landline
#![allow(dead_code, unused_imports)]
mod config;
mod conn;
mod deadline;
mod error;
mod http;
mod net;
mod route;
mod server;
mod ws;

pub use config::Config;
pub use conn::{Messages, Sender, WebSocket};
pub use error::{Error, ErrorKind, Result};
pub use http::{Cookie, Headers, Method, Response, Templates};
pub use net::ceiling::raise_descriptor_limit;
pub use route::{
    AcceptWebSocket, Handler, IntoResponse, Methods, Request, RequireWebSocket, accept_websocket,
    delete, get, patch, post, put, require_websocket,
};
pub use server::{Builder, Handle, Server};
pub use ws::{Bytes, Closed, Message, Origins, Side, Utf8Bytes, close_code};
