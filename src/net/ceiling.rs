//! How many connections this host can hold, and what limits it.
//!
//! Beyond the limit on memory maps a new thread can abort the whole process instead of failing,
//! so admission stays below it.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::{Error, ErrorKind, Result};

/// Memory maps of one thread: stack, its guard, signal stack, its guard.
const MAPS_PER_THREAD: u64 = 4;

/// Descriptors, threads and maps left to everything that is no connection.
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
        map_limit(),
    ];
    lowest(limits)
}

/// The limit that no wish may pass, because a thread beyond it can take the process along.
pub(crate) fn hard_ceiling() -> Ceiling {
    lowest([map_limit()])
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

fn map_limit() -> (&'static str, Option<u64>) {
    let maps = number_in("/proc/sys/vm/max_map_count");
    ("vm.max_map_count", maps.map(|maps| maps / MAPS_PER_THREAD))
}

fn lowest<const N: usize>(limits: [(&'static str, Option<u64>); N]) -> Ceiling {
    let known = limits.into_iter().filter_map(|(name, limit)| Some((limit?, name)));
    let (limit, limited_by) = known.min().unwrap_or((u64::MAX, "nothing known"));
    // A sixteenth is left as well: other threads of the same user count against some of these.
    // Of a very low limit only half is, so that it still serves more than one.
    let reserve = RESERVE.max(limit / 16).min(limit / 2);
    let free = limit.saturating_sub(reserve).max(1);
    let connections = usize::try_from(free).unwrap_or(usize::MAX);
    Ceiling { connections, limited_by }
}

fn number_in(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_limit_counts_less_a_reserve() {
        let ceiling = lowest([("files", Some(20_000)), ("maps", Some(16_000)), ("none", None)]);
        assert_eq!(ceiling, Ceiling { connections: 15_000, limited_by: "maps" });
    }

    #[test]
    fn a_tiny_limit_still_admits_some() {
        assert_eq!(lowest([("files", Some(1))]).connections, 1);
        assert_eq!(lowest([("files", Some(40))]).connections, 20);
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
