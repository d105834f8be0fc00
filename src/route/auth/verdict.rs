//! What is asked of a request before its handler runs, and what the answer can be.

use std::borrow::Cow;

use crate::error::Result;
use crate::http::refusal::Refusal;
use crate::route::identity::Identity;
use crate::route::request::Request;

/// Finds out who sends a request, by one kind of credentials: a token, a password, a session.
///
/// [`Auth`](crate::Auth) puts one or several of them before all routes or one. Every
/// `Fn(&Request) -> Result<Verdict>` is one.
///
/// # Blocking
/// It is called on the connection's own thread before the handshake is answered, and may block.
///
/// # Errors
/// What cannot be checked is refused: an `Err` is logged and answered 503, a panic 500.
///
/// # Example
/// ```
/// use landline::{Auth, Denial, Identity, Request, Result, Server, Verdict};
///
/// fn by_badge(request: &Request) -> Result<Verdict> {
///     Ok(match request.header("x-badge") {
///         None => Verdict::NotMine,
///         // As your application knows its badges; not as simple as this.
///         Some("4711") => Verdict::Known(Identity::default().user("anna")),
///         Some(_) => Verdict::Refused(Denial::unauthorized("This badge is not known.")),
///     })
/// }
/// let builder = Server::builder().authenticate(Auth::new(by_badge));
/// # let _ = builder;
/// ```
pub trait Authenticator: Send + Sync + 'static {
    /// Says who sends the request, as far as this kind of credentials tells.
    ///
    /// # Blocking
    /// As long as it takes: it is called on the thread of the connection, and holds up nobody else.
    /// Those of this library wait for their turn, 10 s or the backend's time-out at most, and then
    /// for a hash, a signature or the backend.
    ///
    /// # Errors
    /// Whatever keeps it from finding out; the client learns nothing of it.
    fn authenticate(&self, request: &Request) -> Result<Verdict>;

    /// What a 401 asks for, the value of `WWW-Authenticate`: `Bearer realm="chat"`, for instance.
    /// Default: nothing; if no authenticator of a route has anything to ask for, who brings no
    /// credentials gets 403 instead.
    ///
    /// # Units
    /// Visible ASCII.
    fn challenge(&self) -> Option<String> {
        None
    }
}

impl<F> Authenticator for F
where
    F: Fn(&Request) -> Result<Verdict> + Send + Sync + 'static,
{
    fn authenticate(&self, request: &Request) -> Result<Verdict> {
        self(request)
    }
}

/// What an [`Authenticator`] came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The credentials are right, and this is whose they are.
    Known(Identity),
    /// The request has no credentials of this kind; the next authenticator is asked.
    NotMine,
    /// The credentials are there and wrong; nobody else is asked.
    Refused(Denial),
}

/// Why somebody is not let in, in words for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    status: u16,
    text: Cow<'static, str>,
    challenge: Option<String>,
}

impl Denial {
    /// 401: the credentials are wrong, others may be tried. `text` is a sentence for the client.
    pub fn unauthorized(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(401, text)
    }

    /// 403: it is clear who asks, and that one may not.
    pub fn forbidden(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(403, text)
    }

    /// 503: it cannot be found out now.
    pub fn unavailable(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(503, text)
    }

    /// The value of `WWW-Authenticate` instead of the authenticator's own; only a 401 has one.
    ///
    /// # Units
    /// Visible ASCII; another value is answered 500.
    #[must_use]
    pub fn with_challenge(mut self, challenge: impl Into<String>) -> Self {
        self.challenge = Some(challenge.into());
        self
    }

    /// The status of the answer.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The sentence for the client.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn new(status: u16, text: impl Into<Cow<'static, str>>) -> Self {
        Self { status, text: text.into(), challenge: None }
    }

    /// The answer; `challenge` is what the authenticator asks for.
    pub(super) fn into_refusal(self, challenge: Option<String>) -> Refusal {
        match (self.status, self.challenge.or(challenge)) {
            (401, Some(challenge)) => Refusal::unauthorized(self.text, challenge),
            // A 401 has to say what would be right (RFC 9110 15.5.2).
            (401 | 403, _) => Refusal::forbidden(self.text),
            _ => Refusal::not_now(self.text),
        }
    }
}
