//! `CommunicatorBuilder`, what a handshake is made of.

use std::net::SocketAddr;
use std::time::Duration;

use crate::error::Result;
use crate::http::Method;
use crate::http::client::ClientRequest;
use crate::testing::communicator::Communicator;
use crate::testing::due::Due;
use crate::testing::exchange::Exchange;
use crate::testing::live_server::{LiveServer, add_host};
use crate::testing::reply::Reply;
use crate::ws::client::{ClientHandshake, ClientSocket};

/// A handshake to be sent; made by [`Communicator::builder`].
#[derive(Clone, Debug)]
#[must_use]
pub struct CommunicatorBuilder {
    address: SocketAddr,
    path: String,
    fields: Vec<(String, String)>,
    subprotocols: Vec<String>,
    timeout: Duration,
}

impl CommunicatorBuilder {
    pub(super) fn new(server: &LiveServer, path: &str) -> Self {
        Self {
            address: server.address(),
            path: path.to_owned(),
            fields: Vec::new(),
            subprotocols: Vec::new(),
            timeout: server.timeout(),
        }
    }

    /// Adds a header field, `Cookie` or `Authorization` for instance. `Host` replaces that of the
    /// server's address.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the page that connects, `http://example.org` for instance. Default: no page.
    pub fn origin(self, origin: &str) -> Self {
        self.header("Origin", origin)
    }

    /// Offers subprotocols, the preferred one first.
    pub fn subprotocols<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.subprotocols.extend(names.into_iter().map(Into::into));
        self
    }

    /// Sets how long each call waits. Default: the
    /// [timeout of the server](LiveServer::with_timeout).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Connects and opens the WebSocket.
    ///
    /// # Blocking
    /// Until the handshake is answered, or the timeout.
    ///
    /// # Errors
    /// - `Protocol`: the server refused; [`Error::into_reply`](crate::Error::into_reply) has its
    ///   answer. Or it answered wrongly, or the request cannot be sent so.
    /// - `Timeout`: no answer in time. A handler that uses its socket for nothing gives none.
    /// - `Io`: the server is gone.
    pub fn connect(self) -> Result<Communicator> {
        let due = Due::within(self.timeout, format!("the 101 of {}", self.path));
        let handshake = ClientHandshake::new();
        let mut fields = self.fields;
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        fields.extend(handshake.fields().map(owned));
        if !self.subprotocols.is_empty() {
            fields.push(("Sec-WebSocket-Protocol".into(), self.subprotocols.join(", ")));
        }
        add_host(&mut fields, self.address);
        let (target, fields) = (self.path.as_str(), fields.as_slice());
        let request = ClientRequest { method: &Method::Get, target, fields, body: b"" };
        let Exchange { answer, stream, rest } = Exchange::run(self.address, &request, &due)?;
        if answer.status != 101 {
            let reply = Reply::new(answer);
            let came = format!("{} with {:?}", reply.status(), reply.text());
            return Err(due.instead(&came).with_returned(reply));
        }
        let subprotocol = handshake.check(&answer.headers, &self.subprotocols)?;
        Ok(Communicator::new(ClientSocket::new(stream, rest), subprotocol, self.timeout))
    }
}
