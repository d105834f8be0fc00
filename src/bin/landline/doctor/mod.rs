//! `landline doctor`: what this host can hold, whether the settings would work on it, and how the
//! server is reached from outside.
//!
//! ```text
//! settings, host, ports, certificates ──┐
//! line: wire ─ talk ─► /doctor/ (served) ┴─► findings ─► lines for people, or JSON; exit code
//! ```

pub(crate) mod args;
mod certificates;
mod command;
mod finding;
mod host;
mod line;
mod ports;
pub(crate) mod served;
mod talk;
mod wire;

pub(crate) use command::run;
