//! `landline service`: the server as a service of the host, under systemd.
//!
//! ```text
//! settings ─► Needs ─► unit ┐
//! host ───────────► Wanted ─┴─► Plan ─► shown (--dry-run), written below a directory (--destdir),
//!                                       or carried out
//! ```

pub(crate) mod args;
mod command;
mod install;
mod plan;
mod status;
mod unit;

pub(crate) use command::run;
