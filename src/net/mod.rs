//! Sockets: the only home of the operating system's network calls.

pub(crate) mod ceiling;
mod cgroup;
#[cfg(feature = "testing")]
pub(crate) mod client;
pub(crate) mod listener;
pub(crate) mod peer;
pub(crate) mod poll;
pub(crate) mod process;
pub(crate) mod proxy_protocol;
pub(crate) mod socket;
pub(crate) mod stream;
pub(crate) mod thread;
#[cfg(feature = "tls")]
pub(crate) mod tls;
#[cfg(not(feature = "tls"))]
#[path = "no_tls.rs"]
pub(crate) mod tls;
pub(crate) mod unix;
pub(crate) mod waker;
