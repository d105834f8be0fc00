//! The lazy answer to the handshake: nothing is sent until the socket is used.
//!
//! ```text
//! pending ──first use, accept_with──► open (101 sent)
//!    └─────decline─────► the request is answered as plain HTTP
//! ```

use crate::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use crate::sync::Mutex;

use crate::conn::connection::Connection;
use crate::conn::recipient::Recipient;
use crate::conn::record::Phase;
use crate::conn::socket::WebSocket;
use crate::error::{Error, ErrorKind, Result};
use crate::net::stream::Stream;
use crate::ws::handshake::Offer;

/// A valid handshake that has not been answered.
pub(super) struct Pending {
    offer: Offer,
    stream: Arc<Stream>,
    early: Vec<u8>,
    /// The subprotocol that is chosen unless the handler chooses.
    preferred: Option<String>,
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
        let pending = Mutex::new(Some(Pending { offer, stream, early, preferred: None }));
        Self { conn, is_open: AtomicBool::new(false), pending, offered }
    }

    /// Chooses the first of these subprotocols that the client offers, unless the handler does.
    pub(crate) fn prefer(&self, spoken: &[String]) {
        let chosen = spoken.iter().find(|name| self.offered.contains(name));
        if let (Some(name), Some(pending)) = (chosen, self.pending.lock().as_mut()) {
            pending.preferred = Some(name.clone());
        }
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
    /// `subprotocol`: one of [`subprotocols`](Self::subprotocols). `headers`: names and values,
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
        let answer = waiting.offer.answer(subprotocol, headers)?;
        if let Some(pending) = pending.take() {
            self.start(pending, answer);
        }
        Ok(())
    }

    /// Answers the handshake if that has not been done.
    pub(super) fn open(&self) -> Result<()> {
        if self.is_open.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut pending = self.pending.lock();
        if let Some(waiting) = pending.take() {
            let answer = waiting.offer.default_answer(waiting.preferred.as_deref());
            self.start(waiting, answer);
        }
        if self.is_open.load(Ordering::Acquire) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Closed, "the request was answered without a handshake"))
    }

    fn start(&self, pending: Pending, answer: Vec<u8>) {
        let conn = &self.conn;
        let now = conn.shared.clock.now();
        conn.record.mark_life(now);
        conn.record.mark_away(now);
        conn.open_outbox(Arc::clone(&pending.stream), answer);
        conn.receive.lock().open(conn, pending.stream, pending.early);
        conn.record.set_phase(Phase::WebSocket);
        self.is_open.store(true, Ordering::Release);
        conn.shared.groups.opened(Recipient::new(conn));
    }

    /// True once the handshake is answered with 101.
    pub(crate) fn is_accepted(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }
}
