//! A synchronous WebSocket and HTTP server: one blocking thread per connection, plain functions
//! as handlers.
//!
//! ```no_run
//! use landline::{Request, Response, Result, Server, WebSocket};
//! use landline::{accept_websocket, require_websocket};
//!
//! fn echo_once(_request: &Request, ws: &WebSocket) -> Result<()> {
//!     if let Some(message) = ws.wait()? {
//!         ws.send(message)?;
//!     }
//!     Ok(()) // returning closes with 1000
//! }
//!
//! fn echo(request: &Request) -> Result<Response> {
//!     let Some(ws) = request.websocket() else {
//!         // plain HTTP on the same route
//!         return Ok(Response::text(request.query("message").unwrap_or_default()));
//!     };
//!     for message in ws {
//!         ws.send(message?)?;
//!     }
//!     Ok(Response::closed())
//! }
//!
//! fn main() -> Result<()> {
//!     Server::builder()
//!         .route("/echo_once", require_websocket(echo_once))
//!         .route("/echo", accept_websocket(echo))
//!         .bind("127.0.0.1:8000")?
//!         .run()
//! }
//! ```
//!
//! # In reading order
//! - [`Server`] and [`Builder`]: routes and settings in, a running server out; [`Handle`] stops it, and
//!   changes its settings while it runs.
//! - [`accept_websocket`], [`require_websocket`], [`get`], [`post`]: what stands behind a route.
//! - [`Request`] and [`Response`]: HTTP as a handler sees it; [`Templates`] for pages.
//! - [`PublishApi`]: what other programs send to the hub by HTTP.
//! - [`WebSocket`], [`Sender`], [`Message`], [`Closed`]: the open connection, its handle for other
//!   threads, what travels, and how it ended.
//! - [`Hub`], [`Group`], [`Join`]: groups of connections; [`Overflow`]: what becomes of members that
//!   do not keep up; [`Delivery`], [`HubStats`]: what became of messages; [`Presence`], [`Watch`]:
//!   who is there; [`Inbox`] and [`Incoming`] for handlers that take group messages themselves.
//! - [`facility`], [`Publisher`]: channels in the words of django-websocket-redis.
//! - [`Consumer`], [`JsonConsumer`], [`Context`], [`Admission`]: a connection as an object, in the
//!   words of Channels.
//! - [`Auth`], [`Authenticator`], [`Identity`]: who may come in, found out before the handshake is
//!   answered; [`TrustedHeader`] for a proxy that knows, and behind the feature `auth` passwords
//!   (`BasicAuth`), tokens (`Jwt`), a call to your own backend (`BackendAuth`) and signed names of
//!   groups (`GroupSigner`).
//! - [`Config`], [`Origins`]: limits, timeouts, and which pages may connect; [`Deflate`]: how
//!   messages are compressed; [`Rate`]: how fast clients may be; [`Networks`], [`ProxyHeaders`]:
//!   whose word about clients is taken, and which; [`RefusalReason`]: who was turned away.
//! - [`HostCeiling`]: how many connections this host can hold, and what limits it.
//! - [`Tls`], [`TlsSettings`], [`ClientAuth`], [`ClientCertificate`], [`ServerCertificate`]: listeners
//!   with TLS, a feature.
//! - [`Error`] and [`ErrorKind`]: what went wrong, to act on and to read.
//! - `testing`, behind the feature of that name: a live server and clients for your tests.
//!
//! # What can block
//! A handler runs on the thread of its connection and may block as it likes: meanwhile one more
//! thread, the keeper, answers pings, takes messages in, sends what is queued and enforces every
//! deadline. No call of this crate waits for a peer without a deadline, except those that wait
//! for a message ([`WebSocket::wait`], [`WebSocket::wait_any`], [`WebSocket::wait_json`],
//! iteration), which end when the connection does.

mod config;
mod conn;
mod deadline;
mod error;
mod file;
mod histogram;
mod http;
mod hub;
mod net;
mod route;
mod server;
mod sync;
#[cfg(feature = "testing")]
pub mod testing;
mod ws;

#[cfg(any(test, feature = "internals"))]
#[doc(hidden)]
pub mod internals;

pub use config::{Config, Deflate, Rate};
pub use conn::{
    ClosedConnection, ConnectionInfo, GroupMessage, Inbox, Incoming, Join, Messages, Overflow,
    RefusalReason, Sender, TraceEvent, Traffic, WebSocket,
};
pub use error::{Error, ErrorKind, Result};
pub use histogram::Timings;
pub use http::{Cookie, Headers, Method, Networks, ProxyHeaders, Response, Templates};
pub use hub::{
    Counts, Delivery, Group, GroupStats, Hub, HubBuilder, HubStats, Member, MemberEvent, Presence,
    PresenceChange, Present, Publisher, Watch,
};
pub use net::ceiling::{HostCeiling, HostLimit, LimitKind, raise_descriptor_limit};
pub use net::process::ProcessFigures;
#[cfg(feature = "tls")]
pub use net::tls::{ClientAuth, ClientCertificate, ServerCertificate, Tls, TlsSettings};
pub use route::{
    AcceptWebSocket, Admission, Auth, Authenticator, Consumer, ConsumerRoute, Context, Denial,
    Facility, Flags, Handler, Identity, IntoFlags, IntoResponse, JsonConsumer, Methods, Probe,
    Publication, PublishApi, PublishByGet, Request, RequireWebSocket, Target, TrustedHeader,
    Verdict, accept_websocket, consumer, delete, facility, get, json_consumer, patch, post, put,
    require_websocket,
};
#[cfg(feature = "auth")]
pub use route::{BackendAuth, BasicAuth, GroupSigner, Jwt, TokenSource};
pub use server::{Builder, CloseFigures, Handle, Metrics, RouteFigures, Server};
pub use ws::{Bytes, Closed, Message, Origins, Side, Utf8Bytes, close_code};
