//! The TLS of one connection on its socket, for a reader and any number of senders at once.
//!
//! # The lock
//! There is one, around the [`Engine`]. The reader blocks in `recv` without it, with a buffer for
//! ciphertext of its own, and takes it to decrypt what has come. A sender takes it to encrypt and
//! to call `send`, which never waits; who may wait for the client does so without it. Nothing else
//! is locked while it is held, so it comes last of all locks.
//!
//! # Order
//! Ciphertext goes to the kernel in the order in which it was made, since both happens under the
//! lock. What the kernel does not take is kept, and nothing more is encrypted before it has gone:
//! at most [`CHUNK_BYTES`] wait here.
//!
//! # What a sender is told
//! "Sent" means for the queues above that the kernel has it. So if the ciphertext of a call has not
//! gone whole, its last byte is not accepted, although it is encrypted: the caller comes again with
//! that byte, when the socket can be written, and is told so when all has gone. The frame that it
//! belongs to has begun by then, so nothing is put in its place. A chunk that others follow is
//! accepted whole, since those that follow bring the caller back.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::mem::{self, MaybeUninit};
use std::sync::OnceLock;

use crate::deadline::Deadline;
use crate::net::socket::{Blocking, Received, Socket};
use crate::net::tls::certificate::ClientCertificate;
use crate::net::tls::engine::Engine;
use crate::net::tls::settings::Tls;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, MutexGuard};

/// Most plaintext that is encrypted before the kernel is asked to take it.
const CHUNK_BYTES: usize = 32 * 1024;

/// Most ciphertext asked of the kernel at a time.
const READ_BYTES: usize = 64 * 1024;

/// Ciphertext asked of the kernel at a time before there are keys.
const HANDSHAKE_BYTES: usize = 4 * 1024;

/// What ciphertext takes beyond the plaintext that its reader has room for.
const SLACK_BYTES: usize = 64;

/// The TLS of one connection.
#[derive(Debug)]
pub(crate) struct Session {
    tls: Tls,
    state: Mutex<State>,
    client: OnceLock<Box<ClientCertificate>>,
    /// There is no TLS after all: the bytes are those of the socket.
    is_bypassed: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// `None` before the handshake, and when there is no TLS after all.
    engine: Option<Box<Engine>>,
    /// The next byte to be sent is encrypted already.
    is_owed: bool,
}

/// Why there are no keys.
#[derive(Debug)]
pub(crate) enum HandshakeFailure {
    /// The client speaks HTTP without TLS.
    PlainHttp,
    /// The client has not said a word.
    Silent,
    /// The client took too long.
    TooSlow,
    /// The two could not agree, or the connection broke.
    Broken(String),
}

impl HandshakeFailure {
    /// True if the client would understand an answer without TLS.
    pub(crate) fn is_plain_http(&self) -> bool {
        matches!(self, Self::PlainHttp)
    }

    /// True if the client has not said a word.
    pub(crate) fn is_silent(&self) -> bool {
        matches!(self, Self::Silent)
    }
}

impl fmt::Display for HandshakeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PlainHttp => f.write_str("the client speaks HTTP without TLS"),
            Self::Silent => f.write_str("the client has sent nothing"),
            Self::TooSlow => f.write_str("the client took too long"),
            Self::Broken(why) => f.write_str(why),
        }
    }
}

impl Session {
    /// The alert "internal error" (RFC 8446 6.2), as a client understands it before there are keys.
    pub(crate) const TURNED_AWAY: &[u8] = &[21, 3, 3, 0, 2, 2, 80];

    pub(crate) fn new(tls: &Tls) -> Self {
        Self {
            tls: tls.clone(),
            state: Mutex::new(State::default()),
            client: OnceLock::new(),
            is_bypassed: AtomicBool::new(false),
        }
    }

    /// True if there is no TLS after all.
    pub(crate) fn is_bypassed(&self) -> bool {
        self.is_bypassed.load(Ordering::Relaxed)
    }

    /// The certificate by which the client has shown who it is.
    pub(crate) fn client_certificate(&self) -> Option<&ClientCertificate> {
        self.client.get().map(Box::as_ref)
    }

    /// Agrees with the client on keys.
    ///
    /// # Blocking
    /// Until that is done or the deadline has passed, however slowly bytes drip.
    // It touches much of the stack, and must not lie below what comes after it.
    #[inline(never)]
    pub(crate) fn shake_hands(
        &self,
        socket: &Socket,
        deadline: Deadline,
    ) -> Result<(), HandshakeFailure> {
        let outcome = self.agree(socket, deadline);
        if outcome.is_err() {
            self.is_bypassed.store(true, Ordering::Relaxed);
            *self.state.lock() = State::default();
        }
        outcome
    }

    fn agree(&self, socket: &Socket, deadline: Deadline) -> Result<(), HandshakeFailure> {
        let engine = Engine::new(self.tls.config()).map_err(broken)?;
        self.state.lock().engine = Some(Box::new(engine));
        let mut is_first = true;
        loop {
            // Asked first, so that what came before the deadline is seen after it.
            let is_over = deadline.is_past();
            if self.advance(socket)? {
                return Ok(());
            }
            let received = self.receive_first(socket, deadline)?;
            if received.is_empty() && is_over {
                return Err(if is_first {
                    HandshakeFailure::Silent
                } else {
                    HandshakeFailure::TooSlow
                });
            }
            if is_first && received.first().is_some_and(u8::is_ascii_uppercase) {
                return Err(HandshakeFailure::PlainHttp);
            }
            is_first &= received.is_empty();
            let mut state = self.state.lock();
            if let Some(engine) = &mut state.engine {
                engine.digest(received, None);
            }
        }
    }

    /// Sends what is due; true if the handshake is done and all of it has gone.
    fn advance(&self, socket: &Socket) -> Result<bool, HandshakeFailure> {
        let mut state = self.lock().map_err(broken)?;
        let pushed = push_out(engine_of(&mut state), socket);
        let engine = engine_of(&mut state);
        if let Some(fault) = engine.fault() {
            return Err(broken(fault));
        }
        let is_done = pushed.map_err(broken)? && !engine.is_shaking_hands();
        if is_done && let Some(der) = engine.client_certificate() {
            let client = ClientCertificate::new(der);
            // There is one handshake.
            let _ = self.client.set(Box::new(client));
        }
        Ok(is_done)
    }

    /// Waits for more of a handshake, or for room for our own; empty if nothing has come.
    fn receive_first(
        &self,
        socket: &Socket,
        deadline: Deadline,
    ) -> Result<Vec<u8>, HandshakeFailure> {
        let mut received = Vec::new();
        let has_unsent =
            self.lock().is_ok_and(|mut state| !engine_of(&mut state).unsent().is_empty());
        let time = deadline.remaining();
        if has_unsent {
            socket.wait_writable(time).map_err(broken)?;
        } else if socket.wait_readable(time).map_err(broken)? {
            received.reserve(HANDSHAKE_BYTES);
            if socket.recv_into(&mut received, Blocking::Never).map_err(broken)? == Received::End {
                return Err(broken("the client has gone in the middle of the handshake"));
            }
        }
        Ok(received)
    }

    /// Receives into the spare capacity of `buffer`.
    pub(crate) fn recv_into(
        &self,
        socket: &Socket,
        buffer: &mut Vec<u8>,
        blocking: Blocking,
    ) -> io::Result<Received> {
        let room = buffer.capacity() - buffer.len();
        self.receive(socket, room, blocking, |engine, received| match received {
            Some(ciphertext) => {
                let before = buffer.len();
                engine.digest(ciphertext, Some(buffer));
                buffer.len() - before
            }
            None => {
                let count = engine.plain_bytes().len().min(room);
                buffer.extend_from_slice(&engine.plain_bytes()[..count]);
                engine.plain_taken(count);
                count
            }
        })
    }

    /// Receives into memory that need not be initialised; returns the bytes that arrived.
    pub(crate) fn recv_uninit<'a>(
        &self,
        socket: &Socket,
        buffer: &'a mut [MaybeUninit<u8>],
        blocking: Blocking,
    ) -> io::Result<(Received, &'a mut [u8])> {
        let mut bytes: &mut [u8] = &mut [];
        let room = buffer.len();
        let mut buffer = Some(buffer);
        let received = self.receive(socket, room, blocking, |engine, received| {
            if let Some(ciphertext) = received {
                engine.digest(ciphertext, None);
            }
            let count = engine.plain_bytes().len().min(room);
            if count > 0
                && let Some(buffer) = buffer.take()
            {
                bytes = buffer[..count].write_copy_of_slice(&engine.plain_bytes()[..count]);
                engine.plain_taken(count);
            }
            count
        })?;
        Ok((received, bytes))
    }

    /// Lets `take` have what is there, and what comes, until it says that it has taken some.
    fn receive(
        &self,
        socket: &Socket,
        room: usize,
        blocking: Blocking,
        mut take: impl FnMut(&mut Engine, Option<Vec<u8>>) -> usize,
    ) -> io::Result<Received> {
        loop {
            let mut state = self.lock()?;
            let engine = engine_of(&mut state);
            if !engine.plain_bytes().is_empty() {
                return Ok(Received::Bytes(take(engine, None)));
            }
            if engine.is_over() {
                return Ok(Received::End);
            }
            check(engine)?;
            let wanted = room.max(engine.missing()) + SLACK_BYTES;
            drop(state);
            let mut ciphertext = Vec::with_capacity(wanted.min(READ_BYTES));
            match socket.recv_into(&mut ciphertext, blocking)? {
                Received::Bytes(_) => {}
                Received::Nothing => return Ok(Received::Nothing),
                // Without the peer's word anybody on the way may have cut it (RFC 8446 6.1).
                Received::End => return Err(cut_off()),
            }
            let mut state = self.lock()?;
            let engine = engine_of(&mut state);
            let count = take(engine, Some(ciphertext));
            // That the client takes nothing any more, its sender will see.
            let _ = push_out(engine, socket);
            if count > 0 {
                return Ok(Received::Bytes(count));
            }
        }
    }

    /// Encrypts and sends some of the slices' bytes, without waiting.
    pub(crate) fn send(&self, socket: &Socket, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let total = slices.iter().map(|slice| slice.len()).sum::<usize>();
        let mut state = self.lock()?;
        let mut is_out = push_out(engine_of(&mut state), socket)?;
        let mut accepted = 0;
        if is_out && mem::take(&mut state.is_owed) {
            accepted = 1;
        }
        while is_out && accepted < total {
            let count = chunk(total - accepted);
            let plain = gather(slices, accepted, count);
            let engine = engine_of(&mut state);
            if !engine.encrypt(&plain) {
                check(engine)?;
                return Err(ErrorKind::BrokenPipe.into());
            }
            accepted += count;
            is_out = push_out(engine, socket)?;
            if !is_out && accepted == total {
                accepted -= 1;
                state.is_owed = true;
            }
        }
        if accepted == 0 && total > 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(accepted) }
    }

    /// Sends what waits here, without waiting; true if the kernel has not taken all of it.
    pub(crate) fn has_unsent(&self, socket: &Socket) -> bool {
        // Of a broken connection nothing will ever go.
        self.lock().is_ok_and(|mut state| !push_out(engine_of(&mut state), socket).unwrap_or(true))
    }

    /// True if a part of a record has come.
    pub(crate) fn has_part(&self) -> bool {
        self.lock().is_ok_and(|mut state| engine_of(&mut state).has_part())
    }

    /// True if a receive would not have to ask the kernel.
    pub(crate) fn has_buffered(&self) -> bool {
        let mut state = self.state.lock();
        let Some(engine) = &mut state.engine else { return true };
        !engine.plain_bytes().is_empty() || engine.is_over() || engine.fault().is_some()
    }

    /// Bytes that were decrypted and not taken.
    pub(crate) fn buffered_bytes(&self) -> u64 {
        self.lock().map_or(0, |mut state| engine_of(&mut state).plain_bytes().len() as u64)
    }

    /// Tells the peer that nothing more will be sent, unless that would have to wait.
    pub(crate) fn say_goodbye(&self, socket: &Socket) {
        let Ok(mut state) = self.lock() else { return };
        let engine = engine_of(&mut state);
        engine.say_goodbye();
        // Without it the peer knows that something is missing, which then is so.
        let _ = push_out(engine, socket);
    }

    /// Leaves the goodbye unsaid: what ends now is not whole.
    pub(crate) fn end_without_goodbye(&self) {
        if let Ok(mut state) = self.lock() {
            engine_of(&mut state).end_without_goodbye();
        }
    }

    /// The state, which has an engine.
    fn lock(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state.lock();
        match state.engine {
            Some(_) => Ok(state),
            None => Err(ErrorKind::NotConnected.into()),
        }
    }
}

/// The engine of a state that [`Session::lock`] has given.
fn engine_of(state: &mut State) -> &mut Engine {
    // Proof: `Session::lock` has looked, and the lock is held since.
    state.engine.as_mut().expect("looked at when it was locked")
}

/// Gives the kernel what it takes; true if that is all there is.
fn push_out(engine: &mut Engine, socket: &Socket) -> io::Result<bool> {
    while !engine.unsent().is_empty() {
        match socket.send(engine.unsent(), Blocking::Never) {
            Ok(count) => engine.sent(count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// How much of what is left is encrypted at a time: never so that one byte remains, which alone
/// could not tell its caller that it is encrypted.
fn chunk(left: usize) -> usize {
    if left == CHUNK_BYTES + 1 { CHUNK_BYTES - 1 } else { left.min(CHUNK_BYTES) }
}

/// So many bytes of the slices, from one on.
fn gather<'a>(slices: &'a [IoSlice<'_>], from: usize, count: usize) -> Cow<'a, [u8]> {
    let mut skip = from;
    let mut gathered = Vec::new();
    for slice in slices {
        let rest = &slice[skip.min(slice.len())..];
        skip = skip.saturating_sub(slice.len());
        if gathered.is_empty() && rest.len() >= count {
            return Cow::Borrowed(&rest[..count]);
        }
        if gathered.is_empty() {
            gathered.reserve_exact(count);
        }
        gathered.extend_from_slice(&rest[..rest.len().min(count - gathered.len())]);
        if gathered.len() == count {
            break;
        }
    }
    Cow::Owned(gathered)
}

fn check(engine: &Engine) -> io::Result<()> {
    match engine.fault() {
        Some(fault) => Err(io::Error::new(ErrorKind::InvalidData, fault.clone())),
        None => Ok(()),
    }
}

fn cut_off() -> io::Error {
    io::Error::new(ErrorKind::UnexpectedEof, "the TLS stream was cut off without close_notify")
}

fn broken(why: impl fmt::Display) -> HandshakeFailure {
    HandshakeFailure::Broken(why.to_string())
}

#[cfg(test)]
mod tests;
