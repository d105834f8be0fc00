//! Every limit and timeout of a server: unit, default, and what happens when it is reached.
//!
//! This is the one home of the defaults; other texts link here.

mod deflate;
mod rate;

use std::time::Duration;

pub use deflate::Deflate;
pub use rate::Rate;

/// Declares the settings: one field, one reader and one `with_` writer each, under one text.
macro_rules! settings {
    ($( $(#[$doc:meta])* $name:ident / $with:ident : $type:ty = $default:expr; )*) => {
        /// Limits and timeouts of a [`Server`](crate::Server).
        ///
        /// Built by chaining `with_` calls on [`Config::default`]; each reader has the text of
        /// its setting.
        ///
        /// # Units
        /// `_bytes` are bytes, `_messages` whole messages (not frames), times are
        /// [`Duration`]s. Deadlines that the keeper enforces are met to about 100 ms.
        ///
        /// # Example
        /// ```
        /// use std::time::Duration;
        /// let config = landline::Config::default()
        ///     .with_message_bytes(64 * 1024)
        ///     .with_ping_interval(Some(Duration::from_secs(10)));
        /// assert_eq!(config.message_bytes(), 65_536);
        /// ```
        #[derive(Clone, Debug, PartialEq)]
        pub struct Config {
            $( $name: $type, )*
        }

        impl Default for Config {
            fn default() -> Self {
                Self { $( $name: $default, )* }
            }
        }

        impl Config {
            $(
                $(#[$doc])*
                pub fn $name(&self) -> $type {
                    self.$name
                }

                #[doc = concat!("Sets [`", stringify!($name), "`](Self::", stringify!($name), ").")]
                #[must_use]
                pub fn $with(mut self, value: $type) -> Self {
                    self.$name = value;
                    self
                }
            )*
        }
    };
}

settings! {
    /// Longest request head in bytes, request line included. Reached: 431, or 414 when already
    /// the request line is longer. Default 16 KiB.
    head_bytes / with_head_bytes: usize = 16 * 1024;

    /// Most header lines of a request. Reached: 431. Default 100.
    head_lines / with_head_lines: usize = 100;

    /// Time for a whole request head, counted from its first byte (for the first request of a
    /// connection: from its start). Reached: 408, or without a word if nothing has come at all.
    /// Default 10 s.
    head_timeout / with_head_timeout: Duration = Duration::from_secs(10);

    /// Longest request body in bytes, after decoding of chunks. Reached: 413. Default 1 MiB.
    body_bytes / with_body_bytes: usize = 1024 * 1024;

    /// Time for a whole request body, counted from the call that asks for it. Reached: 408.
    /// Default 30 s.
    body_timeout / with_body_timeout: Duration = Duration::from_secs(30);

    /// How long an HTTP connection may stay open between two requests (before the first one,
    /// `head_timeout` counts). Reached: closed without a word. Default 60 s.
    keep_alive / with_keep_alive: Duration = Duration::from_secs(60);

    /// Longest message from a WebSocket client in bytes, all fragments together and inflated.
    /// Reached: close 1009. Default 1 MiB.
    message_bytes / with_message_bytes: usize = 1024 * 1024;

    /// How messages are compressed where the client offers it; `None` turns it off. A route may say
    /// otherwise, see [`RequireWebSocket::compression`](crate::RequireWebSocket::compression).
    /// Default: [`Deflate::new`].
    compression / with_compression: Option<Deflate> = Some(Deflate::new());

    /// Messages that may wait for a busy handler. Reached: reading pauses, so the client feels
    /// back-pressure; nothing is lost. What one read of up to 64 KiB brought is taken whole.
    /// Default 64.
    inbox_messages / with_inbox_messages: usize = 64;

    /// Bytes of messages that may wait for a busy handler (a message counts its payload and a
    /// fixed overhead). Reached: reading pauses. Default 1 MiB.
    inbox_bytes / with_inbox_bytes: usize = 1024 * 1024;

    /// Group messages that may wait for a handler that takes them itself
    /// ([`WebSocket::wait_any`](crate::WebSocket::wait_any)); their bytes are limited by
    /// [`inbox_bytes`](Self::inbox_bytes) as well, each of the two inboxes for itself. Reached: what
    /// the group's [`Overflow`](crate::Overflow) says. Default 256.
    group_inbox_messages / with_group_inbox_messages: usize = 256;

    /// Bytes that may wait for a slow client. Reached: `send` waits, `try_send` gets the message
    /// back. One message larger than this is still taken when nothing waits. Default 1 MiB.
    outbound_bytes / with_outbound_bytes: usize = 1024 * 1024;

    /// Bytes of replies that may be held back while more messages of the same client wait, so that
    /// they go out with one write. [`WebSocket::send`](crate::WebSocket::send) holds a message only
    /// if another one of the client has arrived and waits behind the one that the handler took
    /// last; the reply to the last of them takes all along. Reached: they go out. A handler that
    /// turns slow meanwhile delays them by 5 ms at most: the keeper sends them. 0 holds nothing.
    /// Default 16 KiB.
    held_bytes / with_held_bytes: usize = 16 * 1024;

    /// How long a send waits for room, how long queued bytes may stay without any progress, and
    /// the time for an HTTP response to be taken. Reached: the send fails with kind `Timeout`; a
    /// queue without progress closes the connection with 1013; an HTTP connection is cut.
    /// Default 10 s.
    send_timeout / with_send_timeout: Duration = Duration::from_secs(10);

    /// Silence of a WebSocket client after which it is pinged; `None` turns pings off. Any
    /// inbound byte ends the silence. Default 25 s.
    ping_interval / with_ping_interval: Option<Duration> = Some(Duration::from_secs(25));

    /// Time for a pinged client to show life. Reached: close 1011 "keepalive ping timeout", then
    /// cut. `None` pings without ever giving up. Default 20 s.
    ping_timeout / with_ping_timeout: Option<Duration> = Some(Duration::from_secs(20));

    /// Time for the peer to answer our close frame; if bytes are queued before it, `send_timeout`
    /// is added. Reached: cut, counted as unclean. Default 5 s.
    close_timeout / with_close_timeout: Duration = Duration::from_secs(5);

    /// How long a server that was told to stop serves on as before, new clients included, while
    /// [`Handle::is_draining`](crate::Handle::is_draining) says so to whoever asks: the time that a
    /// load balancer takes to notice. Answers say `Connection: close` from then on. Reached: the
    /// listeners are closed and the drain begins. Default 0: at once.
    drain_delay / with_drain_delay: Duration = Duration::ZERO;

    /// Time over which the connections of a stopping server are told, evenly and in an order by
    /// chance, so that their clients do not all come back at the same moment. Until its turn a
    /// WebSocket is served as before, and a kept-alive HTTP connection gets one more answer.
    /// Reached: whoever is left is told at once, and `shutdown_grace` begins. `None`, the default:
    /// 2 ms for each connection and 10 s at most, so that few are told at once and 500 in a second
    /// come back, which any server can take.
    drain_time / with_drain_time: Option<Duration> = None;

    /// Time that open connections get to end when the server stops, counted from the end of
    /// `drain_time`. Reached: cut. Default 10 s.
    shutdown_grace / with_shutdown_grace: Duration = Duration::from_secs(10);

    /// Stack of a connection's thread in bytes: address space, not memory, until it is used.
    /// Reached: the process is ended by the operating system, so raise it for deeply recursive
    /// handlers. Default 256 KiB.
    stack_bytes / with_stack_bytes: usize = 256 * 1024;

    /// Most open connections, HTTP and WebSocket together; `None` takes the ceiling of the host
    /// (descriptors, threads and memory maps, less a reserve), and a number never goes beyond what
    /// the memory maps allow. Reached: 503 with `Retry-After`. Default `None`.
    max_connections / with_max_connections: Option<usize> = None;

    /// Most open connections of one client address (of one /64 for IPv6); `None` sets no limit,
    /// which is right behind a proxy, where all clients have its address. Behind a proxy that is
    /// trusted ([`Builder::trusted_proxies`](crate::Builder::trusted_proxies)) the address that it
    /// names counts, for as long as the request, or the WebSocket, lasts. Reached: 503 with
    /// `Retry-After`. Default `None`.
    max_connections_per_address / with_max_connections_per_address: Option<usize> = None;

    /// Most open WebSockets of one user, where it is known who that is, see
    /// [`Request::count_user`](crate::Request::count_user). Reached: the handshake is answered 429
    /// with `Retry-After`. Default `None`, no limit.
    max_websockets_per_user / with_max_websockets_per_user: Option<usize> = None;

    /// Most connections that have not sent a whole request yet, so that clients that connect and
    /// say nothing leave room for others; `None` means half of
    /// [`max_connections`](Self::max_connections). Reached: the oldest of them that has sent
    /// nothing to read is answered 503 and closed. Default `None`.
    max_silent_connections / with_max_silent_connections: Option<usize> = None;

    /// New connections in a second, from everybody together. Reached: 503 with `Retry-After`.
    /// Default `None`, no limit: a server that restarts is to take all its clients back at once.
    connection_rate / with_connection_rate: Option<Rate> = None;

    /// New connections in a second from one client address (one /64 for IPv6); behind a trusted
    /// proxy the WebSocket handshakes of the address that it names. Reached: 503 with
    /// `Retry-After`, for a handshake 429. Default `None`, no limit.
    connection_rate_per_address / with_connection_rate_per_address: Option<Rate> = None;

    /// Connections that the kernel holds until they are accepted; it cuts the number to
    /// `net.core.somaxconn`. Reached: the kernel leaves further clients without an answer, and they
    /// try again. Default 1024.
    listen_backlog / with_listen_backlog: u32 = 1024;

    /// Messages that a WebSocket client may send in a second; control frames do not count. A route
    /// may say otherwise, see
    /// [`RequireWebSocket::message_rate`](crate::RequireWebSocket::message_rate). Reached: messages
    /// are delivered when it is their time, so that the client feels back-pressure; if that goes on
    /// beyond [`rate_patience`](Self::rate_patience), close 1008. Default `None`, no limit.
    message_rate / with_message_rate: Option<Rate> = None;

    /// Bytes that a WebSocket client may send in a second, as they are received: frames, control
    /// frames, compressed messages as they are. A route may say otherwise, see
    /// [`RequireWebSocket::byte_rate`](crate::RequireWebSocket::byte_rate). Reached: nothing is
    /// read for so long; if that goes on beyond [`rate_patience`](Self::rate_patience), close 1008,
    /// so a message that is longer than the burst and what comes in that time cannot be sent.
    /// Default `None`, no limit.
    byte_rate / with_byte_rate: Option<Rate> = None;

    /// For how long a client may send faster than [`message_rate`](Self::message_rate) or
    /// [`byte_rate`](Self::byte_rate): the time for which it was held back, less the time for which
    /// it was not. `None` holds it back without end. Reached: close 1008 "too many messages".
    /// Default 10 s, which a burst is over in and a program that sends without end is not.
    rate_patience / with_rate_patience: Option<Duration> = Some(Duration::from_secs(10));
}

/// How long handlers get to return after their connections were cut.
pub(crate) const AFTER_CUT: Duration = Duration::from_secs(1);

/// The drain time for each connection, unless another is set.
const DRAIN_SLOT: Duration = Duration::from_millis(2);

/// The longest that the drain takes, unless another is set.
const LONGEST_DRAIN: Duration = Duration::from_secs(10);

impl Config {
    /// Time over which so many connections are told that the server stops.
    pub(crate) fn drain_span(&self, connections: usize) -> Duration {
        self.drain_time.unwrap_or_else(|| {
            let number = u32::try_from(connections).unwrap_or(u32::MAX);
            DRAIN_SLOT.saturating_mul(number).min(LONGEST_DRAIN)
        })
    }

    /// The longest that a graceful stop takes, from the call of
    /// [`Handle::stop`](crate::Handle::stop) to the return of [`Server::run`](crate::Server::run):
    /// [`drain_delay`](Self::drain_delay), [`drain_time`](Self::drain_time),
    /// [`shutdown_grace`](Self::shutdown_grace) and a second for handlers that do not return. What
    /// supervises the process should wait longer before it kills it.
    pub fn longest_stop(&self) -> Duration {
        let drain = self.drain_span(usize::MAX);
        let times = [self.drain_delay, drain, self.shutdown_grace, AFTER_CUT];
        times.into_iter().fold(Duration::ZERO, Duration::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_changes_its_own_setting_only() {
        let config = Config::default().with_head_lines(7);
        assert_eq!(config.head_lines(), 7);
        assert_eq!(config.head_bytes(), Config::default().head_bytes());
    }

    #[test]
    fn a_drain_is_as_long_as_there_are_many_unless_it_is_said_how_long() {
        let config = Config::default();
        let spans = [0, 1, 500, 5_000, usize::MAX].map(|number| config.drain_span(number));
        assert_eq!(spans.map(|span| span.as_millis()), [0, 2, 1_000, 10_000, 10_000]);
        let config = config.with_drain_time(Some(Duration::ZERO));
        assert_eq!(config.drain_span(5_000), Duration::ZERO);
    }
}
