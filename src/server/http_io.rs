//! HTTP on a socket: heads and bodies in, responses out, each under an absolute deadline.
//!
//! Between two requests the thread blocks in `recv`, and the keeper ends that by a shutdown when
//! it has been too long. Once a request has begun, receiving waits for readiness until its
//! deadline instead: bytes that come after a shutdown are answered with a reset by the kernel,
//! which can take our last answer with it. An idle connection gets none.
//!
//! Sending blocks only for what the kernel does not take at once; the keeper cuts it.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::conn::ClientCertificate;
use crate::conn::connection::Connection;
use crate::conn::record::{Idle, Phase};
use crate::deadline::Deadline;
use crate::http::Response;
use crate::http::body::BodyDecoder;
use crate::http::encode::{CONTINUE, How, encode};
use crate::http::parse::{Found, HeadParser};
use crate::http::refusal::Refusal;
use crate::http::request::{RequestHead, Version};
use crate::net::stream::{Blocking, Received, Stream};
use crate::route::request::Source;
use crate::sync::Mutex;

/// Bytes asked of the kernel at a time once a request has begun.
const READ_BYTES: usize = 4 * 1024;

/// Bytes asked of the kernel for the beginning of a request, and the memory of an idle connection.
const FIRST_BYTES: usize = 2 * 1024;

/// Bytes of a response that have to go out within one send deadline.
const PIECE_BYTES: usize = 64 * 1024;

/// How long a client is listened to after our last answer, before the socket closes.
const LINGER: Duration = Duration::from_secs(2);

/// The HTTP side of a connection.
#[derive(Debug)]
pub(crate) struct HttpIo {
    conn: Arc<Connection>,
    stream: Arc<Stream>,
    inbound: Mutex<Inbound>,
}

/// What has been received and not been used.
#[derive(Debug, Default)]
struct Inbound {
    buffer: Vec<u8>,
    body: Option<Box<Body>>,
}

/// A body that has been announced and not been read whole.
#[derive(Debug)]
struct Body {
    decoder: BodyDecoder,
    awaits_continue: bool,
}

/// Why nothing more was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    OfStream,
    OfTime,
}

/// Why no head came.
#[derive(Debug)]
pub(crate) enum NoHead {
    /// The client has gone, or has been idle for too long.
    Gone,
    /// The client has to be told.
    Refused(Refusal),
    /// The client speaks TLS, and this port does not.
    Tls,
}

/// The first byte of a client that begins with a TLS handshake (RFC 8446 5.1), and of no request.
const TLS_HANDSHAKE: u8 = 22;

impl HttpIo {
    pub(crate) fn new(conn: Arc<Connection>, stream: Arc<Stream>) -> Self {
        Self { conn, stream, inbound: Mutex::new(Inbound::default()) }
    }

    /// Receives the next request head.
    ///
    /// # Blocking
    /// Until the head has come or its deadline passes.
    pub(crate) fn read_head(&self, idle: Idle) -> Result<Box<RequestHead>, NoHead> {
        let mut inbound = self.inbound.lock();
        let found = self.await_whole_head(&mut inbound.buffer, idle)?;
        let head = found.parse(&inbound.buffer).map_err(NoHead::Refused)?;
        inbound.buffer.drain(..found.end);
        Ok(head)
    }

    /// Waits until a head is in the buffer whole.
    ///
    /// # Blocking
    /// Until then or its deadline.
    // Apart from the parsing, so that the stack holds only one of them at a time.
    #[inline(never)]
    fn await_whole_head(&self, buffer: &mut Vec<u8>, idle: Idle) -> Result<Found, NoHead> {
        let config = &self.conn.config;
        let mut parser = HeadParser::default();
        // The time of the first head begins with the connection.
        let mut deadline = match idle {
            Idle::First => Some(Deadline::after(config.head_timeout())),
            Idle::Next => None,
        };
        if !parser.started(buffer) {
            self.await_head(&parser, buffer, idle)?;
        }
        self.conn.record.set_phase(Phase::Busy);
        if idle == Idle::First && buffer.first() == Some(&TLS_HANDSHAKE) {
            return Err(NoHead::Tls);
        }
        loop {
            if let Some(found) = parser.find(buffer, config).map_err(NoHead::Refused)? {
                return Ok(found);
            }
            let deadline = *deadline.get_or_insert_with(|| Deadline::after(config.head_timeout()));
            self.receive(buffer, deadline).map_err(|end| match end {
                End::OfTime => NoHead::Refused(Refusal::head_too_slow()),
                End::OfStream => NoHead::Gone,
            })?;
        }
    }

    /// Waits until a request has begun to come; its first bytes are in the buffer then.
    ///
    /// # Blocking
    /// Until then, or until the keeper or the peer ends the connection.
    #[inline(never)]
    fn await_head(
        &self,
        parser: &HeadParser,
        buffer: &mut Vec<u8>,
        idle: Idle,
    ) -> Result<(), NoHead> {
        if buffer.is_empty() && buffer.capacity() > FIRST_BYTES {
            *buffer = Vec::new();
        }
        self.conn.record.begin_idle(idle);
        while !parser.started(buffer) {
            buffer.reserve(FIRST_BYTES);
            match self.stream.recv_into(buffer, Blocking::Wait) {
                Ok(Received::Bytes(_) | Received::Nothing) => {}
                Ok(Received::End) | Err(_) => return Err(NoHead::Gone),
            }
        }
        self.conn.record.end_idle();
        Ok(())
    }

    /// Prepares for the body that the head announces; nothing is read yet.
    ///
    /// # Errors
    /// 413: the announced length is over the limit.
    pub(crate) fn expect_body(&self, head: &RequestHead) -> Result<(), Refusal> {
        let decoder = BodyDecoder::new(head.framing(), &self.conn.config)?;
        let mut inbound = self.inbound.lock();
        let awaits_continue = head.expects_continue();
        inbound.body = (!decoder.is_done()).then(|| Box::new(Body { decoder, awaits_continue }));
        Ok(())
    }

    /// Skips what is left of the body if that has arrived already; false if it has not, and so
    /// the next request cannot be found.
    pub(crate) fn skip_body(&self) -> bool {
        let mut inbound = self.inbound.lock();
        let Inbound { buffer, body } = &mut *inbound;
        let Some(waiting) = body else { return true };
        let Ok((used, is_done)) = waiting.decoder.decode(buffer, &mut Vec::new()) else {
            return false;
        };
        buffer.drain(..used);
        if is_done {
            *body = None;
        }
        is_done
    }

    /// Takes what came behind the head: the first frames of a WebSocket.
    pub(crate) fn take_early(&self) -> Vec<u8> {
        std::mem::take(&mut self.inbound.lock().buffer)
    }

    /// Puts back what [`take_early`](Self::take_early) took.
    pub(crate) fn put_back(&self, early: Vec<u8>) {
        self.inbound.lock().buffer = early;
    }

    /// Sends a response; true if the connection goes on.
    ///
    /// # Blocking
    /// Until the client has taken it, with a deadline for each piece of 64 KiB.
    pub(crate) fn respond(&self, response: Response, how: &How) -> io::Result<bool> {
        let mut bytes = Vec::with_capacity(512);
        let encoded = encode(response, how, &mut bytes)?;
        self.send_all(&bytes)?;
        if let Some(mut rest) = encoded.rest {
            loop {
                bytes.clear();
                let goes_on = rest.next(&mut bytes).inspect_err(|error| {
                    log::error!("conn-{}: the response body failed: {error}", self.conn.id());
                })?;
                self.send_all(&bytes)?;
                if !goes_on {
                    break;
                }
            }
        }
        Ok(encoded.keep_alive)
    }

    /// Ends the connection in the middle of an answer: a reset, since for HTTP/1.0 an end in good
    /// order may be the end of a whole body.
    pub(crate) fn abort(&self) {
        self.stream.reset_on_close();
    }

    /// Ends the connection so that the client can read the last answer: our end first, then what
    /// it still sends is dropped until it ends too (RFC 9112 9.6).
    pub(crate) fn close_gently(&self) {
        self.stream.shutdown_write();
        // What a slow reader has not taken yet is left to the kernel.
        self.stream.limit_unread(self.conn.config.send_timeout());
        let deadline = Deadline::after(LINGER);
        let mut scrap = Vec::with_capacity(READ_BYTES);
        while !deadline.is_past() && self.receive(&mut scrap, deadline).is_ok() {
            scrap.clear();
        }
    }

    /// Receives more. What is there counts, however late this thread gets to run and however many
    /// reads it takes; but nothing is waited for any more once the time is over, so bytes that drip
    /// win none.
    #[inline(never)]
    fn receive(&self, buffer: &mut Vec<u8>, deadline: Deadline) -> Result<(), End> {
        buffer.reserve(READ_BYTES);
        loop {
            // Asked first, so that what comes before the deadline is seen after it.
            let is_over = deadline.is_past();
            let is_ready = self.stream.wait_readable(deadline.remaining());
            if is_ready.map_err(|_| End::OfStream)? {
                match self.stream.recv_into(buffer, Blocking::Never) {
                    Ok(Received::Bytes(_)) => return Ok(()),
                    Ok(Received::Nothing) => {}
                    Ok(Received::End) | Err(_) => return Err(End::OfStream),
                }
            }
            if is_over {
                return Err(End::OfTime);
            }
        }
    }

    fn send_all(&self, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.chunks(PIECE_BYTES) {
            let mut rest = piece;
            match self.stream.send(piece, Blocking::Never) {
                Ok(sent) => rest = &piece[sent..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            if rest.is_empty() {
                continue;
            }
            self.cut_after(self.conn.config.send_timeout());
            while !rest.is_empty() {
                let sent = self.stream.send(rest, Blocking::Wait)?;
                rest = &rest[sent..];
            }
            self.conn.record.clear_deadline();
        }
        Ok(())
    }

    /// Has the keeper cut the connection, unless the deadline is cleared before.
    fn cut_after(&self, time: Duration) {
        self.conn.record.set_deadline(self.conn.shared.clock.after(time));
    }
}

impl Source for HttpIo {
    fn peer(&self) -> SocketAddr {
        self.conn.peer().address()
    }

    fn is_secure(&self) -> bool {
        self.stream.is_secure()
    }

    fn client_certificate(&self) -> Option<&ClientCertificate> {
        self.stream.client_certificate()
    }

    fn conn_id(&self) -> u64 {
        self.conn.id()
    }

    fn dismissal(&self) -> u64 {
        self.conn.shared.dismissals.number()
    }

    fn mark_deep(&self) {
        self.conn.record.mark_deep();
    }

    fn read_body(&self) -> Result<Vec<u8>, Refusal> {
        let mut inbound = self.inbound.lock();
        let Inbound { buffer, body } = &mut *inbound;
        let mut bytes = Vec::new();
        let Some(waiting) = body else { return Ok(bytes) };
        let cut_off = || Refusal::bad_request("The request body was cut off.");
        let deadline = Deadline::after(self.conn.config.body_timeout());
        if waiting.awaits_continue && buffer.is_empty() {
            self.send_all(CONTINUE).map_err(|_| cut_off())?;
        }
        loop {
            let (used, is_done) = waiting.decoder.decode(buffer, &mut bytes)?;
            buffer.drain(..used);
            if is_done {
                *body = None;
                return Ok(bytes);
            }
            self.receive(buffer, deadline).map_err(|end| match end {
                End::OfTime => Refusal::body_too_slow(),
                End::OfStream => cut_off(),
            })?;
        }
    }
}

/// The bytes of the 503 for a connection that gets no thread. They are made once, without a `Date`:
/// a 503 need have none (RFC 9110 6.6.1), and to refuse has to be cheap.
pub(crate) fn refusal_bytes() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let mut bytes = Vec::new();
        let how = How { version: Version::Http11, head_only: false, keep_alive: false };
        // Without further headers there is nothing that could be refused.
        let encoded = encode(Refusal::unavailable().into_response(), &how, &mut bytes);
        debug_assert!(encoded.is_ok());
        let lines = bytes.split_inclusive(|&byte| byte == b'\n');
        let kept = lines.filter(|line| !line.to_ascii_lowercase().starts_with(b"date:"));
        kept.flatten().copied().collect()
    })
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::sync::Weak;

    use super::*;
    use crate::config::Config;
    use crate::conn::connection::Shared;
    use crate::conn::groups::NoGroups;

    /// A connection for whose requests no time is left, and its client.
    fn hurried() -> (HttpIo, Stream) {
        let [server, client] = <[_; 2]>::from(UnixStream::pair().unwrap())
            .map(|socket| Stream::new(OwnedFd::from(socket), ([127, 0, 0, 1], 1).into()));
        let config = Config::default();
        let config = config.with_head_timeout(Duration::ZERO).with_body_timeout(Duration::ZERO);
        let shared = Arc::new(Shared::new(config, Weak::<NoGroups>::new()).unwrap());
        let stream = Arc::new(server);
        let conn = Arc::new(Connection::new(1, Arc::clone(&stream), shared));
        (HttpIo::new(conn, stream), client)
    }

    fn say(client: &Stream, bytes: &[u8]) {
        assert_eq!(client.send(bytes, Blocking::Never).unwrap(), bytes.len());
    }

    #[test]
    fn a_refusal_without_a_thread_is_a_503_without_a_date() {
        let text = str::from_utf8(refusal_bytes()).unwrap();
        assert!(text.starts_with("HTTP/1.1 503 ") && text.contains("\r\nRetry-After: 1\r\n"));
        assert!(text.ends_with("\r\n\r\nThe server is full, please try again soon.\n"));
        assert!(!text.contains("Date"), "{text}");
    }

    /// On a host that is short of time the thread of a connection may run long after what it waits
    /// for has come.
    #[test]
    fn what_came_in_time_counts_however_late_and_in_how_many_reads_it_is_taken() {
        let (io, client) = hurried();
        let body = vec![b'b'; 3 * READ_BYTES];
        let fields = format!("X: {}\r\n", "y".repeat(80)).repeat(90);
        let length = body.len();
        let head =
            format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n{fields}\r\n");
        assert!(head.len() > FIRST_BYTES + READ_BYTES);
        say(&client, head.as_bytes());
        say(&client, &body);
        let head = io.read_head(Idle::First).unwrap();
        io.expect_body(&head).unwrap();
        assert_eq!(io.read_body().unwrap(), body);
    }

    #[test]
    fn what_has_not_come_in_time_is_not_waited_for() {
        let (io, client) = hurried();
        say(&client, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nb");
        let head = io.read_head(Idle::First).unwrap();
        io.expect_body(&head).unwrap();
        assert_eq!(io.read_body().unwrap_err().status(), 408);
        let (io, client) = hurried();
        say(&client, b"GET / HTTP/1.1\r\nHost");
        let Err(NoHead::Refused(refusal)) = io.read_head(Idle::First) else { panic!("a refusal") };
        assert_eq!(refusal.status(), 408);
    }
}
