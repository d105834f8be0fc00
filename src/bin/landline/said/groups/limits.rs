//! How much and how long.

use std::time::Duration;

use landline::Config;

use crate::said::form::{BYTES, COUNT, SECONDS};
use crate::said::setting::{One, Preset, declare};

declare! {
    /// How much and how long.
    Limits in "Limits";

    /// Most open connections, WebSockets included; others are answered 503
    limit_concurrency: One<usize> =
        COUNT, Preset::words("what this host can hold", "10000"), Live;

    /// Most open connections of one client address (one /64 for IPv6); others are answered 503
    limit_per_address: One<usize> =
        COUNT, Preset::words("no limit, as is right behind a proxy", "100"), Live;

    /// Longest request body; a longer one is answered 413
    max_body_size: One<usize> = BYTES, Preset::of(Config::default().body_bytes()), Live;

    /// Time an HTTP connection may stay open between two requests
    timeout_keep_alive: One<Duration> =
        SECONDS, Preset::seconds(Config::default().keep_alive()), Live;

    /// Time for a client to take what is sent to it; one that takes nothing is cut
    timeout_send: One<Duration> =
        SECONDS, Preset::seconds(Config::default().send_timeout()), Live;

    /// Time that a server which was told to stop serves on as before, not ready any more, until its
    /// load balancer has noticed
    drain_delay: One<Duration> = SECONDS, Preset::seconds(Config::default().drain_delay()), Live;

    /// Time over which WebSockets are closed when the server stops, one after the other, so that
    /// their clients do not all come back at the same moment
    drain_time: One<Duration> = SECONDS, Preset::seconds(Config::default().drain_time()), Live;

    /// Time for open connections to end when the server stops, after --drain-time
    timeout_graceful_shutdown: One<Duration> =
        SECONDS, Preset::seconds(Config::default().shutdown_grace()), Live;
}
