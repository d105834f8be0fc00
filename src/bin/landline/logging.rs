//! Log lines on standard error: time, level, text.

use std::fmt::{self, Write as _};
use std::io::Write as _;

use env_logger::Builder;
use log::LevelFilter;

/// What the targets of the library and of this program begin with.
const OURS: &str = "landline";

/// The target of the library's access log.
const ACCESS: &str = "landline::access";

/// Starts the log; called once.
pub(crate) fn start(level: LevelFilter, access_log: bool) {
    let access = if access_log { level } else { LevelFilter::Off };
    // Without RUST_LOG: the level has a setting of its own.
    Builder::new()
        // What others say in detail may hold what the library leaves out: addresses with keys.
        .filter_level(level.min(LevelFilter::Warn))
        .filter_module(OURS, level)
        .filter_module(ACCESS, access)
        .format(|out, record| {
            let time = out.timestamp_millis();
            let style = out.default_level_style(record.level());
            let level = record.level();
            writeln!(out, "{time} {style}{level:<5}{style:#} {}", OneLine(record.args()))
        })
        .init();
}

/// Text without control characters, so that nothing a client sent can forge or colour a line.
struct OneLine<'a>(&'a fmt::Arguments<'a>);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escape(f), "{}", self.0)
    }
}

struct Escape<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for Escape<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive(char::is_control) {
            let plain = part.trim_end_matches(char::is_control);
            self.0.write_str(plain)?;
            write!(self.0, "{}", part[plain.len()..].escape_default())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        let shown = OneLine(&format_args!("a\nb {}\u{9b} é 你", "\x1b[31m")).to_string();
        assert_eq!(shown, "a\\nb \\u{1b}[31m\\u{9b} é 你");
    }
}
