//! Tells the service manager again and again that the server is well, as long as it is.

use std::thread;
use std::time::Duration;

use landline::Handle;

use crate::exit::{Exit, Failure};
use crate::notify;

/// How long each part of a server that is well takes to say so, at most.
const PATIENCE: Duration = Duration::from_secs(1);

/// Starts the thread that tells, if the manager wants to hear it.
///
/// A server that is not well is not mentioned, and the manager starts it anew when it has not heard
/// of it for long enough.
///
/// # Errors
/// The operating system gives no thread for it.
pub(crate) fn start(handle: Handle) -> Result<(), Failure> {
    let Some(pause) = notify::watchdog() else { return Ok(()) };
    let failed = |error| Failure::io(Exit::Io, "cannot start the watchdog", &error);
    thread::Builder::new()
        .name("watchdog".into())
        .spawn(move || watch(&handle, pause))
        .map_err(failed)?;
    Ok(())
}

/// # Blocking
/// For ever.
fn watch(handle: &Handle, pause: Duration) {
    loop {
        if handle.is_alive(PATIENCE) {
            let (groups, connections) = (handle.hub().stats().groups, handle.connections());
            let state = if handle.is_draining() { "draining" } else { "serving" };
            notify::well(&format!("{state}; {connections} connections, {groups} groups"));
        } else {
            log::error!("the server is not well: no message gets through its hub");
        }
        thread::sleep(pause);
    }
}
