//! One line for each answered request and each ended WebSocket, under the target
//! `landline::access`.
//!
//! Paths stand in the log as they were sent, which is visible ASCII only; queries do not stand
//! there at all, because that is where people put tokens. What a peer wrote as a close reason is
//! escaped. Each line has its parts as key-value pairs of the `log` crate too, for logs that are
//! read by programs: `docs/METRICS.md` lists them.

use std::borrow::Cow;
use std::time::Instant;

use crate::conn::connection::Connection;
use crate::conn::socket::Summary;
use crate::http::request::RequestHead;
use crate::route::Identity;
use crate::route::request::Request;
use crate::ws::{Closed, close_code};

const TARGET: &str = "landline::access";

/// A request that is to have a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    started: Instant,
}

impl Line {
    /// Notes when a request came, or nothing if nobody reads the access log.
    pub(crate) fn start(started: Instant) -> Option<Self> {
        log::log_enabled!(target: TARGET, log::Level::Info).then_some(Self { started })
    }

    /// Writes the line of an answered request.
    pub(crate) fn answered(&self, conn: &Connection, request: &Request, status: u16) {
        let (from, head) = (from(conn, request), request.head());
        let path = path_of(head);
        let millis = self.started.elapsed().as_secs_f64() * 1000.0;
        let user = request.identity().and_then(Identity::name).unwrap_or("");
        let named = quoted(user);
        log::info!(
            target: TARGET,
            event = "request",
            conn = conn.id(),
            peer:% = conn.peer(),
            client:% = request.client(),
            user = user,
            method:% = head.method(),
            path = &*path,
            status = status,
            seconds = millis / 1000.0;
            "conn-{} {from}{named} \"{} {path}\" {status} {millis:.1}ms",
            conn.id(),
            head.method(),
        );
    }

    /// Writes the line of a WebSocket that is over.
    pub(crate) fn websocket_over(&self, conn: &Connection, request: &Request, summary: &Summary) {
        let (from, path) = (from(conn, request), path_of(request.head()));
        let (traffic, closed) = (&summary.traffic, summary.closed.as_ref());
        let end = closed.map_or("gone".to_owned(), ToString::to_string);
        let user = summary.user.as_deref().unwrap_or("");
        let named = quoted(user);
        let seconds = self.started.elapsed().as_secs_f64();
        log::info!(
            target: TARGET,
            event = "websocket",
            conn = conn.id(),
            peer:% = conn.peer(),
            client:% = request.client(),
            user = user,
            path = &*path,
            route = &*summary.route,
            seconds = seconds,
            received = traffic.messages_received,
            sent = summary.sent,
            bytes_received = traffic.bytes_received,
            bytes_sent = traffic.bytes_sent,
            code = closed.map_or(close_code::LOST, Closed::code),
            reason = closed.map_or("", Closed::reason),
            by = closed.map_or("nobody", |closed| closed.by().name()),
            clean = closed.is_some_and(Closed::is_clean),
            cause = summary.cause;
            "conn-{} {from}{named} \"WebSocket {path}\" {end}, {} in, {} out, {} and {} bytes, {seconds:.1}s",
            conn.id(),
            traffic.messages_received,
            summary.sent,
            traffic.bytes_received,
            traffic.bytes_sent,
        );
    }
}

/// A name for the text of a line, if there is one.
fn quoted(user: &str) -> String {
    if user.is_empty() { String::new() } else { format!(" {user:?}") }
}

/// The other end, and for whom it says to speak if that is believed.
fn from(conn: &Connection, request: &Request) -> String {
    match request.forwarded_client() {
        Some(client) => format!("{} for {client}", conn.peer()),
        None => conn.peer().to_string(),
    }
}

/// The path as it was sent, and whether there was a query.
fn path_of(head: &RequestHead) -> Cow<'_, str> {
    match head.target().split_once('?') {
        Some((path, _)) => Cow::Owned(format!("{path}?...")),
        None => Cow::Borrowed(head.target()),
    }
}
