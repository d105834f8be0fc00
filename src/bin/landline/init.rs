//! `landline init`: writes a settings file to begin with.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::exit::{Exit, Failure};
use crate::settings::{Preset, Setting, all};

/// The file, if none is named.
pub(crate) const DEFAULT_FILE: &str = "landline.toml";

/// Only the owner may read and write: there are secrets in it.
const MODE: u32 = 0o600;

/// Bytes of a fresh secret.
const SECRET_BYTES: usize = 32;

/// Longest line of a comment.
const WIDTH: usize = 96;

/// What is said when it went well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Words {
    /// What was written, and what comes next.
    All,
    /// Nothing: a script knows what comes next, and may change who can read the file.
    None,
}

/// Writes a settings file with every key, its default and a line of help, and fresh secrets.
///
/// # Errors
/// There is a file already, which stays as it is; it cannot be written; no randomness.
pub(crate) fn init(path: &Path, words: Words) -> Result<(), Failure> {
    let text = text()?;
    let place = path.display();
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(MODE).open(path).map_err(|error| {
            if error.kind() == io::ErrorKind::AlreadyExists {
                let text =
                    format!("{place} is there already and stays as it is; name another file");
                return Failure::new(Exit::Config, text);
            }
            Failure::io(Exit::Config, &format!("cannot write {place}"), &error)
        })?;
    if let Err(error) = file.write_all(text.as_bytes()).and_then(|()| file.sync_all()) {
        // Half a file would pass for a whole one; if it cannot go either, the error says enough.
        let _ = fs::remove_file(path);
        return Err(Failure::io(Exit::Config, &format!("cannot write {place}"), &error));
    }
    if words == Words::None {
        return Ok(());
    }
    let next = format!(
        "{place} is written, with fresh secrets in it: its owner alone can read it (mode 0600).\n\
         Next: landline check --config {place}\n\
         then: landline --config {place}\n"
    );
    // Where nobody listens, the file is there all the same.
    let _ = io::stdout().write_all(next.as_bytes());
    Ok(())
}

/// The text of the file.
fn text() -> Result<String, Failure> {
    let mut text = String::from(
        "# Settings of Landline. What stands behind a # sets nothing and shows a default or an example;\n\
         # take the # away to set it. A flag (--port) or an environment variable (LANDLINE_PORT) goes\n\
         # before what stands here. Times are seconds; a relative path counts from the directory of\n\
         # this file. \"landline check --config FILE\" reads it strictly. SIGHUP has a running server\n\
         # read it again, all but what is marked (restart).\n",
    );
    let mut heading = "";
    for setting in all() {
        if setting.heading != heading {
            heading = setting.heading;
            text += &format!("\n# ---- {heading}\n");
        }
        text += &entry(setting)?;
    }
    Ok(text)
}

fn entry(setting: &Setting) -> Result<String, Failure> {
    let mut help = setting.help().to_owned();
    let preset = (setting.preset)();
    if let Preset::Words(words, _) = &preset {
        help += &format!(". Default: {words}");
    }
    help += setting.reload.words();
    let mut text = format!("\n{}", comment(&help));
    if setting.is_fresh {
        text += &setting.line(&[&fresh_secret()?]);
    } else {
        let texts: Vec<&str> = match preset.example() {
            "" if setting.is_list => Vec::new(),
            list if setting.is_list => list.split(',').map(str::trim).collect(),
            one => vec![one],
        };
        text += &format!("# {}", setting.line(&texts));
    }
    Ok(text + "\n")
}

/// Text as lines of a comment.
fn comment(text: &str) -> String {
    let mut lines = String::new();
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            lines += &line;
            lines.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line += word;
    }
    lines + &line + "\n"
}

/// A secret of the operating system's randomness, as hexadecimal digits.
pub(crate) fn fresh_secret() -> Result<String, Failure> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| {
        Failure::new(Exit::Io, format!("the system gives no random bytes for a secret: {error}"))
    })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_stands_in_the_file() {
        let text = text().unwrap();
        for setting in all() {
            let (set, shown) = (format!("\n{} = ", setting.key), format!("\n# {} = ", setting.key));
            assert_eq!(text.contains(&set), setting.is_fresh, "{}", setting.key);
            assert_eq!(text.contains(&shown), !setting.is_fresh, "{}", setting.key);
        }
        assert!(text.lines().all(|line| line.len() <= WIDTH || !line.starts_with("# ")));
    }

    #[test]
    fn secrets_are_fresh() {
        let (one, other) = (fresh_secret().unwrap(), fresh_secret().unwrap());
        assert!(one != other && one.len() == 2 * SECRET_BYTES);
    }
}
