//! How the process ends: its exit code, and the sentence that says why.

use std::io::{self, Write as _};
use std::process::ExitCode;

use landline::{Error, ErrorKind};

use crate::settings::Stated;

/// The exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Ok = 0,
    Config = 1,
    Usage = 2,
    Bind = 3,
    Io = 4,
    Forced = 5,
}

impl Exit {
    const ALL: [Self; 6] =
        [Self::Ok, Self::Config, Self::Usage, Self::Bind, Self::Io, Self::Forced];

    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    /// All codes with their meanings, for the help.
    pub(crate) fn table() -> String {
        let lines = Self::ALL.map(|exit| format!("  {}  {}", exit.code(), exit.meaning()));
        lines.join("\n")
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "stopped in good order",
            Self::Config => {
                "a setting is wrong: the settings file, or a value, file or key it names"
            }
            Self::Usage => "wrong flags or environment variables",
            Self::Bind => "cannot listen on an address",
            Self::Io => "the operating system refused something the server needs",
            Self::Forced => "ended by a second signal",
        }
    }
}

impl From<&Error> for Exit {
    fn from(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::Config => Self::Config,
            ErrorKind::Bind => Self::Bind,
            _ => Self::Io,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why the server cannot start or go on: what failed, with which value, what to do.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    texts: Vec<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, texts: vec![text.into()] }
    }

    /// Several reasons at once.
    pub(crate) fn many(exit: Exit, texts: Vec<String>) -> Self {
        Self { exit, texts }
    }

    /// The reasons, a sentence each.
    pub(crate) fn texts(&self) -> &[String] {
        &self.texts
    }

    /// A file or call of the operating system that failed.
    pub(crate) fn io(exit: Exit, what: &str, error: &io::Error) -> Self {
        Self::new(exit, without_number(&format!("{what}: {error}")))
    }

    /// Adds the reasons of another failure; the exit code stays.
    pub(crate) fn with(mut self, other: Self) -> Self {
        self.texts.extend(other.texts);
        self
    }

    /// Adds to the last reason where a setting was said, if it was.
    pub(crate) fn set_by(mut self, stated: &Stated, key: &str) -> Self {
        if let (Some(text), true) = (self.texts.last_mut(), stated.layer.has(key)) {
            text.push_str("; set by ");
            text.push_str(&stated.place(key));
        }
        self
    }

    /// Says it on standard error and returns the code to exit with.
    pub(crate) fn report(&self) -> Exit {
        for text in &self.texts {
            say(&format!("landline: {text}"));
        }
        self.exit
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let text = without_number(&error.chain());
        let advice = advice(&error).map(|advice| format!("; {advice}")).unwrap_or_default();
        Self::new(Exit::from(&error), text + &advice)
    }
}

/// Writes a line on standard error; if nobody listens there, the exit code still tells. What would
/// act on a terminal instead of standing there is spelt out: a line may name what a file holds.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{}", visible(line));
}

fn visible(text: &str) -> String {
    let spelt = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    let mut shown = String::with_capacity(text.len());
    for part in text.split_inclusive(spelt) {
        let plain = part.trim_end_matches(spelt);
        shown += plain;
        shown.extend(part[plain.len()..].escape_default());
    }
    shown
}

/// What a person can do about it.
fn advice(error: &Error) -> Option<&'static str> {
    if error.kind() != ErrorKind::Bind {
        return None;
    }
    let cause = std::error::Error::source(error)?.downcast_ref::<io::Error>()?;
    Some(match cause.kind() {
        io::ErrorKind::AddrInUse => {
            "is another server running there? choose another port with --port"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 are for privileged users; choose another with --port"
        }
        _ => "choose an address of this machine with --host",
    })
}

/// Drops "(os error 98)": the words before it say the same to people.
fn without_number(text: &str) -> String {
    match text.split_once(" (os error ") {
        Some((before, after)) => {
            let rest = after.split_once(')').map_or("", |(_, rest)| rest);
            format!("{before}{rest}")
        }
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_system_are_left_out() {
        assert_eq!(without_number("a: In use (os error 98); b"), "a: In use; b");
        assert_eq!(without_number("a: b"), "a: b");
    }

    #[test]
    fn the_table_names_every_code() {
        assert_eq!(Exit::table().lines().count(), 6);
        assert!(Exit::table().contains("\n  5  ended by a second signal"));
    }

    #[test]
    fn errors_of_the_application_are_input_or_output() {
        assert_eq!(Exit::from(&Error::other("x")), Exit::Io);
    }
}
