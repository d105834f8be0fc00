//! Sockets: the only home of the operating system's network calls.

pub(crate) mod ceiling;
mod cgroup;
#[cfg(feature = "testing")]
pub(crate) mod client;
pub(crate) mod listener;
pub(crate) mod poll;
pub(crate) mod process;
pub(crate) mod proxy_protocol;
pub(crate) mod stream;
pub(crate) mod thread;
pub(crate) mod waker;
