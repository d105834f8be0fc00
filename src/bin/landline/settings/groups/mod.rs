//! The declarations of the settings, a file for each group of the help.

mod access;
mod admin;
mod insecure;
mod limits;
mod listening;
mod log;
mod login;
mod pages;
mod proxies;
mod tls;
mod websocket;

pub(crate) use access::Access;
pub(crate) use admin::Admin;
pub(crate) use insecure::Insecure;
pub(crate) use limits::Limits;
pub(crate) use listening::Listening;
pub(crate) use log::Log;
pub(crate) use login::Login;
pub(crate) use pages::Pages;
pub(crate) use proxies::Proxies;
pub(crate) use tls::Tls;
pub(crate) use websocket::WebSocket;
