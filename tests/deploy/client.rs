//! A visitor of a site: HTTP and WebSocket over TLS, as bytes, from an address of its own.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::sync::Arc;

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::harness::{Client, PATIENCE};

/// Where visitors come from: a loopback address too, but none that a proxy has.
pub(crate) const HOME: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 7);

pub(crate) struct Visitor {
    stream: StreamOwned<ClientConnection, TcpStream>,
    authority: String,
    received: Vec<u8>,
}

impl Visitor {
    /// Connects, and believes that certificate alone.
    pub(crate) fn new(address: SocketAddr, name: &str, certificate: &str) -> Self {
        Self::connect(address, name, certificate).expect("the site listens")
    }

    /// True once somebody with that certificate is there, and not only the port open: a proxy that
    /// starts may close a port again that it has tried.
    pub(crate) fn is_met(address: SocketAddr, name: &str, certificate: &str) -> bool {
        let visitor = Self::connect(address, name, certificate);
        visitor.is_ok_and(|mut visitor| {
            let Self { stream, .. } = &mut visitor;
            while stream.conn.is_handshaking() {
                if stream.conn.complete_io(&mut stream.sock).is_err() {
                    return false;
                }
            }
            true
        })
    }

    fn connect(address: SocketAddr, name: &str, certificate: &str) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let socket =
            rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).unwrap();
        rustix::net::bind(&socket, &SocketAddrV4::new(HOME, 0)).unwrap();
        rustix::net::connect(&socket, &address)?;
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let server = ServerName::try_from(name.to_owned()).unwrap();
        let session = ClientConnection::new(Arc::new(config), server).unwrap();
        let authority = format!("{name}:{}", address.port());
        let stream = StreamOwned::new(session, stream);
        Ok(Self { stream, authority, received: Vec::new() })
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the site takes bytes");
        self.stream.flush().expect("the site takes bytes");
    }

    /// Receives more; false at the end.
    fn receive(&mut self) -> bool {
        let mut bytes = [0; 4096];
        match self.stream.read(&mut bytes) {
            Ok(0) => false,
            Ok(count) => {
                self.received.extend_from_slice(&bytes[..count]);
                true
            }
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
                ) =>
            {
                false
            }
            Err(error) => panic!("nothing came: {error}; so far {}", self.shown()),
        }
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.received).into_owned()
    }

    /// Receives until something is there.
    pub(crate) fn until(&mut self, part: &str) -> String {
        while !self.shown().contains(part) {
            assert!(self.receive(), "ended before {part:?}: {}", self.shown());
        }
        self.shown()
    }

    /// Asks for a page by HTTP.
    pub(crate) fn ask(&mut self, target: &str) {
        let host = &self.authority;
        self.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    }

    /// Opens a WebSocket as a browser does, with a lie about where it comes from.
    pub(crate) fn open(&mut self, path: &str) {
        let host = &self.authority;
        let head =
            Client::handshake_head(path).replace("Host: localhost", &format!("Host: {host}"));
        let head = head.trim_end();
        self.send(format!(
            "{head}\r\nOrigin: https://{host}\r\nX-Forwarded-For: 192.0.2.1\r\n\
             X-Forwarded-Host: elsewhere.example\r\n\r\n"
        ));
        let answer = self.until("\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        let end = self.received.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
        self.received.drain(..end + 4);
    }

    /// The next frame, which is short; `None` at the end of the line.
    pub(crate) fn frame(&mut self) -> Option<(u8, String)> {
        loop {
            if let [first, length @ 0..=125, rest @ ..] = &self.received[..]
                && let Some(payload) = rest.get(..usize::from(*length))
            {
                let text = String::from_utf8_lossy(payload).into_owned();
                let (first, used) = (*first, 2 + payload.len());
                self.received.drain(..used);
                return Some((first, text));
            }
            if !self.receive() {
                return None;
            }
        }
    }

    pub(crate) fn expect_text(&mut self) -> String {
        let (first, text) = self.frame().expect("a message");
        assert_eq!(first, 0x81, "{text}");
        text
    }

    pub(crate) fn expect_echo(&mut self, text: &str) {
        self.send(Client::frame(0x81, text.as_bytes()));
        assert_eq!(self.expect_text(), text);
    }
}
