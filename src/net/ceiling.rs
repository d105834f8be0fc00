//! How many connections this host can hold, and what limits it.
//!
//! Beyond the limit on memory maps a new thread can abort the whole process instead of failing,
//! so admission stays below it.

use std::fs;
use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::{Error, ErrorKind, Result};

/// Memory maps of one thread: stack, its guard, signal stack, its guard.
const MAPS_PER_THREAD: u64 = 4;

/// Maps left to everything that is no connection: the program and its libraries, threads that wait
/// for a connection, messages so large that each has a map of its own.
const SPARE_MAPS: u64 = 1024;

/// Maps that the allocator takes for each core.
const MAPS_PER_CORE: u64 = 16;

/// Descriptors and threads left to everything that is no connection.
const RESERVE: u64 = 64;

/// One limit of the host, in connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ceiling {
    /// Connections that fit.
    pub(crate) connections: usize,
    /// The setting that ends it, as an operator would look for it.
    pub(crate) limited_by: &'static str,
}

/// The lowest of the host's limits for this process, less a reserve; at least one connection.
pub(crate) fn host_ceiling() -> Ceiling {
    let limits = [
        ("open files (ulimit -n)", getrlimit(Resource::Nofile).current),
        ("user processes (ulimit -u)", getrlimit(Resource::Nproc).current),
        ("kernel.threads-max", number_in("/proc/sys/kernel/threads-max")),
        ("kernel.pid_max", number_in("/proc/sys/kernel/pid_max")),
        ("pids.max of the control group", number_in("/sys/fs/cgroup/pids.max")),
    ];
    // A sixteenth is left as well: other threads of the same user count against some of these.
    let free = limits.map(|(name, limit)| (name, limit.map(|limit| less(limit, limit / 16))));
    lowest(free.into_iter().chain([free_maps()]))
}

/// The limit that no wish may pass, because a thread beyond it can take the process along.
pub(crate) fn hard_ceiling() -> Ceiling {
    lowest([free_maps()])
}

/// Raises the limit on open files (`ulimit -n`) of this process to the highest it may have, and
/// returns that.
///
/// Every connection takes a descriptor, and the usual limit of 1024 is meant for programs that
/// use `select`, which this crate does not. Call it before [`Builder::bind`](crate::Builder::bind)
/// so that the ceiling of connections is computed from the new limit.
///
/// # Blocking
/// Never.
///
/// # Units
/// Descriptors; `u64::MAX` if there is no limit.
///
/// # Errors
/// `Io`: the operating system refuses it; the old limit holds.
pub fn raise_descriptor_limit() -> Result<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).map_err(|error| {
            let text = "cannot raise the limit on open files";
            Error::new(ErrorKind::Io, text).with_source(std::io::Error::from(error))
        })?;
    }
    Ok(maximum.unwrap_or(u64::MAX))
}

/// Connections for whose threads there are maps, which are counted for each process.
fn free_maps() -> (&'static str, Option<u64>) {
    let maps = number_in("/proc/sys/vm/max_map_count");
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let spare = SPARE_MAPS + MAPS_PER_CORE * cores;
    ("vm.max_map_count", maps.map(|maps| less(maps, spare) / MAPS_PER_THREAD))
}

/// What of a limit is left beside a reserve. Of a very low limit only half is taken, so that it
/// still serves more than one.
fn less(limit: u64, reserve: u64) -> u64 {
    limit - reserve.max(RESERVE).min(limit / 2)
}

fn lowest(limits: impl IntoIterator<Item = (&'static str, Option<u64>)>) -> Ceiling {
    let known = limits.into_iter().filter_map(|(name, limit)| Some((limit?, name)));
    let (free, limited_by) = known.min().unwrap_or((u64::MAX, "nothing known"));
    let connections = usize::try_from(free.max(1)).unwrap_or(usize::MAX);
    Ceiling { connections, limited_by }
}

fn number_in(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_limit_counts() {
        let ceiling = lowest([("files", Some(20_000)), ("maps", Some(16_000)), ("none", None)]);
        assert_eq!(ceiling, Ceiling { connections: 16_000, limited_by: "maps" });
    }

    #[test]
    fn something_is_left_beside_the_connections() {
        assert_eq!(less(16_000, 1000), 15_000);
        assert_eq!(less(16_000, 1), 16_000 - RESERVE);
    }

    #[test]
    fn a_tiny_limit_still_admits_some() {
        assert_eq!(lowest([("files", Some(less(1, 0)))]).connections, 1);
        assert_eq!(lowest([("files", Some(less(40, 2)))]).connections, 20);
    }

    /// Linux's own limit on maps, 65,530, holds 16,000 connections.
    #[test]
    fn the_reserve_of_maps_is_small() {
        let cores = 16;
        let free = less(65_530, SPARE_MAPS + MAPS_PER_CORE * cores) / MAPS_PER_THREAD;
        assert!((16_000..16_200).contains(&free), "{free}");
    }

    #[test]
    fn the_descriptor_limit_is_raised_once_and_stays() {
        let raised = raise_descriptor_limit().unwrap();
        assert_eq!(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX), raised);
        assert_eq!(raise_descriptor_limit().unwrap(), raised);
    }

    #[test]
    fn this_host_admits_some() {
        assert!(host_ceiling().connections > 1);
    }
}
