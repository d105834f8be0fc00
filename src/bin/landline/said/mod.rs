//! What was said about the settings: each is declared once, and three layers may say something.
//!
//! ```text
//! flags ──┐                                        (groups/*.rs: the declarations)
//! variables ──┼─► layer: text and source by key ─► Said: typed, `None` where nobody said anything
//! file ───┘   flag > variable > file                 └─► settings.rs: defaults, library types
//! ```
//!
//! Every layer yields texts, and one reader judges them, so a value means the same wherever it
//! stands, and a wrong one is reported with its place. Defaults are no layer: they live where the
//! values are used, in [`landline::Config`] or in `settings`.
//!
//! # To add a setting
//! 1. In the file of its group below `groups` add its lines (a new group: a file beside them, and a
//!    line in `groups/mod.rs` and in `all.rs`):
//!    ```text
//!    /// One sentence for the help, without a dot; the unit stands in the form
//!    ws_max_size: One<usize> = BYTES, Preset::of(Config::default().message_bytes()), Live;
//!    ```
//!    The name is the key; the flag `--ws-max-size` and the variable `LANDLINE_WS_MAX_SIZE` follow
//!    from it. `One` takes one value, `Many` a list (an array in the file, commas elsewhere).
//! 2. The form (`form.rs`) says how a value is written and who reads it: take one that is there, or
//!    add one, with its reader in `values.rs`. A secret is a `KEY`: never shown, and a blank variable
//!    is an error instead of "not set".
//! 3. The preset is the default: `Preset::of(value)`, or `Preset::words("what happens without",
//!    "an example")` for what has no value by default.
//! 4. `Live` if SIGHUP changes it in a server that runs (then `reload.rs` hands it on), else
//!    `Restart`.
//! 5. Use it in `settings.rs`: `said.websocket.ws_max_size`. What only the library can judge is
//!    reported with `said.place("key")`.
//! 6. If it opens a door to strangers, add it to `doors.rs`.
//! 7. Name the flag in the list of the README; a test compares.

mod all;
mod file;
mod flags;
pub(crate) mod form;
mod groups;
mod layer;
mod setting;
mod stated;
mod variables;

pub(crate) use all::{Said, all, find};
pub(crate) use flags::Flags;
pub(crate) use groups::{Limits, Login, WebSocket};
pub(crate) use layer::{Layer, Source};
pub(crate) use setting::{Preset, Reload, Setting};
pub(crate) use stated::Stated;
