//! What is spoken on a route and with whom: the settings that every kind of WebSocket route has.

use crate::config::{Deflate, Rate};
use crate::conn::WebSocket;
use crate::route::auth::Auth;
use crate::route::consumer::ConsumerRoute;
use crate::route::facility::Facility;
use crate::route::wrap::{AcceptWebSocket, RequireWebSocket};

/// The settings of a route, as far as the handshake says them.
#[derive(Clone, Debug, Default)]
pub(super) struct Speech {
    subprotocols: Vec<String>,
    /// `None`: as the server says, and so below.
    compression: Option<Option<Deflate>>,
    message_rate: Option<Option<Rate>>,
    byte_rate: Option<Option<Rate>>,
    auth: Option<Auth>,
}

impl Speech {
    /// Has the handshake answered accordingly, unless the handler says otherwise.
    pub(super) fn set_up(&self, ws: &WebSocket) {
        ws.prefer(&self.subprotocols);
        if let Some(compression) = self.compression {
            ws.compress_with(compression);
        }
        ws.pace_with(self.message_rate, self.byte_rate);
    }

    /// Who may come in, if the route itself says so.
    pub(super) fn auth(&self) -> Option<&Auth> {
        self.auth.as_ref()
    }
}

/// Writes the methods that set them, for each kind of route under one text.
macro_rules! settings {
    ($( impl $(<$handler:ident>)? $route:ident; )*) => { $(
        impl $(<$handler>)? $route $(<$handler>)? {
            /// How messages are compressed on this route, `None` for not at all, whatever the
            /// server's [`compression`](crate::Config::compression) says.
            #[must_use]
            pub fn compression(mut self, setting: impl Into<Option<Deflate>>) -> Self {
                self.speech.compression = Some(setting.into());
                self
            }

            /// How many messages a client may send in a second on this route, `None` for as many as
            /// it likes, whatever the server's [`message_rate`](crate::Config::message_rate) says.
            #[must_use]
            pub fn message_rate(mut self, rate: impl Into<Option<Rate>>) -> Self {
                self.speech.message_rate = Some(rate.into());
                self
            }

            /// How many bytes a client may send in a second on this route, `None` for as many as it
            /// likes, whatever the server's [`byte_rate`](crate::Config::byte_rate) says.
            #[must_use]
            pub fn byte_rate(mut self, rate: impl Into<Option<Rate>>) -> Self {
                self.speech.byte_rate = Some(rate.into());
                self
            }

            /// Who may come in to this route, plain HTTP included, instead of what the server says
            /// ([`Builder::authenticate`](crate::Builder::authenticate)).
            #[must_use]
            pub fn authenticate(mut self, auth: impl Into<Auth>) -> Self {
                self.speech.auth = Some(auth.into());
                self
            }
        }
    )* };
}

settings! {
    impl<H> AcceptWebSocket;
    impl<H> RequireWebSocket;
    impl ConsumerRoute;
    impl Facility;
}

/// Writes the method that sets the subprotocols: a facility has its own words.
macro_rules! subprotocols {
    ($( impl $(<$handler:ident>)? $route:ident; )*) => { $(
        impl $(<$handler>)? $route $(<$handler>)? {
            /// The subprotocols spoken here, the best first: the first one that the client offers
            /// too is chosen, unless [`WebSocket::accept_with`](crate::WebSocket::accept_with) or
            /// [`Admission::with_subprotocol`](crate::Admission::with_subprotocol) names another;
            /// a client that offers none of them is accepted without.
            #[must_use]
            pub fn subprotocols<S: Into<String>>(
                mut self,
                names: impl IntoIterator<Item = S>,
            ) -> Self {
                self.speech.subprotocols = names.into_iter().map(Into::into).collect();
                self
            }
        }
    )* };
}

subprotocols! {
    impl<H> AcceptWebSocket;
    impl<H> RequireWebSocket;
    impl ConsumerRoute;
}
