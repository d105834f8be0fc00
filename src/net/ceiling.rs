//! How many connections this host can hold, and what limits it.
//!
//! Beyond the limit on memory maps a new thread can abort the whole process instead of failing,
//! so admission stays below it.

use std::fs;

use rustix::process::{Resource, getrlimit};

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
        (
            "vm.max_map_count",
            number_in("/proc/sys/vm/max_map_count").map(|maps| maps / MAPS_PER_THREAD),
        ),
    ];
    lowest(limits)
}

fn lowest<const N: usize>(limits: [(&'static str, Option<u64>); N]) -> Ceiling {
    let known = limits.into_iter().filter_map(|(name, limit)| Some((limit?, name)));
    let (limit, limited_by) = known.min().unwrap_or((u64::MAX, "nothing known"));
    // A sixteenth is left as well: other threads of the same user count against some of these.
    let free = limit.saturating_sub(RESERVE.max(limit / 16)).max(1);
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
    fn a_tiny_limit_still_admits_one() {
        assert_eq!(lowest([("files", Some(3))]).connections, 1);
    }

    #[test]
    fn this_host_admits_some() {
        assert!(host_ceiling().connections > 1);
    }
}
