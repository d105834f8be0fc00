//! Signals: SIGHUP reads the settings again; the first SIGINT or SIGTERM stops the server in good
//! order, the second ends the process.

use std::process;
use std::thread;

use landline::Handle;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::exit::{Exit, Failure};
use crate::notify;

/// Starts the thread that waits for signals; it calls `reload` for each SIGHUP until the stop, which
/// says what became of it.
///
/// # Errors
/// The operating system gives no descriptors or no thread for it.
pub(crate) fn watch(
    handle: Handle,
    mut reload: impl FnMut() -> String + Send + 'static,
) -> Result<(), Failure> {
    let failed = |error| Failure::io(Exit::Io, "cannot watch for signals", &error);
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).map_err(failed)?;
    let watch = move || {
        let mut is_stopping = false;
        for signal in signals.forever() {
            match signal {
                SIGHUP if is_stopping => log::info!("SIGHUP received while stopping: nothing done"),
                SIGHUP => {
                    log::info!("SIGHUP received: reading the settings again");
                    notify::reloading();
                    let outcome = reload();
                    notify::ready(&outcome);
                }
                signal if is_stopping => {
                    log::warn!("{} received again: ending at once", name(signal));
                    // The end of the process cuts every connection. `stop_now` would let `run`
                    // return, and the main thread could then end the process with the code of a
                    // good end.
                    process::exit(i32::from(Exit::Forced.code()));
                }
                signal => {
                    log::info!("{} received: stopping; once more ends at once", name(signal));
                    notify::stopping(handle.longest_stop());
                    handle.stop();
                    is_stopping = true;
                }
            }
        }
    };
    thread::Builder::new().name("signals".into()).spawn(watch).map_err(failed)?;
    Ok(())
}

fn name(signal: i32) -> &'static str {
    if signal == SIGINT { "SIGINT" } else { "SIGTERM" }
}
