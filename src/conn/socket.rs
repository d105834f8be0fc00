//! `WebSocket`, what a handler holds: receiving, sending, closing.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::conn::accept::Pending;
use crate::conn::connection::Connection;
use crate::conn::outbox::Patience;
use crate::conn::receive::Receive;
use crate::conn::send_state::End;
use crate::conn::sender::Sender;
use crate::conn::traffic::Traffic;
use crate::conn::waiting::Until;
use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, MutexGuard};
use crate::ws::close::CloseFrame;
use crate::ws::{Closed, Message, Side};

/// Longest step of waiting for time alone.
pub(super) const REST: Duration = Duration::from_millis(50);

/// One WebSocket connection, as its handler sees it.
///
/// The handler's thread reads; any thread may send, through a shared reference or a
/// [`Sender`]. The handshake is answered at the first use of the socket, or by
/// [`accept_with`](Self::accept_with): until then a handler may still answer plain HTTP.
///
/// # Blocking
/// Only [`wait`](Self::wait), [`wait_timeout`](Self::wait_timeout), their twins for the client and
/// its groups ([`wait_any`](Self::wait_any)), [`send`](Self::send), iteration and the JSON twins
/// wait, and each says until when. While the handler is away from all of them, the server's keeper
/// answers pings, takes messages into the inbox and notices the end.
///
/// # Example
/// ```
/// use landline::{Request, Result, WebSocket};
///
/// fn echo(_request: &Request, ws: &WebSocket) -> Result<()> {
///     for message in ws {
///         ws.send(message?)?;
///     }
///     Ok(())
/// }
/// # let _ = landline::require_websocket(echo);
/// ```
///
/// # Source
/// dwebsocket `WebSocket`, with the differences listed in `docs/COMPATIBILITY.md`.
pub struct WebSocket {
    pub(super) conn: Arc<Connection>,
    /// True once the 101 is on its way.
    pub(super) is_open: AtomicBool,
    /// What the handshake needs; gone once it is answered.
    pub(super) pending: Mutex<Option<Box<Pending>>>,
    pub(super) offered: Vec<String>,
}

impl WebSocket {
    /// Waits for the next message.
    ///
    /// Messages that arrived before a close are delivered first. `Ok(None)` means that the
    /// connection ended cleanly; it stays so.
    ///
    /// # Blocking
    /// Until a message or the end of the connection, whoever ends it: the client, another thread
    /// with [`close`](Self::close), the keepalive or the server's stop.
    ///
    /// # Errors
    /// `Closed`: the connection ended without the closing handshake or the client broke the
    /// protocol; [`closed`](Self::closed) has the details, the source has the cause.
    ///
    /// # Source
    /// dwebsocket `wait()`, which could not tell a close from a time-out.
    pub fn wait(&self) -> Result<Option<Message>> {
        self.open()?;
        let mut receive = self.conn.receive.lock();
        loop {
            if let Some(message) = receive.pop(&self.conn) {
                return Ok(Some(message));
            }
            if receive.is_over() {
                receive.conclude(&self.conn);
                drop(receive);
                return self.outcome();
            }
            if let Some(time) = receive.held_back(&self.conn) {
                drop(receive);
                rest(time);
                receive = self.conn.receive.lock();
            } else {
                receive.fill(&self.conn, Until::Forever);
            }
        }
    }

    /// Waits for the next message, but not longer than `time`.
    ///
    /// # Blocking
    /// Until a message, the end of the connection or the end of `time`.
    ///
    /// # Errors
    /// - `Timeout`: no message came in time; the connection is as it was.
    /// - `Closed`: the connection is over, cleanly or not; see [`closed`](Self::closed).
    ///
    /// # Source
    /// dwebsocket `wait(timeout)`, which returned `None` for both.
    pub fn wait_timeout(&self, time: Duration) -> Result<Message> {
        self.open()?;
        let deadline = Deadline::after(time);
        let mut receive = self.lock_until(deadline).ok_or_else(|| timed_out(time))?;
        let mut is_last_look = false;
        loop {
            if let Some(message) = receive.pop(&self.conn) {
                return Ok(message);
            }
            if receive.is_over() {
                receive.conclude(&self.conn);
                drop(receive);
                return Err(self.end_error());
            }
            if is_last_look {
                return Err(timed_out(time));
            }
            // Bytes that come without end and make no message must not outlast the deadline.
            is_last_look = deadline.is_past();
            if is_last_look {
                receive.look_ahead(&self.conn);
            } else if let Some(held) = receive.held_back(&self.conn) {
                drop(receive);
                rest(held.min(deadline.remaining().unwrap_or(held)));
                receive = self.lock_until(deadline).ok_or_else(|| timed_out(time))?;
            } else {
                receive.fill(&self.conn, Until::Deadline(deadline));
            }
        }
    }

    /// Takes the next message if one is there.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Errors
    /// `Closed`: the connection is over and every message has been taken.
    ///
    /// # Source
    /// dwebsocket `read()`, which returned `None` for a pending close too.
    pub fn read(&self) -> Result<Option<Message>> {
        self.open()?;
        let Some(mut receive) = self.lock_now() else { return Ok(None) };
        if receive.waiting_messages() == 0 {
            receive.look_ahead(&self.conn);
        }
        if let Some(message) = receive.pop(&self.conn) {
            return Ok(Some(message));
        }
        if !receive.is_over() {
            return Ok(None);
        }
        receive.conclude(&self.conn);
        drop(receive);
        Err(self.end_error())
    }

    /// The number of whole messages that wait to be taken, those the kernel holds included.
    ///
    /// A close is not a message, and a message of which a part is missing does not count; one that
    /// is held back because it has come too fast does. Counts
    /// no further than the inbox's limit of bytes. Zero while another thread waits for a message,
    /// because that thread takes whatever comes.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Units
    /// Messages, not frames.
    ///
    /// # Source
    /// dwebsocket `count_messages()`, which looked at one frame a call.
    pub fn count_messages(&self) -> usize {
        if self.open().is_err() {
            return 0;
        }
        let Some(mut receive) = self.lock_now() else { return 0 };
        receive.look_ahead(&self.conn);
        receive.waiting_messages()
    }

    /// True if a message waits to be taken, and is not held back because it has come too fast
    /// ([`message_rate`](crate::Config::message_rate)).
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Source
    /// dwebsocket `has_messages()`, for which a pending close was a message.
    pub fn has_messages(&self) -> bool {
        if self.open().is_err() {
            return false;
        }
        let Some(mut receive) = self.lock_now() else { return false };
        if receive.waiting_messages() == 0 {
            receive.look_ahead(&self.conn);
        }
        receive.has_due_message(&self.conn)
    }

    /// Iterates over the messages: [`wait`](Self::wait) until the clean end.
    ///
    /// # Blocking
    /// Each step blocks as `wait` does.
    ///
    /// # Errors
    /// An unclean end is the last item.
    pub fn messages(&self) -> Messages<'_> {
        Messages { ws: self, is_over: false }
    }

    /// Sends a message whole: text as text, binary as binary.
    ///
    /// While more messages of the client wait to be taken, a small one may be held back to go out
    /// with the reply to the last of them, a few milliseconds later at most; see
    /// [`held_bytes`](crate::Config::held_bytes). The order of sends is kept, whoever calls them.
    ///
    /// # Blocking
    /// Not for the client. If more than the outbound limit waits for it already, until there is
    /// room or [`send_timeout`](crate::Config::send_timeout) has passed.
    ///
    /// # Errors
    /// Nothing of the message was sent, and [`Error::into_message`] gives it back:
    /// - `Closed`: the connection is over or closing, or is closed with 1013 now because the client
    ///   took nothing in time.
    /// - `Timeout`: the client took some, but too little in time; the connection is as it was. A
    ///   handler that passes this on closes with 1013.
    ///
    /// # Source
    /// dwebsocket `send()`, which turned binary into text and was silent after a close.
    pub fn send(&self, message: impl Into<Message>) -> Result<()> {
        self.open()?;
        self.conn.send_message(message.into(), Patience::Reply)
    }

    /// Begins the closing handshake; later sends fail, and [`wait`](Self::wait) ends when the
    /// client has answered.
    ///
    /// A connection that is closing or closed stays as it is.
    ///
    /// # Blocking
    /// Never. The client has [`close_timeout`](crate::Config::close_timeout) to answer.
    ///
    /// # Units
    /// `code`: 1000-1003, 1007-1014 or 3000-4999, see [`close_code`](crate::close_code);
    /// `reason`: at most 123 bytes.
    ///
    /// # Errors
    /// `Protocol`: a code that may not be sent. `Limit`: a reason that is too long. Nothing was
    /// sent.
    ///
    /// # Source
    /// RFC 6455 7.1.2; dwebsocket `close()`, which did not wait for the answer.
    pub fn close(&self, code: u16, reason: &str) -> Result<()> {
        let frame = CloseFrame::new(code, reason)?;
        if self.open().is_ok() {
            self.conn.close(frame);
        }
        Ok(())
    }

    /// True once the connection ends: a close was sent or received, or it is lost, as far as this
    /// side has noticed.
    ///
    /// Messages that came before the client's close can still be taken, and answered until the
    /// last one has been.
    ///
    /// # Blocking
    /// Never.
    pub fn is_closed(&self) -> bool {
        if !self.is_open.load(Ordering::Acquire) {
            return false;
        }
        if let Some(mut receive) = self.lock_now()
            && !receive.is_full(&self.conn)
        {
            receive.look_ahead(&self.conn);
            if receive.waiting_messages() == 0 {
                receive.conclude(&self.conn);
            }
        }
        self.conn.is_ending()
    }

    /// How the connection ended; `None` while it has not.
    ///
    /// # Blocking
    /// Never.
    pub fn closed(&self) -> Option<Closed> {
        self.conn.outbox.end().map(|end| end.closed)
    }

    /// A handle for other threads to send and close with.
    ///
    /// It may outlive the handler; it then says `Closed`. The handshake is answered, if it has
    /// not been.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Errors
    /// `Closed`: the handshake cannot be answered any more.
    pub fn sender(&self) -> Result<Sender> {
        self.open()?;
        Ok(Sender::new(Arc::clone(&self.conn)))
    }

    /// Whole messages sent so far, those of groups included.
    pub(crate) fn messages_sent(&self) -> u64 {
        self.conn.outbox.messages_sent()
    }

    /// True if bytes are queued because the client has not taken them.
    pub(crate) fn is_behind(&self) -> bool {
        self.conn.outbox.queued_bytes() > 0
    }

    /// The number of this connection, as in the log and in the system's name for its thread.
    pub fn conn_id(&self) -> u64 {
        self.conn.id()
    }

    /// The client's address; `0.0.0.0:0` for one that came through a Unix socket.
    pub fn peer(&self) -> SocketAddr {
        self.conn.peer().address()
    }

    /// The receive half unless somebody waits in it; the keeper's short visits are waited for.
    pub(super) fn lock_now(&self) -> Option<MutexGuard<'_, Receive>> {
        loop {
            if let Some(receive) = self.conn.receive.try_lock() {
                return Some(receive);
            }
            if self.conn.is_waiting() {
                return None;
            }
            std::thread::yield_now();
        }
    }

    pub(super) fn lock_until(&self, deadline: Deadline) -> Option<MutexGuard<'_, Receive>> {
        match deadline.instant() {
            Some(instant) => self.conn.receive.try_lock_until(instant),
            None => Some(self.conn.receive.lock()),
        }
    }

    pub(super) fn outcome<T>(&self) -> Result<Option<T>> {
        match self.conn.outbox.end() {
            Some(End { closed, .. }) if closed.is_clean() => Ok(None),
            _ => Err(self.end_error()),
        }
    }

    pub(super) fn end_error(&self) -> Error {
        self.conn.end_error()
    }

    /// Begins the closing handshake with words of the server's own, unless the end has begun
    /// otherwise; tells how the connection ends, as far as this side knows by now.
    pub(crate) fn close_of_server(&self, code: u16, reason: &'static str) -> Closed {
        self.conn.close(CloseFrame::of_server(code, reason));
        let farewell = self.conn.outbox.farewell();
        farewell.unwrap_or_else(|| Closed::lost(Side::Client, "the client is gone"))
    }

    /// Ends the connection after its handler: says goodbye, waits for the answer, lets go.
    ///
    /// # Blocking
    /// Until the client has answered or the close deadline cuts it.
    pub(crate) fn finish(&self, code: u16, reason: &'static str) -> Summary {
        self.conn.close_mailbox();
        self.conn.close(CloseFrame::of_server(code, reason));
        let mut receive = self.conn.receive.lock();
        receive.handler_returned(&self.conn);
        loop {
            receive.discard_inbox();
            receive.conclude(&self.conn);
            if receive.has_ended() {
                break;
            }
            receive.fill(&self.conn, Until::Forever);
        }
        drop(receive);
        self.conn.outbox.drain();
        let closed = self.closed();
        self.conn.release();
        let sent = self.conn.outbox.messages_sent();
        let (route, user) = self.conn.route_and_user();
        let cause = self.conn.cause();
        Summary { closed, sent, traffic: self.conn.traffic(), route, user, cause }
    }
}

/// What is to be said of a connection when it is over.
pub(crate) struct Summary {
    pub(crate) closed: Option<Closed>,
    /// Without those that made room for newer ones.
    pub(crate) sent: u64,
    pub(crate) traffic: Traffic,
    pub(crate) route: Arc<str>,
    pub(crate) user: Option<String>,
    /// Why it ended, in one of a few words.
    pub(crate) cause: &'static str,
}

/// Lets time pass while what has come has to wait: in steps, so that an end is noticed, and without
/// the receive lock, so that the keeper sees to the connection meanwhile.
#[cold]
#[inline(never)]
pub(super) fn rest(time: Duration) {
    std::thread::sleep(time.min(REST));
}

pub(super) fn timed_out(time: Duration) -> Error {
    Error::new(ErrorKind::Timeout, format!("no message within {time:?}"))
}

impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebSocket(conn-{}, {})", self.conn.id(), self.conn.peer())
    }
}

/// The messages of a connection until its clean end; made by [`WebSocket::messages`].
#[derive(Debug)]
pub struct Messages<'a> {
    ws: &'a WebSocket,
    is_over: bool,
}

impl Iterator for Messages<'_> {
    type Item = Result<Message>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let item = self.ws.wait().transpose();
        self.is_over = !matches!(item, Some(Ok(_)));
        item
    }
}

impl<'a> IntoIterator for &'a WebSocket {
    type Item = Result<Message>;
    type IntoIter = Messages<'a>;

    fn into_iter(self) -> Messages<'a> {
        self.messages()
    }
}
