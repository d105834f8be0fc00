//! Listening sockets that a service manager holds and hands over: systemd's socket activation.
//!
//! A port below 1024 needs no privileges then, and while the server starts anew, clients wait in the
//! socket's queue instead of being refused.
//!
//! # Source
//! sd_listen_fds(3)

use std::os::fd::OwnedFd;

use listenfd::ListenFd;

use crate::exit::{Exit, Failure};

/// A socket that was handed over.
#[derive(Debug)]
pub(crate) struct Handed {
    pub(crate) socket: OwnedFd,
    /// That of TCP; a Unix socket has none.
    pub(crate) port: Option<u16>,
}

/// Takes what was handed to this process, in its order; empty if nothing was. Called once, while
/// there is one thread: the variables that tell of it are taken away.
///
/// # Errors
/// One of them is no listening socket of TCP or Unix.
pub(crate) fn take() -> Result<Vec<Handed>, Failure> {
    let mut handed = ListenFd::from_env();
    (0..handed.len()).map(|index| one(&mut handed, index)).collect()
}

fn one(handed: &mut ListenFd, index: usize) -> Result<Handed, Failure> {
    let found = match handed.take_tcp_listener(index) {
        Ok(listener) => Ok(listener.map(|listener| {
            let port = listener.local_addr().ok().map(|address| address.port());
            Handed { socket: listener.into(), port }
        })),
        Err(_) => {
            let listener = handed.take_unix_listener(index);
            let unix = |socket: OwnedFd| Handed { socket, port: None };
            listener.map(|listener| listener.map(|listener| unix(listener.into())))
        }
    };
    found.ok().flatten().ok_or_else(|| {
        let number = index + 1;
        let text = format!(
            "socket {number} of those that were handed over (LISTEN_FDS) does not listen for TCP \
             or on a Unix socket; ListenStream= in landline.socket does"
        );
        Failure::new(Exit::Bind, text)
    })
}
