//! `Communicator`, one WebSocket client of a test.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::net::client::ClientStream;
use crate::testing::due::{Due, shown};
use crate::testing::live_server::LiveServer;
use crate::testing::opening::CommunicatorBuilder;
use crate::ws::client::{ClientSocket, Incoming, Trouble};
use crate::ws::close::CloseFrame;
use crate::ws::{Bytes, Closed, Message, Side, close_code};

/// An open WebSocket to a [`LiveServer`], as a test's client has it.
///
/// Dropping it cuts the connection without a word; [`disconnect`](Self::disconnect) says goodbye.
///
/// # Blocking
/// Every call that sends, receives or says goodbye waits at most for the timeout (5 s unless
/// [set](Self::set_timeout)), counted from its start. Pings are answered while a call receives, and not between calls.
///
/// # Errors
/// - `Timeout`: what was due did not come in time; the connection is as it was.
/// - `Closed`: the connection is over, see [`closed`](Self::closed).
/// - `Protocol`: something else came, or the server broke the protocol.
///
/// The text says what was due, what came instead, and after how long.
///
/// # Source
/// Channels `WebsocketCommunicator`, which cannot send an empty message.
pub struct Communicator {
    socket: ClientSocket<ClientStream>,
    subprotocol: Option<String>,
    timeout: Duration,
    /// Came when something else was due, and can still be received.
    unread: Option<Message>,
    /// Our close frame is sent.
    has_closed: bool,
    closed: Option<Closed>,
}

/// What came until a deadline.
enum Came {
    Message(Message),
    Closed(Closed),
    Nothing,
}

impl Communicator {
    /// Opens a WebSocket on a path.
    ///
    /// # Blocking
    /// Until the handshake is answered, 5 s at most.
    ///
    /// # Errors
    /// As [`CommunicatorBuilder::connect`]: a refusal holds the server's answer.
    pub fn connect(server: &LiveServer, path: &str) -> Result<Self> {
        Self::builder(server, path).connect()
    }

    /// Starts a handshake that has more to say: headers, subprotocols, the page's origin.
    ///
    /// # Example
    /// ```
    /// use landline::testing::{Communicator, LiveServer};
    /// use landline::{Request, Server, WebSocket, require_websocket};
    ///
    /// # fn main() -> landline::Result<()> {
    /// let chat = |_: &Request, ws: &WebSocket| ws.send("welcome");
    /// let server = LiveServer::start(Server::builder().route("/chat", require_websocket(chat)))?;
    /// let stranger = Communicator::builder(&server, "/chat").origin("http://elsewhere.example");
    /// let refusal = stranger.connect().unwrap_err().into_reply();
    /// assert_eq!(refusal.map(|reply| reply.status()), Some(403));
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(server: &LiveServer, path: &str) -> CommunicatorBuilder {
        CommunicatorBuilder::new(server, path)
    }

    pub(super) fn new(
        socket: ClientSocket<ClientStream>,
        subprotocol: Option<String>,
        timeout: Duration,
    ) -> Self {
        Self { socket, subprotocol, timeout, unread: None, has_closed: false, closed: None }
    }

    /// The subprotocol the server chose, if any.
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// Sets how long each call waits.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// How the connection ended, as far as it was received; `None` while it is open.
    pub fn closed(&self) -> Option<&Closed> {
        self.closed.as_ref()
    }

    /// Sends a text message; it may be empty.
    ///
    /// # Errors
    /// `Timeout`: the server did not take it all in time; the rest goes with the next call.
    /// `Closed`: the connection is over; the message comes back with the error.
    pub fn send_text(&mut self, text: impl AsRef<str>) -> Result<()> {
        self.send(Message::from(text.as_ref()))
    }

    /// Sends a binary message; it may be empty.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    pub fn send_binary(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        self.send(Message::from(bytes.as_ref()))
    }

    /// Sends a value as JSON text.
    ///
    /// # Errors
    /// `Json`: the value cannot be written as JSON. And as [`send_text`](Self::send_text).
    pub fn send_json(&mut self, value: &(impl Serialize + ?Sized)) -> Result<()> {
        let text = serde_json::to_string(value)
            .map_err(|error| Error::new(ErrorKind::Json, "cannot be JSON").with_source(error))?;
        self.send_text(text)
    }

    fn send(&mut self, message: Message) -> Result<()> {
        let due = Due::within(self.timeout, format!("room for {}", shown(&message)));
        if let Some(closed) = &self.closed {
            return Err(due.closed(closed).with_returned(message));
        }
        self.socket.stream().set_deadline(due.deadline);
        match self.socket.send(message.clone()) {
            Ok(()) => Ok(()),
            Err(Trouble::Late) => Err(due.late()),
            // How it ended stands before the reset, and is for the next receive to find.
            Err(Trouble::Lost(reason)) => {
                let closed = Closed::lost(Side::Server, &reason);
                Err(due.closed(&closed).with_returned(message))
            }
            Err(Trouble::Broken(error)) => Err(error),
        }
    }

    /// Receives the next message.
    ///
    /// # Errors
    /// See [`Communicator`].
    pub fn receive(&mut self) -> Result<Message> {
        self.receive_due(&Due::within(self.timeout, "a message"))
    }

    /// Receives the next message, which has to be text.
    ///
    /// # Errors
    /// See [`Communicator`]; a binary message comes back with the error
    /// ([`Error::into_message`]).
    pub fn receive_text(&mut self) -> Result<String> {
        let due = Due::within(self.timeout, "a text message");
        match self.receive_due(&due)? {
            Message::Text(text) => Ok(text.as_str().to_owned()),
            other => Err(due.instead(&shown(&other)).with_returned(other)),
        }
    }

    /// Receives the next message, which has to be binary.
    ///
    /// # Errors
    /// See [`Communicator`]; a text message comes back with the error
    /// ([`Error::into_message`]).
    pub fn receive_binary(&mut self) -> Result<Bytes> {
        let due = Due::within(self.timeout, "a binary message");
        match self.receive_due(&due)? {
            Message::Binary(bytes) => Ok(bytes),
            other => Err(due.instead(&shown(&other)).with_returned(other)),
        }
    }

    /// Receives the next message and reads it as JSON.
    ///
    /// # Errors
    /// `Json`: it is not JSON or not a `T`; the source names line and column, and the message
    /// comes back with the error. And see [`Communicator`].
    pub fn receive_json<T: DeserializeOwned>(&mut self) -> Result<T> {
        let message = self.receive_due(&Due::within(self.timeout, "JSON"))?;
        serde_json::from_slice(message.as_bytes()).map_err(|error| {
            let text = format!("{} is not the expected JSON", shown(&message));
            Error::new(ErrorKind::Json, text).with_source(error).with_returned(message)
        })
    }

    /// Checks that nothing comes for so long.
    ///
    /// # Blocking
    /// For the whole of `time`, whatever the timeout is, or until something comes.
    ///
    /// # Errors
    /// `Protocol`: a message came; the next receive returns it. `Closed`: the connection ended.
    pub fn receive_nothing(&mut self, time: Duration) -> Result<()> {
        let due = Due::within(time, format!("silence for {time:?}"));
        match self.pull(due.deadline)? {
            Came::Nothing => Ok(()),
            Came::Message(message) => Err(self.keep(&due, message)),
            Came::Closed(closed) => Err(due.closed(&closed)),
        }
    }

    /// Says goodbye with 1000 and waits for the answer; what the server still sends is dropped.
    ///
    /// # Errors
    /// As [`disconnect_with`](Self::disconnect_with).
    pub fn disconnect(&mut self) -> Result<Closed> {
        self.disconnect_with(close_code::NORMAL, "")
    }

    /// Says goodbye with a code and a reason and waits for the answer; what the server still
    /// sends is dropped. A connection that is over already stays as it was.
    ///
    /// # Units
    /// As [`WebSocket::close`](crate::WebSocket::close). The result has the code and the reason
    /// *of the server's close frame*, and who was first.
    ///
    /// # Errors
    /// `Timeout`: no answer in time. `Protocol`, `Limit`: a code or reason that may not be sent.
    pub fn disconnect_with(&mut self, code: u16, reason: &str) -> Result<Closed> {
        let frame = CloseFrame::new(code, reason)?;
        let due = Due::within(self.timeout, "the answer to our close");
        self.socket.stream().set_deadline(due.deadline);
        if self.closed.is_none() && !self.has_closed {
            self.has_closed = true;
            match self.socket.close(&frame) {
                Err(Trouble::Late) => return Err(due.late()),
                Err(Trouble::Broken(error)) => return Err(error),
                // How it was lost is for the receive to find.
                Ok(()) | Err(Trouble::Lost(_)) => {}
            }
        }
        loop {
            match self.pull(due.deadline)? {
                Came::Closed(closed) => return Ok(closed),
                Came::Message(_) => {}
                Came::Nothing => return Err(due.late()),
            }
        }
    }

    /// Waits for the server to close, and answers. A lost connection is a [`Closed`] too, one
    /// that is not clean.
    ///
    /// # Errors
    /// `Protocol`: a message came before; the next receive returns it. `Timeout`: no end in time.
    pub fn wait_closed(&mut self) -> Result<Closed> {
        let due = Due::within(self.timeout, "the server's close");
        match self.pull(due.deadline)? {
            Came::Closed(closed) => Ok(closed),
            Came::Message(message) => Err(self.keep(&due, message)),
            Came::Nothing => Err(due.late()),
        }
    }

    fn receive_due(&mut self, due: &Due) -> Result<Message> {
        match self.pull(due.deadline)? {
            Came::Message(message) => Ok(message),
            Came::Closed(closed) => Err(due.closed(&closed)),
            Came::Nothing => Err(due.late()),
        }
    }

    /// The error for a message that came too early, which stays to be received.
    fn keep(&mut self, due: &Due, message: Message) -> Error {
        let error = due.instead(&shown(&message));
        self.unread = Some(message);
        error
    }

    /// What comes next until the deadline; the end of a connection comes again and again.
    fn pull(&mut self, deadline: Deadline) -> Result<Came> {
        if let Some(message) = self.unread.take() {
            return Ok(Came::Message(message));
        }
        if let Some(closed) = &self.closed {
            return Ok(Came::Closed(closed.clone()));
        }
        self.socket.stream().set_deadline(deadline);
        let closed = match self.socket.receive() {
            Ok(Incoming::Message(message)) => return Ok(Came::Message(message)),
            Err(Trouble::Late) => return Ok(Came::Nothing),
            Ok(Incoming::Close(code, reason)) => {
                self.await_end()?;
                let by = if self.has_closed { Side::Client } else { Side::Server };
                Closed { by, code, reason, clean: true }
            }
            Ok(Incoming::End) => Closed::lost(Side::Server, "ended without a close frame"),
            Err(Trouble::Lost(reason)) => Closed::lost(Side::Server, &reason),
            Err(Trouble::Broken(error)) => {
                self.closed = Some(Closed::lost(Side::Server, "broke the protocol"));
                return Err(error);
            }
        };
        self.closed = Some(closed.clone());
        Ok(Came::Closed(closed))
    }

    /// Sends what is due of the close handshake; the server ends the stream (RFC 6455 7.1.1).
    fn await_end(&mut self) -> Result<()> {
        match self.socket.receive() {
            Err(Trouble::Broken(error)) => Err(error),
            // A reset behind the close frame, or a server that takes its time: both said goodbye.
            Ok(_) | Err(Trouble::Late | Trouble::Lost(_)) => Ok(()),
        }
    }
}

impl fmt::Debug for Communicator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Communicator")
            .field("subprotocol", &self.subprotocol)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}
