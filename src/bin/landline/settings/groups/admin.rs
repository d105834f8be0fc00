//! Where operators see what goes on.

use crate::settings::defaults;
use crate::settings::form::{HOST, KEY, PORT};
use crate::settings::setting::{One, Preset, declare};
use crate::settings::values::{Host, Secret};

declare! {
    /// Where operators see what goes on.
    Admin in "Admin page and metrics";

    /// Port of a listener of its own for /admin/, /metrics, /healthz and /readyz; 0 picks a free one
    admin_port: One<u16> =
        PORT, Preset::words("no listener of its own: beside the others with --admin-key", "8001"),
        Restart;

    /// Address of that listener
    admin_host: One<Host> = HOST, Preset::of(defaults::HOST), Restart;

    /// Key that the admin page and the metrics need, 16 characters or more; safer in the settings
    /// file or the environment, where other users of the machine do not see it
    admin_key: One<Secret> =
        KEY,
        Preset::words("none: on a listener of its own on loopback, to look and not to touch", ""),
        WithPage;
}

impl Admin {
    /// True if there is to be a page at all.
    pub(crate) fn is_wanted(&self) -> bool {
        self.admin_port.is_some() || self.admin_host.is_some() || self.admin_key.is_some()
    }
}
