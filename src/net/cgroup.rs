//! Limits of the control groups that this process is in: of its own and of all above it.
//!
//! systemd's `TasksMax=` and `MemoryMax=`, and what container tools set, are such limits.

use std::fs;
use std::path::{Path, PathBuf};

/// Where the host has its control groups.
const MOUNT: &str = "/sys/fs/cgroup";

/// A limit and its file, in version 2 and in version 1 of control groups.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    file: &'static str,
    controller: &'static str,
    old_file: &'static str,
}

/// Most threads.
pub(crate) const TASKS: Limit =
    Limit { file: "pids.max", controller: "pids", old_file: "pids.max" };

/// Most bytes of memory.
pub(crate) const MEMORY: Limit =
    Limit { file: "memory.max", controller: "memory", old_file: "memory.limit_in_bytes" };

/// The lowest of a limit on the way from this process up; `None` if nothing is limited.
pub(crate) fn lowest(limit: Limit) -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    files(&groups, limit).iter().filter_map(number_in).min()
}

/// A file with one number; `None` too if it says "max".
pub(crate) fn number_in(path: impl AsRef<Path>) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Every file in which the limit may stand.
///
/// A container may see its group under another name than the host gives it; then the file of the
/// root is that of the container.
///
/// # Source
/// cgroups(7), `/proc/pid/cgroup`
fn files(groups: &str, limit: Limit) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (fields.next(), fields.next()) else { continue };
        let (mount, file) = if controllers.is_empty() {
            (PathBuf::from(MOUNT), limit.file)
        } else if controllers.split(',').any(|name| name == limit.controller) {
            (Path::new(MOUNT).join(limit.controller), limit.old_file)
        } else {
            continue;
        };
        let above = Path::new(group).ancestors();
        files.extend(above.filter_map(|group| {
            let group = group.strip_prefix("/").ok()?;
            Some(mount.join(group).join(file))
        }));
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(groups: &str, limit: Limit) -> Vec<String> {
        files(groups, limit).iter().map(|file| file.display().to_string()).collect()
    }

    #[test]
    fn the_own_group_and_all_above_it_are_asked() {
        let expected = [
            "/sys/fs/cgroup/system.slice/landline.service/pids.max",
            "/sys/fs/cgroup/system.slice/pids.max",
            "/sys/fs/cgroup/pids.max",
        ];
        assert_eq!(shown("0::/system.slice/landline.service\n", TASKS), expected);
    }

    #[test]
    fn version_1_has_a_tree_for_each_controller() {
        let groups = "9:name=systemd:/x\n8:cpu,memory:/a\n7:pids:/\n0::/\n";
        let expected = [
            "/sys/fs/cgroup/memory/a/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory.max",
        ];
        assert_eq!(shown(groups, MEMORY), expected);
    }

    #[test]
    fn what_is_no_list_of_groups_limits_nothing() {
        for wrong in ["", "x", "0:", "0::relative"] {
            assert_eq!(shown(wrong, TASKS), [""; 0], "{wrong:?}");
        }
    }
}
