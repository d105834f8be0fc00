//! The settings: each is declared once, three layers may say something about it, and the rest has
//! its default.
//!
//! ```text
//! flags ─────┐ layers/                      groups/: the declarations, of setting, form, values
//! variables ─┼─► Layer: text, source ─► Stated: what was said in the end, and where
//! file ──────┘   flag > variable > file   └─► Said: typed, `None` where nobody said anything
//!                                              └─► Settings (in_force): defaults, library types
//! ```
//!
//! Every layer yields texts, and one reader judges them, so a value means the same wherever it
//! stands, and a wrong one is reported with its place. Defaults are no layer: they live where the
//! values are used, in [`landline::Config`] or in `defaults`.
//!
//! # To add a setting
//! 1. In the file of its group below `groups` add its lines (a new group: a file beside them, and a
//!    line in `groups/mod.rs` and in `said.rs`):
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
//! 4. `Live` if SIGHUP changes it in a server that runs: `Reloader::apply` hands it on, and a test
//!    there wants to see that it comes to it. Else `Restart`; `WithTls` and `WithPage` lie between.
//!    What is not taken over while running is named to the operator by this declaration alone.
//! 5. Use it in `in_force.rs`: `said.websocket.ws_max_size`. What only the library can judge is
//!    reported with `said.place("key")`.
//! 6. If it opens a door to strangers, add it to `doors.rs`.
//! 7. Name the flag in the list of the README; a test compares.

pub(crate) mod defaults;
pub(crate) mod form;
mod groups;
mod in_force;
mod layers;
mod said;
mod setting;
mod stated;
pub(crate) mod values;

pub(crate) use groups::{Limits, Login, WebSocket};
pub(crate) use in_force::{Settings, is_any_origin};
pub(crate) use layers::{Flags, Layer, Source};
pub(crate) use said::{Said, all, find};
pub(crate) use setting::{Preset, Reload, Setting};
pub(crate) use stated::Stated;
