//! What opens a door to strangers, said aloud. See `doors`.

use crate::settings::form::FLAG;
use crate::settings::setting::{One, Preset, declare};

declare! {
    /// What opens a door to strangers, said aloud.
    Insecure in "Insecure, each for a network whose every member you trust";

    /// Let pages of any site open WebSockets (--origin any) where others can reach the server
    insecure_any_origin: One<bool> = FLAG, Preset::of(false), Live;

    /// Believe everybody who reaches the server about who the client is (--forwarded-allow-ips "*")
    insecure_trust_any_proxy: One<bool> = FLAG, Preset::of(false), Live;

    /// Let everybody who reaches the server publish, without a key
    insecure_publish_without_key: One<bool> = FLAG, Preset::of(false), Live;

    /// Let everybody who reaches the admin page see it, and the metrics, without a key; nothing can
    /// be changed there without one
    insecure_admin_without_key: One<bool> = FLAG, Preset::of(false), Restart;
}
