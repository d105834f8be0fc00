//! The real binary as a process: started, heard, told to end, and never left behind.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Client, eventually};

/// The binary under test, without the settings of the person who runs the tests.
pub(crate) fn binary(path: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(path);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LANDLINE_") {
            command.env_remove(name);
        }
    }
    command
}

/// The binary with arguments.
pub(crate) fn landline(args: &[&str]) -> Command {
    let mut command = binary(env!("CARGO_BIN_EXE_landline"));
    command.args(args);
    command
}

/// A run that has ended by itself.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the binary with arguments to its end.
pub(crate) fn run(args: &[&str]) -> Ended {
    Program::spawn(landline(args)).end()
}

/// A running process; killed when dropped.
pub(crate) struct Program {
    child: Child,
    stdout: Heard,
    stderr: Heard,
    pub(crate) addresses: Vec<SocketAddr>,
}

impl Program {
    pub(crate) fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::null());
        Self::spawn_with_input(command)
    }

    /// Starts a program that has something to take over as its standard input.
    fn spawn_with_input(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let stdout = Heard::from(child.stdout.take().expect("a pipe"));
        let stderr = Heard::from(child.stderr.take().expect("a pipe"));
        Self { child, stdout, stderr, addresses: Vec::new() }
    }

    /// Starts a server on a free port of 127.0.0.1, with further arguments.
    pub(crate) fn serve(args: &[&str]) -> Self {
        Self::listening(landline(&[&["serve", "--port", "0"], args].concat()))
    }

    /// Starts a server and waits until it has said where it listens.
    pub(crate) fn listening(command: Command) -> Self {
        Self::spawn(command).when_it_listens()
    }

    /// Starts a server that is handed a socket as its standard input.
    pub(crate) fn listening_on(mut command: Command, socket: OwnedFd) -> Self {
        command.stdin(socket);
        Self::spawn_with_input(command).when_it_listens()
    }

    fn when_it_listens(self) -> Self {
        let mut program = self;
        eventually("the server says that it listens", || {
            let ready = program.stdout.text().contains("  Stop ");
            let ended = program.child.try_wait().expect("our child").is_some();
            assert!(ready || !ended, "ended instead: {}", program.stderr.text());
            ready
        });
        let said = program.stdout.text();
        let urls = said.split("http://").skip(1);
        let addresses = urls.map(|url| url.split('/').next().unwrap_or("").parse());
        program.addresses = addresses.collect::<Result<_, _>>().expect("addresses");
        program
    }

    pub(crate) fn connect(&self) -> Client {
        Client::new(self.addresses[0])
    }

    pub(crate) fn websocket(&self, path: &str) -> Client {
        let mut client = self.connect();
        client.handshake(path);
        client
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The port of 127.0.0.1 it listens on, as the kernel knows it.
    pub(crate) fn listening_port(&self) -> Option<u16> {
        let files = fs::read_dir(format!("/proc/{}/fd", self.id())).ok()?.flatten();
        let links = files.filter_map(|file| fs::read_link(file.path()).ok());
        let sockets: Vec<String> = links
            .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.replace(']', "")))
            .collect();
        let table = fs::read_to_string(format!("/proc/{}/net/tcp", self.id())).ok()?;
        table.lines().skip(1).find_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let port = fields[1].split_once(':')?.1;
            let is_ours = fields[3] == "0A" && sockets.iter().any(|socket| socket == fields[9]);
            if is_ours { u16::from_str_radix(port, 16).ok() } else { None }
        })
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the program still runs");
    }

    pub(crate) fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// Waits for a line on standard error that holds `part`.
    pub(crate) fn logged(&self, part: &str) -> String {
        let mut found = None;
        eventually(&format!("the log says {part:?}"), || {
            let said = self.stderr.text();
            found = said.lines().find(|line| line.contains(part)).map(str::to_owned);
            found.is_some()
        });
        found.expect("just found")
    }

    /// Waits for the end of the process and takes what it said.
    pub(crate) fn end(mut self) -> Ended {
        let mut status = None;
        eventually("the program ends", || {
            status = self.child.try_wait().expect("our child");
            status.is_some()
        });
        let (stdout, stderr) = (self.stdout.rest(), self.stderr.rest());
        Ended { code: status.and_then(|status| status.code()), stdout, stderr }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("the program said: {}", self.stderr.text());
        }
    }
}

/// What came out of a pipe so far; read all the time, so that a full pipe stops nobody.
struct Heard {
    text: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Heard {
    fn from(pipe: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&text);
        let reader = thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        Self { text, reader: Some(reader) }
    }

    fn text(&self) -> String {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn rest(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("reading does not panic");
        }
        self.text()
    }
}

/// A directory of its own, removed when dropped.
pub(crate) struct Directory {
    pub(crate) path: PathBuf,
}

impl Directory {
    pub(crate) fn new() -> Self {
        Self::below(env!("CARGO_TARGET_TMPDIR"))
    }

    pub(crate) fn below(parent: impl AsRef<Path>) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = parent.as_ref().join(format!("landline-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("a new directory");
        Self { path }
    }

    /// A directory with one file.
    pub(crate) fn with(name: &str, content: &str) -> Self {
        let directory = Self::new();
        fs::write(directory.path.join(name), content).expect("a new file");
        directory
    }

    pub(crate) fn text(&self) -> &str {
        self.path.to_str().expect("a path in UTF-8")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}
