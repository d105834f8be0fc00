//! A thread of load: one event loop over its share of the connections.

use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::bench::core::{Core, End, Step};
use crate::bench::shared::Phase;
use crate::bench::tally::Tally;

/// What one read takes at most.
const BUFFER_BYTES: usize = 64 * 1024;

/// Longest sleep of a loop in which nothing happens.
const TURN: Duration = Duration::from_millis(50);

/// Longest time for what is in flight when the measured time is over, in microseconds.
pub(crate) const DRAIN_MICROS: u64 = 10_000_000;

/// Time for close handshakes that nobody counts, in microseconds.
pub(crate) const FAREWELL_MICROS: u64 = 500_000;

/// One way to load a server, on the connections of one thread. Times are microseconds since the
/// origin of the run.
pub(crate) trait Load {
    /// Asks for the first connections.
    fn begin(&mut self, core: &mut Core);

    /// True once the load could start; asked for after every turn until then.
    fn is_ready(&self, core: &Core) -> bool;

    /// A connection is open.
    fn opened(&mut self, core: &mut Core, id: usize, now: u64) -> Result<(), End>;

    /// Bytes have arrived.
    fn received(&mut self, core: &mut Core, id: usize, bytes: &[u8], now: u64) -> Result<(), End>;

    /// A connection has ended, and is forgotten already.
    fn ended(&mut self, core: &mut Core, id: usize, end: End, now: u64);

    /// Does what is due. Called in every turn; says how long the loop may sleep at most, and none
    /// if it may as long as it likes.
    fn turn(&mut self, core: &mut Core, now: u64) -> Option<Duration>;

    /// True if nothing is in flight any more, after the measured time.
    fn is_done(&self, core: &Core) -> bool;

    /// The time for what is in flight is over: whatever has not come is lost.
    fn give_up(&mut self, core: &mut Core);

    /// Begins the close handshakes, if there are any, and says how many microseconds there are
    /// for them.
    fn farewell(&mut self, core: &mut Core) -> u64;

    /// The time for the close handshakes is over.
    fn bid(&mut self, _core: &mut Core) {}
}

/// What a thread of load tells the one that leads.
#[derive(Debug)]
pub(crate) enum Word {
    /// All connections are open.
    Ready,
    /// The run cannot go on.
    Failed(String),
    Finished(Box<Tally>),
}

/// Runs a load to its end.
pub(crate) fn run(mut core: Core, load: &mut impl Load, tell: &dyn Fn(Word)) {
    let mut turns = Turns::new();
    let end = match turns.run(&mut core, load, tell) {
        Ok(()) => match core.take_failure() {
            Some(text) => Word::Failed(text),
            None => Word::Finished(Box::new(core.tally)),
        },
        Err(error) => Word::Failed(format!("cannot wait for connections: {error}")),
    };
    tell(end);
}

struct Turns {
    buffer: Box<[u8]>,
    ready: Vec<crate::bench::poller::Ready>,
    failed: bool,
    looked: u64,
}

impl Turns {
    fn new() -> Self {
        let buffer = vec![0; BUFFER_BYTES].into_boxed_slice();
        Self { buffer, ready: Vec::new(), failed: false, looked: 0 }
    }

    fn run(
        &mut self,
        core: &mut Core,
        load: &mut impl Load,
        tell: &dyn Fn(Word),
    ) -> io::Result<()> {
        load.begin(core);
        let mut is_ready = false;
        loop {
            let now = self.turn(core, load)?;
            if self.failed {
                return Ok(());
            }
            if !is_ready && load.is_ready(core) {
                is_ready = true;
                tell(Word::Ready);
            }
            if core.phase(now) == Phase::Draining {
                if load.is_done(core) {
                    break;
                }
                if now > core.window.until.saturating_add(DRAIN_MICROS) {
                    load.give_up(core);
                    break;
                }
            }
        }
        core.want_no_more();
        let until = load.farewell(core) + core.shared.now();
        while core.alive() > 0 && core.shared.now() < until && !self.failed {
            self.turn(core, load)?;
        }
        load.bid(core);
        Ok(())
    }

    /// One turn: opens connections, does what is due, waits, and deals with what has happened.
    fn turn(&mut self, core: &mut Core, load: &mut impl Load) -> io::Result<u64> {
        core.window = core.shared.window();
        core.dial();
        let now = core.shared.now();
        let wait = load.turn(core, now).map_or(TURN, |wait| wait.min(TURN));
        core.wait(wait, &mut self.ready)?;
        for at in 0..self.ready.len() {
            let event = self.ready[at];
            match core.step(event, &mut self.buffer) {
                Step::Nothing => continue,
                step => self.deal(core, load, event.id, step),
            }
        }
        let now = core.shared.now();
        if now - self.looked > TURN.as_micros() as u64 {
            self.looked = now;
            core.check_patience(now);
        }
        let count = match core.phase(now) {
            Phase::Opening => core.open() as u64,
            _ => core.tally.messages,
        };
        core.shared.counts[core.thread].store(count, Relaxed);
        self.failed = core.has_failed();
        Ok(now)
    }

    fn deal(&mut self, core: &mut Core, load: &mut impl Load, id: usize, step: Step) {
        // The one reading of the clock for whatever came with this read and goes with its answer.
        let now = core.shared.now();
        let outcome = match step {
            Step::Nothing => Ok(()),
            Step::Opened(rest) => load.opened(core, id, now).and_then(|()| match rest.is_empty() {
                true => Ok(()),
                false => load.received(core, id, &rest, now),
            }),
            Step::Received(count) => load.received(core, id, &self.buffer[..count], now),
            Step::Ended(end) => Err(end),
        };
        if let Err(end) = outcome {
            core.end(id);
            load.ended(core, id, end, now);
        }
    }
}
