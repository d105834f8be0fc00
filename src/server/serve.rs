//! The life of one connection, on its own thread: head, route, handler, answer, and again.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use crate::conn::WebSocket;
use crate::conn::connection::Connection;
use crate::conn::record::{Idle, Phase};
use crate::conn::trace::Mark;
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::http::encode::How;
use crate::http::refusal::Refusal;
use crate::http::request::{RequestHead, Version};
use crate::http::{Method, Response};
use crate::net::stream::Stream;
use crate::route::Identity;
use crate::route::handler::{FAILED, TOO_SLOW, is_too_slow, panic_text};
use crate::route::request::{Request, Source};
use crate::route::router::Route;
use crate::server::access_log::Line;
use crate::server::app::App;
use crate::server::client::{Seat, Unknown, read_forwarded, receive_proxy_header};
use crate::server::http_io::{HttpIo, NoHead, refusal_bytes};
use crate::server::run::Alive;
use crate::server::stats::Place;
use crate::server::threads::Work;
use crate::sync::atomic::Ordering;
use crate::ws::close_code;
use crate::ws::handshake::Handshake;

/// A connection on its way to its thread.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) app: Arc<App>,
    pub(crate) stream: Arc<Stream>,
    pub(crate) id: u64,
    pub(crate) door: Door,
    pub(crate) place: Place,
    pub(crate) _alive: Alive,
}

/// What the listener of a connection asks of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Door {
    /// It is bound to a loopback address.
    pub(crate) is_loopback: bool,
    /// Connections begin with a PROXY header.
    pub(crate) expects_proxy: bool,
}

/// Whether the connection can take another request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Request,
    /// Our last answer is sent; close so that it can be read.
    CloseGently,
    /// Nothing more to say.
    Close,
}

/// Agrees with a TLS client on keys; `None` if nothing is left to be done.
pub(crate) fn greet(arrival: Box<Arrival>) -> Option<Session> {
    let mut session = Session::begin(arrival);
    let mut next = session.learn_client();
    if next == Next::Request {
        next = session.shake_hands();
    }
    match next {
        Next::Request => return Some(session),
        Next::CloseGently => session.io.close_gently(),
        Next::Close => {}
    }
    None
}

/// Serves a connection until it ends; true if its thread is as good as new.
#[inline(never)]
pub(crate) fn serve(work: Work) -> bool {
    let (session, mut next) = match work {
        Work::Arrival(arrival) => {
            let mut session = Session::begin(arrival);
            let next = session.learn_client();
            (session, next)
        }
        Work::Greeted(session) => (*session, Next::Request),
    };
    let mut idle = Idle::First;
    while next == Next::Request {
        next = session.next_request(idle);
        idle = Idle::Next;
    }
    if next == Next::CloseGently {
        session.io.close_gently();
    }
    !session.conn.record.is_deep()
}

/// A connection that is being served, by one thread at a time.
#[derive(Debug)]
pub(crate) struct Session {
    pub(super) arrival: Box<Arrival>,
    conn: Arc<Connection>,
    io: Arc<HttpIo>,
}

/// Lets go of the socket on every way out, a panic included.
impl Drop for Session {
    fn drop(&mut self) {
        self.conn.release();
    }
}

/// A request on its way to its handler: on the heap, because a WebSocket keeps it, and the stack of
/// a connection is to end within two pages.
struct Received {
    request: Request,
    how: How,
    line: Option<Line>,
    /// When its head was there.
    since: Instant,
    /// Of a client behind a trusted proxy.
    seat: Seat,
}

/// The line of the access log that is due, and of what it speaks.
type Noted<'a> = Option<(Line, &'a Request)>;

/// What a handler came to.
enum Outcome {
    Answer(Response),
    /// The request was not for a handler, or the handler passed a refusal on.
    Refused(Refusal),
    /// The handler passed on that its client took too little of what was sent.
    TooSlow,
    Failed,
    Panicked,
}

impl Session {
    #[inline(never)]
    fn begin(arrival: Box<Arrival>) -> Self {
        let shared = Arc::clone(&arrival.app.shared);
        let conn = Arc::new(Connection::new(arrival.id, Arc::clone(&arrival.stream), shared));
        let io = Arc::new(HttpIo::new(Arc::clone(&conn), Arc::clone(&arrival.stream)));
        let session = Self { arrival, conn, io };
        session.arrival.app.keeper.add(Arc::clone(&session.conn));
        session
    }

    /// Finds out who the client is, where a proxy says it before everything else.
    fn learn_client(&mut self) -> Next {
        if !self.arrival.door.expects_proxy {
            return Next::Request;
        }
        let Arrival { app, stream, place, .. } = &mut *self.arrival;
        match receive_proxy_header(app, &self.conn, stream, place) {
            Ok(()) => Next::Request,
            Err(Unknown::Refused) => {
                self.arrival.stream.turn_away(refusal_bytes());
                Next::CloseGently
            }
            Err(Unknown::Closed) => Next::Close,
        }
    }

    /// Agrees with a TLS client on keys, or tells it why there are none.
    #[inline(never)]
    fn shake_hands(&self) -> Next {
        let deadline = Deadline::after(self.conn.config.head_timeout());
        let Err(failure) = self.arrival.stream.shake_hands(deadline) else { return Next::Request };
        let (id, peer) = (self.conn.id(), self.conn.peer());
        if failure.is_plain_http() {
            let text = "This port speaks TLS: the address begins with https:// or wss://.";
            return self.refuse_head(Refusal::bad_request(text));
        }
        if failure.is_silent() {
            log::debug!("conn-{id} {peer}: no TLS handshake: {failure}");
            return Next::Close;
        }
        log::info!("conn-{id} {peer}: the TLS handshake failed: {failure}");
        Next::CloseGently
    }

    /// Receives one request and answers it.
    ///
    /// This is the frame below that of a handler, which may stay for hours: what is needed before
    /// and after it has functions of its own.
    fn next_request(&self, idle: Idle) -> Next {
        let mut received = match self.receive(idle) {
            Ok(received) => received,
            Err(next) => return next,
        };
        let admitted = self.admit(&mut received);
        let outcome = match admitted.and_then(|()| self.prepare(&mut received.request)) {
            Ok(Some(route)) => match self.let_in(route, &mut received.request) {
                Ok(()) => self.call(route, &received.request),
                Err(outcome) => outcome,
            },
            Ok(None) => Outcome::Answer(Response::empty(204)),
            Err(refusal) => Outcome::Refused(refusal),
        };
        self.conclude(&received, outcome)
    }

    /// Counts a request for its client, where a trusted proxy says who that is.
    fn admit(&self, received: &mut Received) -> Result<(), Refusal> {
        received.seat = read_forwarded(&self.arrival.app, &mut received.request)?;
        Ok(())
    }

    /// Receives a request, or says what comes instead.
    #[inline(never)]
    fn receive(&self, idle: Idle) -> Result<Box<Received>, Next> {
        // When the server stops, it is the keeper who ends the wait for a request, in its turn.
        self.conn.record.set_phase(Phase::Idle);
        let head = self.io.read_head(idle);
        if idle == Idle::First && !self.arrival.place.end_silence() {
            // It was sent away.
            return Err(self.refuse_head(Refusal::unavailable()));
        }
        let head = match head {
            Ok(head) => head,
            Err(NoHead::Gone) => return Err(Next::Close),
            Err(NoHead::Refused(refusal)) => return Err(self.refuse_head(refusal)),
            Err(NoHead::Tls) => {
                let (id, peer) = (self.conn.id(), self.conn.peer());
                log::info!("conn-{id} {peer}: the client speaks TLS, and this port does not");
                return Err(Next::CloseGently);
            }
        };
        let how = How {
            version: head.version(),
            head_only: *head.method() == Method::Head,
            keep_alive: head.keeps_alive(),
        };
        Ok(self.received(head, how))
    }

    #[inline(never)]
    fn received(&self, head: Box<RequestHead>, how: How) -> Box<Received> {
        let source = Arc::clone(&self.io) as Arc<dyn Source>;
        let surroundings = self.arrival.app.surroundings();
        // With limits that were changed since the connection began, this request has the new ones,
        // and a WebSocket that comes of it, and the connection ends with the answer.
        let is_current = self.conn.config.is(&surroundings.config);
        if !is_current {
            self.conn.renew_config(Arc::clone(&surroundings.config));
        }
        let how = How { keep_alive: how.keep_alive && is_current, ..how };
        let request = Request::new(head, source, surroundings);
        let since = Instant::now();
        Box::new(Received { request, how, line: Line::start(since), since, seat: None })
    }

    /// Ends what a handler, or a refusal, leaves.
    #[inline(never)]
    fn conclude(&self, received: &Received, outcome: Outcome) -> Next {
        let Received { request, how, line, since, .. } = received;
        let time = since.elapsed();
        let line = line.map(|line| (line, request));
        if let Some(ws) = request.websocket() {
            // A handler that never used its socket and says that the session is over has had one.
            let is_over = ws.is_accepted()
                || (outcome.is_session_over() && ws.accept_with(None, &[]).is_ok());
            if is_over {
                self.end_websocket(ws, &outcome, line);
                return Next::Close;
            }
            self.io.put_back(ws.decline().unwrap_or_default());
            // Before the answer, so that who tries again at once finds the place free.
            request.uncount_user();
        }
        let is_foreign = matches!(&outcome, Outcome::Refused(refusal) if refusal.is_foreign());
        let response = match outcome {
            Outcome::Answer(response) => response,
            Outcome::Refused(refusal) => self.worded(request, refusal),
            Outcome::Failed | Outcome::TooSlow => self.worded(request, Refusal::internal()),
            Outcome::Panicked => self.worded(request, Refusal::internal().and_close()),
        };
        let status = response.status_code();
        let counts = &self.arrival.app.counts;
        counts.answered(self.conn.id(), status, Some(time));
        if request.websocket().is_some() || (status >= 400 && asks_for_websocket(request)) {
            counts.refused(status, is_foreign);
        }
        self.answer(response, *how, line)
    }

    /// A refusal in the form that the clients of its route read.
    fn worded(&self, request: &Request, refusal: Refusal) -> Response {
        match self.arrival.app.router.find(request.path()) {
            Ok((route, _)) if route.handler().answers_json() => refusal.into_json_response(),
            _ => refusal.into_response(),
        }
    }

    /// Checks a request and finds its route; `None` if it is answered without one.
    #[inline(never)]
    fn prepare(&self, request: &mut Request) -> Result<Option<&Route>, Refusal> {
        let app = &self.arrival.app;
        self.io.expect_body(request.head())?;
        let (hosts, is_loopback) = (&request.surroundings().hosts, self.arrival.door.is_loopback);
        hosts.check(request.head().host(), is_loopback)?;
        if let Some(host) = request.forwarded_host() {
            hosts.check(host, is_loopback)?;
        }
        request.head().check_query()?;
        if request.path() == "*" {
            // `OPTIONS *` asks whether the server is there (RFC 9110 9.3.7).
            return Ok(None);
        }
        let (route, params) = app.router.find(request.path())?;
        request.set_params(params);
        self.prepare_websocket(route, request)?;
        Ok(Some(route))
    }

    /// Finds out who sends a request, and whether that one may come in.
    #[inline(never)]
    fn let_in(&self, route: &Route, request: &mut Request) -> Result<(), Outcome> {
        let of_route = route.handler().auth(request.method());
        let of_server = || request.surroundings().auth.as_ref();
        let Some(auth) = of_route.or_else(of_server) else { return Ok(()) };
        let dismissal = request.dismissal();
        match catch_unwind(AssertUnwindSafe(|| auth.check(request))) {
            Ok(Ok(Some(identity))) => {
                request.set_identity(identity, auth.farewell(), dismissal);
                let Some(name) = request.identity().and_then(Identity::name) else { return Ok(()) };
                self.conn.name_user(name);
                request.count_user(name).map_err(|error| self.failure(error))
            }
            Ok(Ok(None)) => Ok(()),
            Ok(Err(refusal)) => Err(Outcome::Refused(refusal)),
            Err(panic) => {
                self.panicked("authenticator", &*panic);
                Err(Outcome::Panicked)
            }
        }
    }

    /// Calls a handler.
    fn call(&self, route: &Route, request: &Request) -> Outcome {
        match catch_unwind(AssertUnwindSafe(|| route.handler().call(request))) {
            Ok(Ok(response)) => Outcome::Answer(response),
            Ok(Err(error)) => self.failure(error),
            Err(panic) => {
                self.panicked("handler", &*panic);
                Outcome::Panicked
            }
        }
    }

    /// Reports a panic of the application's code. The thread is not used again: the way of a panic
    /// touches much of the stack, and thread-locals of the application may be half changed.
    #[inline(never)]
    fn panicked(&self, what: &str, panic: &(dyn Any + Send)) {
        self.conn.record.mark_deep();
        let (id, peer) = (self.conn.id(), self.conn.peer());
        log::error!("conn-{id} {peer}: the {what} panicked: {}", panic_text(panic));
    }

    /// Gives the request its socket, if it is a handshake that this route and its rules accept.
    fn prepare_websocket(&self, route: &Route, request: &mut Request) -> Result<(), Refusal> {
        let app = &self.arrival.app;
        match Handshake::of(request.head()) {
            Handshake::Absent => Ok(()),
            _ if !app.router.accepts_websocket(route) => {
                let text = "This address does not speak WebSocket.";
                Err(Refusal::bad_request(text).and_keep())
            }
            Handshake::Refused(refusal) => Err(refusal),
            Handshake::Valid(_) if app.stats.is_stopping() => Err(Refusal::unavailable()),
            Handshake::Valid(offer) => {
                request.surroundings().origins.check(request.head(), request.site())?;
                let (conn, stream) = (Arc::clone(&self.conn), Arc::clone(&self.arrival.stream));
                let early = self.io.take_early();
                self.conn.begin_story(Arc::clone(route.name()), request.forwarded_client());
                request.set_websocket(WebSocket::pending(conn, stream, offer, early));
                Ok(())
            }
        }
    }

    /// Sorts a handler's error: a refusal it passed on, the end of its connection, or a failure.
    #[inline(never)]
    fn failure(&self, mut error: Error) -> Outcome {
        if let Some(refusal) = error.take_returned::<Refusal>() {
            return Outcome::Refused(refusal);
        }
        let (id, peer, why) = (self.conn.id(), self.conn.peer(), error.chain());
        if is_too_slow(&error) {
            log::info!("conn-{id} {peer}: {why}");
            self.conn.shared.slow_clients.fetch_add(1, Ordering::Relaxed);
            return Outcome::TooSlow;
        }
        if error.is_closed() {
            log::debug!("conn-{id} {peer}: the handler ended with its connection: {why}");
        } else {
            log::error!("conn-{id} {peer}: the handler failed: {why}");
        }
        Outcome::Failed
    }

    #[inline(never)]
    fn end_websocket(&self, ws: &WebSocket, outcome: &Outcome, line: Noted<'_>) {
        let (code, reason) = match outcome {
            Outcome::Answer(response) => {
                if !response.is_closed_marker() {
                    let status = response.status_code();
                    log::warn!("conn-{}: HTTP {status} after the 101 is dropped", self.conn.id());
                }
                (close_code::NORMAL, "")
            }
            Outcome::Refused(refusal) => {
                let status = refusal.status();
                log::warn!("conn-{}: HTTP {status} after the 101 is dropped", self.conn.id());
                (close_code::NORMAL, "")
            }
            Outcome::TooSlow => TOO_SLOW,
            Outcome::Failed | Outcome::Panicked => FAILED,
        };
        self.conn.note(outcome.mark(), 0);
        let summary = ws.finish(code, reason);
        if let Some((line, head)) = line {
            line.websocket_over(&self.conn, head, &summary);
        }
    }

    #[inline(never)]
    fn answer(&self, mut response: Response, how: How, line: Noted<'_>) -> Next {
        if response.is_closed_marker() {
            log::error!("conn-{}: the end of a WebSocket answers no request", self.conn.id());
            response = Refusal::internal().into_response();
        }
        if let Some(fault) = response.fault() {
            log::error!("conn-{}: the response is faulty: {}", self.conn.id(), fault.chain());
        }
        let status = response.status_code();
        let can_go_on = self.io.skip_body() && !self.arrival.app.stats.is_draining();
        let how = How { keep_alive: how.keep_alive && can_go_on, ..how };
        let next = self.send(response, &how);
        if let Some((line, head)) = line {
            line.answered(&self.conn, head, status);
        }
        next
    }

    /// Sends a response, whose body may be read by code of the application.
    fn send(&self, response: Response, how: &How) -> Next {
        let id = self.conn.id();
        match catch_unwind(AssertUnwindSafe(|| self.io.respond(response, how))) {
            Ok(Ok(true)) => return Next::Request,
            Ok(Ok(false)) => return Next::CloseGently,
            Ok(Err(error)) => log::debug!("conn-{id}: cannot answer: {error}"),
            Err(panic) => self.panicked("response body", &*panic),
        }
        self.io.abort();
        Next::Close
    }

    /// Answers a head that was not understood.
    #[inline(never)]
    fn refuse_head(&self, refusal: Refusal) -> Next {
        let status = refusal.status();
        self.arrival.app.counts.answered(self.conn.id(), status, None);
        log::info!(
            target: "landline::access",
            "conn-{} {} refused with {status}: {}",
            self.conn.id(),
            self.conn.peer(),
            refusal.text()
        );
        let how = How { version: Version::Http11, head_only: false, keep_alive: false };
        self.send(refusal.into_response(), &how)
    }
}

/// True for a handshake, be it valid or not.
fn asks_for_websocket(request: &Request) -> bool {
    request.header("upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
}

impl Outcome {
    /// What the flight recorder says of it.
    fn mark(&self) -> Mark {
        match self {
            Self::Answer(_) | Self::Refused(_) => Mark::HandlerReturned,
            Self::TooSlow => Mark::HandlerTooSlow,
            Self::Failed => Mark::HandlerFailed,
            Self::Panicked => Mark::HandlerPanicked,
        }
    }

    fn is_session_over(&self) -> bool {
        matches!(self, Self::Answer(response) if response.is_closed_marker())
    }
}
