//! The TLS of a connection of the load: bytes to be sent in, ciphertext out, and back.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, ClientConnection};

use crate::bench::url::Url;
use crate::trust::{Trust, server_name};

/// What rustls takes from the kernel at a time; where it was as much, there may be more.
const READ_BYTES: usize = 4 * 1024;

/// Room for all plaintext that can come of one read: a record that was begun, and what is read.
const ROOM: usize = 24 * 1024;

/// How the connections to a place are secured.
#[derive(Clone, Debug)]
pub(crate) struct Secured {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Secured {
    /// Reads the certificates that are believed; `None` for a URL without TLS.
    ///
    /// # Errors
    /// A sentence.
    pub(crate) fn of(url: &Url, trust: &Trust) -> Result<Option<Self>, String> {
        if !url.is_tls {
            return Ok(None);
        }
        let mut config = trust.config()?;
        // What a new client costs is what is measured.
        config.resumption = Resumption::disabled();
        Ok(Some(Self { config: Arc::new(config), name: server_name(&url.host)? }))
    }
}

/// The TLS of one connection.
#[derive(Debug)]
pub(crate) struct Layer(Box<ClientConnection>);

impl Layer {
    pub(crate) fn new(secured: &Secured) -> io::Result<Self> {
        let client = ClientConnection::new(Arc::clone(&secured.config), secured.name.clone());
        client.map(|client| Self(Box::new(client))).map_err(io::Error::other)
    }

    /// True until there are keys.
    pub(crate) fn is_shaking_hands(&self) -> bool {
        self.0.is_handshaking()
    }

    /// True if the kernel has not taken all that is to be sent.
    pub(crate) fn has_unsent(&self) -> bool {
        self.0.wants_write()
    }

    /// Sends what the kernel takes now; returns how much of it need not be given again.
    pub(crate) fn send(&mut self, raw: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
        let mut accepted = 0;
        loop {
            let count = self.0.writer().write(&bytes[accepted..])?;
            accepted += count;
            let is_out = self.flush(raw)?;
            if !is_out || count == 0 || accepted == bytes.len() {
                return Ok(accepted);
            }
        }
    }

    /// Sends what waits; true if the kernel has taken all of it.
    pub(crate) fn flush(&mut self, raw: &mut impl Write) -> io::Result<bool> {
        while self.0.wants_write() {
            match self.0.write_tls(raw) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Receives what is there: `None` if that is nothing yet, 0 at the end of the stream.
    ///
    /// The buffer has room for what comes of one read, so that nothing is left where readiness of
    /// the socket does not tell of it.
    pub(crate) fn receive<S: Read + Write>(
        &mut self,
        raw: &mut S,
        buffer: &mut [u8],
    ) -> io::Result<Option<usize>> {
        let mut count = 0;
        while buffer.len() - count >= ROOM {
            let read = match self.0.read_tls(raw) {
                Ok(0) => return self.end(count),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            let state = self.0.process_new_packets();
            // What TLS asks for, or the alert.
            let flushed = self.flush(raw);
            let state = state.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
            flushed?;
            let plain = &mut buffer[count..][..state.plaintext_bytes_to_read()];
            self.0.reader().read_exact(plain)?;
            count += plain.len();
            if state.peer_has_closed() {
                return Ok(Some(count));
            }
            if read < READ_BYTES {
                break;
            }
        }
        Ok((count > 0).then_some(count))
    }

    /// The stream ends behind so much: where TLS has not said so before, it was cut.
    fn end(&mut self, count: usize) -> io::Result<Option<usize>> {
        let is_cut = !self.0.is_handshaking()
            && matches!(self.0.reader().read(&mut [0]), Err(error) if error.kind() == ErrorKind::UnexpectedEof);
        match is_cut && count == 0 {
            true => Err(io::Error::new(
                ErrorKind::UnexpectedEof,
                "the server ended the connection without the close_notify of TLS",
            )),
            false => Ok(Some(count)),
        }
    }
}

/// What to do about an error of TLS; `None` if it is none.
pub(crate) fn advice(error: &io::Error) -> Option<String> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    let advice = match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "name its authority with --ca-file, or measure with --accept-any-certificate"
        }
        rustls::Error::InvalidCertificate(_) => {
            "use a name that it is for, renew it, or measure with --accept-any-certificate"
        }
        rustls::Error::InvalidMessage(_) => "does the server speak TLS on this port?",
        rustls::Error::AlertReceived(_) => "the server's log may say more",
        _ => "do both sides speak TLS 1.2 or 1.3?",
    };
    Some(format!("TLS fails: {error}; {advice}"))
}
