//! What is logged.

use crate::settings::defaults;
use crate::settings::form::{FLAG, LOG_FORMAT, LOG_LEVEL};
use crate::settings::setting::{One, Preset, declare};
use crate::settings::values::{LogFormat, LogLevel};

declare! {
    /// What is logged.
    Log in "Log";

    /// How much is logged to standard error: off, critical, error, warning, info, debug or trace
    log_level: One<LogLevel> = LOG_LEVEL, Preset::of(defaults::LOG_LEVEL), Live;

    /// Log lines for people (text), or an object of JSON for each (json)
    log_format: One<LogFormat> = LOG_FORMAT, Preset::of(defaults::LOG_FORMAT), Live;

    /// Leave out the line for each request and each ended WebSocket
    no_access_log: One<bool> = FLAG, Preset::of(false), Live;
}
