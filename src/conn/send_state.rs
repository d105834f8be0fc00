//! What the send lock guards: the queue, and how far the end has come.

use std::io::{self, ErrorKind as IoErrorKind, IoSlice};
use std::sync::Arc;

use crate::conn::deflating::OwnCompressor;
use crate::conn::hold::Held;
use crate::conn::lane::Lane;
use crate::conn::queue::SendQueue;
use crate::error::{Error, ErrorKind};
use crate::net::stream::{Blocking, MAX_SLICES, Stream};
use crate::ws::Bytes;
use crate::ws::close::{CloseFrame, Closed, Violation};

#[derive(Debug, Default)]
pub(super) struct SendState {
    /// `None` before the handshake's answer and after the end.
    pub(super) stream: Option<Arc<Stream>>,
    pub(super) queue: SendQueue,
    /// Replies held back; only while nothing is queued.
    pub(super) held: Held,
    /// What compresses where messages refer to those before, in the order of sending.
    pub(super) own_compressor: OwnCompressor,
    /// Our close frame is sent or queued: no data may follow.
    pub(super) close_sent: Option<Box<CloseFrame>>,
    /// The peer's close frame has come.
    pub(super) close_received: bool,
    /// The kernel refused to take more: the peer is gone.
    pub(super) is_broken: bool,
    pub(super) end: Option<Box<End>>,
    /// Whole messages taken for sending; never taken back.
    pub(super) messages_sent: u64,
    /// Of them, those that made room for newer ones in the queue.
    pub(super) displaced: u64,
    /// Bytes that the kernel has taken.
    pub(super) bytes_sent: u64,
    /// Messages of groups that were meant for this client and never went out whole.
    pub(super) lost: u64,
}

/// How the connection ended, and the peer's fault if there was one.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) closed: Closed,
    pub(crate) violation: Option<Violation>,
}

impl End {
    /// The error for a call that needs an open connection.
    pub(crate) fn to_error(&self) -> Error {
        let error = Error::new(ErrorKind::Closed, self.closed.to_string());
        match self.violation {
            Some(violation) => error.with_source(violation.into_error()),
            None => error,
        }
    }
}

/// Queued frames for which a small frame of the stack will do. It is what a handshake and most
/// answers take, and a connection that never needed more holds no more of its stack.
const FEW: usize = 4;

/// One call to the kernel for the front of a queue, of as many slices as there is room for.
#[inline(never)]
fn send_some<const SLICES: usize>(stream: &Stream, queue: &SendQueue) -> io::Result<usize> {
    let mut slices = [IoSlice::new(&[]); SLICES];
    let mut count = 0;
    for (slot, slice) in slices.iter_mut().zip(queue.slices()) {
        *slot = slice;
        count += 1;
    }
    stream.send_slices(&slices[..count], Blocking::Never)
}

impl SendState {
    /// The reason why no data may be sent any more.
    #[inline]
    pub(super) fn refusal(&self) -> Option<Error> {
        if self.is_shut() { self.refusal_of_shut() } else { None }
    }

    #[cold]
    fn refusal_of_shut(&self) -> Option<Error> {
        if let Some(end) = &self.end {
            return Some(end.to_error());
        }
        if let Some(frame) = &self.close_sent {
            let text = format!("close {} has been sent; nothing may follow it", frame.code());
            return Some(Error::new(ErrorKind::Closed, text));
        }
        let is_gone = self.is_broken || self.stream.is_none();
        is_gone.then(|| Error::new(ErrorKind::Closed, "the client is gone"))
    }

    /// Sends as much of the queue as fits.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let Some(stream) = self.stream.clone() else { return Ok(()) };
        while !self.queue.is_empty() {
            let sent = if self.queue.len() <= FEW {
                send_some::<{ 2 * FEW }>(&stream, &self.queue)
            } else {
                send_some::<MAX_SLICES>(&stream, &self.queue)
            };
            match sent {
                Ok(sent) => {
                    self.bytes_sent += sent as u64;
                    self.queue.advance(sent);
                }
                Err(error) if error.kind() == IoErrorKind::WouldBlock => return Ok(()),
                Err(error) => {
                    self.fail();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Nothing can be sent any more: drops what is queued and wakes a reader that would wait
    /// for an answer to it.
    pub(super) fn fail(&mut self) {
        self.is_broken = true;
        self.clear_queue();
        if let Some(stream) = &self.stream {
            stream.shutdown();
        }
    }

    /// Ends the sending direction once everything due has gone out.
    pub(super) fn settle(&self) {
        let Some(stream) = &self.stream else { return };
        if !self.queue.is_empty() || self.close_sent.is_none() {
            return;
        }
        if self.close_received {
            // Both have said goodbye: the server closes first and at once (RFC 6455 7.1.1).
            stream.shutdown();
        } else if self.end.is_some() {
            // The peer broke the protocol and may still be sending: it has to see our close
            // frame, so its bytes are read and dropped until it ends or the deadline passes.
            stream.shutdown_write();
        }
    }

    /// True if no data may be sent any more; [`refusal`](Self::refusal) says why.
    pub(super) fn is_shut(&self) -> bool {
        self.end.is_some() || self.close_sent.is_some() || self.is_broken || self.stream.is_none()
    }

    /// Drops what is queued; what groups lose by it is counted.
    pub(super) fn clear_queue(&mut self) {
        self.held = Held::default();
        let lost = &mut self.lost;
        self.queue.clear(|lane| {
            *lost += 1;
            lane.lose_queued(|counters| &counters.abandoned);
        });
    }

    /// Drops what is queued and has not begun, because a policy says so.
    pub(super) fn drop_unbegun(&mut self) {
        let lost = &mut self.lost;
        self.queue.drop_unbegun(|lane| {
            *lost += 1;
            lane.drop_queued();
        });
    }

    /// Queues a frame of a group, of which `sent` bytes have gone.
    pub(super) fn queue_group(&mut self, frame: &Bytes, lane: &Arc<Lane>, sent: usize) {
        self.messages_sent += 1;
        lane.count(|counters| &counters.queued, 1);
        self.queue.push_group(frame.clone(), lane, sent);
    }

    /// Takes note of queued frames of a group that made room for newer ones.
    pub(super) fn displaced(&mut self, lane: &Lane, number: usize) {
        self.lost += number as u64;
        self.displaced += number as u64;
        for _ in 0..number {
            lane.drop_queued();
        }
    }
}
