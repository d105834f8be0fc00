//! Reading: `recv` into the buffer that fits the moment, at once or after a wait.
//!
//! # Buffers
//! A read goes to the reader's stack, so that an idle connection owns no buffer at all: to 512
//! bytes as long as that has always been enough, which keeps the stack within two pages, and to
//! 2 KiB from then on. A read that fills those is followed by reads into a buffer of 64 KiB, which
//! all connections share and take in turns, given back at the first that does not fill it and ends
//! with a whole frame. A large binary message is read straight into its own memory. Where messages
//! are compressed, what was read to the stack is copied, and decoded when the read has returned: zlib's
//! frames would pass the second page below it. What of it would pass the inbox's limit of bytes
//! waits undecoded.

use std::io;
use std::mem::MaybeUninit;

use crate::conn::connection::Connection;
use crate::conn::mailbox::Mailbox;
use crate::conn::receive::Receive;
use crate::conn::waiting::Waiting;
use crate::deadline::Deadline;
use crate::net::stream::{Blocking, Received, Stream};

/// The buffer on the stack of a reader that has never needed more.
const TINY_READ: usize = 512;

/// The buffer on the stack of the others.
const SMALL_READ: usize = 2 * 1024;

impl Receive {
    /// Waits in `recv`, between two frames without the large buffer.
    pub(super) fn read_waiting(
        &mut self,
        conn: &Connection,
        stream: &Stream,
    ) -> io::Result<Received> {
        if self.large.is_some() && self.decoder.due() == 0 {
            let received = self.read(conn, stream, Blocking::Never)?;
            if received != Received::Nothing {
                return Ok(received);
            }
        }
        let _waiting = Waiting::new(conn);
        self.read(conn, stream, Blocking::Wait)
    }

    /// Waits for bytes until an absolute deadline.
    pub(super) fn read_until(
        &mut self,
        conn: &Connection,
        stream: &Stream,
        deadline: Deadline,
    ) -> io::Result<Received> {
        loop {
            let received = self.read(conn, stream, Blocking::Never)?;
            if received != Received::Nothing || deadline.is_past() {
                return Ok(received);
            }
            let _waiting = Waiting::new(conn);
            stream.wait_readable(deadline.remaining())?;
        }
    }

    /// Waits until the socket or the mailbox has something, and reads if it was the socket.
    pub(super) fn read_either(
        &mut self,
        conn: &Connection,
        stream: &Stream,
        mailbox: &Mailbox,
        deadline: Deadline,
    ) -> io::Result<Received> {
        if self.large.is_some() && self.decoder.due() == 0 {
            let received = self.read(conn, stream, Blocking::Never)?;
            if received != Received::Nothing {
                return Ok(received);
            }
        }
        let is_readable = mailbox.stand_by(|waker| {
            let _waiting = Waiting::new(conn);
            match waker {
                Some(waker) => stream.wait_readable_or_woken(waker, deadline.remaining()),
                None => stream.wait_readable(deadline.remaining()),
            }
        })?;
        if is_readable { self.read(conn, stream, Blocking::Never) } else { Ok(Received::Nothing) }
    }

    /// One `recv` into the buffer that fits the moment.
    pub(super) fn read(
        &mut self,
        conn: &Connection,
        stream: &Stream,
        blocking: Blocking,
    ) -> io::Result<Received> {
        if !self.is_deaf
            && let Some(buffer) = self.decoder.direct()
        {
            let before = buffer.len();
            let received = stream.recv_into(buffer, blocking)?;
            let filled = self.decoder.direct_filled(before);
            self.digest_direct(conn, filled);
            return Ok(received);
        }
        if self.large.is_some() || self.decoder.due() > SMALL_READ as u64 {
            self.read_large(conn, stream, blocking)
        } else if self.is_past_tiny {
            self.read_small(conn, stream, blocking)
        } else {
            self.read_tiny(conn, stream, blocking)
        }
    }

    /// Reads to a little of the stack.
    // Inlined, its buffer would lie below the large one's reader.
    #[inline(never)]
    fn read_tiny(
        &mut self,
        conn: &Connection,
        stream: &Stream,
        blocking: Blocking,
    ) -> io::Result<Received> {
        let mut buffer = [const { MaybeUninit::uninit() }; TINY_READ];
        let (received, bytes) = stream.recv_uninit(&mut buffer, blocking)?;
        self.is_past_tiny = bytes.len() == TINY_READ || stream.has_part();
        self.take_in(conn, bytes);
        Ok(received)
    }

    /// Reads to more of the stack.
    // Inlined, its buffer would lie in the frame of every reader.
    #[inline(never)]
    fn read_small(
        &mut self,
        conn: &Connection,
        stream: &Stream,
        blocking: Blocking,
    ) -> io::Result<Received> {
        let mut buffer = [const { MaybeUninit::uninit() }; SMALL_READ];
        let (received, bytes) = stream.recv_uninit(&mut buffer, blocking)?;
        if bytes.len() == SMALL_READ || stream.has_part() {
            self.large = Some(conn.shared.buffers.take());
        }
        self.take_in(conn, bytes);
        Ok(received)
    }

    /// Digests what lies on the stack; where messages are compressed, when the read has returned:
    /// the inflater's frames need the room of the buffer.
    #[inline]
    fn take_in(&mut self, conn: &Connection, bytes: &mut [u8]) {
        if self.decoder.inflates() {
            self.undecoded.extend_from_slice(bytes);
        } else {
            self.digest(conn, bytes);
        }
    }

    /// Reads to the large buffer, and gives it back when the burst is over.
    fn read_large(
        &mut self,
        conn: &Connection,
        stream: &Stream,
        blocking: Blocking,
    ) -> io::Result<Received> {
        let mut buffer = self.large.take().unwrap_or_else(|| conn.shared.buffers.take());
        buffer.clear();
        let received = stream.recv_into(&mut buffer, blocking)?;
        let is_full = buffer.len() == buffer.capacity() || stream.has_part();
        self.digest(conn, &mut buffer);
        if !self.is_deaf && (is_full || self.decoder.due() > 0) {
            self.large = Some(buffer);
        } else {
            conn.shared.buffers.give(buffer);
        }
        Ok(received)
    }
}
