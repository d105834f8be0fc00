//! What browsers are shown.

use std::path::PathBuf;

use crate::settings::form::DIRECTORY;
use crate::settings::setting::{One, Preset, declare};

declare! {
    /// What browsers are shown.
    Pages in "Pages";

    /// Directory whose files replace the built-in pages of the same name (index.html, base.html,
    /// echo.html, echo_once.html, connection.html, rooms.html, chat.html, admin.html,
    /// landline.css, chat.css, admin.css, landline.js, line.js, chat.js, admin.js, ws4redis.js,
    /// landline.svg)
    templates: One<PathBuf> = DIRECTORY, Preset::words("the built-in pages", "pages"), Live;
}
