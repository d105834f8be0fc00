//! The lazy answer to the handshake: nothing is sent until the socket is used.
//!
//! ```text
//! pending ──first use, accept_with──► open (101 sent)
//!    └─────decline─────► the request is answered as plain HTTP
//! ```

use std::sync::Arc;

use crate::config::{Config, Deflate, Rate};
use crate::conn::connection::Connection;
use crate::conn::deflating::Deflating;
use crate::conn::dismissals::Login;
use crate::conn::expiry::Expiry;
use crate::conn::recipient::Recipient;
use crate::conn::record::Phase;
use crate::conn::refusals::RefusalReason;
use crate::conn::socket::WebSocket;
use crate::conn::throttle::Pace;
use crate::error::{Error, ErrorKind, Result};
use crate::net::stream::Stream;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::ws::deflate::agreement::Agreement;
use crate::ws::handshake::Offer;

/// The subprotocol behind which browsers offer a token: they cannot send headers of their own.
pub(crate) const BEARER: &str = "bearer";

/// A valid handshake that has not been answered.
pub(super) struct Pending {
    offer: Offer,
    stream: Arc<Stream>,
    early: Vec<u8>,
    /// The subprotocol that is chosen unless the handler chooses.
    preferred: Option<Box<str>>,
    /// How messages are compressed if the client wants it too.
    compression: Option<Deflate>,
    /// What is asked of this client alone. In a box because few have any: the room that a
    /// handshake leaves behind has to fit what its thread asks for next.
    pub(super) terms: Option<Box<Terms>>,
    /// A token came as a subprotocol, so the answer is to name that way of bringing one.
    has_bearer: bool,
    /// It will be answered as plain HTTP, whoever uses the socket meanwhile.
    is_turned_away: bool,
}

/// What a route or an identity asks of a client beyond the settings of the server.
#[derive(Default)]
pub(super) struct Terms {
    /// How fast messages may come; the outer `None` leaves that to the server's settings.
    messages: Option<Option<Rate>>,
    bytes: Option<Option<Rate>>,
    /// Until when the connection may stay open.
    pub(super) expiry: Option<Expiry>,
    /// Whose it is, so that it can be told to go.
    login: Option<Login>,
}

impl Terms {
    /// How fast messages may come under these settings of the server.
    fn pace(&self, config: &Config) -> Pace {
        let pace = Pace::of(config);
        Pace {
            messages: self.messages.unwrap_or(pace.messages),
            bytes: self.bytes.unwrap_or(pace.bytes),
            ..pace
        }
    }
}

impl Pending {
    /// The terms, made if nothing was asked before.
    pub(super) fn terms_mut(&mut self) -> &mut Terms {
        self.terms.get_or_insert_default()
    }

    /// What of the client's offers to compress is accepted.
    fn agree(&self) -> Option<(Agreement, Deflate)> {
        let settings = self.compression?;
        let agreement = Agreement::first_of(self.offer.deflate(), &settings)?;
        Some((agreement, settings))
    }

    /// The subprotocol of the answer, if the handler names this one or none.
    fn subprotocol<'a>(&'a self, named: Option<&'a str>) -> Option<&'a str> {
        // A browser that offered some ends the connection when none of them is chosen.
        named.or(self.has_bearer.then_some(BEARER))
    }

    /// The extensions of the answer.
    fn extension(&self) -> Option<String> {
        self.agree().map(|(agreement, _)| agreement.answer())
    }
}

impl WebSocket {
    /// A socket whose handshake is valid and waits for its answer; `early` is what the client
    /// sent behind the request head.
    pub(crate) fn pending(
        conn: Arc<Connection>,
        stream: Arc<Stream>,
        offer: Offer,
        early: Vec<u8>,
    ) -> Self {
        let offered = offer.subprotocols().to_vec();
        let compression = conn.config.compression();
        let (preferred, terms) = (None, None);
        let (has_bearer, is_turned_away) = (false, false);
        let pending = Pending {
            offer,
            stream,
            early,
            preferred,
            compression,
            terms,
            has_bearer,
            is_turned_away,
        };
        let (is_open, pending) = (AtomicBool::new(false), Mutex::new(Some(Box::new(pending))));
        Self { conn, is_open, pending, offered }
    }

    /// Chooses the first of these subprotocols that the client offers, unless the handler does.
    pub(crate) fn prefer(&self, spoken: &[String]) {
        let chosen = spoken.iter().find(|name| self.offered.contains(name));
        if let (Some(name), Some(pending)) = (chosen, self.pending.lock().as_mut()) {
            pending.preferred = Some(name.as_str().into());
        }
    }

    /// Forgets the token that was offered behind the subprotocol `bearer`, so that it is never sent
    /// back, and has `bearer` chosen unless the route or its handler speak another one.
    pub(crate) fn hide_bearer(&mut self) {
        let Some(at) = self.offered.iter().position(|name| name == BEARER) else { return };
        if at + 1 == self.offered.len() {
            return;
        }
        let token = self.offered.remove(at + 1);
        if let Some(pending) = self.pending.lock().as_mut() {
            pending.offer.forget_subprotocol(&token);
            pending.preferred = Some(BEARER.into());
            pending.has_bearer = true;
        }
    }

    /// Says until when the connection may stay open.
    pub(crate) fn expire(&self, expiry: Expiry) {
        if let Some(pending) = self.pending.lock().as_mut() {
            pending.terms_mut().expiry = Some(expiry);
        }
    }

    /// Says that it is of somebody, and of which session: found out when the last dismissal had this
    /// number.
    pub(crate) fn name_login(&self, session: Option<&str>, number: u64) {
        let session = session.map(|key| self.conn.shared.dismissals.hash(key));
        if let Some(pending) = self.pending.lock().as_mut() {
            pending.terms_mut().login = Some(Login { session, number });
        }
    }

    /// Says for this route how messages are compressed.
    pub(crate) fn compress_with(&self, compression: Option<Deflate>) {
        if let Some(pending) = self.pending.lock().as_mut() {
            pending.compression = compression;
        }
    }

    /// Says for this route how fast messages may come; what is `None` stays as it is.
    pub(crate) fn pace_with(&self, messages: Option<Option<Rate>>, bytes: Option<Option<Rate>>) {
        if messages.is_none() && bytes.is_none() {
            return;
        }
        if let Some(pending) = self.pending.lock().as_mut() {
            let terms = pending.terms_mut();
            terms.messages = messages.or(terms.messages);
            terms.bytes = bytes.or(terms.bytes);
        }
    }

    /// Counts its client among those that were turned away.
    pub(crate) fn count_refusal(&self, reason: RefusalReason) {
        self.conn.shared.refusals.count(reason);
    }

    /// Lets nobody answer the handshake any more; false if it has been answered.
    pub(crate) fn turn_away(&self) -> bool {
        let mut pending = self.pending.lock();
        if let Some(pending) = pending.as_mut() {
            pending.is_turned_away = true;
        }
        pending.is_some()
    }

    /// Takes back what the client sent early, if the handshake was never answered.
    pub(crate) fn decline(&self) -> Option<Vec<u8>> {
        self.pending.lock().take().map(|pending| pending.early)
    }

    /// The subprotocols the client offered, in its order of preference.
    pub fn subprotocols(&self) -> &[String] {
        &self.offered
    }

    /// Answers the handshake now, with a subprotocol and further header fields.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Units
    /// `subprotocol`: one of [`subprotocols`](Self::subprotocols); with none, `bearer` is answered
    /// to a client that brought its token that way. `headers`: names and values,
    /// `Set-Cookie` for instance; those of the handshake itself may not be given.
    ///
    /// # Errors
    /// - `Protocol`: the handshake has been answered already, the client did not offer the
    ///   subprotocol, or a header is not allowed. The handshake is as it was.
    /// - `Closed`: the handshake cannot be answered any more.
    ///
    /// # Source
    /// Channels `accept(subprotocol, headers)`.
    pub fn accept_with(&self, subprotocol: Option<&str>, headers: &[(&str, &str)]) -> Result<()> {
        let mut pending = self.pending.lock();
        let Some(waiting) = pending.as_ref() else {
            let text = "the handshake has been answered already";
            return Err(Error::new(ErrorKind::Protocol, text));
        };
        if waiting.is_turned_away {
            return Err(turned_away());
        }
        let extension = waiting.extension();
        let subprotocol = waiting.subprotocol(subprotocol);
        let answer = waiting.offer.answer(subprotocol, extension.as_deref(), headers)?;
        self.conn.name_subprotocol(subprotocol);
        if let Some(pending) = pending.take().map(unboxed) {
            self.start(pending, answer, || ());
        }
        Ok(())
    }

    /// Answers the handshake as [`accept_with`](Self::accept_with) does, but with the preferred
    /// subprotocol unless one is named; nothing to say is no error if it is answered already.
    pub(crate) fn admit(&self, subprotocol: Option<&str>, headers: &[(&str, &str)]) -> Result<()> {
        if subprotocol.is_none() && headers.is_empty() {
            return self.open();
        }
        let preferred = self.pending.lock().as_ref().and_then(|waiting| waiting.preferred.clone());
        self.accept_with(subprotocol.or(preferred.as_deref()), headers)
    }

    /// Answers the handshake if that has not been done.
    #[inline]
    pub(super) fn open(&self) -> Result<()> {
        if self.is_open.load(Ordering::Acquire) {
            return Ok(());
        }
        self.open_now()
    }

    // Inlined, its frame would be part of every call of the socket.
    #[cold]
    #[inline(never)]
    fn open_now(&self) -> Result<()> {
        self.open_with(|| Ok(()))
    }

    /// Answers the handshake if that has not been done, and joins groups: before the answer goes
    /// out, so that whoever has seen it misses nothing that is published after it.
    ///
    /// # Errors
    /// `Closed`: there is no handshake to answer. Those of `join`, after the answer.
    pub(crate) fn open_with(&self, join: impl FnOnce() -> Result<()>) -> Result<()> {
        if self.is_open.load(Ordering::Acquire) {
            return join();
        }
        let mut pending = self.pending.lock();
        if let Some(waiting) = pending.take_if(|waiting| !waiting.is_turned_away).map(unboxed) {
            let (preferred, extension) = (waiting.preferred.as_deref(), waiting.extension());
            let answer = waiting.offer.default_answer(preferred, extension.as_deref());
            self.conn.name_subprotocol(preferred);
            return self.start(waiting, answer, join);
        }
        drop(pending);
        if self.is_open.load(Ordering::Acquire) {
            return join();
        }
        Err(turned_away())
    }

    /// Opens both halves with the handshake's answer; `join` runs when the hub knows the
    /// connection and the client does not yet know of it.
    fn start<R>(&self, pending: Pending, answer: Vec<u8>, join: impl FnOnce() -> R) -> R {
        let conn = &self.conn;
        let now = conn.shared.clock.now();
        conn.record.mark_life(now);
        conn.record.mark_away(now);
        let agreed = pending.agree();
        if let Some((agreement, settings)) = &agreed {
            conn.outbox.deflate_with(Deflating::new(agreement, settings));
        }
        let terms = pending.terms.map_or_else(Terms::default, |terms| *terms);
        if let Some(login) = terms.login {
            conn.shared.dismissals.enter(conn.id(), login);
        }
        conn.open_story();
        conn.open_outbox(Arc::clone(&pending.stream), answer);
        if let Some(groups) = conn.shared.groups() {
            groups.opened(Recipient::new(conn));
        }
        let joined = join();
        conn.flush();
        let client = agreed.map(|(agreement, _)| agreement.client);
        let pace = terms.pace(&conn.config);
        conn.receive.lock().open(conn, pending.stream, client, pace, pending.early);
        conn.record.set_phase(Phase::WebSocket);
        if let Some(expiry) = terms.expiry {
            conn.shared.expiries.set(conn.id(), expiry);
        }
        if let Some(login) = terms.login {
            conn.shared.dismissals.look_back(conn, login);
        }
        self.is_open.store(true, Ordering::Release);
        joined
    }

    /// True once the handshake is answered with 101.
    pub(crate) fn is_accepted(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }
}

/// Gives the box back before the hub asks for memory of the same size.
#[allow(clippy::boxed_local, reason = "a move out of a box in place frees it with the scope")]
fn unboxed(pending: Box<Pending>) -> Pending {
    *pending
}

fn turned_away() -> Error {
    Error::new(ErrorKind::Closed, "the request is answered without a handshake")
}
