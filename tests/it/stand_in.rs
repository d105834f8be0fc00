//! A server for one client that does as a test tells it, right or wrong.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;

use tungstenite::handshake::derive_accept_key;

use crate::harness::PATIENCE;

/// A server that takes one connection; its end is waited for when it is dropped.
pub(crate) struct StandIn {
    pub(crate) address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl StandIn {
    /// Lets `talk` deal with the connection.
    pub(crate) fn start(talk: impl FnOnce(&mut Guest) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let thread = std::thread::spawn(move || {
            let (stream, _) = listener.accept().expect("a client");
            stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
            talk(&mut Guest { stream });
        });
        Self { address, thread: Some(thread) }
    }

    /// Accepts the handshake and lets `talk` deal with the messages.
    pub(crate) fn websocket(talk: impl FnOnce(&mut Guest) + Send + 'static) -> Self {
        Self::start(|guest| {
            guest.accept("");
            talk(guest);
            guest.leave();
        })
    }

    /// Accepts the handshake and closes with 1013, both in one write.
    pub(crate) fn websocket_with_end() -> Self {
        Self::start(|guest| {
            let mut answer = guest.acceptance("").into_bytes();
            answer.extend_from_slice(b"\x88\x02\x03\xf5");
            guest.send(answer);
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/", self.address)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let end = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            assert!(end.is_some_and(|end| end.is_ok()), "the server panicked");
        }
    }
}

/// The client's end of it.
pub(crate) struct Guest {
    stream: TcpStream,
}

impl Guest {
    /// Receives a head.
    pub(crate) fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).expect("a request");
            head.push(byte[0]);
        }
        String::from_utf8(head).expect("a head in UTF-8")
    }

    /// Answers the handshake with 101 and further header lines.
    pub(crate) fn accept(&mut self, lines: &str) {
        let answer = self.acceptance(lines);
        self.send(answer);
    }

    /// Receives the handshake; the 101 for it.
    fn acceptance(&mut self, lines: &str) -> String {
        let head = self.head();
        let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
        let accept = derive_accept_key(key.expect("a key").as_bytes());
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n{lines}\r\n"
        )
    }

    /// Sends bytes to a client that may be gone.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref());
    }

    /// Sends a frame of up to 125 bytes.
    pub(crate) fn frame(&mut self, first: u8, payload: &[u8]) {
        self.send([&[first, payload.len() as u8], payload].concat());
    }

    /// Receives a short frame of the client: its first byte and its payload; none at the end.
    pub(crate) fn receive(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 6];
        self.stream.read_exact(&mut head).ok()?;
        let mut payload = vec![0; usize::from(head[1] & 0x7f)];
        assert!(head[1] & 0x80 != 0 && payload.len() < 126, "a short frame with a mask");
        self.stream.read_exact(&mut payload).ok()?;
        for (byte, mask) in payload.iter_mut().zip(head[2..].iter().cycle()) {
            *byte ^= mask;
        }
        Some((head[0], payload))
    }

    /// Receives the next message; none once the client says goodbye.
    pub(crate) fn message(&mut self) -> Option<Vec<u8>> {
        self.receive()
            .filter(|(first, _)| matches!(first, 0x81 | 0x82 | 0xc1))
            .map(|(_, bytes)| bytes)
    }

    /// Answers the close frame, and waits for the end.
    fn leave(&mut self) {
        self.frame(0x88, &1000u16.to_be_bytes());
        self.end();
    }

    /// Waits until something has come, and does not take it.
    pub(crate) fn wait(&mut self) {
        let _ = self.stream.peek(&mut [0]);
    }

    /// Ends the stream, and takes what comes until the client has ended too: what is left unread
    /// would make the end a reset.
    pub(crate) fn end(&mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
        while self.stream.read(&mut [0; 1024]).is_ok_and(|count| count > 0) {}
    }
}
