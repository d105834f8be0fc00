//! `connect`: connections that come and go, with both handshakes.

use std::time::Duration;

use crate::bench::core::{Core, End};
use crate::bench::frames::Piece;
use crate::bench::peer::{Peer, blame};
use crate::bench::shared::Phase;
use crate::bench::worker::Load;

/// Time for the server to end the stream after its close frame, in microseconds.
const END_MICROS: u64 = 1_000_000;

#[derive(Debug, Default)]
struct Caller {
    peer: Peer,
    is_open: bool,
    /// When the server's close frame came.
    answered: Option<u64>,
}

/// The connections of one thread.
#[derive(Debug)]
pub(crate) struct ConnectLoad {
    callers: Vec<Caller>,
    is_started: bool,
    is_over: bool,
    looked: u64,
}

impl ConnectLoad {
    pub(crate) fn new(connections: usize) -> Self {
        let callers = (0..connections).map(|_| Caller::default()).collect();
        Self { callers, is_started: false, is_over: false, looked: 0 }
    }

    /// Opens a connection anew, as long as the load goes on.
    fn again(&mut self, core: &mut Core, id: usize, now: u64) {
        self.callers[id] = Caller::default();
        if core.phase(now) != Phase::Draining {
            core.want(id, 0);
        }
    }

    /// Ends what a server has left open.
    fn end_left(&mut self, core: &mut Core, now: u64) {
        self.looked = now;
        for id in 0..self.callers.len() {
            let answered = self.callers[id].answered;
            if answered.is_some_and(|answered| now.saturating_sub(answered) > END_MICROS) {
                core.tally.left_open += 1;
                core.end(id);
                self.again(core, id, now);
            }
        }
    }
}

impl Load for ConnectLoad {
    fn begin(&mut self, _core: &mut Core) {}

    fn is_ready(&self, _core: &Core) -> bool {
        true
    }

    fn opened(&mut self, core: &mut Core, id: usize, now: u64) -> Result<(), End> {
        if core.phase(now) == Phase::Measured {
            let delay = now - core.begun(id);
            core.tally.count(1, delay);
        }
        let caller = &mut self.callers[id];
        caller.is_open = true;
        caller.peer.leave(core, id)
    }

    fn received(
        &mut self,
        core: &mut Core,
        id: usize,
        mut bytes: &[u8],
        now: u64,
    ) -> Result<(), End> {
        loop {
            let caller = &mut self.callers[id];
            let piece = match caller.peer.reader.next(&mut bytes) {
                Ok(Some(piece)) => piece,
                Ok(None) => return Ok(()),
                Err(violation) => return Err(End::Violation(violation.into())),
            };
            if matches!(piece, Piece::Data { .. }) {
                continue;
            }
            match caller.peer.control(core, id, piece) {
                // The end of the stream is still to come.
                Err(End::Done) => caller.answered = Some(now),
                other => other?,
            }
        }
    }

    fn ended(&mut self, core: &mut Core, id: usize, end: End, now: u64) {
        let was_answered = self.callers[id].answered.is_some();
        match end {
            End::Cut | End::Broken(_) if was_answered => {}
            end => blame(core, id, end),
        }
        self.again(core, id, now);
    }

    fn turn(&mut self, core: &mut Core, now: u64) -> Option<Duration> {
        let phase = core.phase(now);
        if !self.is_started && phase != Phase::Opening {
            self.is_started = true;
            (0..self.callers.len()).for_each(|id| core.want(id, 0));
        }
        if !self.is_over && phase == Phase::Draining {
            self.is_over = true;
            core.want_no_more();
        }
        if now.saturating_sub(self.looked) > END_MICROS / 10 {
            self.end_left(core, now);
        }
        None
    }

    fn is_done(&self, core: &Core) -> bool {
        self.is_over && core.alive() == 0
    }

    fn give_up(&mut self, core: &mut Core) {
        let lost = core.alive() as u64;
        core.tally.faults.lost += lost;
        core.tally.blame(|| format!("{lost} connections had no answer to their close frame"));
        (0..self.callers.len()).for_each(|id| core.end(id));
    }

    fn farewell(&mut self, _core: &mut Core) -> u64 {
        0
    }
}
