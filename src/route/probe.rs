//! Handlers that say how the server is: for load balancers, supervisors and Prometheus.

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use serde_json::{Value, json};

use crate::error::Result;
use crate::http::{Method, Response};
use crate::route::auth::{Auth, OPEN};
use crate::route::handler::Handler;
use crate::route::request::Request;

/// How long each part of a server that is alive may take to say so.
const PATIENCE: Duration = Duration::from_secs(1);

/// A server as those see it who ask how it is.
pub(crate) trait Sight: Send + Sync {
    /// How long a message takes through the hub, and whether the keeper ticks; each of them has
    /// this time.
    fn pulse(&self, time: Duration) -> Pulse;

    /// Why nothing new should be sent here; `None` if it should.
    fn reluctance(&self) -> Option<&'static str>;

    /// The figures in Prometheus' text format.
    fn figures(&self) -> String;
}

/// What became of a look whether a server is alive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pulse {
    /// How long a message took through the hub; `None` if it did not come through in time.
    pub(crate) hub: Option<Duration>,
    /// The thread that enforces all deadlines does its work.
    pub(crate) keeper: bool,
}

/// The server to look at, once it is there.
#[derive(Clone, Default)]
pub(crate) struct Sighted(Arc<OnceLock<Weak<dyn Sight>>>);

impl Sighted {
    pub(crate) fn set(&self, sight: Weak<dyn Sight>) {
        // A server is bound once.
        let _ = self.0.set(sight);
    }

    fn get(&self) -> Option<Arc<dyn Sight>> {
        self.0.get()?.upgrade()
    }
}

impl fmt::Debug for Sighted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sighted(..)")
    }
}

/// What a probe says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Alive,
    Ready,
    Metrics,
}

/// A handler that says how a server is: of the server that it is a route of, or of another one with
/// [`of`](Self::of).
///
/// Answers GET and HEAD, others with 405, and is never to be cached.
///
/// # Example
/// ```
/// use landline::{Probe, Server};
/// let builder = Server::builder()
///     .route("/healthz", Probe::alive())
///     .route("/readyz", Probe::ready())
///     .route("/metrics", Probe::metrics());
/// # let _ = builder;
/// ```
///
/// # Source
/// Kubernetes' liveness and readiness; soketi keeps both apart as well.
#[derive(Clone)]
pub struct Probe {
    question: Question,
    other: Option<Arc<dyn Sight>>,
}

impl Probe {
    /// Says 200 if the server is alive: a message passes through every relay of the hub and back
    /// within a second, and the keeper ticks; otherwise 503. The body is JSON,
    /// `{"alive":true,"hub_ms":0.08,"keeper":true}`.
    ///
    /// The first question starts the hub's threads, if nothing has been published yet. A server that
    /// is full answers 503 as to every client.
    ///
    /// # Blocking
    /// Until the message is through, 2 s at most.
    pub fn alive() -> Self {
        Self::new(Question::Alive)
    }

    /// Says 200 if the server takes new connections, and 503 while it drains, stops or is full. The body is
    /// JSON, `{"ready":false,"reason":"draining"}`.
    ///
    /// # Blocking
    /// Never.
    pub fn ready() -> Self {
        Self::new(Question::Ready)
    }

    /// Answers the figures of the server in Prometheus' text format, see
    /// [`Metrics`](crate::Metrics).
    ///
    /// They tell strangers much about the server: keep the route behind a key, or on a listener of
    /// its own.
    ///
    /// # Blocking
    /// Never.
    pub fn metrics() -> Self {
        Self::new(Question::Metrics)
    }

    fn new(question: Question) -> Self {
        Self { question, other: None }
    }

    pub(crate) fn look_at(mut self, other: Arc<dyn Sight>) -> Self {
        self.other = Some(other);
        self
    }

    fn answer(&self, sight: &dyn Sight) -> Response {
        match self.question {
            Question::Alive => alive(sight.pulse(PATIENCE)),
            Question::Ready => match sight.reluctance() {
                None => verdict(200, &json!({ "ready": true })),
                Some(reason) => verdict(503, &json!({ "ready": false, "reason": reason })),
            },
            Question::Metrics => {
                Response::bytes("text/plain; version=0.0.4; charset=utf-8", sight.figures())
            }
        }
    }
}

fn alive(pulse: Pulse) -> Response {
    let is_alive = pulse.hub.is_some() && pulse.keeper;
    let hub_ms = pulse.hub.map(|time| (time.as_secs_f64() * 1e6).round() / 1e3);
    let body = json!({ "alive": is_alive, "hub_ms": hub_ms, "keeper": pulse.keeper });
    verdict(if is_alive { 200 } else { 503 }, &body)
}

fn verdict(status: u16, body: &Value) -> Response {
    let text = format!("{body}\n");
    Response::bytes("application/json; charset=utf-8", text).with_status(status)
}

impl Handler for Probe {
    fn call(&self, request: &Request) -> Result<Response> {
        if !matches!(request.method(), Method::Get | Method::Head) {
            return Ok(verdict(405, &json!({ "error": "This method is not allowed here." }))
                .with_header("Allow", "GET, HEAD"));
        }
        let own = || request.sighted().get();
        let response = match self.other.clone().or_else(own) {
            Some(sight) => self.answer(&*sight),
            None => verdict(503, &json!({ "error": "The server is gone." })),
        };
        Ok(response.with_header("Cache-Control", "no-store"))
    }

    /// Whether a server is well is for load balancers to ask, who have no name; its figures are not.
    fn auth(&self, _method: &Method) -> Option<&Auth> {
        (self.question != Question::Metrics).then_some(&OPEN)
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Probe({:?})", self.question)
    }
}
