//! A connection of the doctor, plain or with TLS; every step has a deadline.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ClientConnection, StreamOwned};

use crate::bench::url::Url;
use crate::trust::{Trust, server_name};

/// How long a connection, and each send, may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// Bytes, which are in the buffer now.
    Bytes,
    /// Nothing until the deadline.
    Nothing,
    /// The end.
    End,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Wire {
    line: Line,
    local: Option<IpAddr>,
}

#[derive(Debug)]
enum Line {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Wire {
    /// Connects to the first address of the host that answers.
    ///
    /// # Blocking
    /// Until it answers, for a few seconds at most.
    ///
    /// # Errors
    /// A sentence.
    pub(crate) fn open(url: &Url, trust: &Trust) -> Result<Self, String> {
        let mut why = String::new();
        for address in url.resolve()? {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(stream) => return Self::over(stream, url, trust),
                Err(error) => why = format!("{address}: {error}"),
            }
        }
        Err(why)
    }

    fn over(stream: TcpStream, url: &Url, trust: &Trust) -> Result<Self, String> {
        let failed = |error: io::Error| error.to_string();
        let local = stream.local_addr().ok().map(|address| address.ip().to_canonical());
        stream.set_nodelay(true).map_err(failed)?;
        stream.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        if !url.is_tls {
            return Ok(Self { line: Line::Plain(stream), local });
        }
        let name = server_name(&url.host)?;
        let session = ClientConnection::new(Arc::new(trust.config()?), name)
            .map_err(|error| format!("TLS cannot be used: {error}"))?;
        let mut stream = StreamOwned::new(session, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).map_err(|error| {
                format!("TLS fails: {error}; --ca-file names an authority of your own")
            })?;
        }
        Ok(Self { line: Line::Tls(Box::new(stream)), local })
    }

    /// The address that the host has on this line.
    pub(crate) fn local(&self) -> Option<IpAddr> {
        self.local
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.line {
            Line::Plain(stream) => stream.write_all(bytes),
            Line::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }

    /// Adds what comes to the buffer.
    pub(crate) fn receive(&mut self, buffer: &mut Vec<u8>, deadline: Instant) -> io::Result<Came> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Came::Nothing);
        }
        let mut bytes = [0; 4096];
        let received = match &mut self.line {
            Line::Plain(stream) => {
                stream.set_read_timeout(Some(left))?;
                stream.read(&mut bytes)
            }
            Line::Tls(stream) => {
                stream.sock.set_read_timeout(Some(left))?;
                stream.read(&mut bytes)
            }
        };
        match received {
            Ok(0) => Ok(Came::End),
            Ok(count) => {
                buffer.extend_from_slice(&bytes[..count]);
                Ok(Came::Bytes)
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => Ok(Came::Nothing),
                ErrorKind::Interrupted => Ok(Came::Bytes),
                // Ended without a goodbye of TLS.
                ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => Ok(Came::End),
                _ => Err(error),
            },
        }
    }
}
