//! What a service manager hears of the server, and what it installs it with.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::harness::{Client, PATIENCE};
use crate::program::{Directory, Program, binary, landline, run};

/// A service manager that only listens.
struct Manager {
    directory: Directory,
    socket: UnixDatagram,
}

impl Manager {
    fn new() -> Self {
        // The name of a socket is short, so it lies in the usual place.
        let directory = Directory::below(std::env::temp_dir());
        let socket = UnixDatagram::bind(directory.path.join("notify")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { directory, socket }
    }

    fn serve(&self, args: &[&str], watchdog: Option<&str>) -> Program {
        let mut command = landline(&[&["serve", "--port", "0"], args].concat());
        command.env("NOTIFY_SOCKET", self.directory.path.join("notify"));
        if let Some(micros) = watchdog {
            command.env("WATCHDOG_USEC", micros);
        }
        Program::listening(command)
    }

    /// The next message that is no sign of life.
    fn next(&self) -> String {
        loop {
            let message = self.any();
            if !message.starts_with("WATCHDOG=1") {
                return message;
            }
        }
    }

    fn any(&self) -> String {
        let mut bytes = [0; 4096];
        let count = self.socket.recv(&mut bytes).expect("a message");
        String::from_utf8(bytes[..count].to_vec()).unwrap()
    }
}

#[test]
fn the_manager_hears_of_the_start_the_reload_and_the_stop() {
    let manager = Manager::new();
    let args = ["--drain-delay", "0.25", "--drain-time", "0.5", "--timeout-graceful-shutdown", "2"];
    let program = manager.serve(&args, None);
    assert_eq!(manager.next(), "READY=1\nSTATUS=serving");
    program.signal(Signal::HUP);
    assert!(manager.next().starts_with("RELOADING=1\n"));
    let told = manager.next();
    assert!(told.starts_with("READY=1\nSTATUS=serving; settings read again"), "{told}");
    program.signal(Signal::TERM);
    // The three times, a second for handlers that do not return, and five to spare.
    let stop = "STOPPING=1\nSTATUS=draining\nEXTEND_TIMEOUT_USEC=8750000";
    assert_eq!(manager.next(), stop);
    let ended = program.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn a_server_that_is_well_says_so_again_and_again() {
    let manager = Manager::new();
    let program = manager.serve(&[], Some("20000"));
    let _open = program.websocket("/echo");
    let mut signs = 0;
    while signs < 5 {
        let told = manager.any();
        if told == "WATCHDOG=1\nSTATUS=serving; 1 connections, 0 groups" {
            signs += 1;
        }
    }
    program.signal(Signal::TERM);
    assert!(manager.next().starts_with("STOPPING=1"));
}

#[test]
fn a_drain_is_gentle_by_flags() {
    let program = Program::serve(&["--drain-delay", "0.1", "--drain-time", "0.3"]);
    let mut clients: Vec<Client> = (0..20).map(|_| program.websocket("/echo")).collect();
    program.signal(Signal::TERM);
    for client in &mut clients {
        assert_eq!(client.answer_close().0, 1001);
    }
    let ended = program.end();
    assert_eq!(ended.code, Some(0));
    assert!(ended.stderr.contains("no longer ready, serving on for 100ms"), "{}", ended.stderr);
    assert!(ended.stderr.contains("20 connections are told over 300ms"), "{}", ended.stderr);
}

#[test]
fn a_second_signal_forces_a_drain() {
    let program = Program::serve(&["--drain-delay", "600"]);
    let mut client = program.websocket("/echo");
    program.signal(Signal::TERM);
    program.logged("no longer ready");
    client.expect_echo("still there");
    program.signal(Signal::TERM);
    assert_eq!(program.end().code, Some(5));
}

#[test]
fn an_installation_is_shown_before_it_is_done() {
    let directory = Directory::with("line.toml", "port = 80\ndrain_time = 100\n");
    let settings = directory.path.join("line.toml");
    let ended = run(&["service", "install", "--dry-run", "--config", settings.to_str().unwrap()]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for part in [
        "systemd-sysusers /etc/sysusers.d/landline.conf\n",
        "TimeoutStopSec=116\n",
        "AmbientCapabilities=CAP_NET_BIND_SERVICE\n",
        "systemctl restart landline.service\n",
        &format!("# {} was there and stays as it is\n", settings.display()),
    ] {
        assert!(ended.stdout.contains(part), "{part:?} is not in {}", ended.stdout);
    }
    let ended = run(&["service", "uninstall", "--dry-run"]);
    assert_eq!(ended.code, Some(0));
    assert!(ended.stdout.contains("rm -f /etc/systemd/system/landline.service\n"));
}

#[test]
fn settings_that_are_wrong_are_not_installed() {
    let directory = Directory::with("line.toml", "prot = 80\n");
    let settings = directory.path.join("line.toml");
    let ended = run(&["service", "install", "--dry-run", "--config", settings.to_str().unwrap()]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("did you mean port?"), "{}", ended.stderr);
}

/// The unit as it is installed, held against systemd's own judgement.
#[test]
fn the_unit_passes_systemd_and_is_hardened() {
    let directory = Directory::new();
    let ended = run(&["service", "install", "--socket", "--destdir", directory.text()]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("left out: systemctl daemon-reload"), "{}", ended.stdout);
    let units = directory.path.join("etc/systemd/system");
    let unit = units.join("landline.service");
    // systemd looks for the program, which an image has in another place.
    let text = fs::read_to_string(&unit).unwrap();
    let program = directory.path.join("usr/local/bin/landline");
    assert!(program.exists());
    let text = text.replace("/usr/local/bin/landline", program.to_str().unwrap());
    fs::write(&unit, text).unwrap();
    let analyze = |args: &[&str]| {
        let out = Command::new("systemd-analyze").args(args).output().expect("systemd-analyze");
        let said = [out.stdout, out.stderr].concat();
        (out.status.success(), String::from_utf8_lossy(&said).into_owned())
    };
    for file in ["landline.service", "landline.socket"] {
        let (is_right, said) = analyze(&["verify", units.join(file).to_str().unwrap()]);
        assert!(is_right && said.is_empty(), "{file}: {said}");
    }
    // On a scale to 10, where a unit without a word has 9.6.
    let (is_below, said) =
        analyze(&["security", "--offline=true", "--threshold=15", unit.to_str().unwrap()]);
    assert!(is_below, "{said}");
}

/// The binary with these sockets as a service manager hands them over: the first from descriptor 3 on.
fn activated(socket: impl Into<OwnedFd>, args: &str) -> Program {
    let mut command = binary("sh");
    // Whoever is told about sockets is named by the number of its process, which `exec` keeps.
    let line = format!(
        "exec 3<&0 </dev/null; exec env LISTEN_PID=$$ LISTEN_FDS=1 '{}' serve {args}",
        env!("CARGO_BIN_EXE_landline")
    );
    command.args(["-c", &line]);
    Program::listening_on(command, socket.into())
}

#[test]
fn a_socket_of_the_manager_takes_the_place_of_host_and_port() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // As the manager does, who keeps it while the server comes and goes.
    let kept = listener.try_clone().unwrap();
    for turn in 0..2 {
        let waiting = TcpStream::connect(address).unwrap();
        let program = activated(listener.try_clone().unwrap(), "--port 1 --host 192.0.2.1");
        assert_eq!(program.addresses, [address]);
        drop(waiting);
        let mut client = program.websocket("/echo");
        client.expect_echo("hello");
        program.signal(Signal::TERM);
        assert_eq!(client.answer_close().0, 1001);
        let ended = program.end();
        assert_eq!(ended.code, Some(0), "{turn}: {}", ended.stderr);
    }
    assert!(TcpStream::connect(address).is_ok(), "nobody is refused in between");
    drop(kept);
}

#[test]
fn a_door_that_is_shut_stays_shut_on_a_socket_of_the_manager() {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let line = format!(
        "exec 3<&0 </dev/null; exec env LISTEN_PID=$$ LISTEN_FDS=1 '{}' serve --origin any",
        env!("CARGO_BIN_EXE_landline")
    );
    let mut command = binary("sh");
    command.args(["-c", &line]).stdin(OwnedFd::from(listener)).stderr(Stdio::piped());
    let ended = command.output().expect("a shell");
    assert_eq!(ended.status.code(), Some(1), "{}", String::from_utf8_lossy(&ended.stderr));
}

#[test]
fn what_is_handed_over_and_does_not_listen_is_refused() {
    let mut command = binary("sh");
    let line = format!(
        "exec 3</dev/null; exec env LISTEN_PID=$$ LISTEN_FDS=1 '{}' serve",
        env!("CARGO_BIN_EXE_landline")
    );
    let ended = command.args(["-c", &line]).output().expect("a shell");
    assert_eq!(ended.status.code(), Some(3));
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(said.contains("socket 1 of those that were handed over"), "{said}");
}
