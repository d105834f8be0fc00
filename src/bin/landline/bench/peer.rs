//! What all loads of WebSockets have in common: pongs, close handshakes, and whom to blame for an
//! end.

use crate::bench::core::{Core, End};
use crate::bench::frames::{FrameReader, Piece};
use crate::bench::template::frame;

const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// Where so much waits to be sent, pings are not answered: their server reads too little, and only the
/// last one need be (RFC 6455 5.5.3).
const MOST_UNSENT: usize = 16 * 1024 * 1024;

/// Close code of a good end (RFC 6455 7.4.1).
const NORMAL: u16 = 1000;

/// One WebSocket.
#[derive(Debug, Default)]
pub(crate) struct Peer {
    pub(crate) reader: FrameReader,
    /// The close frame has gone out.
    is_leaving: bool,
}

impl Peer {
    pub(crate) fn new(allows_compression: bool) -> Self {
        Self { reader: FrameReader::new(allows_compression), is_leaving: false }
    }

    /// True once the close frame has gone out: what comes now is of no interest.
    pub(crate) fn is_leaving(&self) -> bool {
        self.is_leaving
    }

    /// Sends the close frame.
    pub(crate) fn leave(&mut self, core: &mut Core, id: usize) -> Result<(), End> {
        self.is_leaving = true;
        core.send(id, &frame(CLOSE, &NORMAL.to_be_bytes()))
    }

    /// Sends a ping without payload.
    pub(crate) fn ping(core: &mut Core, id: usize) -> Result<(), End> {
        core.send(id, &frame(PING, b""))
    }

    /// Deals with a control frame; messages are for the load.
    ///
    /// # Errors
    /// A close frame: `Done` if it answers ours.
    pub(crate) fn control(&self, core: &mut Core, id: usize, piece: Piece<'_>) -> Result<(), End> {
        match piece {
            Piece::Ping(payload) if !self.is_leaving && core.unsent(id) < MOST_UNSENT => {
                core.send(id, &frame(PONG, &payload))
            }
            // An answer may leave the code out.
            Piece::Close { code, .. } if self.is_leaving && code.unwrap_or(NORMAL) == NORMAL => {
                Err(End::Done)
            }
            Piece::Close { code, reason } => Err(End::Closed { code, reason }),
            _ => Ok(()),
        }
    }
}

/// Counts an end as a fault, unless it was meant to be.
pub(crate) fn blame(core: &mut Core, id: usize, end: End) {
    let mut is_closed = 1;
    let text = match end {
        End::Done => return,
        End::Violation(what) => {
            is_closed = 0;
            core.tally.faults.content += 1;
            format!("connection {id}: the server sent what is not allowed: {what}")
        }
        End::Closed { code, reason } => {
            let code = code.map_or("no code".into(), |code| code.to_string());
            let reason = match reason.as_str() {
                "" => String::new(),
                reason => format!(" \"{}\"", reason.escape_debug()),
            };
            format!("connection {id}: closed by the server with {code}{reason}")
        }
        End::Cut => format!("connection {id}: ended by the server without a close frame"),
        End::Broken(error) => format!("connection {id}: {error}"),
    };
    core.tally.faults.closed += is_closed;
    core.tally.blame(|| text);
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::bench::core::{Dialing, Step, Target};
    use crate::bench::shared::Shared;

    #[test]
    fn pings_of_a_server_that_does_not_read_take_only_so_much_memory() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let addresses = vec![server.local_addr().unwrap()];
        let dialing = Dialing {
            targets: vec![Target { addresses, handshake: None, secured: None }],
            sources: Vec::new(),
            timeout: Duration::from_secs(10),
            at_once: 1,
        };
        let mut core = Core::new(Arc::new(Shared::new(1).unwrap()), 0, dialing).unwrap();
        core.want(0, 0);
        core.dial();
        let mut ready = Vec::new();
        while !core.is_open(0) {
            core.wait(Duration::from_secs(10), &mut ready).unwrap();
            for event in ready.drain(..) {
                assert!(matches!(core.step(event, &mut []), Step::Opened(_)));
            }
        }
        let peer = Peer::default();
        let payload = vec![b'p'; 125];
        let answer = frame(PONG, &payload).len();
        for _ in 0..2 * MOST_UNSENT / answer {
            peer.control(&mut core, 0, Piece::Ping(payload.clone())).unwrap();
        }
        assert!(core.unsent(0) < MOST_UNSENT + answer, "{}", core.unsent(0));
    }
}
