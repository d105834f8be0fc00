//! What a client offers in `Sec-WebSocket-Extensions`.

use crate::http::token::is_token;

/// The extension's registered name.
pub(crate) const NAME: &str = "permessage-deflate";

/// One offer of permessage-deflate whose parameters all make sense.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeflateOffer {
    pub(crate) server_no_context_takeover: bool,
    pub(crate) client_no_context_takeover: bool,
    pub(crate) server_max_window_bits: Option<u8>,
    /// The client lets the server choose its window, perhaps below a size of its own.
    pub(crate) client_max_window_bits: Option<Option<u8>>,
}

/// The field is no list of extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The offers of permessage-deflate on all lines of the field, the client's favourite first.
///
/// Other extensions are left out, and so are offers with a parameter that is unknown, there twice
/// or ill-valued: those are declined, and the next one counts. Empty elements of the list mean
/// nothing (RFC 9110 5.6.1.2).
///
/// # Source
/// RFC 6455 9.1; RFC 7692 5.1, 7.1
pub(crate) fn offers<'a>(
    lines: impl Iterator<Item = &'a [u8]>,
) -> Result<Vec<DeflateOffer>, Malformed> {
    let mut offers = Vec::new();
    for line in lines {
        let mut rest = Reader { rest: line };
        while rest.skip_to_element() {
            let offer = rest.extension()?;
            offers.extend(offer);
        }
    }
    Ok(offers)
}

/// Reads a line from its front.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// True if there is an element behind commas and spaces.
    fn skip_to_element(&mut self) -> bool {
        while let [b',' | b' ' | b'\t', rest @ ..] = self.rest {
            self.rest = rest;
        }
        !self.rest.is_empty()
    }

    /// Reads one element of the list; `None` for one that is not to be considered.
    fn extension(&mut self) -> Result<Option<DeflateOffer>, Malformed> {
        let is_deflate = self.token()? == NAME.as_bytes();
        let mut offer = Some(DeflateOffer::default());
        while self.takes(b';') {
            let name = self.token()?;
            let value = if self.takes(b'=') { Some(self.value()?) } else { None };
            offer = offer.and_then(|offer| offer.with(name, value.as_deref()));
        }
        let is_at_end = self.takes(b',') || self.rest.is_empty();
        if is_at_end { Ok(offer.filter(|_| is_deflate)) } else { Err(Malformed) }
    }

    /// Takes a separator, if that comes next.
    fn takes(&mut self, separator: u8) -> bool {
        self.rest = self.rest.trim_ascii_start();
        let Some(rest) = self.rest.strip_prefix(&[separator]) else { return false };
        self.rest = rest.trim_ascii_start();
        true
    }

    fn token(&mut self) -> Result<&'a [u8], Malformed> {
        let is_end = |byte: &u8| b",;= \t\"".contains(byte);
        let end = self.rest.iter().position(is_end).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        if is_token(token) { Ok(token) } else { Err(Malformed) }
    }

    /// Reads a token that may be quoted.
    fn value(&mut self) -> Result<Vec<u8>, Malformed> {
        let Some(mut rest) = self.rest.strip_prefix(b"\"") else {
            return self.token().map(<[u8]>::to_vec);
        };
        let mut value = Vec::new();
        loop {
            match rest {
                [b'"', behind @ ..] => {
                    self.rest = behind;
                    return if is_token(&value) { Ok(value) } else { Err(Malformed) };
                }
                [b'\\', byte, behind @ ..] | [byte, behind @ ..] => {
                    value.push(*byte);
                    rest = behind;
                }
                [] => return Err(Malformed),
            }
        }
    }
}

impl DeflateOffer {
    /// The offer with one more parameter; `None` if it is to be declined for that.
    fn with(mut self, name: &[u8], value: Option<&[u8]>) -> Option<Self> {
        let is_news = match (name, value) {
            (b"server_no_context_takeover", None) => {
                !std::mem::replace(&mut self.server_no_context_takeover, true)
            }
            (b"client_no_context_takeover", None) => {
                !std::mem::replace(&mut self.client_no_context_takeover, true)
            }
            (b"server_max_window_bits", Some(value)) => {
                self.server_max_window_bits.replace(window_bits(value)?).is_none()
            }
            (b"client_max_window_bits", value) => {
                let bits = value.map(|value| window_bits(value).ok_or(())).transpose().ok()?;
                self.client_max_window_bits.replace(bits).is_none()
            }
            _ => false,
        };
        is_news.then_some(self)
    }
}

/// 8 to 15, without a zero before it.
fn window_bits(value: &[u8]) -> Option<u8> {
    match value {
        [digit @ b'8'..=b'9'] => Some(digit - b'0'),
        [b'1', digit @ b'0'..=b'5'] => Some(10 + digit - b'0'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Result<Vec<DeflateOffer>, Malformed> {
        offers(lines.iter().map(|line| line.as_bytes()))
    }

    fn bits(server: Option<u8>, client: Option<Option<u8>>) -> DeflateOffer {
        DeflateOffer {
            server_max_window_bits: server,
            client_max_window_bits: client,
            ..DeflateOffer::default()
        }
    }

    #[test]
    fn all_four_parameters_are_read() {
        let line = "permessage-deflate; server_no_context_takeover ;client_no_context_takeover; \
                    server_max_window_bits = 10\t; client_max_window_bits=\"1\\2\"";
        let offer = DeflateOffer {
            server_no_context_takeover: true,
            client_no_context_takeover: true,
            ..bits(Some(10), Some(Some(12)))
        };
        assert_eq!(read(&[line]), Ok(vec![offer]));
        assert_eq!(
            read(&["permessage-deflate; client_max_window_bits"]),
            Ok(vec![bits(None, Some(None))])
        );
    }

    #[test]
    fn offers_stand_in_their_order_on_any_line() {
        let lines = [
            ", x-other; a=1; b=\"c\" ,permessage-deflate; server_max_window_bits=9,, ",
            "",
            "permessage-deflate",
        ];
        assert_eq!(read(&lines), Ok(vec![bits(Some(9), None), bits(None, None)]));
        assert_eq!(read(&[]), Ok(vec![]));
    }

    #[test]
    fn an_offer_that_makes_no_sense_is_left_out_and_the_next_one_counts() {
        for wrong in [
            "server_no_context_takeover=1",
            "client_no_context_takeover=true",
            "server_no_context_takeover; server_no_context_takeover",
            "client_max_window_bits; client_max_window_bits=10",
            "server_max_window_bits",
            "server_max_window_bits=7",
            "server_max_window_bits=16",
            "server_max_window_bits=08",
            "server_max_window_bits=010",
            "server_max_window_bits=10; server_max_window_bits=10",
            "client_max_window_bits=a",
            "client_max_window_bits=\"-9\"",
            "level=9",
            "SERVER_MAX_WINDOW_BITS=9",
        ] {
            let line = format!("permessage-deflate; {wrong}, permessage-deflate");
            assert_eq!(read(&[&line]), Ok(vec![bits(None, None)]), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_list_is_malformed() {
        for wrong in [
            "permessage-deflate;",
            "permessage-deflate; ; x",
            "permessage-deflate; a=",
            "permessage-deflate; a=\"",
            "permessage-deflate; a=\"b c\"",
            "permessage-deflate; a=\"\"",
            "permessage-deflate; a=\"b\\\"",
            "permessage-deflate; a=\"b\"c",
            "permessage-deflate a",
            "=",
            "; permessage-deflate",
            "a=b",
            "b\u{e4}",
            "per/message",
        ] {
            assert_eq!(read(&["permessage-deflate", wrong]), Err(Malformed), "{wrong}");
        }
    }
}
