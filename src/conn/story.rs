//! What is told of a WebSocket: who, on which route, since when, what went through, and how it
//! ended.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::conn::connection::Connection;
use crate::conn::mailbox::Mailbox;
use crate::conn::send_state::End;
use crate::conn::socket::WebSocket;
use crate::conn::trace::{Mark, Trace, TraceEvent};
use crate::conn::traffic::Traffic;
use crate::net::peer::Peer;
use crate::ws::close::Violation;
use crate::ws::{Closed, Side, close_code};

/// What a connection remembers of itself from its handshake on.
#[derive(Debug)]
pub(crate) struct Story {
    /// The pattern of the route, never the path: there are few of them.
    route: Arc<str>,
    /// In a box because few have any: a story without it is what most of them are.
    about: Option<Box<About>>,
    /// When the handshake was answered, in microseconds of the wall clock.
    since: u64,
    /// The same moment by the keeper's clock; zero until the handshake is answered.
    opened: u64,
    /// There from the second event on: to have opened is all that many have to tell.
    trace: Option<Box<Trace>>,
}

/// What is known of some connections only.
#[derive(Debug, Default)]
struct About {
    user: Option<Box<str>>,
    /// Whom a trusted proxy speaks for.
    forwarded: Option<IpAddr>,
    subprotocol: Option<Box<str>>,
}

/// An open WebSocket, as it was when it was asked for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// The number of the connection, as in the log.
    pub id: u64,
    /// The client's address; `0.0.0.0:0` for one that came through a Unix socket.
    pub peer: SocketAddr,
    /// The address of the client, as [`Request::client`](crate::Request::client): that of the
    /// `peer`, or what a trusted proxy says in its header fields.
    pub client: IpAddr,
    /// The pattern of its route.
    pub route: Arc<str>,
    /// The name of its user, where one is known.
    pub user: Option<String>,
    /// The subprotocol that was agreed on, if one was.
    pub subprotocol: Option<String>,
    /// True if messages may be compressed: client and server have agreed on it.
    pub is_compressed: bool,
    /// When its handshake was answered.
    pub since: SystemTime,
    /// What went through.
    pub traffic: Traffic,
    /// Bytes that wait for the client.
    pub queued_bytes: usize,
    /// The most memory that its queue ever took, in bytes.
    pub queue_high_bytes: usize,
    /// Messages of groups that were meant for it and never went out whole.
    pub lost: u64,
    /// The groups that it is a member of, sorted.
    pub groups: Vec<String>,
}

/// A WebSocket that has ended, with what the flight recorder kept of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClosedConnection {
    /// What it was when it ended; it is in no group any more.
    pub info: ConnectionInfo,
    /// When it ended.
    pub ended: SystemTime,
    /// How long it was open.
    pub open_for: Duration,
    /// Who ended it, with which code and reason. The reason may be the client's own words.
    pub closed: Closed,
    /// Why, in one of a few words: those of the metric `landline_websocket_closes_total`.
    pub cause: &'static str,
    /// The last 64 events.
    pub events: Vec<TraceEvent>,
}

/// The words of the server for ends that are its own doing.
pub(crate) mod words {
    pub(crate) const SLOW_CLIENT: &str = "client too slow";
    pub(crate) const SLOW_HANDLER: &str = "server too busy";
    pub(crate) const KEEPALIVE: &str = "keepalive ping timeout";
    pub(crate) const HANDLER_FAILED: &str = "internal error";
    pub(crate) const STOPPING: &str = "the server is stopping";
    pub(crate) const STOPPED: &str = "the server stopped";
}

/// Why a connection ended, in one of a few words.
fn cause(end: Option<&End>, why: Option<&'static str>) -> &'static str {
    let Some(End { closed, violation }) = end else { return "unknown" };
    match violation {
        Some(Violation::TooFast) => return "fast-client",
        Some(_) => return "protocol",
        None => {}
    }
    if let (Side::Server, Some(why)) = (closed.by, why) {
        return why;
    }
    match (closed.by, closed.code, &*closed.reason) {
        (Side::Client, close_code::LOST, _) => "lost",
        (Side::Client, _, _) => "client",
        (Side::Server, _, words::SLOW_CLIENT) => "slow-client",
        (Side::Server, _, words::SLOW_HANDLER) => "slow-handler",
        (Side::Server, _, words::KEEPALIVE) => "keepalive",
        (Side::Server, _, words::HANDLER_FAILED) => "handler-failed",
        (Side::Server, _, words::STOPPING | words::STOPPED) => "stopping",
        (Side::Server, close_code::GOING_AWAY, _) => "stopping",
        (Side::Server, close_code::TOKEN_EXPIRED, _) => "expired",
        (Side::Server, close_code::POLICY, _) => "policy",
        (Side::Server, close_code::NORMAL, "") => "done",
        (Side::Server, _, _) => "application",
    }
}

impl Story {
    fn about_mut(&mut self) -> &mut About {
        self.about.get_or_insert_default()
    }

    fn user(&self) -> Option<&str> {
        self.about.as_ref()?.user.as_deref()
    }

    /// What has been noted, of a connection that compresses its messages or does not.
    fn trace_mut(&mut self, is_compressed: bool) -> &mut Trace {
        let opened = self.opened;
        self.trace.get_or_insert_with(|| Box::new(begun(opened, is_compressed)))
    }

    /// The events so far, of a connection that compresses its messages or does not.
    fn events(&self, is_compressed: bool) -> Vec<TraceEvent> {
        match &self.trace {
            Some(trace) => trace.events(),
            None => begun(self.opened, is_compressed).events(),
        }
    }

    /// Why the server closes, if it is none of its usual reasons.
    fn why(&self) -> Option<&'static str> {
        self.trace.as_ref()?.cause()
    }
}

/// What there is to tell of a connection as long as nothing was noted.
fn begun(opened: u64, is_compressed: bool) -> Trace {
    Trace::begun((opened != 0).then_some(is_compressed))
}

impl Connection {
    /// Begins what is told of a connection: its handshake is valid and goes to this route, for a
    /// client that a trusted proxy speaks for if there is one.
    pub(crate) fn begin_story(&self, route: Arc<str>, forwarded: Option<IpAddr>) {
        let about = forwarded.map(|_| Box::new(About { forwarded, ..About::default() }));
        let story = Story { route, about, since: 0, opened: 0, trace: None };
        *self.story.lock() = Some(Box::new(story));
    }

    /// Takes note of the subprotocol that the answer of the handshake names.
    pub(super) fn name_subprotocol(&self, name: Option<&str>) {
        let Some(name) = name else { return };
        if let Some(story) = self.story.lock().as_mut() {
            story.about_mut().subprotocol = Some(name.into());
        }
    }

    /// True if it is a WebSocket, or was to be one.
    pub(super) fn has_story(&self) -> bool {
        self.story.lock().is_some()
    }

    /// The handshake is answered: the connection is listed among the open ones from now on.
    pub(super) fn open_story(self: &Arc<Self>) {
        let mut story = self.story.lock();
        let Some(told) = story.as_mut() else { return };
        told.since = micros_of(SystemTime::now());
        told.opened = self.shared.clock.now();
        if let Some(trace) = &mut told.trace {
            trace.open(self.is_compressed());
        }
        let route = Arc::clone(&told.route);
        drop(story);
        self.shared.roll.open(route, self);
    }

    /// Whose connection it is, unless that is known.
    pub(crate) fn name_user(&self, name: &str) {
        if let Some(story) = self.story.lock().as_mut()
            && story.user().is_none()
        {
            story.about_mut().user = Some(name.into());
        }
    }

    /// The pattern of the route and the name of the user, as far as they are known.
    pub(crate) fn route_and_user(&self) -> (Arc<str>, Option<String>) {
        let story = self.story.lock();
        let Some(story) = story.as_deref() else { return ("".into(), None) };
        (Arc::clone(&story.route), story.user().map(str::to_owned))
    }

    /// True if it is this user's.
    pub(crate) fn is_of(&self, name: &str) -> bool {
        self.story.lock().as_ref().is_some_and(|story| story.user() == Some(name))
    }

    /// Notes an event for those who ask later; nothing unless it is a WebSocket.
    #[cold]
    pub(crate) fn note(&self, mark: Mark, number: u64) {
        if let Some(story) = self.story.lock().as_mut() {
            let millis = self.shared.clock.now().saturating_sub(story.opened);
            story.trace_mut(self.is_compressed()).note(millis, mark, number);
        }
    }

    /// Notes what has gone through since the keeper's last look.
    pub(super) fn look_at_traffic(&self) {
        let (traffic, queue) = (self.traffic(), self.outbox.queue_figures());
        if let Some(story) = self.story.lock().as_mut() {
            let millis = self.shared.clock.coarse().saturating_sub(story.opened);
            if story.trace.is_some() || traffic.has_messages() || queue.cost > 0 {
                let trace = story.trace_mut(self.is_compressed());
                trace.look(millis, traffic);
                trace.note_queue(millis, queue.cost);
            }
        }
    }

    fn is_compressed(&self) -> bool {
        self.outbox.deflating().is_some()
    }

    /// What went through so far.
    pub(crate) fn traffic(&self) -> Traffic {
        let (messages_sent, bytes_sent) = self.outbox.sent();
        Traffic {
            messages_received: self.heard.messages(),
            messages_sent,
            bytes_received: self.heard.bytes(),
            bytes_sent,
        }
    }

    /// What can be told now; `None` unless it is a WebSocket.
    pub(crate) fn info(&self) -> Option<ConnectionInfo> {
        let (traffic, queue) = (self.traffic(), self.outbox.queue_figures());
        let untaken = self.mailbox().map_or(0, Mailbox::lost);
        let story = self.story.lock();
        let story = story.as_deref()?;
        let about = story.about.as_deref();
        let peer = self.peer().address();
        Some(ConnectionInfo {
            id: self.id(),
            peer,
            client: about.and_then(|about| about.forwarded).unwrap_or(peer.ip()),
            route: Arc::clone(&story.route),
            user: story.user().map(str::to_owned),
            subprotocol: about.and_then(|about| about.subprotocol.as_deref()).map(str::to_owned),
            is_compressed: self.is_compressed(),
            since: UNIX_EPOCH + Duration::from_micros(story.since),
            traffic,
            queued_bytes: queue.bytes,
            queue_high_bytes: queue.high,
            lost: queue.lost + untaken,
            groups: Vec::new(),
        })
    }

    /// The events so far.
    pub(crate) fn events(&self) -> Vec<TraceEvent> {
        self.story.lock().as_ref().map_or_else(Vec::new, |story| story.events(self.is_compressed()))
    }

    /// Why the connection ended, in one of a few words.
    pub(super) fn cause(&self) -> &'static str {
        let end = self.outbox.end();
        let story = self.story.lock();
        cause(end.as_ref(), story.as_ref().and_then(|story| story.why()))
    }

    /// The whole story of a connection that is over.
    pub(super) fn end_story(&self) -> Option<ClosedConnection> {
        let (info, end) = (self.info()?, self.outbox.end());
        let mut story = self.story.lock();
        let story = story.as_mut()?;
        let open_for = self.shared.clock.now().saturating_sub(story.opened);
        story.trace_mut(self.is_compressed()).finish(open_for, info.traffic);
        Some(ClosedConnection {
            info,
            ended: SystemTime::now(),
            open_for: Duration::from_millis(open_for),
            cause: cause(end.as_ref(), story.why()),
            closed: end.map_or_else(|| Closed::lost(Side::Server, ""), |end| end.closed),
            events: story.events(self.is_compressed()),
        })
    }
}

/// Microseconds of the wall clock.
fn micros_of(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

impl WebSocket {
    /// Whose connection it is, unless that is known.
    pub(crate) fn name_user(&self, name: &str) {
        self.conn.name_user(name);
    }
}

impl fmt::Display for ClosedConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "conn-{} {}: {}", self.info.id, Peer::from(self.info.peer), self.closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ws::close::CloseFrame;

    fn caused(by: Side, code: u16, reason: &str) -> &'static str {
        let closed = Closed::from_frame(by, &CloseFrame::new(code, reason).unwrap(), true);
        cause(Some(&End { closed, violation: None }), None)
    }

    /// With the two words that the allocator adds it is a block of 64 bytes, and there is one for
    /// each connection.
    #[test]
    fn what_every_connection_remembers_is_little() {
        assert!(size_of::<Story>() <= 56, "{}", size_of::<Story>());
    }

    #[test]
    fn causes_are_few_whatever_a_client_writes() {
        assert_eq!(caused(Side::Client, 1000, ""), "client");
        assert_eq!(caused(Side::Client, 4711, words::SLOW_CLIENT), "client");
        assert_eq!(caused(Side::Server, 1013, words::SLOW_CLIENT), "slow-client");
        assert_eq!(caused(Side::Server, 1000, ""), "done");
        assert_eq!(caused(Side::Server, 4000, "kicked"), "application");
        assert_eq!(cause(None, None), "unknown");
        let lost = End { closed: Closed::lost(Side::Client, "failed"), violation: None };
        assert_eq!(cause(Some(&lost), Some("operator")), "lost");
        let violation = Some(Violation::Utf8);
        assert_eq!(cause(Some(&End { violation, ..lost.clone() }), Some("operator")), "protocol");
        let violation = Some(Violation::TooFast);
        assert_eq!(cause(Some(&End { violation, ..lost }), None), "fast-client");
    }
}
