//! How the end of a request body is found, and the refusals that keep requests from being
//! smuggled past a proxy that reads the same bytes another way.
//!
//! Source: RFC 9112 6.1 to 6.3 and 11.2, stricter where the RFC leaves a choice.

use super::headers::Headers;
use super::refusal::Refusal;
use super::request::Version;
use super::token::is_token;

/// How the end of a request body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is no body.
    None,
    /// The body has this many bytes (`Content-Length`).
    Length(u64),
    /// The body comes in chunks (`Transfer-Encoding: chunked`).
    Chunked,
}

impl Framing {
    /// Reads `Content-Length` and `Transfer-Encoding` of a head.
    ///
    /// # Errors
    /// 400: both fields, `Content-Length` twice or not a plain number, `Transfer-Encoding` in
    /// HTTP/1.0, malformed, or with `chunked` anywhere but once at the end. 501: another coding.
    pub(crate) fn of(version: Version, headers: &Headers) -> Result<Self, Refusal> {
        let lengths = headers.count("content-length");
        let codings = headers.count("transfer-encoding");
        match (lengths, codings) {
            (0, 0) => Ok(Self::None),
            (1, 0) => content_length(headers),
            (_, 0) => Err(Refusal::bad_request("Content-Length is there more than once.")),
            (0, _) if version == Version::Http10 => {
                Err(Refusal::bad_request("HTTP/1.0 has no Transfer-Encoding."))
            }
            (0, _) => transfer_encoding(headers),
            _ => Err(Refusal::bad_request(
                "Content-Length and Transfer-Encoding exclude each other.",
            )),
        }
    }
}

fn content_length(headers: &Headers) -> Result<Framing, Refusal> {
    let digits = headers.get("content-length").unwrap_or_default();
    // `parse` alone would take a plus sign.
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.parse() {
        Ok(length) if plain => Ok(Framing::Length(length)),
        _ => Err(Refusal::bad_request("Content-Length is not a number.")),
    }
}

fn transfer_encoding(headers: &Headers) -> Result<Framing, Refusal> {
    let malformed = || Refusal::bad_request("Transfer-Encoding is malformed.");
    let (mut chunked, mut foreign) = (false, false);
    let lines = headers.raw("transfer-encoding");
    for coding in lines.flat_map(|line| line.split(|&byte| byte == b',')) {
        let coding = coding.trim_ascii();
        let name = coding.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii_end();
        // After `chunked` nothing may follow, not even `chunked`.
        if chunked || !is_token(name) {
            return Err(malformed());
        }
        if !name.eq_ignore_ascii_case(b"chunked") {
            foreign = true;
        } else if name.len() == coding.len() {
            chunked = true;
        } else {
            return Err(malformed());
        }
    }
    if foreign {
        return Err(Refusal::not_implemented("Only the transfer coding chunked is understood."));
    }
    Ok(Framing::Chunked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(version: Version, fields: &[(&str, &str)]) -> Result<Framing, u16> {
        let fields = fields.iter().map(|(name, value)| (*name, value.as_bytes()));
        Framing::of(version, &Headers::from_fields(fields)).map_err(|refusal| refusal.status())
    }

    fn http11(fields: &[(&str, &str)]) -> Result<Framing, u16> {
        framing(Version::Http11, fields)
    }

    #[test]
    fn a_plain_length_is_taken() {
        assert_eq!(http11(&[]), Ok(Framing::None));
        assert_eq!(http11(&[("content-length", "0")]), Ok(Framing::Length(0)));
        assert_eq!(http11(&[("Content-Length", "10")]), Ok(Framing::Length(10)));
        let most = u64::MAX.to_string();
        assert_eq!(http11(&[("Content-Length", &most)]), Ok(Framing::Length(u64::MAX)));
        assert_eq!(framing(Version::Http10, &[("Content-Length", "5")]), Ok(Framing::Length(5)));
    }

    #[test]
    fn an_odd_length_is_refused() {
        let over = "18446744073709551616";
        for bad in ["", "+5", "-1", "5, 5", "5,5", "0x10", "abc", "5 5", "5\t", "1e3", "٣", over] {
            assert_eq!(http11(&[("Content-Length", bad)]), Err(400), "{bad:?}");
        }
        assert_eq!(http11(&[("Content-Length", "5"), ("content-length", "5")]), Err(400));
    }

    #[test]
    fn chunked_alone_is_understood() {
        assert_eq!(http11(&[("Transfer-Encoding", "chunked")]), Ok(Framing::Chunked));
        assert_eq!(http11(&[("transfer-encoding", "CHUNKED")]), Ok(Framing::Chunked));
    }

    #[test]
    fn a_malformed_transfer_encoding_is_refused() {
        let bad =
            ["", ",", "chunked,", ",chunked", "chunked, chunked", "chunked, gzip", "chunked;a=b"];
        for bad in bad {
            assert_eq!(http11(&[("Transfer-Encoding", bad)]), Err(400), "{bad:?}");
        }
        for bad in ["\u{b}chunked", "chun ked", "\"chunked\"", "chunked\u{a0}"] {
            assert_eq!(http11(&[("Transfer-Encoding", bad)]), Err(400), "{bad:?}");
        }
        let twice = [("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")];
        assert_eq!(http11(&twice), Err(400));
    }

    #[test]
    fn another_coding_is_not_implemented() {
        for foreign in ["gzip", "identity", "xchunked", "gzip, chunked", "gzip;q=1, chunked"] {
            assert_eq!(http11(&[("Transfer-Encoding", foreign)]), Err(501), "{foreign:?}");
        }
        let lines = [("Transfer-Encoding", "gzip"), ("Transfer-Encoding", "chunked")];
        assert_eq!(http11(&lines), Err(501));
    }

    #[test]
    fn both_fields_together_are_refused() {
        let both = [("Content-Length", "5"), ("Transfer-Encoding", "chunked")];
        assert_eq!(http11(&both), Err(400));
    }

    #[test]
    fn http10_has_no_transfer_encoding() {
        assert_eq!(framing(Version::Http10, &[("Transfer-Encoding", "chunked")]), Err(400));
    }
}
