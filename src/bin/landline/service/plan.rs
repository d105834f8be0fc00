//! What is to be done to a host, as values: shown, or carried out.

use std::fmt;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::exit::{Exit, Failure};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A program is copied; everybody may run it.
    Copy { from: PathBuf, to: PathBuf },
    /// A file is written; everybody may read it.
    Write { path: PathBuf, text: String },
    /// A file is removed, if it is there.
    Remove { path: PathBuf },
    /// A command is run, to a good end.
    Run { words: Vec<String> },
    /// A command is run; how it ends does not matter.
    Try { words: Vec<String> },
}

impl Step {
    pub(crate) fn write(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self::Write { path: path.into(), text: text.into() }
    }

    pub(crate) fn remove(path: impl Into<PathBuf>) -> Self {
        Self::Remove { path: path.into() }
    }

    pub(crate) fn run(words: &[&str]) -> Self {
        Self::Run { words: words.iter().map(|word| (*word).to_owned()).collect() }
    }

    pub(crate) fn attempt(words: &[&str]) -> Self {
        Self::Try { words: words.iter().map(|word| (*word).to_owned()).collect() }
    }
}

impl fmt::Display for Step {
    /// As a shell would do it, so that it can be read, and copied.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Copy { from, to } => {
                write!(f, "install -m 0755 {} {}", quoted_path(from), quoted_path(to))
            }
            Self::Write { path, text } => {
                write!(f, "cat > {} <<'END'\n{text}END", quoted_path(path))
            }
            Self::Remove { path } => write!(f, "rm -f {}", quoted_path(path)),
            Self::Run { words } => f.write_str(&line(words)),
            Self::Try { words } => write!(f, "{} || true", line(words)),
        }
    }
}

/// The steps of an installation or its removal.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    /// What a person should know besides.
    pub(crate) notes: Vec<String>,
}

impl Plan {
    /// Everything that would be done, in words that a shell understands.
    pub(crate) fn text(&self) -> String {
        let notes = self.notes.iter().map(|note| format!("# {note}\n"));
        let steps = self.steps.iter().map(|step| format!("{step}\n"));
        notes.chain(steps).collect()
    }

    /// Does it all, and says so.
    ///
    /// # Errors
    /// The first step that fails; those before it stay done, and all may be done again.
    pub(crate) fn carry_out(&self, out: &mut impl io::Write) -> Result<(), Failure> {
        for step in &self.steps {
            step.carry_out(out)?;
        }
        for note in &self.notes {
            tell(out, note);
        }
        Ok(())
    }

    /// Writes the files below a directory, for an image or a package; runs no command.
    ///
    /// # Errors
    /// As [`carry_out`](Self::carry_out).
    pub(crate) fn stage(self, root: &Path, out: &mut impl io::Write) -> Result<(), Failure> {
        let below = |path: &Path| root.join(path.strip_prefix("/").unwrap_or(path));
        for step in self.steps {
            let staged = match step {
                Step::Copy { from, to } => Step::Copy { from, to: below(&to) },
                Step::Write { path, text } => Step::Write { path: below(&path), text },
                Step::Remove { path } => Step::Remove { path: below(&path) },
                Step::Run { .. } | Step::Try { .. } => {
                    tell(out, &format!("left out: {step}"));
                    continue;
                }
            };
            staged.carry_out(out)?;
        }
        Ok(())
    }
}

impl Step {
    fn carry_out(&self, out: &mut impl io::Write) -> Result<(), Failure> {
        let failed = |what: &str, path: &Path, error: io::Error| {
            let text = format!("cannot {what} {}", path.display());
            match error.kind() {
                io::ErrorKind::PermissionDenied => {
                    let text = format!("{text}: this needs root; put sudo before the command");
                    Failure::new(Exit::Io, text)
                }
                _ => Failure::io(Exit::Io, &text, &error),
            }
        };
        match self {
            Self::Copy { from, to } => {
                tell(out, &format!("installing {}", to.display()));
                let bytes = fs::read(from).map_err(|error| failed("read", from, error))?;
                put(to, &bytes, 0o755).map_err(|error| failed("write", to, error))
            }
            Self::Write { path, text } => {
                tell(out, &format!("writing {}", path.display()));
                put(path, text.as_bytes(), 0o644).map_err(|error| failed("write", path, error))
            }
            Self::Remove { path } => match fs::remove_file(path) {
                Ok(()) => {
                    tell(out, &format!("removed {}", path.display()));
                    Ok(())
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(error) => Err(failed("remove", path, error)),
            },
            Self::Run { words } => {
                tell(out, &format!("running {}", line(words)));
                run(words)
            }
            Self::Try { words } => {
                tell(out, &format!("running {}", line(words)));
                // It may well have been done before.
                let _ = run(words);
                Ok(())
            }
        }
    }
}

/// Writes a file beside its place and moves it there, so that nobody ever sees half of it, and a
/// program can be replaced while it runs.
fn put(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let beside = PathBuf::from(name);
    // What a run that was cut off has left behind is no longer wanted.
    let _ = fs::remove_file(&beside);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
    file.write_all(bytes)?;
    // Whatever the umask of the caller is.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

fn run(words: &[String]) -> Result<(), Failure> {
    let status = Command::new(&words[0])
        .args(&words[1..])
        .status()
        .map_err(|error| Failure::io(Exit::Io, &format!("cannot run {}", words[0]), &error))?;
    if status.success() {
        return Ok(());
    }
    let text = format!("\"{}\" failed ({status}); its own words stand above", line(words));
    Err(Failure::new(Exit::Io, text))
}

fn tell(out: &mut impl io::Write, text: &str) {
    // Nobody has to listen.
    let _ = writeln!(out, "{text}");
}

fn line(words: &[String]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

fn quoted_path(path: &Path) -> String {
    quoted(&path.display().to_string())
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "/._-+@:,=%".contains(char);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_reads_as_a_script() {
        let plan = Plan {
            steps: vec![
                Step::Copy { from: "/tmp/a b".into(), to: "/usr/local/bin/x".into() },
                Step::write("/etc/x", "one\ntwo\n"),
                Step::run(&["systemctl", "enable", "it's"]),
                Step::attempt(&["systemctl", "stop", "x"]),
                Step::remove("/etc/x"),
            ],
            notes: vec!["a note".into()],
        };
        let expected = "# a note\ninstall -m 0755 '/tmp/a b' /usr/local/bin/x\n\
            cat > /etc/x <<'END'\none\ntwo\nEND\nsystemctl enable 'it'\\''s'\n\
            systemctl stop x || true\nrm -f /etc/x\n";
        assert_eq!(plan.text(), expected);
    }

    #[test]
    fn a_command_that_fails_is_told_and_one_that_may_is_not() {
        let failing = ["false"];
        let mut out = Vec::new();
        assert!(Step::run(&failing).carry_out(&mut out).is_err());
        assert!(Step::attempt(&failing).carry_out(&mut out).is_ok());
        assert!(Step::run(&["/nonexistent/x"]).carry_out(&mut out).is_err());
        assert_eq!(String::from_utf8(out).unwrap().lines().next(), Some("running false"));
    }
}
