//! One line for each answered request and each ended WebSocket, under the target
//! `landline::access`.
//!
//! Paths stand in the log as they were sent, which is visible ASCII only; queries do not stand
//! there at all, because that is where people put tokens. What a peer wrote as a close reason is
//! escaped.

use std::time::Instant;

use crate::conn::connection::Connection;
use crate::conn::socket::Summary;

const TARGET: &str = "landline::access";

/// What a line says of the request.
#[derive(Debug)]
pub(crate) struct Line {
    method: String,
    path: String,
    started: Instant,
}

impl Line {
    /// Notes a request, or nothing if nobody reads the access log.
    pub(crate) fn start(method: &str, target: &str) -> Option<Self> {
        if !log::log_enabled!(target: TARGET, log::Level::Info) {
            return None;
        }
        let path = match target.split_once('?') {
            Some((path, _)) => format!("{path}?..."),
            None => target.to_owned(),
        };
        Some(Self { method: method.to_owned(), path, started: Instant::now() })
    }

    /// Writes the line of an answered request.
    pub(crate) fn answered(&self, conn: &Connection, status: u16) {
        log::info!(
            target: TARGET,
            "conn-{} {} \"{} {}\" {status} {:.1}ms",
            conn.id(),
            conn.peer(),
            self.method,
            self.path,
            self.started.elapsed().as_secs_f64() * 1000.0
        );
    }

    /// Writes the line of a WebSocket that is over.
    pub(crate) fn websocket_over(&self, conn: &Connection, summary: &Summary) {
        let end = summary.closed.as_ref().map_or("gone".to_owned(), ToString::to_string);
        log::info!(
            target: TARGET,
            "conn-{} {} \"WebSocket {}\" {end}, {} in, {} out, {:.1}s",
            conn.id(),
            conn.peer(),
            self.path,
            summary.received,
            summary.sent,
            self.started.elapsed().as_secs_f64()
        );
    }
}
