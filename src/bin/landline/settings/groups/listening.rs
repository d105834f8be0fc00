//! Where the server listens.

use std::path::PathBuf;

use crate::settings::defaults;
use crate::settings::form::{FILE, HOST, MODE, PORT};
use crate::settings::setting::{Many, One, Preset, declare};
use crate::settings::values::{FileMode, Host};

declare! {
    /// Where the server listens.
    Listening in "Listening";

    /// Address or name to listen on; may be repeated, or several with commas
    host: Many<Host> = HOST, Preset::of(defaults::HOST), Restart;

    /// Port to listen on; 0 picks a free one for each address
    port: One<u16> = PORT, Preset::of(defaults::PORT), Restart;

    /// Unix socket to listen on, for a proxy of this host; no port then, unless one is named or
    /// --host is
    uds: One<PathBuf> = FILE, Preset::words("none", "/run/landline.sock"), Restart;

    /// Who may connect to the Unix socket, as for chmod
    uds_mode: One<FileMode> = MODE, Preset::of(defaults::UDS_MODE), Restart;
}
