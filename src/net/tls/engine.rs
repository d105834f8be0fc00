//! The records of one connection, as values: ciphertext and plaintext in, the other out.
//!
//! rustls keeps no buffers here (its unbuffered face): what is received is decrypted where it lies,
//! and only a record of which a part is missing, plaintext that its reader had no room for, and
//! ciphertext that the kernel has not taken are kept. So an idle connection owns none of them.

use std::fmt;
use std::mem;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};

/// Most plaintext of one record (RFC 8446 5.1).
const RECORD_BYTES: usize = 16 * 1024;

/// What the header of a record takes.
const HEADER_BYTES: usize = 5;

/// What a record takes beyond its plaintext: header, nonce or content type, and tag.
const OVERHEAD_BYTES: usize = 32;

/// What of its own is to be sent when nothing else holds it up.
enum Work<'a> {
    Nothing,
    Encrypt(&'a [u8]),
    Goodbye,
}

/// One connection's TLS without its socket.
pub(crate) struct Engine {
    tls: UnbufferedServerConnection,
    /// Received and not decrypted: a record of which a part is missing. What it begins with must
    /// not be hidden from rustls, which may have seen a part of it.
    partial: Vec<u8>,
    plain: Vec<u8>,
    /// Bytes of `plain` that have been taken.
    plain_taken: usize,
    /// Ciphertext in the order of sending.
    unsent: Vec<u8>,
    /// Bytes of `unsent` that are with the kernel.
    sent: usize,
    /// The peer has said that it sends no more.
    has_ended: bool,
    has_said_goodbye: bool,
    fault: Option<Box<rustls::Error>>,
}

impl Engine {
    pub(crate) fn new(config: Arc<ServerConfig>) -> Result<Self, rustls::Error> {
        Ok(Self {
            tls: UnbufferedServerConnection::new(config)?,
            partial: Vec::new(),
            plain: Vec::new(),
            plain_taken: 0,
            unsent: Vec::new(),
            sent: 0,
            has_ended: false,
            has_said_goodbye: false,
            fault: None,
        })
    }

    /// True until there are keys for both directions.
    pub(crate) fn is_shaking_hands(&self) -> bool {
        self.tls.is_handshaking()
    }

    /// The certificate that the client has shown, in DER.
    pub(crate) fn client_certificate(&self) -> Option<&[u8]> {
        self.tls.peer_certificates()?.first().map(AsRef::as_ref)
    }

    /// What the peer did wrong, or what it could not agree to.
    pub(crate) fn fault(&self) -> Option<&rustls::Error> {
        self.fault.as_deref()
    }

    /// True if the peer has ended the stream in good order, and all of it was taken.
    pub(crate) fn is_over(&self) -> bool {
        self.has_ended && self.plain_bytes().is_empty()
    }

    /// Decrypted and not taken.
    pub(crate) fn plain_bytes(&self) -> &[u8] {
        &self.plain[self.plain_taken..]
    }

    /// Takes note that the reader has taken so much of it.
    pub(crate) fn plain_taken(&mut self, count: usize) {
        self.plain_taken += count;
        if self.plain_taken == self.plain.len() {
            (self.plain, self.plain_taken) = (Vec::new(), 0);
        }
    }

    /// Ciphertext that waits to be sent.
    pub(crate) fn unsent(&self) -> &[u8] {
        &self.unsent[self.sent..]
    }

    /// Takes note that the kernel has taken so much of it.
    pub(crate) fn sent(&mut self, count: usize) {
        self.sent += count;
        if self.sent == self.unsent.len() {
            (self.unsent, self.sent) = (Vec::new(), 0);
        }
    }

    /// True if a part of a record has come.
    pub(crate) fn has_part(&self) -> bool {
        !self.partial.is_empty()
    }

    /// Bytes of records that are not whole yet.
    #[cfg(any(test, feature = "internals"))]
    pub(crate) fn kept_bytes(&self) -> usize {
        self.partial.len()
    }

    /// How many bytes the record that has begun still needs, as far as that is known; zero if none
    /// has begun.
    pub(crate) fn missing(&self) -> usize {
        match *self.partial {
            [] => 0,
            [_, _, _, high, low, ..] => {
                let length = usize::from(u16::from_be_bytes([high, low]));
                // More than a record is there where a handshake message goes over several.
                (HEADER_BYTES + length).saturating_sub(self.partial.len()).max(1)
            }
            _ => HEADER_BYTES - self.partial.len(),
        }
    }

    /// Decrypts what was received; plaintext goes to `room` as far as it fits, and is kept beyond.
    pub(crate) fn digest(&mut self, received: Vec<u8>, room: Option<&mut Vec<u8>>) {
        self.decrypt(received, room);
        if self.has_ended || self.fault.is_some() {
            // It will never be looked at.
            self.partial = Vec::new();
        }
    }

    fn decrypt(&mut self, mut received: Vec<u8>, mut room: Option<&mut Vec<u8>>) {
        if self.fault.is_some() || self.has_ended {
            // Nothing counts any more (RFC 8446 6.1).
            return;
        }
        let mut rest = 0;
        if self.has_part() {
            // Only the record that has begun is put together, what follows is decrypted in place.
            rest = self.missing().min(received.len());
            self.partial.extend_from_slice(&received[..rest]);
            self.drive_partial(room.as_deref_mut(), Work::Nothing);
            if self.fault.is_some() || self.has_ended {
                return;
            }
            if self.has_part() {
                self.partial.extend_from_slice(&received[rest..]);
                return self.drive_partial(room, Work::Nothing);
            }
        }
        let used = rest + self.drive(&mut received[rest..], room, Work::Nothing);
        if used == 0 {
            self.partial = received;
        } else if used < received.len() {
            self.partial = received[used..].to_vec();
        }
    }

    /// As [`drive`](Self::drive), with what is there of a record that has begun.
    fn drive_partial(&mut self, room: Option<&mut Vec<u8>>, work: Work<'_>) {
        let mut partial = mem::take(&mut self.partial);
        let used = self.drive(&mut partial, room, work);
        partial.drain(..used);
        if !partial.is_empty() {
            self.partial = partial;
        }
    }

    /// Encrypts plaintext behind what is unsent; false if that cannot be done any more.
    pub(crate) fn encrypt(&mut self, plain: &[u8]) -> bool {
        if self.fault.is_some() {
            return false;
        }
        let before = self.unsent.len();
        self.drive_partial(None, Work::Encrypt(plain));
        self.unsent.len() > before && self.fault.is_none()
    }

    /// Tells the peer that nothing more will be sent, once.
    pub(crate) fn say_goodbye(&mut self) {
        let is_able = self.fault.is_none() && !self.is_shaking_hands();
        if is_able && !mem::replace(&mut self.has_said_goodbye, true) {
            self.drive_partial(None, Work::Goodbye);
        }
    }

    /// Leaves the goodbye unsaid.
    pub(crate) fn end_without_goodbye(&mut self) {
        self.has_said_goodbye = true;
    }

    /// Lets rustls do what it can: decrypt, answer, and the work once nothing is before it.
    /// Returns how many bytes of `incoming` are done with; the rest is to be shown again.
    fn drive(
        &mut self,
        incoming: &mut [u8],
        mut room: Option<&mut Vec<u8>>,
        mut work: Work<'_>,
    ) -> usize {
        let mut used = 0;
        loop {
            let (discard, is_done) =
                self.step(&mut incoming[used..], room.as_deref_mut(), &mut work);
            used += discard;
            // After a fault an alert may be due, but nothing is to be decrypted again.
            let is_broken = self.fault.is_some() && !self.tls.wants_write();
            if is_done || is_broken {
                return used;
            }
        }
    }

    /// One state of rustls; returns how many bytes are done with, and whether it waits for more.
    fn step(
        &mut self,
        incoming: &mut [u8],
        room: Option<&mut Vec<u8>>,
        work: &mut Work<'_>,
    ) -> (usize, bool) {
        let UnbufferedStatus { mut discard, state } = self.tls.process_tls_records(incoming);
        let mut fault = None;
        let mut is_done = false;
        match state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                let mut room = room;
                while let Some(Ok(record)) = traffic.next_record() {
                    discard += record.discard;
                    keep(&mut self.plain, room.as_deref_mut(), record.payload);
                }
            }
            Ok(ConnectionState::EncodeTlsData(mut data)) => {
                append(&mut self.unsent, HEADER_BYTES, |free| match data.encode(free) {
                    Err(EncodeError::InsufficientSize(size)) => Err(size.required_size),
                    encoded => Ok(encoded.unwrap_or(0)),
                });
            }
            // It is as good as sent: it goes out in its turn.
            Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
            Ok(ConnectionState::PeerClosed) => self.has_ended = true,
            Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                match mem::replace(work, Work::Nothing) {
                    Work::Nothing => is_done = true,
                    Work::Encrypt(plain) => {
                        let records = plain.len().div_ceil(RECORD_BYTES);
                        let size = plain.len() + records * OVERHEAD_BYTES;
                        fault = seal(&mut self.unsent, size, |free| traffic.encrypt(plain, free));
                    }
                    Work::Goodbye => {
                        fault = seal(&mut self.unsent, OVERHEAD_BYTES, |free| {
                            traffic.queue_close_notify(free)
                        });
                    }
                }
            }
            Ok(ConnectionState::BlockedHandshake | ConnectionState::Closed) => is_done = true,
            // Early data, which is not offered.
            Ok(_) => fault = Some(rustls::Error::General("a state nobody asked for".into())),
            Err(error) => fault = Some(error),
        }
        if let Some(fault) = fault {
            self.fault.get_or_insert_with(|| Box::new(fault));
        }
        (discard, is_done)
    }
}

/// Appends plaintext to the reader's memory as far as there is room, in the order of arrival.
fn keep(plain: &mut Vec<u8>, room: Option<&mut Vec<u8>>, payload: &[u8]) {
    let mut rest = payload;
    if let Some(room) = room
        && plain.is_empty()
    {
        let free = room.capacity() - room.len();
        let (fits, beyond) = payload.split_at(free.min(payload.len()));
        room.extend_from_slice(fits);
        rest = beyond;
    }
    plain.extend_from_slice(rest);
}

/// Encrypts behind what is unsent.
fn seal(
    unsent: &mut Vec<u8>,
    size: usize,
    mut encrypt: impl FnMut(&mut [u8]) -> Result<usize, EncryptError>,
) -> Option<rustls::Error> {
    let mut fault = None;
    append(unsent, size, |free| match encrypt(free) {
        Err(EncryptError::InsufficientSize(size)) => Err(size.required_size),
        Err(EncryptError::EncryptExhausted) => {
            fault = Some(rustls::Error::EncryptError);
            Ok(0)
        }
        Ok(count) => Ok(count),
    });
    fault
}

/// Lets `write` fill memory behind what is there; it may say how much it needs instead.
fn append(
    bytes: &mut Vec<u8>,
    mut size: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, usize>,
) {
    let before = bytes.len();
    loop {
        bytes.resize(before + size, 0);
        match write(&mut bytes[before..]) {
            Ok(count) => return bytes.truncate(before + count),
            Err(needed) if needed > size => size = needed,
            Err(_) => return bytes.truncate(before),
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("partial", &self.partial.len())
            .field("plain", &self.plain_bytes().len())
            .field("unsent", &self.unsent().len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "engine/tests.rs"]
mod tests;
