//! `hold`: connections that are open and do nothing. At the end each must still answer.

use std::time::Duration;

use crate::bench::core::{Core, End};
use crate::bench::frames::Piece;
use crate::bench::peer::{Peer, blame};
use crate::bench::shared::Phase;
use crate::bench::worker::{DRAIN_MICROS, Load};

#[derive(Debug)]
struct Held {
    peer: Peer,
    is_open: bool,
    /// Its ping was not answered yet.
    awaits_pong: bool,
}

/// The connections of one thread.
#[derive(Debug)]
pub(crate) struct HoldLoad {
    connections: usize,
    held: Vec<Held>,
    were_asked: bool,
    /// Pings that were not answered.
    outstanding: u64,
}

impl HoldLoad {
    pub(crate) fn new(connections: usize) -> Self {
        Self {
            connections,
            held: Vec::with_capacity(connections),
            were_asked: false,
            outstanding: 0,
        }
    }

    fn ask_all(&mut self, core: &mut Core, now: u64) {
        for id in 0..self.held.len() {
            if !self.held[id].is_open {
                continue;
            }
            self.held[id].awaits_pong = true;
            self.outstanding += 1;
            if let Err(end) = Peer::ping(core, id) {
                core.end(id);
                self.ended(core, id, end, now);
            }
        }
    }
}

impl Load for HoldLoad {
    fn begin(&mut self, core: &mut Core) {
        for id in 0..self.connections {
            self.held.push(Held { peer: Peer::new(false), is_open: false, awaits_pong: false });
            core.want(id, 0);
        }
    }

    fn is_ready(&self, core: &Core) -> bool {
        core.is_settled()
    }

    fn opened(&mut self, _core: &mut Core, id: usize, _now: u64) -> Result<(), End> {
        self.held[id].is_open = true;
        Ok(())
    }

    fn received(
        &mut self,
        core: &mut Core,
        id: usize,
        mut bytes: &[u8],
        _now: u64,
    ) -> Result<(), End> {
        loop {
            let held = &mut self.held[id];
            let piece = match held.peer.reader.next(&mut bytes) {
                Ok(Some(piece)) => piece,
                Ok(None) => return Ok(()),
                Err(violation) => return Err(End::Violation(violation.into())),
            };
            match piece {
                // Whatever the server tells its clients.
                Piece::Data { .. } => {}
                Piece::Pong(payload) if held.awaits_pong && payload.is_empty() => {
                    held.awaits_pong = false;
                    self.outstanding -= 1;
                }
                piece => held.peer.control(core, id, piece)?,
            }
        }
    }

    fn ended(&mut self, core: &mut Core, id: usize, end: End, _now: u64) {
        let held = &mut self.held[id];
        held.is_open = false;
        if std::mem::take(&mut held.awaits_pong) {
            self.outstanding -= 1;
        }
        blame(core, id, end);
    }

    fn turn(&mut self, core: &mut Core, now: u64) -> Option<Duration> {
        if core.phase(now) == Phase::Draining && !self.were_asked {
            self.were_asked = true;
            self.ask_all(core, now);
        }
        None
    }

    fn is_done(&self, _core: &Core) -> bool {
        self.were_asked && self.outstanding == 0
    }

    fn give_up(&mut self, core: &mut Core) {
        let lost = self.outstanding;
        core.tally.faults.lost += lost;
        core.tally.blame(|| format!("{lost} connections did not answer the ping at the end"));
    }

    fn farewell(&mut self, core: &mut Core) -> u64 {
        for id in 0..self.held.len() {
            if core.is_open(id)
                && let Err(end) = self.held[id].peer.leave(core, id)
            {
                core.end(id);
                self.ended(core, id, end, 0);
            }
        }
        DRAIN_MICROS
    }

    fn bid(&mut self, core: &mut Core) {
        let silent = self.held.iter().filter(|held| held.is_open).count() as u64;
        if silent > 0 {
            core.tally.faults.lost += silent;
            core.tally.blame(|| format!("{silent} connections did not answer the close frame"));
        }
    }
}
