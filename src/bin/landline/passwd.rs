//! `landline passwd`: a line for the file of users.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use landline::BasicAuth;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use crate::exit::{Exit, Failure};

/// Longest line that is read.
const LINE_BYTES: u64 = 4096;

/// Reads a password and prints the user's line.
///
/// # Blocking
/// Until the password is there, and for the time of its hash.
///
/// # Errors
/// There is no password, or one that cannot be used.
pub(crate) fn passwd(user: &str) -> Result<(), Failure> {
    let password = read_password(user)?;
    let line = BasicAuth::line(user, &password)?;
    writeln!(io::stdout(), "{line}")
        .map_err(|error| Failure::io(Exit::Io, "cannot write the line", &error))
}

fn read_password(user: &str) -> Result<String, Failure> {
    let stdin = io::stdin();
    let failed = |error: &io::Error| Failure::io(Exit::Io, "cannot read the password", error);
    let silence = if stdin.is_terminal() {
        // Not on standard output, which goes to the file.
        let _ = write!(io::stderr(), "Password of {user}: ");
        Some(Silence::begin().map_err(|error| failed(&error))?)
    } else {
        None
    };
    let mut line = String::new();
    io::Read::take(stdin.lock(), LINE_BYTES)
        .read_line(&mut line)
        .map_err(|error| failed(&error))?;
    if silence.is_some() {
        let _ = writeln!(io::stderr());
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// What is typed is not shown, until it is dropped.
struct Silence(rustix::termios::Termios);

impl Silence {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // If it cannot be undone, nothing else can be done about it either.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}
