//! `PublishApi`, the route for other programs.

use std::borrow::Cow;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::access::{Access, Key};
use super::answer::Fault;
use super::asked::{Asked, Kind, Parts};
use super::by_get::PublishByGet;
use super::delivery;
use super::idempotency::{Begun, Idempotency, WINDOW};
use super::publication::Publication;
use crate::error::Result;
use crate::http::{Method, Response};
use crate::route::auth::{Auth, OPEN};
use crate::route::handler::Handler;
use crate::route::request::Request;
use crate::sync::Mutex;

/// Says whether somebody may publish something.
type Allow = dyn Fn(&Request, &Publication) -> bool + Send + Sync;

/// The methods of the route.
const METHODS: &str = "POST, OPTIONS";

/// Publishes to the hub by HTTP: for programs that hold no WebSocket, in any language.
///
/// A `POST` brings one message or a batch, and where it goes:
///
/// | content type | body |
/// |---|---|
/// | `application/json` | `{"group": "a", "message": "x"}`; a batch is an array of such objects or `{"messages": [...]}` |
/// | `application/x-www-form-urlencoded` | `group=a&message=x` |
/// | `text/plain`, `application/octet-stream` | the message itself, text or binary; the other fields are in the query |
///
/// | field | meaning |
/// |---|---|
/// | `group` | a group's name, or several |
/// | `facility` | a facility: its broadcast channel, or the channels of `users`, `groups`, `sessions`; `expire` is how many seconds it is kept for those who come later |
/// | `conn` | a connection's number |
/// | `everybody` | `true`: every open WebSocket |
/// | `message` | a text; JSON goes into a string |
/// | `except` | the number of a connection that is left out |
/// | `idempotency_key` | or the header `Idempotency-Key`: what is sent twice with one key is published once |
///
/// One target is given, and no other field. The answer is JSON with the number of members and what
/// became of the message: `{"members":3,"written":2,"queued":1,"dropped":0,"gone":0}`; for a batch
/// `{"results": [...]}` in its order. A batch is checked whole before anything of it is published.
///
/// What is wrong is answered `{"error": "..."}`, with the `field` and the `index` in the batch
/// where it concerns one: 400, 401 and 403 (see the constructors), 404 (no such connection), 405,
/// 409 and 422 (idempotency keys), 413 (body, message or batch over its limit), 415 (another
/// content type), 503 (the hub is too busy).
///
/// A key of idempotency is good for five minutes
/// ([`idempotency_window`](Self::idempotency_window)): the same publication gets the first answer
/// again, with the header `Idempotency-Replayed: true`, another publication 422. After that it is
/// refused for a day with 409. At most 10,000 answers (8 MiB) and 100,000 used keys are known, the
/// oldest are forgotten first. What failed has not used its key.
///
/// # Blocking
/// Until the relays have done their work, 5 s at most, and for full members of groups with
/// [`Overflow::Block`](crate::Overflow::Block).
///
/// # Example
/// ```
/// use landline::{PublishApi, Server};
///
/// # fn main() -> landline::Result<()> {
/// let api = PublishApi::with_key("correct horse".replace(' ', "-") + "-battery")?;
/// let builder = Server::builder().route("/api/publish", api);
/// # let _ = builder;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PublishApi {
    /// Shared by all clones, and changed by a reload.
    access: Arc<Mutex<Arc<Access>>>,
    allow: Option<Arc<Allow>>,
    idempotency: Arc<Idempotency>,
    /// Tells publications apart; made anew by each process, so that nobody can find two alike.
    hasher: RandomState,
}

impl PublishApi {
    /// Everybody who reaches the server may publish, but for pages of other sites: a request with
    /// an `Origin` or `Sec-Fetch-Site` of elsewhere is refused (403), unless the origin is on the
    /// server's own list ([`Origins::list`](crate::Origins::list)).
    ///
    /// For servers that only their own machine can reach, and with [`allow`](Self::allow). A proxy
    /// in front of the server makes all requests come from its own machine: then use a key.
    pub fn open() -> Self {
        Self::new(Access::Open)
    }

    /// Who brings the key may publish, as `Authorization: Bearer <key>` or `X-API-Key: <key>`;
    /// without or with another one the answer is 401.
    ///
    /// # Units
    /// 16 to 1024 visible ASCII characters without blanks.
    ///
    /// # Errors
    /// `Config`: the key is not of that kind. The text does not show it.
    pub fn with_key(key: impl AsRef<str>) -> Result<Self> {
        Ok(Self::new(Access::WithKey(Key::new(key.as_ref())?)))
    }

    /// Nobody may publish (403); `reason` is a sentence that says why and what to do.
    pub fn closed(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Access::Closed(reason.into()))
    }

    fn new(access: Access) -> Self {
        Self {
            access: Arc::new(Mutex::new(Arc::new(access))),
            allow: None,
            idempotency: Arc::new(Idempotency::new(WINDOW)),
            hasher: RandomState::new(),
        }
    }

    /// Takes over from another one who may publish, in this one and all its clones, for the requests
    /// to come: for a key that is changed while the server runs. Idempotency keys stay known.
    ///
    /// # Blocking
    /// Never.
    pub fn reload_access(&self, from: &Self) {
        let access = from.access();
        *self.access.lock() = access;
    }

    fn access(&self) -> Arc<Access> {
        Arc::clone(&self.access.lock())
    }

    /// Asks for each publication whether it is permitted (else 403), after the key and before
    /// anything of the request is published. Default: yes.
    #[must_use]
    pub fn allow<F>(mut self, allow: F) -> Self
    where
        F: Fn(&Request, &Publication) -> bool + Send + Sync + 'static,
    {
        self.allow = Some(Arc::new(allow));
        self
    }

    /// How long an idempotency key gets its first answer again. Default: 5 minutes.
    #[must_use]
    pub fn idempotency_window(mut self, time: Duration) -> Self {
        self.idempotency = Arc::new(Idempotency::new(time));
        self
    }

    /// The same by `GET`, with everything in the query: the elder tutorial's `/send/?message=`.
    #[must_use]
    pub fn by_get(&self) -> PublishByGet {
        PublishByGet::new(self.clone())
    }

    /// Refuses who may not publish at all.
    pub(crate) fn check(&self, request: &Request) -> Result<(), Fault> {
        self.access().check(request)
    }

    /// Publishes, unless `allow` says no or it was published before.
    pub(crate) fn publish(&self, request: &Request, asked: &Asked) -> Result<Response, Fault> {
        self.check_each(request, asked)?;
        let Some(key) = &asked.idempotency_key else {
            return Ok(delivery::publish(asked, request.hub())?.to_response());
        };
        let publication = self.hasher.hash_one((asked.is_batch, &asked.publications));
        match self.idempotency.begin(key, publication, Instant::now())? {
            Begun::Again(answer) => {
                Ok(answer.to_response().with_header("Idempotency-Replayed", "true"))
            }
            Begun::First(reservation) => {
                let answer = delivery::publish(asked, request.hub())?;
                reservation.keep(answer.clone(), Instant::now());
                Ok(answer.to_response())
            }
        }
    }

    fn check_each(&self, request: &Request, asked: &Asked) -> Result<(), Fault> {
        let Some(allow) = &self.allow else { return Ok(()) };
        let mut publications = asked.publications.iter();
        match publications.position(|publication| !allow(request, publication)) {
            None => Ok(()),
            Some(index) => {
                let fault = Fault::forbidden("You may not publish this here.");
                Err(if asked.is_batch { fault.in_message(index) } else { fault })
            }
        }
    }

    /// Everything that can be refused before the body is there.
    fn admit(&self, request: &Request) -> Result<Kind, Fault> {
        if *request.method() != Method::Post {
            return Err(Fault::method_not_allowed(METHODS));
        }
        self.check(request)?;
        Kind::of(request.headers())
    }

    fn take(&self, request: &Request, kind: Kind, body: &[u8]) -> Result<Response, Fault> {
        let asked = Asked::of_body(kind, parts(request, body))?;
        self.publish(request, &asked)
    }
}

/// The parts of a request that say what to publish.
pub(crate) fn parts<'a>(request: &'a Request, body: &'a [u8]) -> Parts<'a> {
    Parts {
        headers: request.headers(),
        query: request.head().queries(),
        body,
        max_message_bytes: request.max_message_bytes(),
    }
}

impl Handler for PublishApi {
    fn call(&self, request: &Request) -> Result<Response> {
        if *request.method() == Method::Options {
            return Ok(Response::empty(204).with_header("Allow", METHODS));
        }
        let kind = match self.admit(request) {
            Ok(kind) => kind,
            Err(fault) => return Ok(fault.into_response()),
        };
        let body = request.body()?;
        Ok(self.take(request, kind, body).unwrap_or_else(Fault::into_response))
    }

    /// Who may publish is for the API's own key to say, whatever the server asks elsewhere.
    fn auth(&self, _method: &Method) -> Option<&Auth> {
        Some(&OPEN)
    }

    fn answers_json(&self) -> bool {
        true
    }
}

impl fmt::Debug for PublishApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublishApi").field("access", &self.access()).finish_non_exhaustive()
    }
}
