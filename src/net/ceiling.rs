//! How many connections this host can hold, and what limits it.
//!
//! Beyond the limit on memory maps a new thread can abort the whole process instead of failing,
//! so admission stays below it.

use std::fmt;
use std::fs;
use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::{Error, ErrorKind, Result};
use crate::net::cgroup::{self, number_in};

/// Memory maps of one thread: stack, its guard, signal stack, its guard.
const MAPS_PER_THREAD: u64 = 4;

/// Maps left to everything that is no connection: the program and its libraries, threads that wait
/// for a connection, messages so large that each has a map of its own.
const SPARE_MAPS: u64 = 1024;

/// Maps that the allocator takes for each core.
const MAPS_PER_CORE: u64 = 16;

/// Descriptors and threads left to everything that is no connection.
const RESERVE: u64 = 64;

/// What an idle connection takes of the host: 12 KiB in the process, 16 of the kernel's stack, and
/// the socket (`docs/ARCHITECTURE.md`, "What an idle connection costs").
const BYTES_PER_CONNECTION: u64 = 32 * 1024;

/// The part of the memory that idle connections may take: what is said on them needs some too.
const PART_OF_MEMORY: u64 = 2;

/// What can limit the connections of a host. More may be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LimitKind {
    /// Descriptors that this process may have open: `ulimit -n`, systemd's `LimitNOFILE=`.
    OpenFiles,
    /// Processes and threads of this user: `ulimit -u`, systemd's `LimitNPROC=`.
    UserProcesses,
    /// Threads of the host: `kernel.threads-max`.
    KernelThreads,
    /// Numbers for processes and threads of the host: `kernel.pid_max`.
    ProcessIds,
    /// Processes and threads of the control group: `pids.max`, systemd's `TasksMax=`.
    GroupTasks,
    /// Memory maps of a process, of which a thread takes four: `vm.max_map_count`.
    MemoryMaps,
    /// Bytes of memory, of the host or of the control group (`memory.max`, systemd's `MemoryMax=`);
    /// half of it is counted, at 32 KiB for a connection that is idle.
    Memory,
}

impl fmt::Display for LimitKind {
    /// The setting, as an operator would look for it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OpenFiles => "open files (ulimit -n)",
            Self::UserProcesses => "user processes (ulimit -u)",
            Self::KernelThreads => "kernel.threads-max",
            Self::ProcessIds => "kernel.pid_max",
            Self::GroupTasks => "pids.max of the control group",
            Self::MemoryMaps => "vm.max_map_count",
            Self::Memory => "memory",
        })
    }
}

/// One limit of the host, in its own unit and in connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostLimit {
    kind: LimitKind,
    value: u64,
    connections: u64,
}

impl HostLimit {
    /// What is limited.
    pub fn kind(&self) -> LimitKind {
        self.kind
    }

    /// The limit as it is set: descriptors, threads, maps or bytes.
    pub fn value(&self) -> u64 {
        self.value
    }

    /// The connections that fit, less a reserve for everything else; at least one.
    pub fn connections(&self) -> usize {
        usize::try_from(self.connections.max(1)).unwrap_or(usize::MAX)
    }
}

/// How many connections this process can hold on this host: the number that
/// [`Server::max_connections`](crate::Server::max_connections) takes if none is configured.
#[derive(Clone, Debug)]
pub struct HostCeiling {
    limits: Vec<HostLimit>,
}

impl HostCeiling {
    /// Looks at the limits as they are now; they may change while the process runs.
    ///
    /// # Blocking
    /// Never: it reads a few files of `/proc` and `/sys`.
    pub fn now() -> Self {
        // A sixteenth is left as well: other threads of the same user count against some of these.
        let some = |limit: u64| less(limit, limit / 16);
        let limits = [
            (LimitKind::OpenFiles, getrlimit(Resource::Nofile).current, some as fn(u64) -> u64),
            (LimitKind::UserProcesses, getrlimit(Resource::Nproc).current, some),
            (LimitKind::KernelThreads, number_in("/proc/sys/kernel/threads-max"), some),
            (LimitKind::ProcessIds, number_in("/proc/sys/kernel/pid_max"), some),
            (LimitKind::GroupTasks, cgroup::lowest(cgroup::TASKS), some),
            (LimitKind::MemoryMaps, memory_maps(), for_maps),
            (LimitKind::Memory, memory(), for_memory),
        ];
        Self::of(limits)
    }

    fn of(limits: impl IntoIterator<Item = (LimitKind, Option<u64>, fn(u64) -> u64)>) -> Self {
        let limits = limits.into_iter().filter_map(|(kind, value, connections)| {
            let value = value?;
            Some(HostLimit { kind, value, connections: connections(value) })
        });
        Self { limits: limits.collect() }
    }

    /// Every limit that is known; what is not limited is left out.
    pub fn limits(&self) -> &[HostLimit] {
        &self.limits
    }

    /// The limit that is reached first; `None` if none is known.
    pub fn lowest(&self) -> Option<HostLimit> {
        self.limits.iter().min_by_key(|limit| limit.connections).copied()
    }

    /// The connections that fit: those of the [`lowest`](Self::lowest) limit.
    pub fn connections(&self) -> usize {
        self.lowest().map_or(usize::MAX, |limit| limit.connections())
    }

    /// The limit that no wish may pass, because a thread beyond it can take the process along.
    pub(crate) fn hard(&self) -> usize {
        let mut limits = self.limits.iter();
        let maps = limits.find(|limit| limit.kind == LimitKind::MemoryMaps);
        maps.map_or(usize::MAX, HostLimit::connections)
    }
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

fn memory_maps() -> Option<u64> {
    number_in("/proc/sys/vm/max_map_count")
}

/// Connections for whose threads there are maps, which are counted for each process.
fn for_maps(maps: u64) -> u64 {
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    maps_less(maps, cores)
}

fn maps_less(maps: u64, cores: u64) -> u64 {
    less(maps, SPARE_MAPS + MAPS_PER_CORE * cores) / MAPS_PER_THREAD
}

/// Bytes that the host has, or the control group may take.
fn memory() -> Option<u64> {
    let host = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_memory(&text));
    [host, cgroup::lowest(cgroup::MEMORY)].into_iter().flatten().min()
}

fn total_memory(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

fn for_memory(bytes: u64) -> u64 {
    bytes / PART_OF_MEMORY / BYTES_PER_CONNECTION
}

/// What of a limit is left beside a reserve. Of a very low limit only half is taken, so that it
/// still serves more than one.
fn less(limit: u64, reserve: u64) -> u64 {
    limit - reserve.max(RESERVE).min(limit / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ceiling(limits: &[(LimitKind, Option<u64>)]) -> HostCeiling {
        HostCeiling::of(
            limits.iter().map(|(kind, value)| (*kind, *value, (|v| v) as fn(u64) -> u64)),
        )
    }

    #[test]
    fn the_lowest_limit_counts() {
        use LimitKind::{MemoryMaps, OpenFiles, UserProcesses};
        let limits = [(OpenFiles, Some(20_000)), (MemoryMaps, Some(16_000)), (UserProcesses, None)];
        let found = ceiling(&limits);
        assert_eq!((found.connections(), found.hard(), found.limits().len()), (16_000, 16_000, 2));
        assert_eq!(found.lowest().map(|limit| limit.kind()), Some(MemoryMaps));
        let found = ceiling(&[(OpenFiles, Some(7)), (MemoryMaps, Some(9))]);
        assert_eq!((found.connections(), found.hard()), (7, 9));
        assert_eq!((ceiling(&[]).connections(), ceiling(&[]).hard()), (usize::MAX, usize::MAX));
    }

    #[test]
    fn something_is_left_beside_the_connections() {
        assert_eq!(less(16_000, 1000), 15_000);
        assert_eq!(less(16_000, 1), 16_000 - RESERVE);
    }

    #[test]
    fn a_tiny_limit_still_admits_some() {
        assert_eq!(ceiling(&[(LimitKind::OpenFiles, Some(less(1, 0)))]).connections(), 1);
        assert_eq!(ceiling(&[(LimitKind::OpenFiles, Some(less(40, 2)))]).connections(), 20);
        assert_eq!(ceiling(&[(LimitKind::Memory, Some(for_memory(1)))]).connections(), 1);
    }

    /// Linux's own limit on maps, 65,530, holds 16,000 connections.
    #[test]
    fn the_reserve_of_maps_is_small() {
        let free = maps_less(65_530, 16);
        assert!((16_000..16_200).contains(&free), "{free}");
    }

    #[test]
    fn memory_is_read_and_counted() {
        let total = total_memory("MemFree: 1 kB\nMemTotal:        1048576 kB\nX: 2 kB\n");
        assert_eq!(total, Some(1 << 30));
        assert_eq!(for_memory(1 << 30), 16 * 1024);
        assert_eq!(total_memory("MemTotal: much\n"), None);
    }

    #[test]
    fn the_descriptor_limit_is_raised_once_and_stays() {
        let raised = raise_descriptor_limit().unwrap();
        assert_eq!(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX), raised);
        assert_eq!(raise_descriptor_limit().unwrap(), raised);
    }

    #[test]
    fn this_host_admits_some_and_says_what_limits_it() {
        let found = HostCeiling::now();
        assert!(found.connections() > 1);
        let names: Vec<String> =
            found.limits().iter().map(|limit| limit.kind().to_string()).collect();
        assert!(names.iter().any(|name| name == "vm.max_map_count"), "{names:?}");
    }
}
