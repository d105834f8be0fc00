//! What a service manager is told: that the server is ready, reloads, stops, and is well.
//!
//! systemd gives a socket in `NOTIFY_SOCKET` and takes lines such as `READY=1`; without it nothing
//! is said. Nothing here can fail the server: whoever does not listen is not told.
//!
//! # Source
//! sd_notify(3), sd_watchdog_enabled(3)

use std::env;
use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process;
use std::sync::OnceLock;
use std::time::Duration;

/// What the manager grants beyond the time that a stop takes.
const MARGIN: Duration = Duration::from_secs(5);

/// The manager of this process.
#[derive(Debug)]
struct Manager {
    socket: UnixDatagram,
    address: SocketAddr,
}

static MANAGER: OnceLock<Option<Manager>> = OnceLock::new();

/// The server accepts connections.
pub(crate) fn ready(status: &str) {
    say(&format!("READY=1\nSTATUS={}", one_line(status)));
}

/// Settings are read again; [`ready`] ends it.
pub(crate) fn reloading() {
    say("RELOADING=1\nSTATUS=reading the settings again");
}

/// The server stops, which takes no longer than this.
pub(crate) fn stopping(longest: Duration) {
    let micros = longest.saturating_add(MARGIN).as_micros();
    let micros = u64::try_from(micros).unwrap_or(u64::MAX - 1);
    say(&format!("STOPPING=1\nSTATUS=draining\nEXTEND_TIMEOUT_USEC={micros}"));
}

/// The server is well, and how it is in words.
pub(crate) fn well(status: &str) {
    say(&format!("WATCHDOG=1\nSTATUS={}", one_line(status)));
}

/// How often the manager wants to hear that the server is well; `None` if it does not ask.
pub(crate) fn watchdog() -> Option<Duration> {
    let number = |name: &str| env::var(name).ok()?.parse::<u64>().ok();
    let is_ours = match env::var_os("WATCHDOG_PID") {
        Some(_) => number("WATCHDOG_PID") == Some(u64::from(process::id())),
        None => true,
    };
    let micros = number("WATCHDOG_USEC").filter(|micros| *micros > 0 && is_ours)?;
    // Twice in the time, so that one may be late.
    Some(Duration::from_micros(micros / 2))
}

/// True if there is a manager that wants to hear of the server.
pub(crate) fn is_managed() -> bool {
    manager().is_some()
}

fn manager() -> Option<&'static Manager> {
    MANAGER.get_or_init(|| Manager::of(&env::var_os("NOTIFY_SOCKET")?)).as_ref()
}

fn say(text: &str) {
    if let Some(manager) = manager()
        && let Err(error) = manager.socket.send_to_addr(text.as_bytes(), &manager.address)
    {
        log::debug!("the service manager was not told: {error}");
    }
}

impl Manager {
    /// A path, or with `@` before it a name in the abstract name space.
    fn of(name: &OsStr) -> Option<Self> {
        let address = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
            [b'/', ..] => SocketAddr::from_pathname(name),
            _ => return None,
        };
        Some(Self { socket: UnixDatagram::unbound().ok()?, address: address.ok()? })
    }
}

fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manager_has_a_path_or_an_abstract_name() {
        let abstract_name = format!("landline-notify-{}", process::id());
        let address = SocketAddr::from_abstract_name(&abstract_name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        let manager = Manager::of(format!("@{abstract_name}").as_ref()).unwrap();
        manager.socket.send_to_addr(b"READY=1", &manager.address).unwrap();
        let mut bytes = [0; 16];
        let count = socket.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..count], b"READY=1");
        assert!(Manager::of("/run/notify".as_ref()).is_some());
        for wrong in ["", "relative", "vsock:2:1"] {
            assert!(Manager::of(wrong.as_ref()).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn a_status_is_one_line() {
        assert_eq!(one_line("a\nREADY=1"), "a READY=1");
    }
}
