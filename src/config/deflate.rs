//! `Deflate`, how messages are compressed.

/// Windows that zlib can compress with, as powers of two.
const WINDOW_BITS: std::ops::RangeInclusive<u8> = 9..=15;

/// Levels of zlib, from fast to small.
const LEVELS: std::ops::RangeInclusive<u8> = 1..=9;

/// How messages are compressed on connections whose client offers permessage-deflate: a setting
/// of the server ([`Config::with_compression`](crate::Config::with_compression)) and of routes.
///
/// By itself no message is compressed with the help of an earlier one, in either direction
/// (`server_no_context_takeover`, `client_no_context_takeover`). So a connection keeps nothing
/// between two messages, compressors are shared by all of them, and a message for many is
/// compressed once.
///
/// The length of a compressed message tells something of its content: keep a secret and what
/// somebody else wrote out of one message, or turn compression off there.
///
/// # Example
/// ```
/// use landline::{Config, Deflate};
/// let deflate = Deflate::default().with_level(1).with_threshold_bytes(4096);
/// let config = Config::default().with_compression(Some(deflate));
/// assert_eq!(config.compression(), Some(deflate));
/// ```
///
/// # Source
/// RFC 7692
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deflate {
    level: u8,
    threshold_bytes: usize,
    server_max_window_bits: u8,
    client_max_window_bits: u8,
    server_context_takeover: bool,
    client_context_takeover: bool,
}

impl Default for Deflate {
    fn default() -> Self {
        Self::new()
    }
}

impl Deflate {
    /// The defaults that stand beside each setting.
    pub const fn new() -> Self {
        Self {
            level: 2,
            threshold_bytes: 1024,
            server_max_window_bits: *WINDOW_BITS.end(),
            client_max_window_bits: *WINDOW_BITS.end(),
            server_context_takeover: false,
            client_context_takeover: false,
        }
    }

    /// How hard the compressor tries. Default 2: of JSON of 4 KiB it leaves 35 % in 38 µs, where
    /// level 1 leaves 47 % in 18 µs and level 6 34 % in 48 µs.
    ///
    /// # Units
    /// zlib's levels, 1 to 9; others count as the nearest of them.
    pub const fn level(&self) -> u8 {
        self.level
    }

    /// Sets [`level`](Self::level).
    #[must_use]
    pub const fn with_level(mut self, level: u8) -> Self {
        self.level = nearest(level, *LEVELS.start(), *LEVELS.end());
        self
    }

    /// Payload from which on a message is compressed; what is shorter goes out as it is, and so
    /// does what would not become smaller. Default 1024: a shorter message is one packet
    /// anyway, and compressing it costs several times as much as sending it.
    ///
    /// With context takeover short messages gain more, so set it lower there.
    ///
    /// # Units
    /// Bytes of the payload; 0 compresses every message that becomes smaller.
    pub const fn threshold_bytes(&self) -> usize {
        self.threshold_bytes
    }

    /// Sets [`threshold_bytes`](Self::threshold_bytes).
    #[must_use]
    pub const fn with_threshold_bytes(mut self, bytes: usize) -> Self {
        self.threshold_bytes = bytes;
        self
    }

    /// The largest window the server compresses with; a client may ask for a smaller one, and
    /// gets it unless it is 8, with which zlib cannot compress: that offer is declined. Default 15.
    ///
    /// # Units
    /// The window has 2 to the power of this many bytes; 9 to 15, others count as the nearest.
    pub const fn server_max_window_bits(&self) -> u8 {
        self.server_max_window_bits
    }

    /// Sets [`server_max_window_bits`](Self::server_max_window_bits).
    #[must_use]
    pub const fn with_server_max_window_bits(mut self, bits: u8) -> Self {
        self.server_max_window_bits = nearest(bits, *WINDOW_BITS.start(), *WINDOW_BITS.end());
        self
    }

    /// The largest window clients are to compress with, if they let the server choose; those that
    /// do not are understood with any. A smaller one spares memory of theirs, not of the server.
    /// Default 15.
    ///
    /// # Units
    /// As [`server_max_window_bits`](Self::server_max_window_bits).
    pub const fn client_max_window_bits(&self) -> u8 {
        self.client_max_window_bits
    }

    /// Sets [`client_max_window_bits`](Self::client_max_window_bits).
    #[must_use]
    pub const fn with_client_max_window_bits(mut self, bits: u8) -> Self {
        self.client_max_window_bits = nearest(bits, *WINDOW_BITS.start(), *WINDOW_BITS.end());
        self
    }

    /// True if a connection's own messages are compressed with the help of those before, where the
    /// client does not forbid it. Default false.
    ///
    /// That saves most for many short messages that are alike. Each such connection owns a
    /// compressor of about 310 KiB from its first compressed message on. What is sent to a group is
    /// compressed once for all all the same; after it the connection's compressor begins anew.
    pub const fn server_context_takeover(&self) -> bool {
        self.server_context_takeover
    }

    /// Sets [`server_context_takeover`](Self::server_context_takeover).
    #[must_use]
    pub const fn with_server_context_takeover(mut self, takes_over: bool) -> Self {
        self.server_context_takeover = takes_over;
        self
    }

    /// True if clients may compress messages with the help of those before. Default false.
    ///
    /// Each connection of a client that does owns an inflater of about 50 KiB from its first
    /// compressed message on.
    pub const fn client_context_takeover(&self) -> bool {
        self.client_context_takeover
    }

    /// Sets [`client_context_takeover`](Self::client_context_takeover).
    #[must_use]
    pub const fn with_client_context_takeover(mut self, takes_over: bool) -> Self {
        self.client_context_takeover = takes_over;
        self
    }
}

const fn nearest(value: u8, least: u8, most: u8) -> u8 {
    if value < least {
        least
    } else if value > most {
        most
    } else {
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_zlib_cannot_do_counts_as_the_nearest_it_can() {
        let deflate = Deflate::new().with_level(0).with_server_max_window_bits(8);
        assert_eq!((deflate.level(), deflate.server_max_window_bits()), (1, 9));
        let deflate = Deflate::new().with_level(10).with_client_max_window_bits(16);
        assert_eq!((deflate.level(), deflate.client_max_window_bits()), (9, 15));
    }
}
