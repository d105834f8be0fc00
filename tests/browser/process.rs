//! A program started for one test: its first words awaited, its end certain.

use rustix::process::{Pid, Signal, kill_process};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a program may take until it says that it is ready.
const START: Duration = Duration::from_secs(60);
/// Lines of standard error that are kept for the report of a failure.
const KEPT_LINES: usize = 30;

/// A running program; dropping it kills it and waits for its end.
pub(crate) struct Process {
    name: String,
    child: Child,
    complaints: Arc<Mutex<VecDeque<String>>>,
}

impl Process {
    /// Starts `command` and reads its standard output up to the line that `ready` understands.
    ///
    /// # Panics
    /// When it cannot be started, ends early, or says nothing of the kind within [`START`].
    pub(crate) fn start<T>(
        mut command: Command,
        ready: impl FnMut(&str) -> Option<T>,
    ) -> (Self, T) {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let lines = read_lines(child.stdout.take().expect("stdout is piped"));
        let errors = child.stderr.take().expect("stderr is piped");
        let process = Self { name, child, complaints: Arc::default() };
        process.keep_complaints(errors);
        let word = process.await_line(&lines, ready);
        (process, word)
    }

    /// Ends the program at once, without giving it a chance to say goodbye.
    pub(crate) fn kill(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Stops the program as it is (SIGSTOP); only killing it ends that.
    pub(crate) fn suspend(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).expect("the program still runs");
    }

    /// Stops the program until what is returned is dropped.
    pub(crate) fn pause(&self) -> Suspended {
        Suspended::tree(Pid::from_child(&self.child))
    }

    /// Asks the program to end (SIGTERM).
    pub(crate) fn ask_to_end(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("the program still runs");
    }

    /// Asks the program to end (SIGTERM) and waits until it has.
    #[track_caller]
    pub(crate) fn terminate(&mut self) {
        self.ask_to_end();
        until(&format!("{} ends", self.name), START, || self.child.try_wait().ok().flatten());
    }

    fn await_line<T>(
        &self,
        lines: &Receiver<String>,
        mut ready: impl FnMut(&str) -> Option<T>,
    ) -> T {
        let end = Instant::now() + START;
        let mut heard = Vec::new();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match lines.recv_timeout(left) {
                Ok(line) => match ready(&line) {
                    Some(word) => return word,
                    None => heard.push(line),
                },
                Err(RecvTimeoutError::Timeout) => {
                    panic!("{} is not ready after {START:?}; it said {heard:?}", self.name)
                }
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("{} ended before it was ready; it said {heard:?}", self.name)
                }
            }
        }
    }

    fn keep_complaints(&self, errors: impl Read + Send + 'static) {
        let kept = Arc::clone(&self.complaints);
        thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.push_back(line);
                if kept.len() > KEPT_LINES {
                    kept.pop_front();
                }
            }
        });
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            let kept = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
            for line in kept.iter() {
                eprintln!("{}: {line}", self.name);
            }
        }
    }
}

/// Reads for as long as the program writes, so that a full pipe never stops it.
fn read_lines(output: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            // Nobody listens once the program is ready; reading goes on.
            let _ = sender.send(line);
        }
    });
    lines
}

/// A process and all that came from it, stopped until this is dropped.
pub(crate) struct Suspended {
    processes: Vec<Pid>,
}

impl Suspended {
    /// Stops the whole tree below a process that a test has started.
    pub(crate) fn tree(root: Pid) -> Self {
        let mut suspended = Self { processes: vec![root] };
        let mut next = 0;
        // Parents first: what is stopped has no further children.
        while let Some(&process) = suspended.processes.get(next) {
            // One that has just ended needs no stopping.
            let _ = kill_process(process, Signal::STOP);
            suspended.processes.extend(children_of(process));
            next += 1;
        }
        suspended
    }

    /// How many processes are stopped, as the kernel says.
    pub(crate) fn count(&self) -> usize {
        let stat = |process: &&Pid| stat_of(process.as_raw_pid()).map(|(_, state)| state);
        self.processes.iter().filter(|process| stat(process) == Some('T')).count()
    }
}

impl Drop for Suspended {
    fn drop(&mut self) {
        for process in &self.processes {
            let _ = kill_process(*process, Signal::CONT);
        }
    }
}

fn children_of(parent: Pid) -> Vec<Pid> {
    let processes = std::fs::read_dir("/proc").expect("Linux").flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let children = numbers.filter(|process| {
        stat_of(*process).is_some_and(|(its_parent, _)| its_parent == parent.as_raw_pid())
    });
    children.filter_map(Pid::from_raw).collect()
}

/// The parent and the state of a process.
///
/// # Source
/// proc(5), `/proc/pid/stat`
fn stat_of(process: i32) -> Option<(i32, char)> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before them may hold anything.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((fields.next()?.parse().ok()?, state))
}

/// The program `name` on the search path.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Asks again and again until there is an answer.
///
/// # Panics
/// When there is none within `time`; the text names `what` was awaited.
#[track_caller]
pub(crate) fn until<T>(what: &str, time: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + time;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "waited {time:?} in vain until {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
