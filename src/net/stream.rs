//! One connection as its halves share it: bytes as the peer meant them, through TLS or plain.
//!
//! A plain one is its [`Socket`] and a branch. Of TLS only who holds the send lock, or the receive
//! half, or nothing may know; all calls have the same face and the same promises about waiting.

use std::io::{self, ErrorKind, IoSlice};
use std::mem::MaybeUninit;
#[cfg(test)]
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use crate::deadline::Deadline;
use crate::net::peer::Peer;
use crate::net::socket::Socket;
pub(crate) use crate::net::socket::{Blocking, MAX_SLICES, Received};
use crate::net::tls::session::{HandshakeFailure, Session};
use crate::net::tls::{ClientCertificate, Tls};
use crate::net::waker::Waker;

/// A connected socket, and what lies between it and the bytes; closed when the last owner drops it.
///
/// One thread reads at a time, whoever it is; any thread may send.
#[derive(Debug)]
pub(crate) struct Stream {
    socket: Socket,
    peer: Peer,
    tls: Option<Box<Session>>,
}

impl Stream {
    /// Takes a connected socket.
    #[cfg(test)]
    pub(crate) fn new(fd: OwnedFd, peer: SocketAddr) -> Self {
        Self::of(fd, peer.into())
    }

    /// Takes a connected socket, whoever is at its other end.
    pub(crate) fn of(fd: OwnedFd, peer: Peer) -> Self {
        Self { socket: Socket::new(fd), peer, tls: None }
    }

    /// Has it speak TLS, once [`shake_hands`](Self::shake_hands) has been called.
    pub(crate) fn with_tls(mut self, tls: &Tls) -> Self {
        self.tls = Some(Box::new(Session::new(tls)));
        self
    }

    /// The other end.
    pub(crate) fn peer(&self) -> Peer {
        self.peer
    }

    /// What lies between the socket and the bytes, if anything does.
    #[inline]
    fn tls(&self) -> Option<&Session> {
        self.tls.as_deref().filter(|session| !session.is_bypassed())
    }

    /// True if the bytes are encrypted on their way.
    pub(crate) fn is_secure(&self) -> bool {
        self.tls().is_some()
    }

    /// The certificate by which the client has shown who it is.
    pub(crate) fn client_certificate(&self) -> Option<&ClientCertificate> {
        self.tls()?.client_certificate()
    }

    /// Agrees with the client on keys; nothing to do for a plain connection.
    ///
    /// # Blocking
    /// Until that is done or the deadline has passed, however slowly bytes drip.
    ///
    /// # Errors
    /// Why there are no keys. From then on the connection is plain, so that the client can be told.
    pub(crate) fn shake_hands(&self, deadline: Deadline) -> Result<(), HandshakeFailure> {
        match self.tls() {
            Some(tls) => tls.shake_hands(&self.socket, deadline),
            None => Ok(()),
        }
    }

    /// Waits until a client that is not served has said something, and drops it.
    ///
    /// # Blocking
    /// Until then or until `time` is over.
    pub(crate) fn await_words(&self, time: Duration) -> io::Result<()> {
        if self.socket.wait_readable(Some(time))? {
            self.drop_words();
        }
        Ok(())
    }

    /// Says to a client that is not served what it can understand, the answer of HTTP, or for one
    /// that speaks TLS an alert; and ends sending. Never waits.
    pub(crate) fn turn_away(&self, answer: &[u8]) {
        let words = if self.tls.is_some() { Session::TURNED_AWAY } else { answer };
        // What has come is read, so that the end is no reset should there be no time to wait for
        // more. A fresh socket takes these few bytes; one that does not is past being told.
        self.drop_words();
        let _ = self.socket.send(words, Blocking::Never);
        self.socket.shutdown_write();
    }

    /// Reads and drops what a client that is not served still sends; false once it has ended.
    pub(crate) fn drop_words(&self) -> bool {
        let mut scrap = Vec::with_capacity(16 * 1024);
        let received = self.socket.recv_into(&mut scrap, Blocking::Never);
        matches!(received, Ok(Received::Bytes(_) | Received::Nothing))
    }

    /// Receives into the spare capacity of `buffer`, which must not be full.
    pub(crate) fn recv_into(
        &self,
        buffer: &mut Vec<u8>,
        blocking: Blocking,
    ) -> io::Result<Received> {
        match self.tls() {
            Some(tls) => tls.recv_into(&self.socket, buffer, blocking),
            None => self.socket.recv_into(buffer, blocking),
        }
    }

    /// Receives into memory that need not be initialised; returns the bytes that arrived.
    ///
    /// A signal ends the call with [`Received::Nothing`], even where it may wait.
    pub(crate) fn recv_uninit<'a>(
        &self,
        buffer: &'a mut [MaybeUninit<u8>],
        blocking: Blocking,
    ) -> io::Result<(Received, &'a mut [u8])> {
        match self.tls() {
            Some(tls) => tls.recv_uninit(&self.socket, buffer, blocking),
            None => self.socket.recv_uninit(buffer, blocking),
        }
    }

    /// Sends some of the slices' bytes; `WouldBlock` if nothing fits and waiting is not allowed.
    ///
    /// What is sent in part must be gone on with before anything else is sent: where the last byte
    /// of a call was not accepted, it may be encrypted already.
    pub(crate) fn send_slices(
        &self,
        slices: &[IoSlice<'_>],
        blocking: Blocking,
    ) -> io::Result<usize> {
        let Some(tls) = self.tls() else { return self.socket.send_slices(slices, blocking) };
        loop {
            match tls.send(&self.socket, slices) {
                Err(error)
                    if error.kind() == ErrorKind::WouldBlock && blocking == Blocking::Wait =>
                {
                    self.socket.wait_writable(None)?;
                }
                outcome => return outcome,
            }
        }
    }

    /// Sends some of the bytes, as [`send_slices`](Self::send_slices) does.
    pub(crate) fn send(&self, bytes: &[u8], blocking: Blocking) -> io::Result<usize> {
        if self.tls().is_none() {
            return self.socket.send(bytes, blocking);
        }
        self.send_slices(&[IoSlice::new(bytes)], blocking)
    }

    /// Sends what reading has left to be sent (TLS has messages of its own), without waiting; true
    /// if the kernel has not taken all of it.
    pub(crate) fn has_unsent(&self) -> bool {
        self.tls().is_some_and(|tls| tls.has_unsent(&self.socket))
    }

    /// True if the beginning of a TLS record has come and the rest of it not: a reader that takes
    /// more at a time would need fewer calls.
    pub(crate) fn has_part(&self) -> bool {
        self.tls().is_some_and(Session::has_part)
    }

    /// True if there is something to receive that has left the kernel, which readiness of the
    /// socket says nothing of.
    pub(crate) fn has_buffered(&self) -> bool {
        self.tls().is_some_and(Session::has_buffered)
    }

    /// Waits until bytes (or the end) can be received; false once the time is over.
    pub(crate) fn wait_readable(&self, time: Option<Duration>) -> io::Result<bool> {
        if self.has_buffered() {
            return Ok(true);
        }
        self.socket.wait_readable(time)
    }

    /// Waits until bytes (or the end) can be received, the waker is used or the time is over; true
    /// if it was the socket. Takes the wake-up.
    pub(crate) fn wait_readable_or_woken(
        &self,
        waker: &Waker,
        time: Option<Duration>,
    ) -> io::Result<bool> {
        if self.has_buffered() {
            return Ok(true);
        }
        self.socket.wait_readable_or_woken(waker, time)
    }

    /// Bytes that can be received now; with TLS, or somewhat fewer.
    pub(crate) fn waiting_bytes(&self) -> u64 {
        self.socket.waiting_bytes() + self.tls().map_or(0, Session::buffered_bytes)
    }

    /// Ends receiving: a blocked reader wakes and sees what was queued, then the end.
    pub(crate) fn shutdown_read(&self) {
        self.socket.shutdown_read();
    }

    /// Ends sending: the peer sees the end behind everything sent.
    pub(crate) fn shutdown_write(&self) {
        self.say_goodbye();
        self.socket.shutdown_write();
    }

    /// Ends both directions and wakes everybody who is blocked here.
    pub(crate) fn shutdown(&self) {
        self.say_goodbye();
        self.socket.shutdown();
    }

    /// Tells a TLS peer that the end is meant, so that it need not take it for an attack.
    fn say_goodbye(&self) {
        if let Some(tls) = self.tls() {
            tls.say_goodbye(&self.socket);
        }
    }

    /// Ends the connection without waiting for the peer to take what is queued: a reset, so that
    /// a peer that has stopped reading holds no memory of the kernel either.
    pub(crate) fn cut(&self) {
        self.end_without_goodbye();
        self.socket.cut();
    }

    /// Has the kernel give the peer up when it has taken nothing for so long, also after the close.
    pub(crate) fn limit_unread(&self, time: Duration) {
        self.socket.limit_unread(time);
    }

    /// Makes the close of the last owner a reset, so that the peer cannot take what was sent for
    /// the whole.
    pub(crate) fn reset_on_close(&self) {
        self.end_without_goodbye();
        self.socket.reset_on_close();
    }

    /// What comes is no end that is meant.
    fn end_without_goodbye(&self) {
        if let Some(tls) = self.tls() {
            tls.end_without_goodbye();
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.say_goodbye();
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
