//! A server as a process of its own, and what the kernel says of it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Which server.
#[derive(Clone, Copy)]
pub(crate) enum Role {
    Floor,
    Ours,
}

impl Role {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Ours => "ours",
        }
    }
}

/// A running server; killed when dropped.
pub(crate) struct Child {
    process: std::process::Child,
    pub(crate) address: SocketAddr,
}

impl Child {
    pub(crate) fn start(role: Role) -> Self {
        let program = std::env::current_exe().expect("this program has a path");
        let mut command = match is_pinned() {
            true => {
                let mut command = Command::new("taskset");
                command.args(["-c", "0"]).arg(program);
                command
            }
            false => Command::new(program),
        };
        command.arg(format!("serve-{}", role.name())).stdout(Stdio::piped());
        let mut process = command.spawn().expect("the server starts");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("stdout is a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("the server says its address");
        let address = line.trim().parse().expect("an address");
        Self { process, address }
    }

    /// User and system time of the whole process.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id()))
            .expect("the server runs");
        // Behind the name in parentheses: state is field 3, utime 14, stime 15.
        let fields: Vec<&str> =
            stat.rsplit(')').next().expect("fields").split_whitespace().collect();
        let ticks = |index: usize| fields[index - 3].parse::<f64>().expect("a number");
        (ticks(14) + ticks(15)) / 100.0
    }

    #[allow(dead_code, reason = "not every bench asks for it")]
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))
            .expect("the server runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        line.split_whitespace().nth(1).expect("a value").parse().expect("a number")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

static LEAVE_UNPINNED: AtomicBool = AtomicBool::new(false);

/// Leaves servers and client to the scheduler.
#[allow(dead_code, reason = "not every bench can be told so")]
pub(crate) fn leave_unpinned() {
    LEAVE_UNPINNED.store(true, Relaxed);
}

/// True if there is a way to give server and client a core each, and it is wanted.
fn is_pinned() -> bool {
    if LEAVE_UNPINNED.load(Relaxed) {
        return false;
    }
    let output = Command::new("taskset").arg("--version").output();
    output.is_ok_and(|output| output.status.success())
}

/// Gives the client the second core, if there is a way to say so.
pub(crate) fn pin_self() {
    if is_pinned() {
        let id = std::process::id().to_string();
        let _ = Command::new("taskset").args(["-pc", "1", &id]).output();
    }
}
