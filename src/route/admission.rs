//! Whether a consumer takes a connection.

use crate::error::Result;
use crate::http::Response;
use crate::route::context::Context;
use crate::ws::close::{CloseFrame, MAX_REASON_BYTES};
use crate::ws::close_code;

/// What [`Consumer::connect`](crate::Consumer::connect) decides: to accept, to reject with plain
/// HTTP, or to accept and close at once, with a code that a browser can see.
///
/// # Example
/// ```
/// use landline::Admission;
/// let welcome = Admission::accept().with_header("Set-Cookie", "seen=1");
/// let stranger = Admission::reject_with(401, "Please log in first.");
/// let banned = Admission::close(4003, "banned until Friday");
/// # let _ = (welcome, stranger, banned);
/// ```
///
/// # Source
/// Channels `accept(subprotocol, headers)` and `close(code, reason)` in `connect`, where a close
/// before the accept is a 403 whose code and reason no browser ever sees.
#[derive(Clone, Debug)]
pub struct Admission {
    verdict: Verdict,
    subprotocol: Option<String>,
    headers: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
enum Verdict {
    Accept,
    Reject { status: u16, text: String },
    Close { code: u16, reason: String },
}

impl Admission {
    /// Accepts the connection. This is what [`Consumer::connect`](crate::Consumer::connect) does by
    /// itself.
    pub fn accept() -> Self {
        Self::new(Verdict::Accept)
    }

    /// Rejects the handshake with 403.
    pub fn reject() -> Self {
        Self::reject_with(403, "This connection is not allowed.")
    }

    /// Rejects the handshake with a status and a text for the client.
    ///
    /// A browser's page learns neither: it sees a failed connection, close code 1006. Where it
    /// should learn why, use [`close`](Self::close).
    ///
    /// # Units
    /// `status`: 200 to 599; anything else is answered 500.
    pub fn reject_with(status: u16, text: impl Into<String>) -> Self {
        Self::new(Verdict::Reject { status, text: text.into() })
    }

    /// Accepts the handshake and closes at once, so that a browser's page learns code and reason.
    ///
    /// # Units
    /// As [`WebSocket::close`](crate::WebSocket::close); a code or reason that may not be sent is a
    /// failure of the consumer, answered 500.
    pub fn close(code: u16, reason: impl Into<String>) -> Self {
        Self::new(Verdict::Close { code, reason: reason.into() })
    }

    /// Chooses a subprotocol, which the client must have offered; otherwise the first of the
    /// route's [`subprotocols`](crate::ConsumerRoute::subprotocols) that it offered is chosen.
    #[must_use]
    pub fn with_subprotocol(mut self, name: impl Into<String>) -> Self {
        self.subprotocol = Some(name.into());
        self
    }

    /// Adds a header field to the answer, be it the 101 or the rejection.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    fn new(verdict: Verdict) -> Self {
        Self { verdict, subprotocol: None, headers: Vec::new() }
    }

    /// Does as decided; the response if the handshake is rejected.
    ///
    /// # Errors
    /// `Protocol`, `Limit`: what was decided may not be sent; nothing was. `Closed`: the
    /// connection is over.
    pub(super) fn carry_out(&self, ctx: &Context<'_>) -> Result<Option<Response>> {
        match &self.verdict {
            Verdict::Accept => self.admit(ctx)?,
            Verdict::Close { code, reason } => {
                CloseFrame::new(*code, reason)?;
                self.admit(ctx)?;
                ctx.close(*code, reason)?;
            }
            Verdict::Reject { text, .. } if ctx.websocket().is_accepted() => {
                let end = text.floor_char_boundary(MAX_REASON_BYTES);
                ctx.close(close_code::POLICY, &text[..end])?;
            }
            Verdict::Reject { status, text } => {
                let mut response = Response::text(format!("{text}\n")).with_status(*status);
                for (name, value) in &self.headers {
                    response = response.with_header(name, value);
                }
                return Ok(Some(response));
            }
        }
        Ok(None)
    }

    fn admit(&self, ctx: &Context<'_>) -> Result<()> {
        let fields = self.headers.iter();
        let headers: Vec<_> = fields.map(|(name, value)| (&name[..], &value[..])).collect();
        ctx.websocket().admit(self.subprotocol.as_deref(), &headers)
    }
}

impl Default for Admission {
    fn default() -> Self {
        Self::accept()
    }
}
