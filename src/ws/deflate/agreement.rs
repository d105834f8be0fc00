//! What both sides agree on: an offer that was accepted, with our settings.

use crate::config::Deflate;
use crate::ws::deflate::offer::{DeflateOffer, NAME};

/// The largest window of all.
pub(crate) const MAX_WINDOW_BITS: u8 = 15;

/// The smallest window zlib can compress with.
const MIN_WINDOW_BITS: u8 = 9;

/// How one direction is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// The window, 9 to 15; the client's may really be smaller.
    pub(crate) window_bits: u8,
    /// Messages are compressed with the help of those before.
    pub(crate) has_context_takeover: bool,
}

/// permessage-deflate as it is spoken on one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Agreement {
    pub(crate) server: Terms,
    pub(crate) client: Terms,
    names_server_bits: bool,
    names_client_bits: bool,
}

impl Agreement {
    /// Accepts the first offer that can be accepted.
    pub(crate) fn first_of(offers: &[DeflateOffer], settings: &Deflate) -> Option<Self> {
        offers.iter().find_map(|offer| Self::accept(offer, settings))
    }

    /// Accepts an offer; `None` declines it, which is for a server's window of 8 bits only.
    ///
    /// # Source
    /// RFC 7692 7.1.1, 7.1.2. A client that is asked for nothing may use any window; one that says
    /// it uses 8 bits is not told to, because zlib takes 9 for it.
    fn accept(offer: &DeflateOffer, settings: &Deflate) -> Option<Self> {
        let asked = offer.server_max_window_bits;
        if asked.is_some_and(|bits| bits < MIN_WINDOW_BITS) {
            return None;
        }
        let ours = settings.server_max_window_bits();
        let server = Terms {
            window_bits: asked.map_or(ours, |bits| bits.min(ours)),
            has_context_takeover: settings.server_context_takeover()
                && !offer.server_no_context_takeover,
        };
        let client_bits = match offer.client_max_window_bits {
            None => MAX_WINDOW_BITS,
            Some(own) => own.unwrap_or(MAX_WINDOW_BITS).min(settings.client_max_window_bits()),
        };
        let client = Terms {
            window_bits: client_bits.max(MIN_WINDOW_BITS),
            has_context_takeover: settings.client_context_takeover()
                && !offer.client_no_context_takeover,
        };
        Some(Self {
            server,
            client,
            names_server_bits: asked.is_some() || server.window_bits < MAX_WINDOW_BITS,
            names_client_bits: (MIN_WINDOW_BITS..MAX_WINDOW_BITS).contains(&client_bits),
        })
    }

    /// The value of the answer's `Sec-WebSocket-Extensions`.
    pub(crate) fn answer(&self) -> String {
        let mut answer = NAME.to_owned();
        if !self.server.has_context_takeover {
            answer.push_str("; server_no_context_takeover");
        }
        if !self.client.has_context_takeover {
            answer.push_str("; client_no_context_takeover");
        }
        if self.names_server_bits {
            answer.push_str(&format!("; server_max_window_bits={}", self.server.window_bits));
        }
        if self.names_client_bits {
            answer.push_str(&format!("; client_max_window_bits={}", self.client.window_bits));
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ws::deflate::offer::offers;

    fn answer(line: &str, settings: Deflate) -> Option<String> {
        let offers = offers([line.as_bytes()].into_iter()).unwrap();
        let agreement = Agreement::first_of(&offers, &settings)?;
        Some(agreement.answer().replace("permessage-deflate", "pmd").replace(";", ""))
    }

    #[test]
    fn by_default_nothing_is_kept_between_messages() {
        let plain = "pmd server_no_context_takeover client_no_context_takeover";
        for (offer, more) in [
            ("permessage-deflate", ""),
            ("permessage-deflate; client_max_window_bits", ""),
            ("permessage-deflate; client_max_window_bits=15", ""),
            ("permessage-deflate; client_max_window_bits=8", ""),
            ("permessage-deflate; client_max_window_bits=9", " client_max_window_bits=9"),
            ("permessage-deflate; server_max_window_bits=15", " server_max_window_bits=15"),
            ("permessage-deflate; server_max_window_bits=9", " server_max_window_bits=9"),
            (
                "permessage-deflate; server_max_window_bits=8, permessage-deflate; \
                 server_max_window_bits=10; server_no_context_takeover",
                " server_max_window_bits=10",
            ),
        ] {
            let expected = Some(format!("{plain}{more}"));
            assert_eq!(answer(offer, Deflate::new()), expected, "{offer}");
        }
    }

    #[test]
    fn a_server_window_of_8_bits_is_declined() {
        assert_eq!(answer("permessage-deflate; server_max_window_bits=8", Deflate::new()), None);
        assert_eq!(answer("x-webkit-deflate-frame", Deflate::new()), None);
    }

    #[test]
    fn takeover_is_agreed_where_both_want_it() {
        let both = Deflate::new().with_server_context_takeover(true);
        let both = both.with_client_context_takeover(true);
        for (offer, expected) in [
            ("permessage-deflate", "pmd"),
            (
                "permessage-deflate; server_no_context_takeover; client_max_window_bits",
                "pmd server_no_context_takeover",
            ),
            ("permessage-deflate; client_no_context_takeover", "pmd client_no_context_takeover"),
        ] {
            assert_eq!(answer(offer, both).as_deref(), Some(expected), "{offer}");
        }
    }

    #[test]
    fn our_windows_are_named_where_the_client_can_follow() {
        let small = Deflate::new().with_server_max_window_bits(11).with_client_max_window_bits(10);
        let small = small.with_server_context_takeover(true).with_client_context_takeover(true);
        for (offer, expected) in [
            ("permessage-deflate", "pmd server_max_window_bits=11"),
            (
                "permessage-deflate; client_max_window_bits",
                "pmd server_max_window_bits=11 client_max_window_bits=10",
            ),
            (
                "permessage-deflate; client_max_window_bits=9; server_max_window_bits=9",
                "pmd server_max_window_bits=9 client_max_window_bits=9",
            ),
            (
                "permessage-deflate; client_max_window_bits=8; server_max_window_bits=12",
                "pmd server_max_window_bits=11",
            ),
        ] {
            assert_eq!(answer(offer, small).as_deref(), Some(expected), "{offer}");
        }
    }

    #[test]
    fn what_a_client_was_not_asked_for_is_understood_with_any_window() {
        let small = Deflate::new().with_client_max_window_bits(9);
        let agreed = |offer| Agreement::first_of(&[offer], &small).unwrap().client.window_bits;
        assert_eq!(agreed(DeflateOffer::default()), 15);
        let offer = |own| DeflateOffer { client_max_window_bits: own, ..DeflateOffer::default() };
        assert_eq!(agreed(offer(Some(None))), 9);
        assert_eq!(agreed(offer(Some(Some(8)))), 9);
    }
}
