//! Work that needs much of the stack, away from the thread of a connection.
//!
//! What a thread has touched of its stack stays with it as long as it lives, and a connection may
//! stay idle for hours. Starting a thread costs little beside a password's hash or a call to
//! another server.

use std::panic::resume_unwind;
use std::thread;

use crate::error::{Error, ErrorKind, Result};

const STACK_BYTES: usize = 1024 * 1024;

/// Runs something on a thread of its own and waits for it; a panic goes on here.
///
/// # Errors
/// `Io`: there is no thread.
pub(super) fn aside<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T> {
    let builder = thread::Builder::new().name("auth".into()).stack_size(STACK_BYTES);
    thread::scope(|scope| {
        let thread = builder.spawn_scoped(scope, work).map_err(|error| {
            Error::new(ErrorKind::Io, "cannot start a thread to authenticate").with_source(error)
        })?;
        Ok(thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}
