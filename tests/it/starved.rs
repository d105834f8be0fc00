//! The binary on a host that gives it too little: descriptors, threads, places.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Resource, geteuid, getrlimit};

use crate::harness::{Client, Reply, eventually};
use crate::program::{Directory, Program, binary};

const ECHO: &str = "/echo?message=here";

fn assert_refused(reply: &Reply) {
    assert_eq!(reply.status, 503, "{}", reply.head);
    assert!(reply.header("retry-after").is_some(), "{}", reply.head);
    assert_eq!(reply.header("connection"), Some("close"));
}

#[test]
fn one_more_than_the_limit_is_answered_503() {
    let program = Program::serve(&["--limit-concurrency", "1"]);
    let mut open = program.websocket("/echo");
    assert_refused(&program.connect().get(ECHO));
    assert_refused(&program.connect().ask(Client::handshake_head("/echo")));
    open.send_text("still here");
    assert_eq!(open.expect_text(), "still here");
    drop(open);
    eventually("the place is free", || program.connect().get(ECHO).status == 200);
}

/// A server in a shell's low limits.
fn limited(ulimit: &str, args: &[&str]) -> Command {
    let script = format!("ulimit {ulimit} && exec \"$0\" \"$@\"");
    let mut command = binary("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_landline"), "serve", "--port", "0"]);
    command.args(args);
    command
}

/// More than 40 descriptors hold.
const TOO_MANY: [&str; 2] = ["--limit-concurrency", "1000"];

#[test]
fn without_descriptors_clients_are_answered_503() {
    let program = Program::listening(limited("-n 40", &TOO_MANY));
    program.logged("more than this host holds: 20 for want of open files (ulimit -n)");
    beyond_descriptors(&program);
    program.logged("cannot accept: Too many open files");
}

/// The number that the doctor states is the one at which the server refuses.
#[test]
fn as_many_are_admitted_as_the_doctor_says() {
    let script = "ulimit -n 80 && exec \"$0\" doctor --port 0 --json";
    let doctor = binary("sh").args(["-c", script, env!("CARGO_BIN_EXE_landline")]).output();
    let said: serde_json::Value = serde_json::from_slice(&doctor.unwrap().stdout).unwrap();
    let stated = usize::try_from(said["connections"].as_u64().unwrap()).unwrap();
    assert!((2..80).contains(&stated), "{stated}");
    let program = Program::listening(limited("-n 80", &[]));
    assert!(program.stdout().contains(&format!("up to {stated}\n")), "{}", program.stdout());
    let mut open: Vec<Client> = (0..stated).map(|_| program.websocket("/echo")).collect();
    assert_refused(&program.connect().ask(Client::handshake_head("/echo")));
    open.iter_mut().for_each(|client| client.expect_echo("still here"));
    drop(open.pop());
    eventually("the place is free", || program.connect().get(ECHO).status == 200);
}

#[test]
fn the_default_limit_leaves_descriptors_in_reserve() {
    let program = Program::listening(limited("-n 40", &[]));
    assert!(program.stdout().contains("up to 20\n"), "{}", program.stdout());
    beyond_descriptors(&program);
    program.logged("full with 20 connections; answering 503");
}

/// Takes more connections than there are descriptors: each is answered, and those that were
/// served stay alive.
fn beyond_descriptors(program: &Program) {
    let mut open = program.websocket("/echo");
    let mut clients: Vec<Client> = Vec::new();
    let mut refused = 0;
    for _ in 0..60 {
        let mut client = program.connect();
        let reply = client.get(ECHO);
        if reply.status == 200 {
            assert_eq!(reply.text(), "here");
            clients.push(client);
        } else {
            assert_refused(&reply);
            refused += 1;
        }
    }
    assert!(clients.len() >= 19 && refused >= 10, "{} served, {refused} refused", clients.len());
    open.send_text("still here");
    assert_eq!(open.expect_text(), "still here");
    drop(clients);
    eventually("the server serves again", || program.connect().get(ECHO).status == 200);
}

#[test]
fn without_descriptors_silent_clients_do_not_stop_the_server() {
    let program = Program::listening(limited("-n 40", &TOO_MANY));
    let silent: Vec<Client> = (0..60).map(|_| program.connect()).collect();
    program.logged("answering 503");
    drop(silent);
    eventually("the server serves again", || program.connect().get(ECHO).status == 200);
}

#[test]
fn the_limit_on_open_files_is_raised_at_the_start() {
    let program = Program::listening(limited("-S -n 40", &[]));
    let limits = fs::read_to_string(format!("/proc/{}/limits", program.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let values: Vec<&str> = line.split_whitespace().skip(3).take(2).collect();
    assert_eq!(values[0], values[1], "{line}");
}

#[test]
fn with_too_little_to_start_it_ends_with_4() {
    let ended = Program::spawn(limited("-n 4", &[])).end();
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert_eq!(ended.stderr, "landline: cannot start the keeper: Too many open files\n");
}

/// A server whose user can be denied new threads; root never can, so it becomes somebody else.
struct Deniable {
    program: Program,
    user: Option<u32>,
    /// Where that user can read the binary.
    _directory: Directory,
}

impl Deniable {
    fn start(args: &[&str]) -> Self {
        let directory = Directory::below(std::env::temp_dir());
        let mut path = std::path::PathBuf::from(env!("CARGO_BIN_EXE_landline"));
        let user = geteuid().is_root().then(|| 60_000 + std::process::id() % 5000);
        if user.is_some() {
            let everybody = fs::Permissions::from_mode(0o755);
            fs::set_permissions(&directory.path, everybody).unwrap();
            let copy = directory.path.join("landline");
            // By another process: a file that is open for writing here would be so in whatever
            // another test starts meanwhile, and could not be run.
            let made = Command::new("cp").args([&path, &copy]).status();
            assert!(made.expect("cp of coreutils").success());
            path = copy;
        }
        let mut command = as_user(binary(&path), user);
        command.args(["serve", "--port", "0", "--limit-concurrency", "1000"]);
        command.args(args);
        Self { program: Program::listening(command), user, _directory: directory }
    }

    /// Sets how many threads its user may have (`ulimit -u`).
    fn allow_threads(&self, count: &str) {
        let mut command = as_user(Command::new("prlimit"), self.user);
        command.arg(format!("--pid={}", self.program.id())).arg(format!("--nproc={count}:"));
        assert!(command.status().expect("prlimit of util-linux").success());
    }
}

fn as_user(mut command: Command, user: Option<u32>) -> Command {
    if let Some(user) = user {
        command.current_dir("/").uid(user).gid(user);
    }
    command
}

#[test]
fn without_threads_clients_are_answered_503() {
    let server = Deniable::start(&[]);
    let program = &server.program;
    let mut open = program.websocket("/echo");
    let mut waiting = program.connect();
    assert_eq!(waiting.get(ECHO).status, 200);
    server.allow_threads("1");
    for _ in 0..20 {
        assert_refused(&program.connect().get(ECHO));
    }
    program.logged("cannot start a thread");
    open.send_text("still here");
    assert_eq!(open.expect_text(), "still here");
    assert_eq!(waiting.get(ECHO).status, 200, "an open connection has its thread");
    let before = getrlimit(Resource::Nproc).maximum;
    server.allow_threads(&before.map_or("unlimited".into(), |count| count.to_string()));
    assert_eq!(program.connect().get(ECHO).status, 200);
}

/// Another thread serves a TLS connection than the one that shook hands; where it cannot be had,
/// the first goes on.
#[cfg(feature = "tls")]
#[test]
fn a_client_that_has_shaken_hands_is_served_without_another_thread() {
    use std::io::Write as _;

    use crate::tls::certificates::{Authority, Directory as Certificates};
    use crate::tls::client::{connect_to, get, try_get};

    let (directory, authority) = (Certificates::new(), Authority::new("tests"));
    let (chain, key) = authority.vouch(&["localhost"]).write(&directory, "server");
    // The server is somebody else.
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let [chain, key] = [&chain, &key].map(|path| path.to_str().unwrap());
    let server = Deniable::start(&["--ssl-certfile", chain, "--ssl-keyfile", key]);
    let stdout = server.program.stdout();
    let url = stdout.split("https://").nth(1).expect("an address with TLS");
    let address = url.split('/').next().unwrap().parse().unwrap();
    let config = authority.client();
    let mut early = connect_to(address, &config, "localhost");
    // It has the thread that greets it.
    early.conn.write_tls(&mut early.sock).unwrap();
    early.conn.read_tls(&mut early.sock).unwrap();
    early.conn.process_new_packets().unwrap();
    server.allow_threads("1");
    assert!(get(&mut early, ECHO).ends_with("here"));
    let mut late = connect_to(address, &config, "localhost");
    assert!(late.flush().and_then(|()| try_get(&mut late, ECHO)).is_err());
    server.program.logged("cannot start a thread");
}
