//! `landline service status`: how the service is, in a few lines.

use std::collections::HashMap;
use std::process::Command;

use crate::exit::{Exit, Failure};
use crate::service::unit::UNIT;

/// What systemd is asked, and how it is called here.
const ASKED: &[(&str, &str)] = &[
    ("MainPID", "process"),
    ("ExecMainStartTimestamp", "started"),
    ("StatusText", "it says"),
    ("TasksCurrent", "threads"),
    ("TasksMax", "most threads"),
    ("MemoryCurrent", "memory"),
    ("NRestarts", "restarts"),
    ("FragmentPath", "unit"),
];

/// Asks systemd.
///
/// # Errors
/// systemd cannot be asked.
pub(crate) fn ask() -> Result<Status, Failure> {
    let out = Command::new("systemctl")
        .args(["show", UNIT, "--no-pager"])
        .output()
        .map_err(|error| Failure::io(Exit::Io, "cannot run systemctl", &error))?;
    if !out.status.success() {
        let why = String::from_utf8_lossy(&out.stderr).trim().to_owned();
        return Err(Failure::new(Exit::Io, format!("systemctl cannot tell: {why}")));
    }
    Ok(Status::of(&String::from_utf8_lossy(&out.stdout)))
}

/// How the service is.
#[derive(Debug)]
pub(crate) struct Status {
    properties: HashMap<String, String>,
}

impl Status {
    fn of(text: &str) -> Self {
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        let properties = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
        Self { properties: properties.collect() }
    }

    fn value(&self, key: &str) -> &str {
        self.properties.get(key).map_or("", String::as_str)
    }

    pub(crate) fn is_installed(&self) -> bool {
        self.value("LoadState") == "loaded"
    }

    pub(crate) fn is_running(&self) -> bool {
        matches!(self.value("ActiveState"), "active" | "reloading")
    }

    /// A line for each thing that is known.
    pub(crate) fn text(&self) -> String {
        if !self.is_installed() {
            return format!("{UNIT} is not installed; \"landline service install\" does it\n");
        }
        let starts = match self.value("UnitFileState") {
            "enabled" | "enabled-runtime" => "starts with the host",
            _ => "does not start with the host",
        };
        let (active, sub) = (self.value("ActiveState"), self.value("SubState"));
        let mut text = format!("{UNIT}: {active} ({sub}), {starts}\n");
        if active == "failed" {
            let result = self.value("Result");
            text += &format!("  {:<14}{result}; journalctl --unit {UNIT} says more\n", "why");
        }
        for (key, name) in ASKED {
            let value = self.value(key);
            let is_idle = *key == "TasksMax" && !self.is_running();
            if value.is_empty() || value == "[not set]" || value == "0" || is_idle {
                continue;
            }
            let value = match (*key, value.parse::<u64>()) {
                ("MemoryCurrent", Ok(bytes)) if bytes < u64::MAX => {
                    format!("{} MiB", bytes >> 20)
                }
                (_, Ok(u64::MAX)) => continue,
                _ => value.to_owned(),
            };
            text += &format!("  {name:<14}{value}\n");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_service_says_how_it_is() {
        let status = Status::of(
            "LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\n\
             MainPID=812\nStatusText=1,204 connections\nMemoryCurrent=33554432\n\
             TasksCurrent=18446744073709551615\nNRestarts=0\nFragmentPath=/etc/x\n",
        );
        assert!(status.is_installed() && status.is_running());
        assert_eq!(
            status.text(),
            "landline.service: active (running), starts with the host\n  \
             process       812\n  it says       1,204 connections\n  \
             memory        32 MiB\n  unit          /etc/x\n"
        );
    }

    #[test]
    fn what_is_not_there_or_not_running_is_told() {
        let status = Status::of("LoadState=not-found\nActiveState=inactive\n");
        assert!(!status.is_installed() && !status.is_running());
        assert!(status.text().contains("landline service install"));
        let status = Status::of(
            "LoadState=loaded\nActiveState=failed\nSubState=failed\nResult=exit-code\nTasksMax=9\n",
        );
        assert!(status.is_installed() && !status.is_running());
        let lines = "landline.service: failed (failed), does not start with the host\n  \
                     why           exit-code; journalctl --unit landline.service says more\n";
        assert_eq!(status.text(), lines);
    }
}
