//! `LiveServer`, a server that runs as long as its test.

use std::fmt;
use std::net::SocketAddr;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::http::Method;
use crate::http::client::ClientRequest;
use crate::server::{Builder, Handle};
use crate::testing::due::Due;
use crate::testing::exchange::Exchange;
use crate::testing::reply::Reply;

/// How long a call waits unless it is told otherwise.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A server on a free port of 127.0.0.1, in a thread of this process; stopped at once, and its
/// thread joined, when it is dropped.
///
/// # Blocking
/// Dropping it waits for its handlers, but not longer than a second.
///
/// # Example
/// ```
/// use landline::testing::LiveServer;
/// use landline::{Request, Server};
///
/// # fn main() -> landline::Result<()> {
/// let greet = |request: &Request| format!("Hello, {}!", request.query("name").unwrap_or("you"));
/// let server = LiveServer::start(Server::builder().route("/hello/", greet))?;
/// assert_eq!(server.get("/hello/?name=你好")?.text(), "Hello, 你好!");
/// # Ok(())
/// # }
/// ```
///
/// # Source
/// Django `LiveServerTestCase`, Channels `ChannelsLiveServerTestCase` (another process).
pub struct LiveServer {
    address: SocketAddr,
    handle: Handle,
    thread: Option<JoinHandle<Result<()>>>,
    timeout: Duration,
}

impl LiveServer {
    /// Starts the application that was built; it can be reached when this returns.
    ///
    /// # Errors
    /// As [`Builder::bind`]; `Io`: no thread could be started.
    pub fn start(builder: Builder) -> Result<Self> {
        let server = builder.bind("127.0.0.1:0")?;
        // Bound to one address.
        let address = server.local_addrs()[0];
        let handle = server.handle();
        let thread = thread::Builder::new().name("live-server".into());
        let thread = thread.spawn(move || server.run()).map_err(|error| {
            Error::new(ErrorKind::Io, "cannot start a thread for the server").with_source(error)
        })?;
        Ok(Self { address, handle, thread: Some(thread), timeout: TIMEOUT })
    }

    /// Sets how long each call of this server's clients waits. Default 5 s.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long each call of this server's clients waits.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A handle to the running server: its hub, its counts, its stop.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Stops it as an operator would, see [`Server::run`](crate::Server::run).
    ///
    /// # Blocking
    /// Until the last connection has ended, at most
    /// [`shutdown_grace`](crate::Config::shutdown_grace) and a second.
    ///
    /// # Errors
    /// Those of [`Server::run`](crate::Server::run).
    pub fn stop(mut self) -> Result<()> {
        self.handle.stop();
        self.join()
    }

    fn join(&mut self) -> Result<()> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        thread.join().unwrap_or_else(|_| Err(Error::new(ErrorKind::Other, "the server panicked")))
    }

    /// Asks for a path by GET.
    ///
    /// # Blocking
    /// Until the whole answer is there, or the [timeout](Self::with_timeout).
    ///
    /// # Errors
    /// As [`request`](Self::request).
    pub fn get(&self, path: &str) -> Result<Reply> {
        self.request(Method::Get, path, &[], b"")
    }

    /// Sends a body by POST.
    ///
    /// # Blocking
    /// As [`get`](Self::get).
    ///
    /// # Errors
    /// As [`request`](Self::request).
    pub fn post(&self, path: &str, content_type: &str, body: impl AsRef<[u8]>) -> Result<Reply> {
        self.request(Method::Post, path, &[("Content-Type", content_type)], body)
    }

    /// Sends any request and receives its answer, whatever its status.
    ///
    /// Every request has a connection of its own. `Host` is the server's address unless it is
    /// among the headers; spaces and what is not ASCII in the path are percent-encoded.
    ///
    /// # Blocking
    /// As [`get`](Self::get).
    ///
    /// # Errors
    /// `Timeout`: no whole answer in time. `Protocol`: the request cannot be sent so, or the
    /// answer is not HTTP. `Io`: the server is gone.
    pub fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Result<Reply> {
        let due = Due::within(self.timeout, format!("the answer to {method} {path}"));
        let given = headers.iter().map(|(name, value)| (String::from(*name), String::from(*value)));
        let mut fields: Vec<_> = given.collect();
        fields.push(("Connection".into(), "close".into()));
        add_host(&mut fields, self.address);
        let request =
            ClientRequest { method: &method, target: path, fields: &fields, body: body.as_ref() };
        Ok(Reply::new(Exchange::run(self.address, &request, &due)?.answer))
    }
}

/// Adds the field without which no request is served, unless the test has its own.
pub(super) fn add_host(fields: &mut Vec<(String, String)>, address: SocketAddr) {
    if !fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        fields.insert(0, ("Host".into(), address.to_string()));
    }
}

impl Drop for LiveServer {
    fn drop(&mut self) {
        self.handle.stop_now();
        // What failed was the test's to ask for, with `stop`.
        let _ = self.join();
    }
}

impl fmt::Debug for LiveServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LiveServer({})", self.address)
    }
}
