//! Close codes, close frames and how a connection ended.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};

/// The close codes of RFC 6455 7.4.1 and the registry that a server has a use for.
pub mod close_code {
    /// The purpose of the connection is fulfilled.
    pub const NORMAL: u16 = 1000;
    /// The server goes down or the browser leaves the page.
    pub const GOING_AWAY: u16 = 1001;
    /// The peer broke the protocol.
    pub const PROTOCOL: u16 = 1002;
    /// This kind of data cannot be accepted (text where binary is due, for instance).
    pub const UNSUPPORTED: u16 = 1003;
    /// Reported when a close frame had no code; never sent.
    pub const NONE: u16 = 1005;
    /// Reported when the connection ended without a close frame; never sent.
    pub const LOST: u16 = 1006;
    /// Text is not UTF-8, or a compressed message cannot be inflated.
    pub const INVALID_DATA: u16 = 1007;
    /// The message breaks a rule that no other code names.
    pub const POLICY: u16 = 1008;
    /// The message is larger than the limit.
    pub const TOO_BIG: u16 = 1009;
    /// The server failed or lost contact.
    pub const INTERNAL: u16 = 1011;
    /// The server restarts; come back.
    pub const RESTART: u16 = 1012;
    /// The client is too slow or the server too busy; come back later.
    pub const TRY_AGAIN: u16 = 1013;
    /// The token or session with which the connection was opened is good no more; 401 with a 4
    /// before it, as applications use to do.
    pub const TOKEN_EXPIRED: u16 = 4401;
}

/// Longest reason that fits a control frame beside the code, in bytes.
pub(crate) const MAX_REASON_BYTES: usize = 123;

/// A valid close frame: an allowed code with its reason, or neither.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CloseFrame {
    status: Option<(u16, String)>,
}

impl CloseFrame {
    /// A close frame without a code.
    pub(crate) const EMPTY: Self = Self { status: None };

    /// A frame with a code that may be sent and a reason that fits.
    pub(crate) fn new(code: u16, reason: &str) -> Result<Self> {
        if !is_sendable(code) {
            let text = format!(
                "close code {code} may not be sent; allowed are 1000-1003, 1007-1014, 3000-4999"
            );
            return Err(Error::new(ErrorKind::Protocol, text));
        }
        if reason.len() > MAX_REASON_BYTES {
            let text = format!(
                "close reason of {} bytes is over the limit of {MAX_REASON_BYTES}",
                reason.len()
            );
            return Err(Error::new(ErrorKind::Limit, text));
        }
        Ok(Self { status: Some((code, reason.to_owned())) })
    }

    /// A frame of the server's own: code and reason are constants of this crate.
    pub(crate) fn of_server(code: u16, reason: &'static str) -> Self {
        debug_assert!(is_sendable(code) && reason.len() <= MAX_REASON_BYTES);
        Self { status: Some((code, reason.to_owned())) }
    }

    /// Reads the payload of a received close frame.
    ///
    /// # Source
    /// RFC 6455 5.5.1, 7.4
    pub(crate) fn parse(payload: &[u8]) -> Result<Self, Violation> {
        match payload {
            [] => Ok(Self::EMPTY),
            [_] => Err(Violation::Protocol("close payload of one byte")),
            [high, low, reason @ ..] => {
                let code = u16::from_be_bytes([*high, *low]);
                if !is_sendable(code) {
                    return Err(Violation::Protocol("close code not allowed"));
                }
                let reason = simdutf8::basic::from_utf8(reason).map_err(|_| Violation::Utf8)?;
                Ok(Self { status: Some((code, reason.to_owned())) })
            }
        }
    }

    /// The payload to send.
    pub(crate) fn payload(&self) -> Vec<u8> {
        match &self.status {
            None => Vec::new(),
            Some((code, reason)) => [&code.to_be_bytes(), reason.as_bytes()].concat(),
        }
    }

    /// The code, 1005 if there is none.
    pub(crate) fn code(&self) -> u16 {
        self.status.as_ref().map_or(close_code::NONE, |(code, _)| *code)
    }

    /// The reason, empty if there is none.
    pub(crate) fn reason(&self) -> &str {
        self.status.as_ref().map_or("", |(_, reason)| reason)
    }
}

/// True for codes that may stand in a close frame, sent or received.
fn is_sendable(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// What a peer did wrong in its frames, and so the code its connection is closed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    /// The frame layer was broken: 1002, with what was seen.
    Protocol(&'static str),
    /// Text or a close reason is not UTF-8: 1007.
    Utf8,
    /// A compressed message cannot be inflated: 1007.
    Deflate,
    /// The message is over the limit of so many bytes: 1009.
    TooBig(usize),
    /// It went on sending faster than it may: 1008.
    TooFast,
}

impl Violation {
    /// The close frame that answers it.
    pub(crate) fn answer(self) -> CloseFrame {
        match self {
            Self::Protocol(what) => CloseFrame::of_server(close_code::PROTOCOL, what),
            Self::Utf8 => CloseFrame::of_server(close_code::INVALID_DATA, "not UTF-8"),
            Self::Deflate => CloseFrame::of_server(close_code::INVALID_DATA, "bad compressed data"),
            Self::TooBig(limit) => {
                let reason = format!("message over {limit} bytes");
                CloseFrame { status: Some((close_code::TOO_BIG, reason)) }
            }
            Self::TooFast => CloseFrame::of_server(close_code::POLICY, "too many messages"),
        }
    }

    /// The cause for the application's error.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Protocol(what) => Error::new(ErrorKind::Protocol, what),
            Self::Utf8 => Error::new(ErrorKind::Utf8, "text from the client is not UTF-8"),
            Self::Deflate => {
                Error::new(ErrorKind::Protocol, "a compressed message from the client is broken")
            }
            Self::TooBig(limit) => {
                Error::new(ErrorKind::Limit, format!("message over the limit of {limit} bytes"))
            }
            Self::TooFast => {
                Error::new(ErrorKind::Limit, "the client went on sending faster than it may")
            }
        }
    }
}

/// The two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The peer.
    Client,
    /// This process.
    Server,
}

impl Side {
    /// The word for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// How a connection ended: who ended it, with which code and reason, and whether both sides
/// said so.
///
/// # Source
/// RFC 6455 7.1.4-7.1.6
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    pub(crate) by: Side,
    pub(crate) code: u16,
    pub(crate) reason: String,
    pub(crate) clean: bool,
}

impl Closed {
    /// Who closed first; for a lost connection, whose fault it was.
    pub fn by(&self) -> Side {
        self.by
    }

    /// The close code; [`close_code::NONE`] if the frame had none, [`close_code::LOST`] if there
    /// was no frame.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The reason given with the code, or what happened to a lost connection; may be empty.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// True if both sides exchanged close frames and neither broke the protocol.
    pub fn is_clean(&self) -> bool {
        self.clean
    }

    pub(crate) fn lost(by: Side, reason: &str) -> Self {
        Self { by, code: close_code::LOST, reason: reason.to_owned(), clean: false }
    }

    pub(crate) fn from_frame(by: Side, frame: &CloseFrame, clean: bool) -> Self {
        Self { by, code: frame.code(), reason: frame.reason().to_owned(), clean }
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = self.by.name();
        write!(f, "closed by the {by} with {}", self.code)?;
        if !self.reason.is_empty() {
            write!(f, " {:?}", self.reason)?;
        }
        if !self.clean {
            f.write_str(", not cleanly")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_may_not_travel_are_refused_both_ways() {
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
            assert!(CloseFrame::new(code, "").is_err(), "{code} sent");
            let received = CloseFrame::parse(&code.to_be_bytes());
            assert!(matches!(received, Err(Violation::Protocol(_))), "{code} received");
        }
        for code in [1000, 1003, 1007, 1014, 3000, 4999] {
            assert!(CloseFrame::new(code, "").is_ok(), "{code} sent");
            assert_eq!(CloseFrame::parse(&code.to_be_bytes()).map(|f| f.code()), Ok(code));
        }
    }

    #[test]
    fn a_reason_must_fit_and_be_utf8() {
        assert!(CloseFrame::new(1000, &"x".repeat(123)).is_ok());
        assert_eq!(CloseFrame::new(1000, &"x".repeat(124)).unwrap_err().kind(), ErrorKind::Limit);
        assert_eq!(CloseFrame::parse(&[3, 232, 0xff]), Err(Violation::Utf8));
        assert!(matches!(CloseFrame::parse(&[3]), Err(Violation::Protocol(_))));
    }

    #[test]
    fn a_frame_survives_the_wire() {
        let frame = CloseFrame::new(4001, "再见").unwrap();
        assert_eq!(CloseFrame::parse(&frame.payload()), Ok(frame));
        assert_eq!(CloseFrame::parse(&CloseFrame::EMPTY.payload()), Ok(CloseFrame::EMPTY));
        assert_eq!(CloseFrame::EMPTY.code(), 1005);
    }
}
