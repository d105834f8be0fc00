//! The load: `landline bench` as a process of its own.

use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use crate::cell::{Cell, Group, Pace};
use crate::outcome::Figures;
use crate::pin;
use crate::server::Server;

/// Longer than opening ten thousand connections takes; then the load is given up.
const PATIENCE: Duration = Duration::from_secs(120);

/// How each server is loaded.
pub(crate) struct Bench<'a> {
    pub(crate) program: &'a Path,
    pub(crate) duration: f64,
    pub(crate) warm_up: f64,
    pub(crate) is_pinned: bool,
}

impl Bench<'_> {
    /// Loads a server in one way.
    ///
    /// # Blocking
    /// For warm-up and duration, and at most two minutes longer.
    ///
    /// # Errors
    /// A sentence for people: what was wrong with the server, or with the load.
    pub(crate) fn load(&self, server: &mut Server, cell: &Cell) -> Result<Figures, String> {
        let output = self.output(server, cell).map_err(|error| format!("no load: {error}"))?;
        if let Some(status) = server.has_ended() {
            return Err(format!("the server ended: {status}"));
        }
        let complaint = output.stderr.lines().last().unwrap_or("no word of the load").to_owned();
        if output.stdout.trim().is_empty() {
            return Err(complaint);
        }
        let figures: Figures = serde_json::from_str(&output.stdout)
            .map_err(|error| format!("the load's figures are not understood: {error}"))?;
        match figures.faults.text() {
            Some(faults) => Err(faults),
            None if !output.is_success => Err(complaint),
            None => Ok(figures),
        }
    }

    fn output(&self, server: &Server, cell: &Cell) -> io::Result<Output> {
        let mut process = self.command(server, cell).spawn()?;
        // Proof: both were asked for, and are taken once.
        let (mut stdout, mut stderr) =
            (process.stdout.take().expect("a pipe"), process.stderr.take().expect("a pipe"));
        let complaints = thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).map(|_| text)
        });
        let (sender, receiver) = channel();
        thread::spawn(move || {
            let mut text = String::new();
            let _ = sender.send(stdout.read_to_string(&mut text).map(|_| text));
        });
        let patience = PATIENCE + Duration::from_secs_f64(self.warm_up + self.duration);
        let stdout = match receiver.recv_timeout(patience) {
            Ok(text) => text?,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                end(&mut process);
                return Err(io::Error::other(format!("not done after {patience:?}")));
            }
        };
        let is_success = process.wait()?.success();
        let stderr = complaints.join().unwrap_or_else(|_| Ok(String::new()))?;
        Ok(Output { stdout, stderr, is_success })
    }

    fn command(&self, server: &Server, cell: &Cell) -> Command {
        let mut command = Command::new(self.program);
        let address = server.address;
        let mut arg = |text: &str| {
            command.arg(text);
        };
        arg("bench");
        match cell.group {
            Group::Echo => {
                arg("echo");
                arg(&format!("ws://{address}/echo"));
            }
            Group::Broadcast => {
                arg("broadcast");
                arg(&format!("ws://{address}/broadcast"));
                arg(&format!("--publish-url=ws://{address}/publish"));
            }
            Group::Http => {
                arg("http");
                arg(&format!("http://{address}/echo?message=x"));
                arg("--expect=x");
            }
            Group::Connect => {
                arg("connect");
                arg(&format!("ws://{address}/echo"));
            }
            Group::Idle => {
                arg("hold");
                arg(&format!("ws://{address}/echo"));
            }
        }
        let of_connections =
            if cell.group == Group::Broadcast { "--subscribers" } else { "--connections" };
        arg(&format!("{of_connections}={}", cell.connections));
        if matches!(cell.group, Group::Echo | Group::Broadcast) {
            arg(&format!("--bytes={}", cell.bytes));
            match cell.pace {
                Pace::InFlight(number) => arg(&format!("--in-flight={number}")),
                Pace::PerSecond(rate) => arg(&format!("--rate={rate}")),
            }
        }
        arg(&format!("--duration={}", self.duration));
        arg(&format!("--warm-up={}", self.warm_up));
        arg(&format!("--pid={}", server.id()));
        if self.is_pinned {
            arg(&format!("--pin={}", pin::LOAD));
        }
        arg("--json");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

struct Output {
    stdout: String,
    stderr: String,
    is_success: bool,
}

fn end(process: &mut Child) {
    let _ = process.kill();
    let _ = process.wait();
}
