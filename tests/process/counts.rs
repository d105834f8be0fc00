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

/// Resident memory in bytes.
pub(crate) fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

/// Threads that a server has started, by their names.
pub(crate) fn server_threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    // A thread may end while it is looked at.
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    let ours = ["conn-", "accept-", "keeper"];
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
