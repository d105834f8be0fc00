//! What WebSockets may do, and how they are kept alive.

use std::time::Duration;

use landline::{Config, Deflate, Rate};

use crate::settings::form::{BYTES, BYTES_OR_ZERO, LEVEL, RATE, SECONDS, SWITCH};
use crate::settings::setting::{One, Preset, declare};

declare! {
    /// What WebSockets may do, and how they are kept alive.
    WebSocket in "WebSocket";

    /// Longest message from a WebSocket client; a longer one closes with 1009
    ws_max_size: One<usize> = BYTES, Preset::of(Config::default().message_bytes()), Live;

    /// Most replies that are held back while more messages of the same client wait, to go out with
    /// one write; 0 holds none
    held_bytes: One<usize> = BYTES_OR_ZERO, Preset::of(Config::default().held_bytes()), Live;

    /// Silence after which a client is pinged; 0 turns pings off
    ws_ping_interval: One<Duration> =
        SECONDS, Preset::seconds(Config::default().ping_interval()), Live;

    /// Time for a pinged client to show life, else it is closed with 1011; 0 never gives up
    ws_ping_timeout: One<Duration> =
        SECONDS, Preset::seconds(Config::default().ping_timeout()), Live;

    /// Most messages of one client in a second, and at once; what comes faster waits, and whoever
    /// goes on for --ws-rate-patience is closed with 1008
    ws_message_rate: One<Rate> = RATE, Preset::words("no limit", "50:200"), Live;

    /// Most bytes of one client in a second, and at once, as --ws-message-rate
    ws_byte_rate: One<Rate> = RATE, Preset::words("no limit", "100000:1000000"), Live;

    /// For how long a client may send faster than --ws-message-rate and --ws-byte-rate; 0 holds it
    /// back without end
    ws_rate_patience: One<Duration> =
        SECONDS, Preset::seconds(Config::default().rate_patience()), Live;

    /// Whether messages are compressed where the client offers it (permessage-deflate)
    ws_per_message_deflate: One<bool> =
        SWITCH, Preset::of(Config::default().compression().is_some()), Live;

    /// How hard messages are compressed, from 1 (fast) to 9 (small)
    ws_deflate_level: One<u8> = LEVEL, Preset::of(Deflate::new().level()), Live;

    /// Length from which on a message is compressed
    ws_deflate_threshold: One<usize> =
        BYTES_OR_ZERO, Preset::of(Deflate::new().threshold_bytes()), Live;
}
