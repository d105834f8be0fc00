//! A server with TLS, and clients of it.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;

use landline::{Builder, Handle, Result, Tls};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use tungstenite::{Message, WebSocket};

use crate::harness::Client;

pub(crate) type Encrypted = StreamOwned<ClientConnection, TcpStream>;

/// A server with a port for TLS and one without, stopped when dropped.
pub(crate) struct Secure {
    pub(crate) address: SocketAddr,
    pub(crate) plain: SocketAddr,
    pub(crate) handle: Handle,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Secure {
    pub(crate) fn start(builder: Builder, tls: &Tls) -> Self {
        let server = builder.bind_tls("127.0.0.1:0", tls).expect("a free port");
        let server = server.bind("127.0.0.1:0").expect("a free port");
        let addresses = server.local_addrs();
        let handle = server.handle();
        let thread = Some(std::thread::spawn(move || server.run()));
        Self { address: addresses[0], plain: addresses[1], handle, thread }
    }

    /// A client that has not shaken hands yet.
    pub(crate) fn connect(&self, config: &Arc<ClientConfig>) -> Encrypted {
        self.connect_as(config, "localhost")
    }

    /// As [`connect`](Self::connect), asking for a name.
    pub(crate) fn connect_as(&self, config: &Arc<ClientConfig>, name: &str) -> Encrypted {
        connect_to(self.address, config, name)
    }

    /// A client with an open WebSocket on a path.
    pub(crate) fn websocket(&self, config: &Arc<ClientConfig>, path: &str) -> WebSocket<Encrypted> {
        self.websocket_over(self.connect(config), path)
    }

    pub(crate) fn websocket_over(&self, stream: Encrypted, path: &str) -> WebSocket<Encrypted> {
        let url = format!("wss://localhost{path}");
        tungstenite::client(url, stream).expect("an open WebSocket").0
    }
}

impl Drop for Secure {
    fn drop(&mut self) {
        self.handle.stop_now();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A client of any server, which has not shaken hands yet.
pub(crate) fn connect_to(address: SocketAddr, config: &Arc<ClientConfig>, name: &str) -> Encrypted {
    over(Client::stream(address), config, name)
}

/// As [`connect_to`], with a connection that is there.
pub(crate) fn over(stream: TcpStream, config: &Arc<ClientConfig>, name: &str) -> Encrypted {
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let client = ClientConnection::new(Arc::clone(config), name).expect("a client");
    StreamOwned::new(client, stream)
}

/// Sends a request that ends the connection, and receives all of the answer; the end must be that
/// of TLS.
pub(crate) fn get(stream: &mut Encrypted, path: &str) -> String {
    try_get(stream, path).expect("an answer")
}

pub(crate) fn try_get(stream: &mut Encrypted, path: &str) -> std::io::Result<String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Sends a message and gets it back.
pub(crate) fn echoes(client: &mut WebSocket<Encrypted>, message: impl Into<Message>) {
    let message = message.into();
    client.send(message.clone()).expect("taken");
    assert!(client.read().expect("an answer") == message, "{} bytes", message.len());
}

/// Ends the client's direction without a word of TLS.
pub(crate) fn cut_off(stream: &Encrypted) {
    stream.sock.shutdown(Shutdown::Write).expect("open");
}
