//! What makes a host run Landline as a service, and what takes that back.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::exit::{Exit, Failure};
use crate::service::plan::{Plan, Step};
use crate::service::unit::{Needs, SOCKET_UNIT, SYSUSERS, UNIT, socket, sysctl};

/// Where a package has its unit.
const PACKAGED: [&str; 2] =
    ["/usr/lib/systemd/system/landline.service", "/lib/systemd/system/landline.service"];

const UNIT_FILE: &str = "/etc/systemd/system/landline.service";
const SOCKET_FILE: &str = "/etc/systemd/system/landline.socket";
const DROP_INS: [&str; 2] =
    ["/etc/systemd/system/landline.service.d", "/etc/systemd/system/landline.socket.d"];
const SYSUSERS_FILE: &str = "/etc/sysusers.d/landline.conf";
const SYSCTL_FILE: &str = "/etc/sysctl.d/60-landline.conf";

/// Where a program is put that lies where a service cannot read it.
const PROGRAM: &str = "/usr/local/bin/landline";

/// Directories of programs that belong to the system: no user can replace what lies there.
const SYSTEM: [&str; 4] = ["/usr", "/bin", "/sbin", "/opt"];

/// A host and what is wanted of it.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// This program.
    pub(crate) program: PathBuf,
    pub(crate) settings: PathBuf,
    /// The settings file is there.
    pub(crate) has_settings: bool,
    /// The longest that a stop takes.
    pub(crate) stop: Duration,
    /// Most connections, if the settings limit them.
    pub(crate) connections: Option<u64>,
    /// Where the settings listen, as a socket unit writes it.
    pub(crate) addresses: Vec<String>,
    pub(crate) has_low_port: bool,
    /// systemd is to hold the listeners.
    pub(crate) with_socket: bool,
    /// It does, from an installation before.
    pub(crate) has_socket: bool,
    pub(crate) start: bool,
    /// The host's `vm.max_map_count`.
    pub(crate) maps: Option<u64>,
}

/// True if an installation has given the listeners to systemd.
pub(crate) fn has_socket() -> bool {
    Path::new(SOCKET_FILE).exists()
}

/// Refuses a host on which a package has done it.
///
/// # Errors
/// There is a unit of a package.
pub(crate) fn check_host() -> Result<(), Failure> {
    let Some(path) = PACKAGED.iter().find(|path| Path::new(path).exists()) else { return Ok(()) };
    let text = format!(
        "a package has installed the service ({path}); use systemctl with it, and change it with \
         \"systemctl edit {UNIT}\""
    );
    Err(Failure::new(Exit::Config, text))
}

/// The steps of an installation. They may be done again, with other settings or a new program.
///
/// # Errors
/// A path that cannot stand in a unit.
pub(crate) fn install(wanted: &Wanted) -> Result<Plan, Failure> {
    let mut plan = Plan::default();
    let is_system = SYSTEM.iter().any(|directory| wanted.program.starts_with(directory));
    let program = if is_system { &wanted.program } else { Path::new(PROGRAM) };
    let needs = Needs {
        program,
        settings: &wanted.settings,
        stop: wanted.stop,
        connections: wanted.connections,
        has_low_port: wanted.has_low_port && !wanted.with_socket,
    };
    let unit = needs.service()?;
    if !is_system {
        plan.steps.push(Step::Copy { from: wanted.program.clone(), to: program.into() });
    }
    plan.steps.push(Step::write(SYSUSERS_FILE, SYSUSERS));
    plan.steps.push(Step::run(&["systemd-sysusers", SYSUSERS_FILE]));
    settings(&mut plan, wanted, program);
    match sysctl(wanted.connections, wanted.maps) {
        Some((text, maps)) => {
            plan.steps.push(Step::write(SYSCTL_FILE, text));
            let setting = format!("vm.max_map_count={maps}");
            plan.steps.push(Step::run(&["sysctl", "-q", "-w", &setting]));
        }
        None => plan.notes.push("vm.max_map_count is high enough and stays as it is".into()),
    }
    plan.steps.push(Step::write(UNIT_FILE, unit));
    if wanted.with_socket {
        plan.steps.push(Step::write(SOCKET_FILE, socket(&wanted.addresses)));
    } else if wanted.has_socket {
        // Its addresses would go before those of the settings.
        plan.steps.push(Step::attempt(&["systemctl", "disable", "--now", SOCKET_UNIT]));
        plan.steps.push(Step::remove(SOCKET_FILE));
    }
    plan.steps.push(Step::run(&["systemctl", "daemon-reload"]));
    start(&mut plan, wanted);
    let settings = wanted.settings.display();
    plan.notes.push(format!(
        "read {settings}; when it is changed: systemctl reload {UNIT}; how it is: landline service \
         status; what it logs: journalctl --unit {UNIT}"
    ));
    Ok(plan)
}

/// The settings file belongs to root, and the service's group may read it: it holds secrets.
fn settings(plan: &mut Plan, wanted: &Wanted, program: &Path) {
    let (settings, program) = (wanted.settings.to_string_lossy(), program.to_string_lossy());
    if wanted.has_settings {
        plan.notes.push(format!("{settings} was there and stays as it is"));
        return;
    }
    if let Some(parent) = wanted.settings.parent().filter(|parent| *parent != Path::new("/etc")) {
        let parent = parent.to_string_lossy();
        let words = ["install", "-d", "-m", "0750", "-o", "root", "-g", "landline", &parent];
        plan.steps.push(Step::run(&words));
    }
    plan.steps.push(Step::run(&[&program, "init", "--quiet", &settings]));
    plan.steps.push(Step::run(&["chown", "root:landline", &settings]));
    plan.steps.push(Step::run(&["chmod", "0640", &settings]));
}

fn start(plan: &mut Plan, wanted: &Wanted) {
    let mut units = vec![UNIT];
    if wanted.with_socket {
        units.insert(0, SOCKET_UNIT);
    }
    plan.steps.push(Step::run(&[&["systemctl", "enable"], &units[..]].concat()));
    if !wanted.start {
        plan.notes.push(format!("start it with: systemctl start {}", units.join(" ")));
        return;
    }
    if wanted.with_socket {
        // A socket cannot be bound anew while its service has it.
        plan.steps.push(Step::attempt(&["systemctl", "stop", UNIT]));
    }
    for unit in units {
        plan.steps.push(Step::run(&["systemctl", "restart", unit]));
    }
}

/// The steps back. The settings, the user and the program stay, unless they are to go as well.
pub(crate) fn uninstall(settings: &Path, is_purge: bool) -> Plan {
    let mut plan = Plan::default();
    for unit in [SOCKET_UNIT, UNIT] {
        plan.steps.push(Step::attempt(&["systemctl", "disable", "--now", unit]));
    }
    for path in [UNIT_FILE, SOCKET_FILE, SYSUSERS_FILE, SYSCTL_FILE] {
        plan.steps.push(Step::remove(path));
    }
    if is_purge {
        // What "systemctl edit" has written.
        plan.steps.push(Step::run(&["rm", "-rf", DROP_INS[0], DROP_INS[1]]));
    }
    plan.steps.push(Step::run(&["systemctl", "daemon-reload"]));
    if is_purge {
        plan.steps.push(Step::remove(settings));
        if let Some(parent) = settings.parent().filter(|parent| *parent != Path::new("/etc")) {
            // Certificates may lie there, which are not ours.
            let words = ["rmdir", "--ignore-fail-on-non-empty", &parent.to_string_lossy()];
            plan.steps.push(Step::attempt(&words));
        }
        plan.steps.push(Step::attempt(&["userdel", "landline"]));
        plan.steps.push(Step::remove(PROGRAM));
    } else {
        let settings = settings.display();
        plan.notes.push(format!(
            "{settings}, the user landline and {PROGRAM} stay; --purge removes them"
        ));
    }
    plan.notes.push("vm.max_map_count keeps its value until the host starts again".into());
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Wanted {
        Wanted {
            program: "/home/ann/landline".into(),
            settings: "/etc/landline/landline.toml".into(),
            has_settings: false,
            stop: Duration::from_secs(11),
            connections: None,
            addresses: vec!["0.0.0.0:80".into()],
            has_low_port: true,
            with_socket: false,
            has_socket: false,
            start: true,
            maps: Some(65_530),
        }
    }

    fn position(text: &str, part: &str) -> usize {
        text.find(part).unwrap_or_else(|| panic!("{part:?} is not in {text}"))
    }

    #[test]
    fn what_is_needed_comes_before_what_needs_it() {
        let text = install(&wanted()).unwrap().text();
        let order = [
            "install -m 0755 /home/ann/landline /usr/local/bin/landline",
            "cat > /etc/sysusers.d/landline.conf",
            "systemd-sysusers /etc/sysusers.d/landline.conf",
            "install -d -m 0750 -o root -g landline /etc/landline",
            "/usr/local/bin/landline init --quiet /etc/landline/landline.toml",
            "chown root:landline /etc/landline/landline.toml",
            "chmod 0640 /etc/landline/landline.toml",
            "cat > /etc/sysctl.d/60-landline.conf",
            "sysctl -q -w vm.max_map_count=262144",
            "cat > /etc/systemd/system/landline.service",
            "ExecStart=/usr/local/bin/landline serve",
            "systemctl daemon-reload",
            "systemctl enable landline.service",
            "systemctl restart landline.service",
        ];
        let places: Vec<usize> = order.iter().map(|part| position(&text, part)).collect();
        assert!(places.is_sorted(), "{text}");
        assert!(text.contains("AmbientCapabilities=CAP_NET_BIND_SERVICE"));
        assert!(!text.contains("landline.socket\n"));
    }

    #[test]
    fn what_is_there_stays_as_it_is() {
        let wanted = Wanted {
            program: "/opt/landline/landline".into(),
            has_settings: true,
            maps: Some(1 << 20),
            start: false,
            ..wanted()
        };
        let text = install(&wanted).unwrap().text();
        for absent in ["install -m", " init ", "chown", "sysctl -q", "restart landline"] {
            assert!(!text.contains(absent), "{absent}: {text}");
        }
        assert!(text.contains("ExecStart=/opt/landline/landline serve"));
        assert!(text.contains("start it with: systemctl start landline.service"));
    }

    #[test]
    fn a_socket_of_systemd_takes_the_place_of_privileges() {
        let text = install(&Wanted { with_socket: true, ..wanted() }).unwrap().text();
        assert!(text.contains("ListenStream=0.0.0.0:80\n"));
        assert!(text.contains("AmbientCapabilities=\n") && text.contains("PrivateUsers=yes"));
        assert!(
            position(&text, "systemctl restart landline.socket")
                < position(&text, "systemctl restart landline.service")
        );
    }

    #[test]
    fn a_socket_that_is_not_wanted_any_more_goes() {
        let text = install(&Wanted { has_socket: true, ..wanted() }).unwrap().text();
        let away = position(&text, "systemctl disable --now landline.socket || true");
        assert!(away < position(&text, "rm -f /etc/systemd/system/landline.socket"));
        assert!(away < position(&text, "systemctl restart landline.service"));
        let both = Wanted { has_socket: true, with_socket: true, ..wanted() };
        assert!(!install(&both).unwrap().text().contains("disable"));
    }

    #[test]
    fn what_an_installation_writes_its_removal_removes() {
        let settings = Path::new("/etc/landline/landline.toml");
        let plan = install(&Wanted { with_socket: true, ..wanted() }).unwrap();
        let back = uninstall(settings, true);
        for step in plan.steps {
            if let Step::Write { path, .. } = step {
                assert!(back.steps.contains(&Step::Remove { path: path.clone() }), "{path:?}");
            }
        }
        assert!(back.steps.contains(&Step::remove(settings)));
        assert!(back.steps.contains(&Step::remove(PROGRAM)));
        assert!(!uninstall(settings, false).text().contains("rm -f /etc/landline"));
    }
}
