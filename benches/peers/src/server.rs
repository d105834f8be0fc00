//! A server as a process of its own.

use std::error::Error;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use clap::Args;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use crate::pin;
use crate::servers::Name;

/// Which server, and how.
#[derive(Args)]
pub(crate) struct ServeOptions {
    name: Name,
    /// How many threads carry broadcasts (landline; the library's default)
    #[arg(long)]
    relays: Option<usize>,
    /// Stays on this core
    #[arg(long, value_name = "CPU")]
    pin: Option<usize>,
    /// Ends with this process, which must be the parent
    #[arg(long, value_name = "PID", hide = true)]
    ends_with: Option<i32>,
}

/// Is a server until the process ends.
pub(crate) fn serve(options: &ServeOptions) -> Result<(), Box<dyn Error>> {
    if let Some(parent) = options.ends_with {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        if getppid().map(Pid::as_raw_pid) != Some(parent) {
            return Err("the process that started this server has ended".into());
        }
    }
    if let Some(core) = options.pin {
        pin::pin_to(core)?;
    }
    landline::raise_descriptor_limit()?;
    options.name.serve(options.relays)
}

/// A running server; killed when dropped, and by the kernel when this process ends in whatever way.
pub(crate) struct Server {
    process: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts a server and waits until it listens.
    pub(crate) fn start(name: Name, relays: Option<usize>, is_pinned: bool) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", &name.to_string()]);
        command.args(["--ends-with", &std::process::id().to_string()]);
        if is_pinned {
            command.args(["--pin", &pin::SERVER.to_string()]);
        }
        if let Some(relays) = relays {
            command.args(["--relays", &relays.to_string()]);
        }
        let process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut server = Self { process, address: ([0, 0, 0, 0], 0).into() };
        let mut line = String::new();
        // Proof: it was asked for above, and is taken once.
        let stdout = server.process.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line)?;
        server.address = line.trim().parse().map_err(|_| {
            io::Error::other(format!("{name} said {:?} instead of its address", line.trim()))
        })?;
        Ok(server)
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// How the process ended, if it did.
    pub(crate) fn has_ended(&mut self) -> Option<String> {
        self.process.try_wait().ok().flatten().map(|status| status.to_string())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
