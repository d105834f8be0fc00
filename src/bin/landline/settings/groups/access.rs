//! Who may come in.

use crate::settings::form::{HOST_NAME, KEY, ORIGIN};
use crate::settings::setting::{Many, One, Preset, declare};
use crate::settings::values::Secret;

declare! {
    /// Who may come in.
    Access in "Access";

    /// Web page that may open WebSockets besides the server's own: https://example.com,
    /// example.com, .example.com (with subdomains), or "any"; may be repeated
    origin: Many<String> =
        ORIGIN, Preset::words("the server's own pages only", "https://example.com"), Live;

    /// Host name to answer to besides those of loopback: example.com, .example.com, or "*";
    /// may be repeated
    allowed_host: Many<String> =
        HOST_NAME,
        Preset::words("any, but on loopback addresses only its own names", "example.com"),
        Live;

    /// Key that publishing by HTTP needs, 16 characters or more; safer in the settings file or the
    /// environment, where other users of the machine do not see it
    publish_key: One<Secret> =
        KEY,
        Preset::words("none: open on loopback addresses, closed on others", ""),
        Live;
}
