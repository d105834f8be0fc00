//! The server's end of TLS without a socket.

use crate::error::{Error, ErrorKind, Result};
use crate::net::tls::Tls;
use crate::net::tls::engine::Engine;

/// One connection's TLS: ciphertext in and out, plaintext out and in.
#[derive(Debug)]
pub struct TlsRecords {
    engine: Engine,
    plain: Vec<u8>,
}

impl TlsRecords {
    /// Of a connection that has just come.
    ///
    /// # Errors
    /// `Config`: there can be none.
    pub fn new(tls: &Tls) -> Result<Self> {
        let engine = Engine::new(tls.config()).map_err(|error| {
            Error::new(ErrorKind::Config, "TLS cannot be set up").with_source(error)
        })?;
        Ok(Self { engine, plain: Vec::new() })
    }

    /// Takes what was received, with room for so much plaintext at a time.
    pub fn receive(&mut self, ciphertext: &[u8], room: usize) {
        let mut taken = Vec::with_capacity(room);
        self.engine.digest(ciphertext.to_vec(), (room > 0).then_some(&mut taken));
        self.plain.append(&mut taken);
        let rest = self.engine.plain_bytes();
        let count = rest.len();
        self.plain.extend_from_slice(rest);
        self.engine.plain_taken(count);
    }

    /// All that was decrypted so far.
    pub fn plain(&self) -> &[u8] {
        &self.plain
    }

    /// Encrypts; false if that cannot be done.
    pub fn encrypt(&mut self, plain: &[u8]) -> bool {
        self.engine.encrypt(plain)
    }

    /// Ends our direction.
    pub fn say_goodbye(&mut self) {
        self.engine.say_goodbye();
    }

    /// Takes what is to be sent.
    pub fn take_unsent(&mut self) -> Vec<u8> {
        let unsent = self.engine.unsent().to_vec();
        self.engine.sent(unsent.len());
        unsent
    }

    /// True until there are keys.
    pub fn is_shaking_hands(&self) -> bool {
        self.engine.is_shaking_hands()
    }

    /// True if the peer has ended the stream in good order.
    pub fn is_over(&self) -> bool {
        self.engine.is_over()
    }

    /// What the peer did wrong.
    pub fn fault(&self) -> Option<String> {
        self.engine.fault().map(ToString::to_string)
    }

    /// Bytes that are kept until more has come.
    pub fn kept_bytes(&self) -> usize {
        self.engine.kept_bytes()
    }
}
