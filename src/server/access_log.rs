//! One line for each answered request and each ended WebSocket, under the target
//! `landline::access`.
//!
//! Paths stand in the log as they were sent, which is visible ASCII only; queries do not stand
//! there at all, because that is where people put tokens. What a peer wrote as a close reason is
//! escaped.

use std::borrow::Cow;
use std::time::Instant;

use crate::conn::connection::Connection;
use crate::conn::socket::Summary;
use crate::http::request::RequestHead;

const TARGET: &str = "landline::access";

/// A request that is to have a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    started: Instant,
}

impl Line {
    /// Notes when a request has come, or nothing if nobody reads the access log.
    pub(crate) fn start() -> Option<Self> {
        log::log_enabled!(target: TARGET, log::Level::Info)
            .then(|| Self { started: Instant::now() })
    }

    /// Writes the line of an answered request.
    pub(crate) fn answered(&self, conn: &Connection, head: &RequestHead, status: u16) {
        log::info!(
            target: TARGET,
            "conn-{} {} \"{} {}\" {status} {:.1}ms",
            conn.id(),
            conn.peer(),
            head.method(),
            path_of(head),
            self.started.elapsed().as_secs_f64() * 1000.0
        );
    }

    /// Writes the line of a WebSocket that is over.
    pub(crate) fn websocket_over(&self, conn: &Connection, head: &RequestHead, summary: &Summary) {
        let end = summary.closed.as_ref().map_or("gone".to_owned(), ToString::to_string);
        log::info!(
            target: TARGET,
            "conn-{} {} \"WebSocket {}\" {end}, {} in, {} out, {:.1}s",
            conn.id(),
            conn.peer(),
            path_of(head),
            summary.received,
            summary.sent,
            self.started.elapsed().as_secs_f64()
        );
    }
}

/// The path as it was sent, and whether there was a query.
fn path_of(head: &RequestHead) -> Cow<'_, str> {
    match head.target().split_once('?') {
        Some((path, _)) => Cow::Owned(format!("{path}?...")),
        None => Cow::Borrowed(head.target()),
    }
}
