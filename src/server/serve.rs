//! The life of one connection, on its own thread: head, route, handler, answer, and again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::conn::WebSocket;
use crate::conn::connection::Connection;
use crate::conn::record::{Idle, Phase};
use crate::error::{Error, Result};
use crate::http::encode::How;
use crate::http::refusal::Refusal;
use crate::http::request::{RequestHead, Version};
use crate::http::{Method, Response};
use crate::net::stream::Stream;
use crate::route::handler::{FAILED, TOO_SLOW, is_too_slow, panic_text};
use crate::route::request::{BodySource, Request};
use crate::route::router::Route;
use crate::server::access_log::Line;
use crate::server::app::App;
use crate::server::http_io::{HttpIo, NoHead};
use crate::server::run::Alive;
use crate::server::stats::Place;
use crate::sync::atomic::Ordering;
use crate::ws::close_code;
use crate::ws::handshake::Handshake;

/// A connection on its way to its thread.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) app: Arc<App>,
    pub(crate) stream: Arc<Stream>,
    pub(crate) id: u64,
    /// The listener is bound to a loopback address.
    pub(crate) is_loopback: bool,
    pub(crate) _place: Place,
    pub(crate) _alive: Alive,
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

/// Serves a connection until it ends.
pub(crate) fn serve(arrival: Arrival) {
    let shared = Arc::clone(&arrival.app.shared);
    let conn = Arc::new(Connection::new(arrival.id, Arc::clone(&arrival.stream), shared));
    let _release = Release(Arc::clone(&conn));
    arrival.app.keeper.add(Arc::clone(&conn));
    let io = Arc::new(HttpIo::new(Arc::clone(&conn), Arc::clone(&arrival.stream)));
    let session = Session { arrival, conn, io };
    let mut idle = Idle::First;
    loop {
        match session.next_request(idle) {
            Next::Request => idle = Idle::Next,
            Next::CloseGently => return session.io.close_gently(),
            Next::Close => return,
        }
    }
}

/// Lets go of the socket on every way out of the thread, a panic included.
struct Release(Arc<Connection>);

impl Drop for Release {
    fn drop(&mut self) {
        self.0.release();
    }
}

struct Session {
    arrival: Arrival,
    conn: Arc<Connection>,
    io: Arc<HttpIo>,
}

/// What a handler came to.
enum Outcome {
    Answer(Response),
    /// The handler passed on that its client took too little of what was sent.
    TooSlow,
    Failed,
    Panicked,
}

impl Session {
    /// Receives one request and answers it.
    fn next_request(&self, idle: Idle) -> Next {
        self.conn.record.set_phase(Phase::Idle);
        if self.arrival.app.stats.is_stopping() {
            return Next::Close;
        }
        let head = match self.io.read_head(idle) {
            Ok(head) => head,
            Err(NoHead::Gone) => return Next::Close,
            Err(NoHead::Refused(refusal)) => return self.refuse_head(refusal),
        };
        let how = How {
            version: head.version(),
            head_only: *head.method() == Method::Head,
            keep_alive: head.keeps_alive(),
        };
        let line = Line::start(head.method().as_str(), head.target());
        let mut request = self.request(head);
        let outcome = match self.dispatch(&mut request) {
            Ok(outcome) => outcome,
            Err(refusal) => Outcome::Answer(self.worded(&request, refusal)),
        };
        if let Some(ws) = request.websocket() {
            // A handler that never used its socket and says that the session is over has had one.
            let is_over = ws.is_accepted()
                || (outcome.is_session_over() && ws.accept_with(None, &[]).is_ok());
            if is_over {
                self.end_websocket(ws, &outcome, line.as_ref());
                return Next::Close;
            }
            self.io.put_back(ws.decline().unwrap_or_default());
        }
        let response = match outcome {
            Outcome::Answer(response) => response,
            Outcome::Failed | Outcome::TooSlow => self.worded(&request, Refusal::internal()),
            Outcome::Panicked => self.worded(&request, Refusal::internal().and_close()),
        };
        self.answer(response, how, line.as_ref())
    }

    /// A refusal in the form that the clients of its route read.
    fn worded(&self, request: &Request, refusal: Refusal) -> Response {
        match self.arrival.app.router.find(request.path()) {
            Ok((route, _)) if route.handler().answers_json() => refusal.into_json_response(),
            _ => refusal.into_response(),
        }
    }

    fn request(&self, head: RequestHead) -> Request {
        let source = Arc::clone(&self.io) as Arc<dyn BodySource>;
        let app = &self.arrival.app;
        let surroundings = Arc::clone(&app.surroundings);
        Request::new(head, self.conn.peer(), self.conn.id(), source, surroundings)
    }

    /// Finds the route and calls its handler.
    fn dispatch(&self, request: &mut Request) -> Result<Outcome, Refusal> {
        let app = &self.arrival.app;
        self.io.expect_body(request.head())?;
        app.hosts.check(request.head().host(), self.arrival.is_loopback)?;
        request.head().check_query()?;
        if request.path() == "*" {
            // `OPTIONS *` asks whether the server is there (RFC 9110 9.3.7).
            return Ok(Outcome::Answer(Response::empty(204)));
        }
        let (route, params) = app.router.find(request.path())?;
        request.set_params(params);
        self.prepare_websocket(route, request)?;
        let request = &*request;
        match catch_unwind(AssertUnwindSafe(|| route.handler().call(request))) {
            Ok(Ok(response)) => Ok(Outcome::Answer(response)),
            Ok(Err(error)) => self.failure(error),
            Err(panic) => {
                let (id, peer) = (self.conn.id(), self.conn.peer());
                log::error!("conn-{id} {peer}: the handler panicked: {}", panic_text(&*panic));
                Ok(Outcome::Panicked)
            }
        }
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
                app.surroundings.origins.check(request.head())?;
                let (conn, stream) = (Arc::clone(&self.conn), Arc::clone(&self.arrival.stream));
                let early = self.io.take_early();
                request.set_websocket(WebSocket::pending(conn, stream, offer, early));
                Ok(())
            }
        }
    }

    /// Sorts a handler's error: a refusal it passed on, the end of its connection, or a failure.
    fn failure(&self, mut error: Error) -> Result<Outcome, Refusal> {
        if let Some(refusal) = error.take_returned::<Refusal>() {
            return Err(refusal);
        }
        let (id, peer, why) = (self.conn.id(), self.conn.peer(), error.chain());
        if is_too_slow(&error) {
            log::info!("conn-{id} {peer}: {why}");
            self.conn.shared.slow_clients.fetch_add(1, Ordering::Relaxed);
            return Ok(Outcome::TooSlow);
        }
        if error.is_closed() {
            log::debug!("conn-{id} {peer}: the handler ended with its connection: {why}");
        } else {
            log::error!("conn-{id} {peer}: the handler failed: {why}");
        }
        Ok(Outcome::Failed)
    }

    fn end_websocket(&self, ws: &WebSocket, outcome: &Outcome, line: Option<&Line>) {
        let (code, reason) = match outcome {
            Outcome::Answer(response) => {
                if !response.is_closed_marker() {
                    let status = response.status_code();
                    log::warn!("conn-{}: HTTP {status} after the 101 is dropped", self.conn.id());
                }
                (close_code::NORMAL, "")
            }
            Outcome::TooSlow => TOO_SLOW,
            Outcome::Failed | Outcome::Panicked => FAILED,
        };
        let summary = ws.finish(code, reason);
        if let Some(line) = line {
            line.websocket_over(&self.conn, &summary);
        }
    }

    fn answer(&self, mut response: Response, how: How, line: Option<&Line>) -> Next {
        if response.is_closed_marker() {
            log::error!("conn-{}: the end of a WebSocket answers no request", self.conn.id());
            response = Refusal::internal().into_response();
        }
        if let Some(fault) = response.fault() {
            log::error!("conn-{}: the response is faulty: {}", self.conn.id(), fault.chain());
        }
        let status = response.status_code();
        let can_go_on = self.io.skip_body() && !self.arrival.app.stats.is_stopping();
        let how = How { keep_alive: how.keep_alive && can_go_on, ..how };
        let next = self.send(response, &how);
        if let Some(line) = line {
            line.answered(&self.conn, status);
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
            Err(panic) => {
                log::error!("conn-{id}: the response body panicked: {}", panic_text(&*panic));
            }
        }
        self.io.abort();
        Next::Close
    }

    /// Answers a head that was not understood.
    fn refuse_head(&self, refusal: Refusal) -> Next {
        let status = refusal.status();
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

impl Outcome {
    fn is_session_over(&self) -> bool {
        matches!(self, Self::Answer(response) if response.is_closed_marker())
    }
}
