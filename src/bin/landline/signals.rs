//! Signals: the first stops the server in good order, the second ends the process.

use std::process;
use std::thread;

use landline::Handle;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::exit::{Exit, Failure};

/// Starts the thread that waits for SIGINT and SIGTERM.
///
/// # Errors
/// The operating system gives no descriptors or no thread for it.
pub(crate) fn watch(handle: Handle) -> Result<(), Failure> {
    let failed = |error| Failure::io(Exit::Io, "cannot watch for signals", &error);
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(failed)?;
    let watch = move || {
        let mut arriving = signals.forever();
        if let Some(signal) = arriving.next() {
            log::info!("{} received: stopping; once more ends at once", name(signal));
            handle.stop();
        }
        if let Some(signal) = arriving.next() {
            log::warn!("{} received again: ending at once", name(signal));
            // The end of the process cuts every connection. `stop_now` would let `run` return,
            // and the main thread could then end the process with the code of a good end.
            process::exit(i32::from(Exit::Forced.code()));
        }
    };
    thread::Builder::new().name("signals".into()).spawn(watch).map_err(failed)?;
    Ok(())
}

fn name(signal: i32) -> &'static str {
    if signal == SIGINT { "SIGINT" } else { "SIGTERM" }
}
