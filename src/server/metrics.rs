//! What can be counted of a server, as values; `text` writes them for Prometheus.

use std::sync::Arc;
use std::time::Duration;

use crate::conn::Traffic;
use crate::histogram::Timings;
use crate::hub::HubStats;
use crate::net::process::ProcessFigures;
use crate::server::app::App;
use crate::sync::atomic::Ordering::Relaxed;

mod text;

/// Everything that is counted of a server; made by [`Handle::metrics`](crate::Handle::metrics).
///
/// Counts begin with the server and never go back; what they count is said at each field.
/// `docs/METRICS.md` lists them as Prometheus sees them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Metrics {
    /// Open connections now, HTTP and WebSocket.
    pub connections: usize,
    /// Most that are admitted.
    pub max_connections: usize,
    /// True while the server accepts nothing new because it is to stop.
    pub is_stopping: bool,
    /// WebSockets of each route, by its pattern.
    pub routes: Vec<RouteFigures>,
    /// What went through all WebSockets, those that have ended included.
    pub traffic: Traffic,
    /// Bytes that wait for WebSocket clients now.
    pub queued_bytes: usize,
    /// The most memory that the queue of one of them ever took, in bytes.
    pub queue_high_bytes: usize,
    /// WebSockets that have ended, by code and cause.
    pub closes: Vec<CloseFigures>,
    /// Handshakes that were answered with another status than 101, by reason.
    pub refused_handshakes: Vec<(&'static str, u64)>,
    /// Clients that were turned away, whatever the reason.
    pub refused_clients: u64,
    /// Clients that were turned away, by [reason](crate::RefusalReason).
    pub refused_by_reason: Vec<(&'static str, u64)>,
    /// Open connections that have not sent a whole request yet.
    pub silent_connections: usize,
    /// WebSocket clients that stopped reading and were closed with 1013.
    pub slow_clients: u64,
    /// WebSocket clients that went on sending faster than they may and were closed with 1008.
    pub fast_clients: u64,
    /// HTTP answers by the first digit of their status, from 1 on.
    pub responses: [u64; 5],
    /// How long requests took, from the end of their head until their handler returned.
    pub http_handlers: Timings,
    /// How long handlers of WebSockets were away with a message until they came for the next, or
    /// returned. At most one message of each connection and second is timed.
    pub websocket_handlers: Timings,
    /// What went through the hub. Servers that share a hub have the same figures here.
    pub hub: HubStats,
    /// How long messages were on their way through the hub, see [`Hub::latency`](crate::Hub::latency).
    pub hub_latency: Timings,
    /// Messages that groups have dropped, by policy.
    pub dropped_by_policy: Vec<(&'static str, u64)>,
    /// What the operating system knows of the process.
    pub process: ProcessFigures,
}

/// The WebSockets of one route.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouteFigures {
    /// The pattern of the route.
    pub route: Arc<str>,
    /// Open now.
    pub open: usize,
    /// Opened since the server began.
    pub opened: u64,
}

/// WebSockets that ended alike.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseFigures {
    /// The close code; 3000 for all from 3000 to 3999, and 4000 for those from 4000 on.
    pub code: u16,
    /// Who or what ended them: `client`, `lost` (the client went without a word), `protocol` (it
    /// broke the protocol), `done` (the handler returned), `application` (the handler closed),
    /// `handler-failed`, `fast-client` (it went on sending faster than it may), `slow-client`,
    /// `slow-handler`, `keepalive`, `policy` (closed with 1008), `operator`, `expired`, `stopping`,
    /// `unknown`.
    pub cause: &'static str,
    /// How many.
    pub count: u64,
}

impl Metrics {
    /// Reads everything; the open connections are looked at one by one.
    pub(super) fn read(app: &App) -> Self {
        let sums = app.shared.roll.sums();
        let hub = app.surroundings().hub.clone();
        let routes = sums.routes.into_iter();
        let closes = sums.closes.into_iter();
        Self {
            connections: app.stats.open(),
            max_connections: app.stats.limit(),
            is_stopping: app.stats.is_stopping(),
            routes: routes
                .map(|(route, open, opened)| RouteFigures { route, open, opened })
                .collect(),
            traffic: sums.traffic,
            queued_bytes: sums.queued_bytes,
            queue_high_bytes: sums.queue_high_bytes,
            closes: closes
                .map(|(code, cause, count)| CloseFigures { code, cause, count })
                .collect(),
            refused_handshakes: app.counts.refusals(),
            refused_clients: app.shared.refusals.sum(),
            refused_by_reason: app.shared.refusals.by_reason().collect(),
            silent_connections: app.stats.silent(),
            slow_clients: app.shared.slow_clients.load(Relaxed),
            fast_clients: app.shared.fast_clients.load(Relaxed),
            responses: app.counts.answers(),
            http_handlers: app.counts.times(),
            websocket_handlers: app.shared.handler_times.read(),
            hub: hub.stats(),
            hub_latency: hub.latency(),
            dropped_by_policy: hub.dropped_by_policy().collect(),
            process: ProcessFigures::read(),
        }
    }

    /// The figures as text for Prometheus, in the exposition format 0.0.4: to be answered with the
    /// content type [`CONTENT_TYPE`](Self::CONTENT_TYPE).
    pub fn to_prometheus(&self) -> String {
        text::write(self)
    }

    /// What the text is.
    pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

    /// How long the process has run.
    pub fn uptime(&self) -> Duration {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        now.saturating_sub(self.process.started)
    }
}
