//! Sockets: the only home of the operating system's network calls.

pub(crate) mod ceiling;
pub(crate) mod listener;
pub(crate) mod poll;
pub(crate) mod stream;
pub(crate) mod waker;
