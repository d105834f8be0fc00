//! Log lines on standard error: time, level, text.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::{Arc, PoisonError, RwLock};

use env_logger::{Builder, Logger};
use log::kv::{self, Key, VisitSource};
use log::{LevelFilter, Log, Metadata, Record};
use serde_json::{Map, Value};

use crate::settings::values::LogFormat;

/// What the targets of the library and of this program begin with.
const OURS: &str = "landline";

/// The target of the library's access log.
const ACCESS: &str = "landline::access";

/// What the admin page asks again and again.
const POLLED: [&str; 4] = ["/admin/data", "/admin/connections", "/admin/groups", "/admin/closed"];

/// The log, which a reload replaces. A line takes the lock once, and waits for nobody who writes.
struct Current(RwLock<Option<Arc<Logger>>>);

static CURRENT: Current = Current(RwLock::new(None));

impl Current {
    fn logger(&self) -> Option<Arc<Logger>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Log for Current {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.logger().is_some_and(|logger| logger.enabled(metadata))
    }

    fn log(&self, record: &Record<'_>) {
        if let Some(logger) = self.logger() {
            logger.log(record);
        }
    }

    fn flush(&self) {}
}

/// Starts the log; called once.
pub(crate) fn start(level: LevelFilter, format: LogFormat, access_log: bool) {
    reload(level, format, access_log);
    // It fails only where there is a log already.
    let _ = log::set_logger(&CURRENT);
}

/// Has the lines to come written otherwise.
pub(crate) fn reload(level: LevelFilter, format: LogFormat, access_log: bool) {
    let logger = logger(level, format, access_log);
    log::set_max_level(logger.filter());
    *CURRENT.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(logger));
}

fn logger(level: LevelFilter, format: LogFormat, access_log: bool) -> Logger {
    let access = if access_log { level } else { LevelFilter::Off };
    // Without RUST_LOG: the level has a setting of its own.
    let mut builder = Builder::new();
    // What others say in detail may hold what the library leaves out: addresses with keys.
    builder.filter_level(level.min(LevelFilter::Warn)).filter_module(OURS, level);
    builder.filter_module(ACCESS, access);
    match format {
        LogFormat::Text => builder.format(|out, record| {
            if is_of_own_page(record) {
                return Ok(());
            }
            let time = out.timestamp_millis();
            let style = out.default_level_style(record.level());
            let level = record.level();
            writeln!(out, "{time} {style}{level:<5}{style:#} {}", OneLine(record.args()))
        }),
        LogFormat::Json => builder.format(|out, record| {
            if is_of_own_page(record) {
                return Ok(());
            }
            let time = out.timestamp_millis().to_string();
            writeln!(out, "{}", object(&time, record))
        }),
    };
    builder.build()
}

/// True for the line of a question that the admin page asks every two seconds, and that was answered.
fn is_of_own_page(record: &Record<'_>) -> bool {
    let part = |key: &str| record.key_values().get(Key::from(key));
    record.target() == ACCESS
        && part("status").and_then(|status| status.to_u64()) == Some(200)
        && part("path").is_some_and(|path| {
            let path = path.to_string();
            POLLED.iter().any(|polled| path.split('?').next() == Some(polled))
        })
}

/// A line as an object: when, how bad, from where, the parts that the line is made of, and its text.
fn object(time: &str, record: &Record<'_>) -> Value {
    let mut parts = Parts(Map::new());
    let mut put = |key: &str, text: &str| parts.0.insert(key.to_owned(), text.into());
    put("time", time);
    put("level", &record.level().as_str().to_lowercase());
    put("target", record.target());
    put("message", &record.args().to_string());
    // The visitor has no errors; no part of a line is called as one of those above.
    let _ = record.key_values().visit(&mut parts);
    Value::Object(parts.0)
}

/// Collects the parts of a line.
struct Parts(Map<String, Value>);

impl<'kvs> VisitSource<'kvs> for Parts {
    fn visit_pair(&mut self, key: Key<'kvs>, value: kv::Value<'kvs>) -> Result<(), kv::Error> {
        let number = || value.to_u64().map(Value::from).or_else(|| value.to_f64().map(Value::from));
        let known = value.to_bool().map(Value::from).or_else(number);
        self.0.insert(key.to_string(), known.unwrap_or_else(|| value.to_string().into()));
        Ok(())
    }
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
    fn a_line_of_json_has_the_parts_and_stays_one_line() {
        let parts = [("conn", kv::Value::from(17u64)), ("reason", kv::Value::from("\"}\n\u{1b}"))];
        let record = Record::builder()
            .args(format_args!("two\nlines"))
            .level(log::Level::Warn)
            .target("landline::access")
            .key_values(&parts)
            .build();
        let line = object("now", &record).to_string();
        assert!(!line.contains('\n'), "{line}");
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&read["conn"], &read["reason"]), (&17.into(), &"\"}\n\u{1b}".into()));
        assert_eq!((&read["level"], &read["message"]), (&"warn".into(), &"two\nlines".into()));
    }

    #[test]
    fn control_characters_are_escaped() {
        let shown = OneLine(&format_args!("a\nb {}\u{9b} é 你", "\x1b[31m")).to_string();
        assert_eq!(shown, "a\\nb \\u{1b}[31m\\u{9b} é 你");
    }
}
