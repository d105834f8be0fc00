//! The files of a service: those of the package, with what the settings change in them.

use std::path::Path;
use std::time::Duration;

use crate::exit::{Exit, Failure};

/// The names that systemd knows it by.
pub(crate) const UNIT: &str = "landline.service";
pub(crate) const SOCKET_UNIT: &str = "landline.socket";

/// The unit as the package has it.
const SERVICE: &str = include_str!("../../../../packaging/landline.service");
const SOCKET: &str = include_str!("../../../../packaging/landline.socket");
pub(crate) const SYSUSERS: &str = include_str!("../../../../packaging/landline.sysusers");
const SYSCTL: &str = include_str!("../../../../packaging/landline.sysctl");

/// Program and settings file in the files of the package.
const PACKAGED_PROGRAM: &str = "/usr/bin/landline";
const PACKAGED_SETTINGS: &str = "/etc/landline/landline.toml";

/// The manager's patience beyond the time that a stop takes, and the least of it.
const STOP_MARGIN: Duration = Duration::from_secs(5);
const LEAST_STOP: Duration = Duration::from_secs(30);

/// Connections that the packaged limits hold.
const PACKAGED_CONNECTIONS: u64 = 60_000;

/// What of a unit depends on the host and its settings.
#[derive(Debug)]
pub(crate) struct Needs<'a> {
    pub(crate) program: &'a Path,
    pub(crate) settings: &'a Path,
    /// The longest that a stop takes.
    pub(crate) stop: Duration,
    /// Most connections, if the settings limit them.
    pub(crate) connections: Option<u64>,
    /// It binds a port below 1024 itself.
    pub(crate) has_low_port: bool,
}

impl Needs<'_> {
    /// The unit.
    ///
    /// # Errors
    /// A path that cannot stand in a unit.
    pub(crate) fn service(&self) -> Result<String, Failure> {
        let (program, settings) = (word(self.program)?, word(self.settings)?);
        let connections = self.connections.unwrap_or(0).max(PACKAGED_CONNECTIONS);
        let is_packaged = self.program == Path::new(PACKAGED_PROGRAM);
        // Only a package brings the documents along.
        let lines =
            SERVICE.lines().filter(|line| is_packaged || !line.starts_with("Documentation"));
        let lines = lines.map(|line| {
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            match key {
                "ExecStartPre" | "ExecStart" | "ExecReload" => {
                    let value = value.replace(PACKAGED_PROGRAM, &program);
                    format!("{key}={}", value.replace(PACKAGED_SETTINGS, &settings))
                }
                "TimeoutStopSec" => format!("{key}={}", stop_seconds(self.stop)),
                "LimitNOFILE" => format!("{key}={}", (connections * 2).max(131_072)),
                "TasksMax" => format!("{key}={}", connections + connections / 10),
                // A capability counts on the host's ports only in the host's user namespace.
                "CapabilityBoundingSet" | "AmbientCapabilities" if self.has_low_port => {
                    format!("{key}=CAP_NET_BIND_SERVICE")
                }
                "PrivateUsers" if self.has_low_port => format!("{key}=no"),
                _ => line.to_owned(),
            }
        });
        Ok(lines.map(|line| line + "\n").collect())
    }
}

/// The socket unit for these addresses.
pub(crate) fn socket(addresses: &[String]) -> String {
    let lines = SOCKET.lines().map(|line| match line.split_once('=') {
        Some(("ListenStream", _)) => {
            addresses.iter().map(|address| format!("ListenStream={address}\n")).collect()
        }
        _ => format!("{line}\n"),
    });
    lines.collect()
}

/// The drop-in for the kernel's limit on memory maps, and that limit; `None` if the host's is as
/// high.
pub(crate) fn sysctl(connections: Option<u64>, is: Option<u64>) -> Option<(String, u64)> {
    let packaged = SYSCTL.lines().find_map(|line| line.strip_prefix("vm.max_map_count = "));
    let packaged = packaged.and_then(|number| number.parse().ok()).unwrap_or(0);
    // Four for each, and what else the process needs.
    let needed = connections.map_or(0, |connections| connections.saturating_mul(4) + 4096);
    let maps = needed.max(packaged);
    let text = SYSCTL.replace(&packaged.to_string(), &maps.to_string());
    (is.unwrap_or(0) < maps).then_some((text, maps))
}

fn stop_seconds(stop: Duration) -> u64 {
    let longest = stop.saturating_add(STOP_MARGIN).max(LEAST_STOP);
    longest.as_secs() + u64::from(longest.subsec_nanos() > 0)
}

/// A path as one word of a command line in a unit.
fn word(path: &Path) -> Result<String, Failure> {
    let text = path.to_str().filter(|text| {
        let is_plain = |char: char| char.is_alphanumeric() || "/._-+@:,=".contains(char);
        text.starts_with('/') && text.chars().all(is_plain)
    });
    text.map(str::to_owned).ok_or_else(|| {
        let text = format!(
            "{:?} cannot stand in a unit: give an absolute path of letters, digits and /._-+@:,=",
            path.display()
        );
        Failure::new(Exit::Config, text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs() -> Needs<'static> {
        Needs {
            program: Path::new(PACKAGED_PROGRAM),
            settings: Path::new(PACKAGED_SETTINGS),
            stop: Duration::from_secs(11),
            connections: None,
            has_low_port: false,
        }
    }

    #[test]
    fn with_the_defaults_it_is_the_packaged_unit() {
        assert_eq!(needs().service().unwrap(), SERVICE);
    }

    #[test]
    fn paths_times_and_limits_take_their_places() {
        let needs = Needs {
            program: Path::new("/usr/local/bin/landline"),
            settings: Path::new("/srv/line.toml"),
            stop: Duration::from_millis(90_500),
            connections: Some(200_000),
            has_low_port: true,
        };
        let unit = needs.service().unwrap();
        for line in [
            "ExecStartPre=/usr/local/bin/landline check --config /srv/line.toml",
            "ExecStart=/usr/local/bin/landline serve --config /srv/line.toml",
            "ExecReload=/usr/local/bin/landline check --config /srv/line.toml",
            "ExecReload=/bin/kill -HUP $MAINPID",
            "TimeoutStopSec=96",
            "LimitNOFILE=400000",
            "TasksMax=220000",
            "CapabilityBoundingSet=CAP_NET_BIND_SERVICE",
            "AmbientCapabilities=CAP_NET_BIND_SERVICE",
            "PrivateUsers=no",
        ] {
            assert!(unit.lines().any(|other| other == line), "{line} is not in {unit}");
        }
        assert!(!unit.contains(PACKAGED_PROGRAM) && !unit.contains(PACKAGED_SETTINGS));
    }

    #[test]
    fn a_path_with_a_meaning_to_systemd_is_refused() {
        for wrong in ["relative", "/a b", "/a%n", "/a\nUser=root", "/a;b", "/$HOME"] {
            let needs = Needs { settings: Path::new(wrong), ..needs() };
            assert!(needs.service().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_socket_unit_has_every_address() {
        let text = socket(&["0.0.0.0:80".into(), "[::]:80".into()]);
        assert!(
            text.contains("[Socket]\nListenStream=0.0.0.0:80\nListenStream=[::]:80\n"),
            "{text}"
        );
        assert!(!text.contains("127.0.0.1"));
    }

    #[test]
    fn maps_are_raised_and_never_lowered() {
        assert_eq!(sysctl(None, Some(65_530)).unwrap(), (SYSCTL.to_owned(), 262_144));
        assert_eq!(sysctl(None, Some(1_048_576)), None);
        let (text, maps) = sysctl(Some(100_000), Some(262_144)).unwrap();
        assert_eq!(maps, 404_096);
        assert!(text.ends_with("vm.max_map_count = 404096\n"), "{text}");
    }
}
