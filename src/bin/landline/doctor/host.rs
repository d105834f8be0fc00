//! What the host can hold: the numbers that admission goes by, what limits them, and how to raise
//! them.

use std::fs;

use landline::{HostCeiling, HostLimit, LimitKind};

use crate::doctor::finding::Finding;

/// A host that holds fewer is not made for many connections.
const FEW: usize = 1000;

/// Connections that wait to be accepted, as the server asks for them.
const BACKLOG: u64 = 1024;

/// Looks at the limits for connections; the wish is what the settings say.
pub(crate) fn capacity(ceiling: &HostCeiling, wish: Option<usize>) -> Vec<Finding> {
    let lowest = ceiling.lowest();
    let mut findings: Vec<Finding> =
        ceiling.limits().iter().map(|limit| one(limit, lowest.as_ref())).collect();
    findings.push(together(ceiling, lowest, wish));
    findings
}

fn one(limit: &HostLimit, lowest: Option<&HostLimit>) -> Finding {
    let (about, value) = (name(limit.kind()), shown(limit));
    let connections = grouped(limit.connections() as u64);
    let mut text = format!("{value}: {connections} connections");
    if lowest == Some(limit) {
        text += ", the lowest limit";
        return Finding::ok(about, text).with_advice(advice(limit.kind()));
    }
    Finding::ok(about, text)
}

fn together(ceiling: &HostCeiling, lowest: Option<HostLimit>, wish: Option<usize>) -> Finding {
    let about = "connections";
    let Some(lowest) = lowest else {
        return Finding::ok(about, "nothing is known that limits them");
    };
    let (holds, by) = (ceiling.connections(), name(lowest.kind()));
    let shown = grouped(holds as u64);
    match wish {
        Some(wish) if wish > holds => {
            let wish = grouped(wish as u64);
            let text = format!("the settings ask for {wish}; this host holds {shown}, by {by}");
            Finding::problem(about, text, advice(lowest.kind()))
        }
        Some(wish) => {
            let wish = grouped(wish as u64);
            Finding::ok(about, format!("the settings allow {wish}; this host holds {shown}"))
        }
        None if holds < FEW => {
            let text = format!("this host holds only {shown}, limited by {by}");
            Finding::warning(about, text, advice(lowest.kind()))
        }
        None => Finding::ok(about, format!("this host holds {shown}, limited by {by}")),
    }
}

/// What people call it.
fn name(kind: LimitKind) -> &'static str {
    match kind {
        LimitKind::OpenFiles => "open files",
        LimitKind::UserProcesses => "threads of the user",
        LimitKind::KernelThreads => "threads of the host",
        LimitKind::ProcessIds => "process numbers",
        LimitKind::GroupTasks => "threads of the group",
        LimitKind::MemoryMaps => "memory maps",
        LimitKind::Memory => "memory",
        _ => "another limit",
    }
}

fn shown(limit: &HostLimit) -> String {
    match limit.kind() {
        LimitKind::Memory => format!("{} MiB", grouped(limit.value() >> 20)),
        kind => format!("{} = {}", setting(kind), grouped(limit.value())),
    }
}

/// The setting as it is looked up.
fn setting(kind: LimitKind) -> String {
    match kind {
        LimitKind::OpenFiles => "ulimit -n".into(),
        LimitKind::UserProcesses => "ulimit -u".into(),
        LimitKind::GroupTasks => "pids.max".into(),
        kind => kind.to_string(),
    }
}

fn advice(kind: LimitKind) -> &'static str {
    match kind {
        LimitKind::OpenFiles => {
            "for more: LimitNOFILE= in the unit, or \"ulimit -n\" in the shell that starts it"
        }
        LimitKind::UserProcesses => {
            "for more: LimitNPROC= in the unit, or nproc in /etc/security/limits.conf"
        }
        LimitKind::KernelThreads => "for more: sysctl -w kernel.threads-max=200000",
        LimitKind::ProcessIds => "for more: sysctl -w kernel.pid_max=4194304",
        LimitKind::GroupTasks => "for more: TasksMax= in the unit, --pids-limit of the container",
        LimitKind::MemoryMaps => {
            "for more: sysctl -w vm.max_map_count=262144, and the same line in a file of \
             /etc/sysctl.d\n(\"landline service install\" does both); four maps hold a connection"
        }
        LimitKind::Memory => "for more: memory, or MemoryMax= of the unit or container",
        _ => "raise it",
    }
}

/// Looks at the connections that may wait to be accepted.
pub(crate) fn backlog() -> Option<Finding> {
    let text = fs::read_to_string("/proc/sys/net/core/somaxconn").ok()?;
    Some(judge_backlog(text.trim().parse().ok()?))
}

fn judge_backlog(most: u64) -> Finding {
    let about = "arrivals";
    let text = format!("net.core.somaxconn = {}", grouped(most));
    if most >= BACKLOG {
        return Finding::ok(about, format!("{text}: {BACKLOG} may wait to be accepted"));
    }
    let text = format!("{text}: when many clients come at once, more than that are not let in");
    Finding::warning(about, text, format!("sysctl -w net.core.somaxconn={}", BACKLOG * 4))
}

/// A number that can be read at a glance: 16,118.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(findings: &[Finding]) -> String {
        findings.iter().map(Finding::lines).collect()
    }

    #[test]
    fn every_limit_is_shown_and_the_lowest_says_how_to_raise_it() {
        let ceiling = HostCeiling::now();
        let text = lines(&capacity(&ceiling, None));
        assert!(text.contains("vm.max_map_count = "), "{text}");
        assert!(text.contains(", the lowest limit\n"), "{text}");
        assert!(text.contains("-> for more: "), "{text}");
        let holds = format!("this host holds {}", grouped(ceiling.connections() as u64));
        assert!(text.contains(&holds), "{text}");
    }

    #[test]
    fn a_wish_beyond_the_host_is_a_problem() {
        let ceiling = HostCeiling::now();
        let wish = |wish| lines(&capacity(&ceiling, Some(wish))[ceiling.limits().len()..]);
        assert!(wish(1).starts_with("ok "), "{}", wish(1));
        let text = wish(ceiling.connections() + 1);
        assert!(text.starts_with("problem ") && text.contains("-> for more: "), "{text}");
    }

    #[test]
    fn few_arrivals_are_a_warning() {
        assert!(judge_backlog(4096).lines().starts_with("ok "));
        assert!(judge_backlog(128).lines().starts_with("warning "));
    }

    #[test]
    fn numbers_have_groups() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (65_530, "65,530")] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(grouped(1_048_576), "1,048,576");
    }
}
