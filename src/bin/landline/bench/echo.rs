//! `echo`: every message comes back, and is compared with what was sent.

use std::time::Duration;

use crate::bench::check::{Arriving, Checker, Ending};
use crate::bench::core::{Core, End};
use crate::bench::frames::{Kind, Piece};
use crate::bench::peer::{Peer, blame};
use crate::bench::sequence::{Sequence, Taken};
use crate::bench::shared::Phase;
use crate::bench::template::{Payload, Template};
use crate::bench::worker::{FAREWELL_MICROS, Load};

/// The numbers of neighbours begin this far from each other, so that an answer that was meant for
/// another connection is seen.
const STRIDE: u32 = 0x0101_0101;

/// How much is asked.
#[derive(Clone, Debug)]
pub(crate) struct EchoPlan {
    pub(crate) connections: usize,
    /// Of each connection.
    pub(crate) in_flight: usize,
    pub(crate) payload: Payload,
    pub(crate) is_compressed: bool,
}

#[derive(Debug)]
struct Line {
    peer: Peer,
    arriving: Arriving,
    /// What is added to the number of each message.
    base: u32,
    sequence: Sequence,
    sent: u64,
    is_open: bool,
}

/// The echo on the connections of one thread.
#[derive(Debug)]
pub(crate) struct EchoLoad {
    plan: EchoPlan,
    template: Template,
    checker: Checker,
    lines: Vec<Line>,
    /// When each message in flight was sent: `in_flight` places for each connection.
    sent_at: Vec<u64>,
    outstanding: u64,
    is_started: bool,
}

impl EchoLoad {
    pub(crate) fn new(plan: EchoPlan) -> Self {
        let template = Template::new(&plan.payload, plan.in_flight, plan.is_compressed);
        Self {
            template,
            checker: Checker::new(plan.payload.clone()),
            lines: Vec::with_capacity(plan.connections),
            sent_at: vec![0; plan.connections * plan.in_flight],
            outstanding: 0,
            is_started: false,
            plan,
        }
    }

    /// Sends what the window has room for, in one write if it is not large.
    fn refill(&mut self, core: &mut Core, id: usize, now: u64) -> Result<(), End> {
        let line = &mut self.lines[id];
        let in_flight = self.plan.in_flight as u64;
        let mut room = in_flight - (line.sent - line.sequence.next);
        while room > 0 {
            let count = room.min(self.template.burst() as u64);
            let first = line.base.wrapping_add(line.sent as u32);
            let frames = self.template.frames(first, count as usize);
            let places = &mut self.sent_at[id * self.plan.in_flight..][..self.plan.in_flight];
            for number in line.sent..line.sent + count {
                places[(number % in_flight) as usize] = now;
            }
            line.sent += count;
            self.outstanding += count;
            room -= count;
            core.send(id, frames)?;
        }
        Ok(())
    }

    /// Counts an answer. `number` is what it says of itself, if it is one of ours at all.
    fn answered(&mut self, core: &mut Core, id: usize, number: Option<u32>) -> Option<u64> {
        let line = &mut self.lines[id];
        let due = line.sequence.next;
        let taken = match number {
            Some(number) => {
                let bits = self.plan.payload.bits();
                line.sequence.take(number.wrapping_sub(line.base), bits, line.sent)
            }
            None => Taken::Unknown,
        };
        let faults = &mut core.tally.faults;
        match taken {
            Taken::InOrder => {}
            Taken::Early(missing) => {
                faults.lost += missing;
                core.tally.blame(|| format!("connection {id}: message {due} was not answered"));
            }
            Taken::Late => {
                faults.lost -= 1;
                faults.order += 1;
                core.tally.blame(|| format!("connection {id}: an answer came late"));
            }
            Taken::Again => {
                faults.order += 1;
                core.tally.blame(|| format!("connection {id}: an answer came twice"));
            }
            // What is wrong stands for the answer that was due, so that the others are judged
            // for themselves.
            Taken::Unknown => {
                faults.content += 1;
                core.tally.blame(|| {
                    format!("connection {id}: the answer to message {due} is not what was sent")
                });
                if due < line.sent {
                    line.sequence.next += 1;
                }
            }
        }
        self.outstanding -= line.sequence.next - due;
        let at = id * self.plan.in_flight + (due % self.plan.in_flight as u64) as usize;
        (taken == Taken::InOrder).then(|| self.sent_at[at])
    }

    fn read(&mut self, core: &mut Core, id: usize, mut bytes: &[u8], now: u64) -> Result<(), End> {
        let is_counted = core.phase(now) == Phase::Measured;
        // Messages that were sent at the same time are counted at once.
        let (mut run, mut run_sent_at) = (0, 0);
        loop {
            let line = &mut self.lines[id];
            let piece = match line.peer.reader.next(&mut bytes) {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(violation) => return Err(End::Violation(violation.into())),
            };
            let Piece::Data { kind, is_compressed, bytes, is_last } = piece else {
                line.peer.control(core, id, piece)?;
                continue;
            };
            if line.peer.is_leaving() {
                continue;
            }
            let ending = Ending { is_compressed, is_last };
            let Some(number) = self.number(id, kind, bytes, ending)? else { continue };
            let sent_at = self.answered(core, id, number);
            if let (true, Some(sent_at)) = (is_counted, sent_at) {
                if sent_at != run_sent_at && run > 0 {
                    core.tally.count(run, now - run_sent_at);
                    run = 0;
                }
                run_sent_at = sent_at;
                run += 1;
            }
        }
        if run > 0 {
            core.tally.count(run, now - run_sent_at);
        }
        Ok(())
    }

    /// Takes a piece of a message; at its end the number it says, or `Some(None)` if it is not
    /// ours.
    fn number(
        &mut self,
        id: usize,
        kind: Kind,
        bytes: &[u8],
        ending: Ending,
    ) -> Result<Option<Option<u32>>, End> {
        let line = &mut self.lines[id];
        let due = line.base.wrapping_add(line.sequence.next as u32);
        let is_whole = ending.is_last && !ending.is_compressed;
        if is_whole && line.arriving.is_new() && self.checker.is_plainly(kind, bytes, due) {
            return Ok(Some(Some(due)));
        }
        let taken = self.checker.take(&mut line.arriving, kind, bytes, ending);
        let head = taken.map_err(|violation| End::Violation(violation.into()))?;
        Ok(ending.is_last.then(|| head.map(|head| head.number)))
    }
}

impl Load for EchoLoad {
    fn begin(&mut self, core: &mut Core) {
        for id in 0..self.plan.connections {
            self.lines.push(Line {
                peer: Peer::new(self.plan.is_compressed),
                arriving: Arriving::default(),
                base: ((id * 64 + core.thread + 1) as u32).wrapping_mul(STRIDE),
                sequence: Sequence::default(),
                sent: 0,
                is_open: false,
            });
            core.want(id, 0);
        }
    }

    fn is_ready(&self, core: &Core) -> bool {
        core.is_settled()
    }

    fn opened(&mut self, _core: &mut Core, id: usize, _now: u64) -> Result<(), End> {
        self.lines[id].is_open = true;
        Ok(())
    }

    fn received(&mut self, core: &mut Core, id: usize, bytes: &[u8], now: u64) -> Result<(), End> {
        self.read(core, id, bytes, now)?;
        match self.is_started && core.is_loading(now) {
            true => self.refill(core, id, now),
            false => Ok(()),
        }
    }

    fn ended(&mut self, core: &mut Core, id: usize, end: End, _now: u64) {
        let line = &mut self.lines[id];
        line.is_open = false;
        self.outstanding -= line.sent - line.sequence.next;
        line.sequence.next = line.sent;
        blame(core, id, end);
    }

    fn turn(&mut self, core: &mut Core, now: u64) -> Option<Duration> {
        if !self.is_started && core.is_loading(now) {
            self.is_started = true;
            for id in 0..self.lines.len() {
                let now = core.shared.now();
                if self.lines[id].is_open
                    && let Err(end) = self.refill(core, id, now)
                {
                    core.end(id);
                    self.ended(core, id, end, now);
                }
            }
        }
        None
    }

    fn is_done(&self, _core: &Core) -> bool {
        self.outstanding == 0
    }

    fn give_up(&mut self, core: &mut Core) {
        let lost = self.outstanding;
        core.tally.faults.lost += lost;
        core.tally.blame(|| format!("{lost} messages were not answered"));
    }

    fn farewell(&mut self, core: &mut Core) -> u64 {
        for id in 0..self.lines.len() {
            if core.is_open(id) && self.lines[id].peer.leave(core, id).is_err() {
                core.end(id);
            }
        }
        FAREWELL_MICROS
    }
}
