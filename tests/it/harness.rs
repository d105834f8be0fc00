//! A running server and a client of raw bytes.
//!
//! Every read has a deadline, so that a test that would hang fails instead; no test waits for
//! time to pass where it can wait for something to happen.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use landline::{Builder, Config, Handle, Request, Result, Server, WebSocket, require_websocket};

/// No step of a test takes longer, unless the server hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The mask of every client frame; any does.
const MASK: [u8; 4] = [0x12, 0x34, 0x56, 0x78];

/// A server on a free port of 127.0.0.1, stopped when dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) handle: Handle,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Running {
    pub(crate) fn start(builder: Builder) -> Self {
        let server = builder.bind("127.0.0.1:0").expect("a free port");
        let address = server.local_addrs()[0];
        Self::of(server, address)
    }

    /// A server that is bound already, for clients that connect to one of its addresses.
    pub(crate) fn of(server: Server, address: SocketAddr) -> Self {
        let handle = server.handle();
        let thread = Some(std::thread::spawn(move || server.run()));
        Self { address, handle, thread }
    }

    /// A raw connection.
    pub(crate) fn connect(&self) -> Client {
        Client::new(self.address)
    }

    /// A connection whose handshake on `path` was answered with 101.
    pub(crate) fn websocket(&self, path: &str) -> Client {
        let mut client = self.connect();
        client.handshake(path);
        client
    }

    /// Waits for `run` to return, which somebody has asked for.
    pub(crate) fn join(&mut self) -> Result<()> {
        self.thread.take().expect("joined once").join().expect("the server does not panic")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.stop_now();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Waits until a condition holds; panics with `what` after [`PATIENCE`].
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A received HTTP response.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// The value of a header; panics if it is there twice.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.head.lines().skip(1).filter_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim())
        });
        let value = values.next();
        assert_eq!(values.next(), None, "header {name} is there twice: {}", self.head);
        value
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body in UTF-8")
    }
}

/// A frame from the server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The first byte: FIN, RSV and opcode.
    pub(crate) first: u8,
    pub(crate) payload: Vec<u8>,
}

/// A client of raw bytes.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    /// Received and not yet looked at.
    pub(crate) buffer: Vec<u8>,
}

impl Client {
    pub(crate) fn stream(address: SocketAddr) -> TcpStream {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { stream: Self::stream(address), buffer: Vec::new() }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the server takes bytes");
    }

    /// Sends what the server may refuse to take.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Receives more; false at the end of the stream or a reset.
    pub(crate) fn receive(&mut self) -> bool {
        let mut bytes = [0; 16 * 1024];
        match self.stream.read(&mut bytes) {
            Ok(0) => false,
            Ok(count) => {
                self.buffer.extend_from_slice(&bytes[..count]);
                true
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("nothing came: {error}; so far {:?}", self.shown()),
        }
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.buffer[..self.buffer.len().min(300)]).into_owned()
    }

    /// Receives until so many bytes are there and takes them.
    pub(crate) fn take(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            assert!(self.receive(), "ended after {:?}, {count} bytes were due", self.shown());
        }
        self.buffer.drain(..count).collect()
    }

    /// Receives one HTTP response with `Content-Length` or without a body.
    pub(crate) fn reply(&mut self) -> Reply {
        self.reply_to("GET")
    }

    /// Receives the response to a method (HEAD has no body).
    pub(crate) fn reply_to(&mut self, method: &str) -> Reply {
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
            assert!(self.receive(), "ended without a response: {:?}", self.shown());
        };
        let head = String::from_utf8(self.take(end)).expect("a head in UTF-8");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status line: {head:?}"));
        let mut reply = Reply { status, head, body: Vec::new() };
        let length = reply.header("content-length").map(|length| length.parse().unwrap());
        if method != "HEAD" {
            reply.body = self.take(length.unwrap_or(0));
        }
        reply
    }

    /// Sends a GET and receives its response.
    pub(crate) fn get(&mut self, target: &str) -> Reply {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        self.reply()
    }

    /// Sends raw bytes and receives one response.
    pub(crate) fn ask(&mut self, bytes: impl AsRef<[u8]>) -> Reply {
        self.send(bytes);
        self.reply()
    }

    /// The handshake request for a path.
    pub(crate) fn handshake_head(path: &str) -> String {
        format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
    }

    /// Opens a WebSocket.
    pub(crate) fn handshake(&mut self, path: &str) -> Reply {
        let reply = self.ask(Self::handshake_head(path));
        assert_eq!(reply.status, 101, "{}{}", reply.head, reply.text());
        assert_eq!(reply.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        reply
    }

    /// A masked frame with the given first byte.
    pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload.len() {
            length @ 0..=125 => bytes.push(0x80 | length as u8),
            length @ 126..=65_535 => {
                bytes.push(0x80 | 126);
                bytes.extend((length as u16).to_be_bytes());
            }
            length => {
                bytes.push(0x80 | 127);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        bytes.extend(MASK);
        bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        bytes
    }

    pub(crate) fn send_frame(&mut self, first: u8, payload: impl AsRef<[u8]>) {
        self.send(Self::frame(first, payload.as_ref()));
    }

    pub(crate) fn send_text(&mut self, text: &str) {
        self.send_frame(0x81, text);
    }

    pub(crate) fn send_binary(&mut self, bytes: &[u8]) {
        self.send_frame(0x82, bytes);
    }

    pub(crate) fn send_close(&mut self, code: u16, reason: &str) {
        self.send_frame(0x88, [&code.to_be_bytes(), reason.as_bytes()].concat());
    }

    /// Receives one frame, which must not be masked.
    pub(crate) fn next_frame(&mut self) -> Frame {
        let [first, second] = self.take(2)[..] else { unreachable!() };
        assert_eq!(second & 0x80, 0, "a server never masks");
        let length = match second {
            126 => u64::from(u16::from_be_bytes(self.take(2).try_into().unwrap())),
            127 => u64::from_be_bytes(self.take(8).try_into().unwrap()),
            length => u64::from(length),
        };
        Frame { first, payload: self.take(length as usize) }
    }

    pub(crate) fn expect_text(&mut self) -> String {
        let frame = self.next_frame();
        assert_eq!(frame.first, 0x81, "a text frame was due, not {frame:?}");
        String::from_utf8(frame.payload).expect("text in UTF-8")
    }

    pub(crate) fn expect_binary(&mut self) -> Vec<u8> {
        let frame = self.next_frame();
        assert_eq!(frame.first, 0x82, "a binary frame was due, not {frame:?}");
        frame.payload
    }

    /// Receives a close frame: its code (1005 if there is none) and reason.
    pub(crate) fn expect_close(&mut self) -> (u16, String) {
        let frame = self.next_frame();
        assert_eq!(frame.first, 0x88, "a close frame was due, not {frame:?}");
        match &frame.payload[..] {
            [] => (1005, String::new()),
            [high, low, reason @ ..] => {
                let reason = String::from_utf8(reason.to_vec()).expect("a reason in UTF-8");
                (u16::from_be_bytes([*high, *low]), reason)
            }
            other => panic!("close payload {other:?}"),
        }
    }

    /// Receives the end of the stream, be it a reset, and nothing before it.
    pub(crate) fn expect_end(&mut self) {
        while self.receive() {}
        assert!(self.buffer.is_empty(), "more came before the end: {:?}", self.shown());
    }

    /// Ends our direction.
    pub(crate) fn finish(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Receives everything up to the end, which must come in good order and not as a reset.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut bytes = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return std::mem::take(&mut self.buffer),
                Ok(count) => self.buffer.extend_from_slice(&bytes[..count]),
                Err(error) => panic!("no end in good order: {error}; so far {:?}", self.shown()),
            }
        }
    }

    /// Receives the end of the stream in good order, and nothing before it.
    pub(crate) fn expect_fin(&mut self) {
        let rest = self.rest();
        let rest = String::from_utf8_lossy(&rest);
        assert!(rest.is_empty(), "more came before the end: {rest:?}");
    }

    /// Sends what must be refused with the end of the connection, and receives why.
    pub(crate) fn refused(&mut self, bytes: impl AsRef<[u8]>) -> Reply {
        let bytes = bytes.as_ref();
        let reply = self.ask(bytes);
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]);
        assert!(reply.status >= 400, "{shown:?} was answered with {}", reply.head);
        assert_eq!(reply.header("connection"), Some("close"), "{shown:?}: {}", reply.head);
        assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"), "{shown:?}");
        assert!(reply.text().ends_with(".\n"), "{shown:?}: {:?} is no sentence", reply.text());
        self.expect_fin();
        reply
    }

    /// Receives a close frame with this code, then an orderly end; returns the reason.
    pub(crate) fn expect_closed(&mut self, code: u16) -> String {
        let (received, reason) = self.expect_close();
        assert_eq!(received, code, "close reason {reason:?}");
        self.expect_fin();
        reason
    }

    /// Answers the close frame that is due, expects the orderly end, returns code and reason.
    pub(crate) fn answer_close(&mut self) -> (u16, String) {
        let (code, reason) = self.expect_close();
        self.send_close(code, "");
        self.expect_fin();
        (code, reason)
    }

    /// Sends a message and gets it back: the server serves.
    pub(crate) fn expect_echo(&mut self, text: &str) {
        self.send_text(text);
        assert_eq!(self.expect_text(), text);
    }

    /// Says goodbye and is answered.
    pub(crate) fn say_goodbye(&mut self) {
        self.send_close(1000, "");
        assert_eq!(self.expect_closed(1000), "");
    }

    /// Cuts the cable as far as TCP can: a reset, and whatever was unread is lost.
    pub(crate) fn reset(self) {
        rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO)).unwrap();
    }

    /// Makes the kernel hold little for this client, so that it is slow as soon as it stops
    /// reading.
    pub(crate) fn hold_little(&self) {
        rustix::net::sockopt::set_socket_recv_buffer_size(&self.stream, 32 * 1024).unwrap();
    }
}

/// Settings under which nothing ends by time: what has to end at once must not wait for a
/// deadline to come true.
pub(crate) fn patient() -> Config {
    let never = PATIENCE * 10;
    let config = Config::default().with_close_timeout(never).with_send_timeout(never);
    config.with_shutdown_grace(never)
}

/// A server with one WebSocket handler at `/ws` and an echo at `/echo` for the next client.
pub(crate) fn websocket_server<H>(config: Config, handler: H) -> Running
where
    H: Fn(&Request, &WebSocket) -> Result<()> + Send + Sync + 'static,
{
    let builder = Server::builder().config(config);
    let builder = builder.route("/ws", require_websocket(handler));
    Running::start(builder.route("/echo", require_websocket(echo)))
}

/// The usual echo.
pub(crate) fn echo(_: &Request, ws: &WebSocket) -> Result<()> {
    for message in ws {
        ws.send(message?)?;
    }
    Ok(())
}

impl Running {
    /// Another client is served, from the handshake to the goodbye.
    pub(crate) fn serves_the_next(&self) {
        let mut client = self.websocket("/echo");
        client.expect_echo("still there");
        client.say_goodbye();
    }

    /// All connections come to their end.
    pub(crate) fn becomes_empty(&self) {
        eventually("no connection is open", || self.handle.connections() == 0);
    }
}

/// What a handler tells its test.
pub(crate) struct Told<T>(Receiver<T>);

/// A way for handlers to tell something, and to hear it.
pub(crate) fn tell<T>() -> (Sender<T>, Told<T>) {
    let (sender, receiver) = channel();
    (sender, Told(receiver))
}

impl<T> Told<T> {
    /// Waits for what the handler tells next.
    pub(crate) fn next(&self) -> T {
        self.0.recv_timeout(PATIENCE).expect("the handler tells something")
    }

    /// What the handler has told, if it has.
    pub(crate) fn try_next(&self) -> Option<T> {
        self.0.try_recv().ok()
    }

    /// True if nothing has been told.
    pub(crate) fn is_silent(&self) -> bool {
        self.0.try_recv().is_err()
    }
}

/// What the kernel knows of a client's connection.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// Bytes that the other end's kernel has not taken.
    unacknowledged: u64,
    inode: String,
}

impl Kernel {
    /// Looks up the end of a connection that is bound to `local`; `None` once it is gone.
    ///
    /// # Source
    /// proc(5), `/proc/net/tcp`
    fn of(local: SocketAddr, remote: SocketAddr) -> Option<Self> {
        let shown = |address: SocketAddr| match address {
            SocketAddr::V4(v4) => {
                format!("{:08X}:{:04X}", u32::from_ne_bytes(v4.ip().octets()), v4.port())
            }
            SocketAddr::V6(_) => unreachable!("tests use IPv4"),
        };
        let table = std::fs::read_to_string("/proc/net/tcp").expect("Linux");
        let wanted = [shown(local), shown(remote)];
        let fields = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let mut fields = fields.filter(|fields| fields.len() > 9 && fields[1..3] == wanted);
        let fields = fields.next()?;
        let unacknowledged = u64::from_str_radix(fields[4].split(':').next()?, 16).ok()?;
        Some(Self { unacknowledged, inode: fields[9].to_owned() })
    }
}

impl Client {
    fn addresses(&self) -> (SocketAddr, SocketAddr) {
        (self.stream.local_addr().unwrap(), self.stream.peer_addr().unwrap())
    }

    /// Waits until the server's kernel has everything that was sent.
    pub(crate) fn settle(&self) {
        let (ours, theirs) = self.addresses();
        eventually("the server's kernel has it all", || {
            Kernel::of(ours, theirs).is_none_or(|kernel| kernel.unacknowledged == 0)
        });
    }

    /// The server's socket of this connection.
    pub(crate) fn server_socket(&self) -> String {
        let (ours, theirs) = self.addresses();
        format!("socket:[{}]", Kernel::of(theirs, ours).expect("an open connection").inode)
    }
}

/// True if a descriptor of this process is that socket.
pub(crate) fn is_held(socket: &str) -> bool {
    let descriptors = std::fs::read_dir("/proc/self/fd").expect("Linux");
    let links = descriptors.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    links.into_iter().any(|link| link.to_str() == Some(socket))
}
