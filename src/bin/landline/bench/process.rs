//! What the kernel says of the server's process, and of this one.

use std::fs;

use rustix::param::clock_ticks_per_second;
use rustix::time::{ClockId, clock_gettime};

/// What a process has used and holds at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sample {
    /// Seconds of the whole process.
    pub(crate) user: f64,
    /// Seconds of the whole process.
    pub(crate) system: f64,
    pub(crate) rss_kib: u64,
    pub(crate) page_tables_kib: u64,
    pub(crate) threads: u64,
    /// Of the whole machine: the kernel does not say whose they are.
    pub(crate) kernel_stacks_kib: u64,
}

impl Sample {
    /// Looks at a process.
    ///
    /// # Errors
    /// A sentence: there is no such process.
    pub(crate) fn take(pid: u32) -> Result<Self, String> {
        let read = |path: &str| {
            fs::read_to_string(path).map_err(|error| {
                format!("cannot read {path} ({error}); is {pid} the process id of the server?")
            })
        };
        let stat = read(&format!("/proc/{pid}/stat"))?;
        let status = read(&format!("/proc/{pid}/status"))?;
        let memory = read("/proc/meminfo")?;
        parse(&stat, &status, &memory)
            .ok_or_else(|| format!("/proc/{pid} has not the figures that Linux gives"))
    }
}

fn parse(stat: &str, status: &str, memory: &str) -> Option<Sample> {
    // Behind the name in parentheses, which may hold anything: state is field 3, utime 14 and
    // stime 15 (proc_pid_stat(5)).
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let seconds = |number: usize| -> Option<f64> {
        let ticks: f64 = fields.get(number - 3)?.parse().ok()?;
        Some(ticks / clock_ticks_per_second() as f64)
    };
    Some(Sample {
        user: seconds(14)?,
        system: seconds(15)?,
        rss_kib: entry(status, "VmRSS:")?,
        page_tables_kib: entry(status, "VmPTE:")?,
        threads: entry(status, "Threads:")?,
        kernel_stacks_kib: entry(memory, "KernelStack:")?,
    })
}

fn entry(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// CPU seconds of this process.
pub(crate) fn own_cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Name:\tx\nVmRSS:\t   15924 kB\nVmPTE:\t  120 kB\nThreads:\t7\n";
    const MEMORY: &str = "MemTotal: 1 kB\nKernelStack:       3920 kB\n";

    #[test]
    fn figures_are_read_behind_any_name() {
        let stat = "17 (a) b (c) S 1 17 17 0 -1 4194560 5 0 0 0 250 50 0 0 20 0 7 0 1 2 3";
        let sample = parse(stat, STATUS, MEMORY).unwrap();
        let ticks = clock_ticks_per_second() as f64;
        assert_eq!((sample.user, sample.system), (250.0 / ticks, 50.0 / ticks));
        assert_eq!((sample.rss_kib, sample.page_tables_kib, sample.threads), (15924, 120, 7));
        assert_eq!(sample.kernel_stacks_kib, 3920);
        assert_eq!(parse("17 (x) S 1", STATUS, MEMORY), None);
        assert_eq!(parse(stat, "", MEMORY), None);
    }

    #[test]
    fn this_process_has_figures_and_another_has_none() {
        assert!(Sample::take(std::process::id()).unwrap().rss_kib > 0);
        assert!(Sample::take(u32::MAX).unwrap_err().contains("is 4294967295 the process id"));
        assert!(own_cpu_seconds() > 0.0);
    }
}
