//! `Auth`, who is asked before which routes, and whether somebody unknown may come in.

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::SystemTime;

use super::verdict::{Authenticator, Denial, Verdict};
use crate::error::Result;
use crate::http::Method;
use crate::http::refusal::Refusal;
use crate::route::identity::Identity;
use crate::route::request::Request;
use crate::ws::close::CloseFrame;
use crate::ws::close_code;

/// What is said to somebody who brings no credentials.
const UNKNOWN: &str = "You have to say who you are to come in here.";
/// What is said when it cannot be found out who it is.
const UNCLEAR: &str = "It cannot be checked now who you are, please try again soon.";
const FOREIGN_PAGE: &str = "Pages of other sites may not act in your name here.";
const EXPIRED: &str = "token expired";

/// Who may come in: one or several [`Authenticator`]s, asked one after the other before the handler
/// runs, and so before the 101 of a WebSocket.
///
/// [`Builder::authenticate`](crate::Builder::authenticate) puts it before all routes, and
/// `.authenticate(..)` of a route before that route instead. It covers the whole route, plain HTTP
/// and WebSocket.
///
/// The first authenticator that finds credentials of its kind decides. Wrong credentials are refused
/// even where none are needed. Who brings none gets 401 with what is asked for, unless it is
/// [`optional`](Self::optional); [`Request::identity`](crate::Request::identity) is then `None`.
///
/// A browser sends cookies and passwords along for any page that asks it to, so a request that
/// changes something (not GET, HEAD or OPTIONS) is refused with 403 if it comes from a page of
/// another origin than [`Builder::origins`](crate::Builder::origins) knows. WebSocket handshakes
/// are held to the same list.
///
/// Cheap to clone.
#[derive(Clone)]
pub struct Auth {
    authenticators: Vec<Arc<dyn Authenticator>>,
    is_required: bool,
    /// Segments of the paths below which it counts; `None` for all.
    paths: Option<Arc<[Vec<String>]>>,
    /// How a WebSocket ends whose identity is good no more; `None` for the usual words.
    farewell: Option<Arc<CloseFrame>>,
}

static USUAL_FAREWELL: LazyLock<Arc<CloseFrame>> =
    LazyLock::new(|| Arc::new(CloseFrame::of_server(close_code::TOKEN_EXPIRED, EXPIRED)));

/// For routes with a rule of their own.
pub(crate) static OPEN: Auth = Auth::open();

impl Auth {
    /// Lets nobody in whom this one does not know.
    pub fn new(authenticator: impl Authenticator) -> Self {
        Self { authenticators: vec![Arc::new(authenticator)], is_required: true, ..Self::open() }
    }

    /// Asks nobody and lets everybody in, for a route of a server that asks elsewhere.
    pub const fn open() -> Self {
        Self { authenticators: Vec::new(), is_required: false, paths: None, farewell: None }
    }

    /// Asks one more, if those before find no credentials of their kind.
    #[must_use]
    pub fn or(mut self, authenticator: impl Authenticator) -> Self {
        self.authenticators.push(Arc::new(authenticator));
        self
    }

    /// Lets in who brings no credentials at all; wrong ones are still refused.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.is_required = false;
        self
    }

    /// Asks on these paths and below them only; all others are open.
    ///
    /// # Units
    /// Paths as `/ws` or `/ws/chat/`, percent-decoded; whole segments count, empty ones do not.
    #[must_use]
    pub fn under<S: AsRef<str>>(mut self, paths: impl IntoIterator<Item = S>) -> Self {
        let owned = |path: S| segments(path.as_ref()).map(str::to_owned).collect();
        self.paths = Some(paths.into_iter().map(owned).collect());
        self
    }

    /// How an open WebSocket is closed when its [`Identity::expires`]. Default:
    /// [`close_code::TOKEN_EXPIRED`] (4401) "token expired".
    ///
    /// # Units
    /// As [`WebSocket::close`](crate::WebSocket::close).
    ///
    /// # Errors
    /// `Protocol`, `Limit`: a code or reason that may not be sent.
    pub fn close_on_expiry(mut self, code: u16, reason: impl Into<String>) -> Result<Self> {
        self.farewell = Some(Arc::new(CloseFrame::new(code, &reason.into())?));
        Ok(self)
    }

    /// The close frame for an identity that is good no more.
    pub(crate) fn farewell(&self) -> Arc<CloseFrame> {
        // Shared by all connections: it waits with each of them for its moment.
        Arc::clone(self.farewell.as_ref().unwrap_or(&USUAL_FAREWELL))
    }

    /// Finds out who sends a request; `None` for somebody who need not be known.
    ///
    /// # Errors
    /// The answer for who is not let in: 401, 403, or 503 if it could not be found out.
    #[inline(never)]
    pub(crate) fn check(&self, request: &Request) -> Result<Option<Identity>, Refusal> {
        if self.authenticators.is_empty() || !self.covers(request.path()) {
            return Ok(None);
        }
        let outcome = self.ask(request);
        if let Err(refusal) = &outcome {
            note(refusal, request);
        }
        outcome
    }

    // What is rare is not inlined here and in the authenticators: the frames of all of them lie
    // below a handler that has not begun, on a stack that the connection keeps.
    fn ask(&self, request: &Request) -> Result<Option<Identity>, Refusal> {
        for authenticator in &self.authenticators {
            let verdict = authenticator.authenticate(request);
            match verdict {
                Ok(Verdict::NotMine) => {}
                Ok(Verdict::Known(identity)) if is_good(&identity, request) => {
                    return Ok(Some(identity));
                }
                verdict => return Err(refusal(&**authenticator, request, verdict)),
            }
        }
        if self.is_required { Err(self.unknown()) } else { Ok(None) }
    }

    #[inline(never)]
    fn unknown(&self) -> Refusal {
        Denial::unauthorized(UNKNOWN).into_refusal(self.challenges())
    }

    /// True if it counts for this path. More is covered rather than less: a path that only looks
    /// like one of those that are named is held to be it.
    fn covers(&self, path: &str) -> bool {
        let Some(paths) = &self.paths else { return true };
        paths.iter().any(|known| {
            let mut here = segments(path);
            known.iter().all(|segment| here.next() == Some(segment.as_str()))
        })
    }

    /// What all of them ask for, as one list.
    fn challenges(&self) -> Option<String> {
        let challenges: Vec<String> =
            self.authenticators.iter().filter_map(|one| one.challenge()).collect();
        (!challenges.is_empty()).then(|| challenges.join(", "))
    }
}

impl<A: Authenticator> From<A> for Auth {
    fn from(authenticator: A) -> Self {
        Self::new(authenticator)
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth")
            .field("authenticators", &self.authenticators.len())
            .field("is_required", &self.is_required)
            .field("paths", &self.paths)
            .finish_non_exhaustive()
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

#[inline(never)]
fn note(refusal: &Refusal, request: &Request) {
    log::info!(
        target: "landline::auth",
        "conn-{} {}: not let in with {}: {}",
        request.conn_id(),
        request.peer(),
        refusal.status(),
        refusal.text()
    );
}

fn is_good(identity: &Identity, request: &Request) -> bool {
    !is_over(identity) && !is_of_foreign_page(request)
}

/// Why somebody is not let in whom an authenticator did not pass on.
#[inline(never)]
fn refusal(
    authenticator: &dyn Authenticator,
    request: &Request,
    verdict: Result<Verdict>,
) -> Refusal {
    let denial = match verdict {
        Ok(Verdict::Refused(denial)) => denial,
        Ok(Verdict::Known(identity)) if is_over(&identity) => {
            Denial::unauthorized("What you showed is good no more.")
        }
        Ok(_) => Denial::forbidden(FOREIGN_PAGE),
        Err(mut error) => {
            return error.take_returned::<Refusal>().unwrap_or_else(|| {
                let (id, peer) = (request.conn_id(), request.peer());
                log::error!("conn-{id} {peer}: cannot authenticate: {}", error.chain());
                Refusal::not_now(UNCLEAR)
            });
        }
    };
    denial.into_refusal(authenticator.challenge())
}

fn is_over(identity: &Identity) -> bool {
    identity.expires().is_some_and(|at| at <= SystemTime::now())
}

/// True for a request that changes something and that a page of elsewhere has had sent.
fn is_of_foreign_page(request: &Request) -> bool {
    let changes = !matches!(request.method(), Method::Get | Method::Head | Method::Options);
    changes && request.headers().count("origin") > 0 && !request.is_of_known_page()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nobody(_: &Request) -> Result<Verdict> {
        Ok(Verdict::NotMine)
    }

    #[test]
    fn paths_are_compared_by_whole_segments() {
        let auth = Auth::new(nobody).under(["/ws", "/chat/private/"]);
        for path in ["/ws", "/ws/", "//ws//x", "/ws/news/a", "/chat/private", "/chat//private/x"] {
            assert!(auth.covers(path), "{path}");
        }
        for path in ["/", "/wss", "/w", "/chat", "/chat/privates", "/static/ws"] {
            assert!(!auth.covers(path), "{path}");
        }
        assert!(Auth::new(nobody).covers("/") && Auth::new(nobody).under(["/"]).covers("/x"));
    }

    #[test]
    fn the_close_frame_is_checked_when_it_is_set() {
        let frame = Auth::open().farewell();
        assert_eq!((frame.code(), frame.reason()), (4401, "token expired"));
        let auth = Auth::new(nobody).close_on_expiry(4001, "log in again").unwrap();
        assert_eq!((auth.farewell().code(), auth.farewell().reason()), (4001, "log in again"));
        assert!(Auth::open().close_on_expiry(1005, "").is_err());
        assert!(Auth::open().close_on_expiry(4001, "x".repeat(124)).is_err());
    }

    #[test]
    fn a_401_asks_for_something_and_a_403_does_not() {
        let asks = |denial: Denial, challenge: Option<&str>| {
            let response = denial.into_refusal(challenge.map(str::to_owned)).into_response();
            let asked = response.header("www-authenticate").map(str::to_owned);
            (response.status_code(), asked)
        };
        let basic = || Some("Basic realm=\"x\"".to_owned());
        let denied = || Denial::unauthorized("no");
        assert_eq!(asks(denied(), basic().as_deref()), (401, basic()));
        assert_eq!(
            asks(denied().with_challenge("Other"), basic().as_deref()),
            (401, Some("Other".into()))
        );
        assert_eq!(asks(denied(), None), (403, None));
        assert_eq!(asks(Denial::forbidden("no"), basic().as_deref()), (403, None));
        assert_eq!(asks(Denial::unavailable("no"), basic().as_deref()), (503, None));
    }
}
