//! The counts of this process, and the lock that keeps the tests apart.

use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};

use landline::{Request, Response, Result, Server, accept_websocket};

static ALONE: Mutex<()> = Mutex::new(());

/// Held by each test while it runs.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    // A failed test leaves nothing behind that the next one counts: it counts from its start.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How far the resident memory has risen since the start, also if it has fallen since.
pub(crate) struct Growth {
    before: usize,
    /// The kernel has let us start its peak anew; without that only the present counts.
    knows_peak: bool,
}

impl Growth {
    pub(crate) fn start() -> Self {
        let knows_peak = fs::write("/proc/self/clear_refs", "5").is_ok();
        Self { before: resident("VmRSS:"), knows_peak }
    }

    /// In bytes.
    pub(crate) fn most(&self) -> usize {
        let now = if self.knows_peak { "VmHWM:" } else { "VmRSS:" };
        resident(now).saturating_sub(self.before)
    }
}

/// A line of `/proc/self/status` in bytes.
fn resident(name: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

/// Threads that a server has started, without those that wait for a connection.
pub(crate) fn server_threads() -> usize {
    threads(&["conn-", "accept-", "keeper"])
}

/// Threads of a server that wait for a connection.
pub(crate) fn spare_threads() -> usize {
    threads(&["spare"])
}

/// Threads that a hub has started.
pub(crate) fn hub_threads() -> usize {
    threads(&["relay-", "presence"])
}

/// Threads by the beginnings of their names.
fn threads(ours: &[&str]) -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    // A thread may end while it is looked at.
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| ours.iter().any(|start| name.starts_with(start))).count()
}

/// Sockets, epoll instances and the like; not the files of the test harness.
pub(crate) fn sockets() -> usize {
    let files = fs::read_dir("/proc/self/fd").unwrap();
    let targets = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
    let kinds = ["socket:", "anon_inode:", "/dev/null"];
    targets
        .filter(|target| kinds.iter().any(|kind| target.to_string_lossy().starts_with(kind)))
        .count()
}

/// Answers `here`, and echoes on a WebSocket.
pub(crate) fn echo(request: &Request) -> Result<Response> {
    let Some(ws) = request.websocket() else { return Ok(Response::text("here")) };
    for message in ws {
        ws.send(message?)?;
    }
    Ok(Response::closed())
}

/// A server's start with [`echo`] at `/`.
pub(crate) fn routes() -> landline::Builder {
    Server::builder().route("/", accept_websocket(echo))
}
