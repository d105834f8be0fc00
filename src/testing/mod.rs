//! A live server and a client for the tests of an application, behind the feature `testing`.
//!
//! [`LiveServer`] runs a [`Builder`](crate::Builder) on a free port of this process. A
//! [`Communicator`] is one WebSocket client of it, with the verbs of Channels' communicator; what
//! it sends and receives goes over a real socket. Every call that waits has a deadline and says
//! afterwards what was due, what came instead, and after how long.
//!
//! ```toml
//! [dev-dependencies]
//! landline = { version = "0.1", features = ["testing"] }
//! ```
//!
//! # Example
//! A test of Channels' tutorial,
//!
//! ```python
//! communicator = WebsocketCommunicator(application, "/ws/chat/lobby/")
//! connected, subprotocol = await communicator.connect()
//! assert connected
//! await communicator.send_json_to({"message": "hello"})
//! assert await communicator.receive_json_from() == {"message": "hello"}
//! assert await communicator.receive_nothing()
//! await communicator.disconnect()
//! ```
//!
//! looks like this:
//!
//! ```
//! use std::time::Duration;
//!
//! use landline::testing::{Communicator, LiveServer};
//! use landline::{Builder, Request, Result, Server, WebSocket, require_websocket};
//! use serde_json::{Value, json};
//!
//! fn chat(request: &Request, ws: &WebSocket) -> Result<()> {
//!     let room = request.param("room").unwrap_or("lobby");
//!     ws.join(room)?;
//!     for message in ws {
//!         request.hub().group(room).send(message?)?;
//!     }
//!     Ok(())
//! }
//!
//! fn application() -> Builder {
//!     Server::builder().route("/ws/chat/<room>/", require_websocket(chat))
//! }
//!
//! // #[test]
//! fn what_one_says_the_room_hears() -> Result<()> {
//!     let server = LiveServer::start(application())?;
//!     let mut anna = Communicator::connect(&server, "/ws/chat/lobby/")?;
//!     anna.send_json(&json!({ "message": "hello" }))?;
//!     assert_eq!(anna.receive_json::<Value>()?, json!({ "message": "hello" }));
//!     anna.receive_nothing(Duration::from_millis(100))?;
//!     assert_eq!(anna.disconnect()?.code(), 1000);
//!     Ok(())
//! }
//! # what_one_says_the_room_hears().unwrap();
//! ```
//!
//! # Source
//! Channels `WebsocketCommunicator` and `ChannelsLiveServerTestCase`.

mod communicator;
mod due;
mod exchange;
mod live_server;
mod opening;
mod reply;

pub use communicator::Communicator;
pub use live_server::LiveServer;
pub use opening::CommunicatorBuilder;
pub use reply::Reply;
