//! What the operating system knows of this process.

use std::fs;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};

/// Hundredths of a second, in which Linux counts the time of processes for everybody to read.
const TICKS_PER_SECOND: u64 = 100;

/// What the operating system knows of a process; zero where it does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessFigures {
    /// Memory that is resident, in bytes.
    pub resident_bytes: u64,
    /// Address space, in bytes; most of it is stacks that nobody has touched.
    pub virtual_bytes: u64,
    /// Threads.
    pub threads: u64,
    /// Open descriptors.
    pub descriptors: u64,
    /// Most descriptors it may have.
    pub max_descriptors: u64,
    /// User and system time.
    pub cpu: Duration,
    /// When it was started, since the epoch; to a hundredth of a second.
    pub started: Duration,
}

impl ProcessFigures {
    /// Those of this process, now.
    pub(crate) fn read() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let system = fs::read_to_string("/proc/stat").unwrap_or_default();
        let (cpu_ticks, start_ticks) = times(&stat).unwrap_or_default();
        let ticks = |ticks: u64| Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND);
        let boot = Duration::from_secs(number_after(&system, "btime ").unwrap_or(0));
        Self {
            resident_bytes: number_after(&status, "VmRSS:").unwrap_or(0) * 1024,
            virtual_bytes: number_after(&status, "VmSize:").unwrap_or(0) * 1024,
            threads: number_after(&status, "Threads:").unwrap_or(0),
            // One of them is the directory that is read.
            descriptors: fs::read_dir("/proc/self/fd").map_or(0, |all| all.count() as u64 - 1),
            max_descriptors: getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX),
            cpu: ticks(cpu_ticks),
            started: boot + ticks(start_ticks),
        }
    }
}

/// The number behind a word at the beginning of a line.
fn number_after(text: &str, word: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(word))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Ticks of CPU, and ticks from the boot to the start.
///
/// # Source
/// proc_pid_stat(5): fields 14, 15 and 22
fn times(stat: &str) -> Option<(u64, u64)> {
    // The name before them may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some((number(14)? + number(15)?, number(22)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_figures() {
        let figures = ProcessFigures::read();
        assert!(figures.resident_bytes > 100_000 && figures.virtual_bytes > figures.resident_bytes);
        assert!(figures.threads >= 1 && figures.descriptors >= 1);
        assert!(figures.max_descriptors >= figures.descriptors);
        assert!(figures.started > Duration::from_secs(1_500_000_000));
    }

    #[test]
    fn a_name_with_blanks_and_brackets_does_not_shift_the_fields() {
        let stat = "7 (a) b ) S 1 7 7 0 -1 4194560 1 0 0 0 30 12 0 0 20 0 1 0 4711 1 2";
        assert_eq!(times(stat), Some((42, 4711)));
    }
}
