//! What the figures were measured on.

use std::fmt;
use std::fs;
use std::thread;

use serde::{Deserialize, Serialize};

const CRATES: [&str; 8] = [
    "fastwebsockets",
    "actix-web",
    "actix-ws",
    "axum",
    "tungstenite",
    "hyper",
    "tokio",
    "landline",
];

/// The machine, and what was built.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    memory_gib: u64,
    kernel: String,
    compiler: String,
    crates: Vec<String>,
}

impl Machine {
    pub(crate) fn here() -> Self {
        let cpu = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown CPU".into());
        let memory = field("/proc/meminfo", "MemTotal").unwrap_or_default();
        let kib: u64 = memory.trim_end_matches(" kB").parse().unwrap_or(0);
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            cpu,
            cores: thread::available_parallelism().map_or(1, usize::from),
            memory_gib: kib.div_ceil(1 << 20),
            kernel: format!("Linux {}", kernel.trim()),
            compiler: env!("PEERS_COMPILER").to_owned(),
            crates: CRATES.iter().map(|name| format!("{name} {}", versions_of(name))).collect(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, cores, memory_gib, kernel, compiler, crates } = self;
        writeln!(f, "{cpu}, {cores} cores, {memory_gib} GiB, {kernel}; {compiler}, release;")?;
        write!(f, "{}.", crates.join(", "))
    }
}

/// The value of the first line `name : value`.
fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let (_, value) = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(found, _)| found.trim() == name)?;
    Some(value.trim().to_owned())
}

/// As they stand in the lock file; axum brings a tungstenite of its own.
fn versions_of(name: &str) -> String {
    let mut lines = include_str!("../Cargo.lock").lines();
    let mut versions = Vec::new();
    while let Some(line) = lines.next() {
        if line == format!("name = \"{name}\"") {
            let version = lines.next().and_then(|line| line.split('"').nth(1));
            versions.extend(version.filter(|version| !versions.contains(version)));
        }
    }
    versions.join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_crate_has_a_version() {
        for name in CRATES {
            assert!(versions_of(name).contains('.'), "{name}");
        }
    }
}
