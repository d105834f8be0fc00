//! How much and how long.

use std::time::Duration;

use landline::{Config, Rate};

use crate::settings::form::{BYTES, COUNT, RATE, SECONDS};
use crate::settings::setting::{One, Preset, declare};

declare! {
    /// How much and how long.
    Limits in "Limits";

    /// Most open connections, WebSockets included; others are answered 503
    limit_concurrency: One<usize> =
        COUNT, Preset::words("what this host can hold", "10000"), Live;

    /// Most open connections of one client address (one /64 for IPv6); others are answered 503
    limit_per_address: One<usize> =
        COUNT, Preset::words("no limit, as is right behind a proxy", "100"), Live;

    /// Most open WebSockets of one user, where it is known who that is; others are answered 429
    limit_per_user: One<usize> = COUNT, Preset::words("no limit", "10"), Live;

    /// Most connections that have not sent a whole request yet; when one more comes, the oldest of
    /// them is answered 503 and closed
    limit_silent: One<usize> = COUNT, Preset::words("half of --limit-concurrency", "1000"), Live;

    /// Most new connections in a second, and at once; others are answered 503
    limit_rate: One<Rate> = RATE, Preset::words("no limit", "500:2000"), Live;

    /// Most new connections in a second from one client address (one /64 for IPv6), and at once
    limit_rate_per_address: One<Rate> = RATE, Preset::words("no limit", "10:50"), Live;

    /// Connections that the system holds until they are accepted, cut to net.core.somaxconn
    backlog: One<usize> = COUNT, Preset::of(Config::default().listen_backlog()), Restart;

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
    drain_time: One<Duration> =
        SECONDS, Preset::words("0.002 for each connection, 10 at most", "10"), Live;

    /// Time for open connections to end when the server stops, after --drain-time
    timeout_graceful_shutdown: One<Duration> =
        SECONDS, Preset::seconds(Config::default().shutdown_grace()), Live;
}
