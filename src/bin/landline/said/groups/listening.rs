//! Where the server listens.

use crate::said::form::{HOST, PORT};
use crate::said::setting::{Many, One, Preset, declare};
use crate::settings;
use crate::values::Host;

declare! {
    /// Where the server listens.
    Listening in "Listening";

    /// Address or name to listen on; may be repeated, or several with commas
    host: Many<Host> = HOST, Preset::of(settings::HOST), Restart;

    /// Port to listen on; 0 picks a free one for each address
    port: One<u16> = PORT, Preset::of(settings::PORT), Restart;
}
