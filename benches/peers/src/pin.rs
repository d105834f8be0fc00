//! Who runs on which core.

use std::io;
use std::thread;

use rustix::thread::{CpuSet, sched_setaffinity};

/// The core of the servers.
pub(crate) const SERVER: usize = 0;
/// The core of the load.
pub(crate) const LOAD: usize = 1;

/// True if there is a core for each.
pub(crate) fn is_possible() -> bool {
    thread::available_parallelism().is_ok_and(|cores| cores.get() > LOAD)
}

/// Keeps this process on one core; to be called before there are other threads.
pub(crate) fn pin_to(core: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}
