//! The thread that leads: starts the threads of load, samples the server, shows the progress.

use std::io::{ErrorKind, IsTerminal as _, Write as _, stderr, stdout};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_setaffinity};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::bench::args::{BenchArgs, CommonArgs};
use crate::bench::core::Core;
use crate::bench::plan::Plan;
use crate::bench::process::{Sample, own_cpu_seconds};
use crate::bench::report::{Report, ServerSamples, grouped};
use crate::bench::shared::Shared;
use crate::bench::tally::Tally;
use crate::bench::worker::Word;
use crate::exit::{Exit, say};

/// How often the leading thread looks for a signal.
const TICK: Duration = Duration::from_millis(50);

/// The exit code of a run in which something was wrong.
const WRONG: u8 = 1;

/// Runs a load and says what it has come to.
pub(crate) fn run(args: BenchArgs) -> ExitCode {
    match Plan::new(args).and_then(lead) {
        Ok(None) => Exit::Ok.into(),
        Ok(Some(text)) | Err(text) => {
            say(&format!("landline bench: {text}"));
            WRONG.into()
        }
    }
}

/// Returns what was wrong, if anything was.
fn lead(plan: Plan) -> Result<Option<String>, String> {
    let common = plan.common.clone();
    prepare(&common)?;
    let interrupted = watch_signals()?;
    let descriptors = |error| format!("cannot start: {error}; raise the limit (ulimit -n)");
    let shared = Arc::new(Shared::new(common.threads).map_err(descriptors)?);
    let before = common.pid.map(Sample::take).transpose()?;
    let words = start(&plan, &shared)?;
    let leader = Leader { shared, words, interrupted, common };
    let report = leader.lead(plan, before)?;
    print(&match leader.common.json {
        true => format!("{}\n", report.json()),
        false => report.text(),
    })?;
    Ok(report.complaint())
}

/// Writes the report; if nobody listens, the exit code still tells.
fn print(report: &str) -> Result<(), String> {
    let mut out = stdout().lock();
    match out.write_all(report.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(format!("cannot write the report: {error}"))
        }
        _ => Ok(()),
    }
}

/// What has to be so before any connection.
fn prepare(common: &CommonArgs) -> Result<(), String> {
    // The old limit may be enough; if it is not, the connection that fails says what to do.
    let _ = landline::raise_descriptor_limit();
    if let Some(cpu) = common.pin {
        let mut cpus = CpuSet::new();
        if cpu >= CpuSet::MAX_CPU {
            return Err(format!("--pin {cpu}: this machine has no such CPU"));
        }
        cpus.set(cpu);
        sched_setaffinity(None, &cpus)
            .map_err(|error| format!("--pin {cpu}: {error}; has this machine such a CPU?"))?;
    }
    Ok(())
}

/// The first signal ends the run with the figures so far, the second ends the process.
fn watch_signals() -> Result<Arc<AtomicBool>, String> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let code = i32::from(WRONG);
        flag::register_conditional_shutdown(signal, code, Arc::clone(&interrupted))
            .and_then(|_| flag::register(signal, Arc::clone(&interrupted)))
            .map_err(|error| format!("cannot watch for signals: {error}"))?;
    }
    Ok(interrupted)
}

fn start(plan: &Plan, shared: &Arc<Shared>) -> Result<Receiver<Word>, String> {
    let (sender, words) = channel();
    for thread in 0..plan.common.threads {
        let (dialing, load) = (plan.dialing(thread), plan.load(thread));
        let (shared, sender) = (Arc::clone(shared), sender.clone());
        // Where the leading thread has gone, the process is ending.
        let tell = move |word| drop(sender.send(word));
        let run = move || match Core::new(shared, thread, dialing) {
            Ok(core) => load(core, &tell),
            Err(error) => {
                tell(Word::Failed(format!("cannot start: {error}; raise the limit (ulimit -n)")));
            }
        };
        thread::Builder::new()
            .name(format!("load-{thread}"))
            .spawn(run)
            .map_err(|error| format!("cannot start a thread: {error}"))?;
    }
    Ok(words)
}

struct Leader {
    shared: Arc<Shared>,
    words: Receiver<Word>,
    interrupted: Arc<AtomicBool>,
    common: CommonArgs,
}

impl Leader {
    fn lead(&self, plan: Plan, before: Option<Sample>) -> Result<Report, String> {
        let mut course = Course::default();
        let mut progress = Progress::new(&self.common);
        while course.ready < self.common.threads {
            self.listen(TICK, &mut course)?;
            progress.show("opening connections", &self.shared);
            if self.interrupted.load(Relaxed) {
                progress.clear();
                return Err("ended before all connections were open".into());
            }
        }
        let window = self.shared.begin(self.common.warm_up, self.common.duration);
        self.pass("warming up", window.from, &mut course, &mut progress)?;
        let (from, cpu_from) = (self.sample()?, own_cpu_seconds());
        let measured_from = self.shared.now();
        self.pass("measuring", window.until, &mut course, &mut progress)?;
        let (until, cpu_until) = (self.sample()?, own_cpu_seconds());
        let measured_until = self.shared.now();
        while course.finished < self.common.threads {
            self.listen(TICK, &mut course)?;
            progress.show("finishing", &self.shared);
        }
        progress.clear();
        let server = match (self.common.pid, before, from, until) {
            (Some(pid), Some(before), Some(from), Some(until)) => {
                Some(ServerSamples { pid, before, from, until })
            }
            _ => None,
        };
        Ok(Report {
            subject: plan.subject,
            seconds: (measured_until - measured_from) as f64 / 1e6,
            tally: course.tally,
            server,
            client_cpu_seconds: cpu_until - cpu_from,
            was_interrupted: self.interrupted.load(Relaxed),
        })
    }

    /// Waits until a moment, or for a signal, which ends the load.
    fn pass(
        &self,
        what: &str,
        until: u64,
        course: &mut Course,
        progress: &mut Progress,
    ) -> Result<(), String> {
        loop {
            let now = self.shared.now();
            if now >= until || course.finished == self.common.threads {
                return Ok(());
            }
            if self.interrupted.load(Relaxed) {
                self.shared.end();
                return Ok(());
            }
            self.listen(TICK.min(Duration::from_micros(until - now)), course)?;
            progress.show(what, &self.shared);
        }
    }

    /// Listens to the threads of load for so long.
    fn listen(&self, time: Duration, course: &mut Course) -> Result<(), String> {
        match self.words.recv_timeout(time) {
            Ok(Word::Ready) => course.ready += 1,
            Ok(Word::Failed(text)) => return Err(text),
            Ok(Word::Finished(tally)) => {
                course.finished += 1;
                course.tally.add(*tally);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err("a thread of the load has ended unexpectedly".into());
            }
        }
        Ok(())
    }

    fn sample(&self) -> Result<Option<Sample>, String> {
        self.common.pid.map(Sample::take).transpose()
    }
}

/// How far the threads of load are.
struct Course {
    ready: usize,
    finished: usize,
    tally: Tally,
}

impl Default for Course {
    fn default() -> Self {
        Self { ready: 0, finished: 0, tally: Tally::new() }
    }
}

/// The line that tells how it goes, rewritten in place once a second.
struct Progress {
    is_shown: bool,
    next: u64,
    count: u64,
}

impl Progress {
    fn new(common: &CommonArgs) -> Self {
        let is_shown = !common.quiet && !common.json && stderr().is_terminal();
        Self { is_shown, next: 0, count: 0 }
    }

    fn show(&mut self, what: &str, shared: &Shared) {
        let now = shared.now();
        if !self.is_shown || now < self.next {
            return;
        }
        self.next = now + 1_000_000;
        let count = shared.count();
        let rate = grouped(count.saturating_sub(self.count));
        self.count = count;
        let mut err = stderr().lock();
        // A line of progress that cannot be written is not missed.
        let _ = write!(err, "\r\x1b[K{what}: {}, {rate} a second", grouped(count));
        let _ = err.flush();
    }

    fn clear(&self) {
        if self.is_shown {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}
