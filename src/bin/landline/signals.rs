//! Signals: SIGHUP reads the settings again; the first SIGINT or SIGTERM stops the server in good
//! order, the second ends the process.
//!
//! Settings are read on a thread of their own: however long a disk takes, a stop does not wait.

use std::process;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use landline::Handle;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::exit::{Exit, Failure};
use crate::notify;

/// Starts the thread that waits for signals, and one that calls `reload` after a SIGHUP until the
/// stop, which says what became of it. Signals that come while it does are one.
///
/// # Errors
/// The operating system gives no descriptors or no thread for it.
pub(crate) fn watch(
    handle: Handle,
    reload: impl FnMut() -> String + Send + 'static,
) -> Result<(), Failure> {
    let failed = |error| Failure::io(Exit::Io, "cannot watch for signals", &error);
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).map_err(failed)?;
    let is_stopping = Arc::new(Mutex::new(false));
    let asked = reloader(reload, Arc::clone(&is_stopping))?;
    let watch = move || {
        for signal in signals.forever() {
            let mut is_stopping = is_stopping.lock().unwrap_or_else(PoisonError::into_inner);
            match signal {
                SIGHUP if *is_stopping => {
                    log::info!("SIGHUP received while stopping: nothing done")
                }
                SIGHUP => {
                    log::info!("SIGHUP received: reading the settings again");
                    // If one is waiting already, it will read what there is now.
                    let _ = asked.try_send(());
                }
                signal if *is_stopping => {
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
                    *is_stopping = true;
                }
            }
        }
    };
    thread::Builder::new().name("signals".into()).spawn(watch).map_err(failed)?;
    Ok(())
}

/// Starts the thread that reads the settings whenever it is asked to.
fn reloader(
    mut reload: impl FnMut() -> String + Send + 'static,
    is_stopping: Arc<Mutex<bool>>,
) -> Result<SyncSender<()>, Failure> {
    let failed = |error| Failure::io(Exit::Io, "cannot start a thread to read settings", &error);
    let (asked, orders) = sync_channel(1);
    let work = move || {
        for () in orders {
            notify::reloading();
            let outcome = reload();
            // The manager has been told of the stop, which is not to be taken back.
            let is_stopping = is_stopping.lock().unwrap_or_else(PoisonError::into_inner);
            if !*is_stopping {
                notify::ready(&outcome);
            }
        }
    };
    thread::Builder::new().name("reload".into()).spawn(work).map_err(failed)?;
    Ok(asked)
}

fn name(signal: i32) -> &'static str {
    if signal == SIGINT { "SIGINT" } else { "SIGTERM" }
}
