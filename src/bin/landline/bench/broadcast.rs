//! `broadcast`: what a few publish, many receive; content and order of each delivery are checked.
//!
//! The publishers belong to the first thread; their connections have the numbers behind those of
//! its subscribers. First, one message is published now and then until every subscriber has had
//! one, because some servers take a moment for it after the handshake; where a subscriber begins
//! is where it joins.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::bench::arrivals::Arrivals;
use crate::bench::board::{Board, MOST_IN_FLIGHT};
use crate::bench::check::{Arriving, Checker, Ending};
use crate::bench::core::{Core, End};
use crate::bench::frames::{Kind, Piece};
use crate::bench::known::Known;
use crate::bench::peer::{Peer, blame};
use crate::bench::sequence::{Sequence, Taken};
use crate::bench::shared::Phase;
use crate::bench::template::{DIGITS, Payload, Template, digits};
use crate::bench::worker::{FAREWELL_MICROS, Load};

/// Time between two messages until everybody has had one, in microseconds.
const KNOCK_MICROS: u64 = 200_000;

/// How much is published, and to whom.
#[derive(Clone, Debug)]
pub(crate) struct BroadcastPlan {
    /// Of this thread.
    pub(crate) subscribers: usize,
    /// Of all threads.
    pub(crate) all_subscribers: usize,
    pub(crate) pace: Pace,
    /// One for each publisher.
    pub(crate) payloads: Vec<Payload>,
    pub(crate) is_compressed: bool,
    /// Which of the targets the publishers connect to.
    pub(crate) publish_target: usize,
    /// Time for every subscriber to have had something.
    pub(crate) patience: Duration,
}

/// How fast is published.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// Messages of each publisher that not all have.
    InFlight(u64),
    /// Of all publishers.
    PerSecond(u64),
}

#[derive(Debug)]
struct Subscriber {
    peer: Peer,
    arriving: Arriving,
    /// By publisher.
    sequences: Vec<Sequence>,
    has_joined: bool,
    is_open: bool,
}

/// The broadcast on the connections of one thread.
#[derive(Debug)]
pub(crate) struct BroadcastLoad {
    plan: BroadcastPlan,
    board: Arc<Board>,
    checker: Checker,
    subscribers: Vec<Subscriber>,
    /// By publisher.
    arrivals: Vec<Arrivals>,
    known: Known,
    /// Only of the first thread.
    publishers: Vec<(Peer, Template)>,
    knocked: Option<(u64, u64)>,
    /// Messages published by rate.
    by_rate: u64,
}

impl BroadcastLoad {
    pub(crate) fn new(plan: BroadcastPlan, board: Arc<Board>, thread: usize) -> Self {
        let burst = match plan.pace {
            Pace::InFlight(count) => count as usize,
            Pace::PerSecond(_) => 64,
        };
        let publishers = plan.payloads.iter().filter(|_| thread == 0).map(|payload| {
            let template = Template::new(payload, burst, plan.is_compressed);
            (Peer::new(plan.is_compressed), template)
        });
        Self {
            publishers: publishers.collect(),
            checker: Checker::new(plan.payloads[0].clone()),
            subscribers: Vec::with_capacity(plan.subscribers),
            arrivals: plan.payloads.iter().map(|_| Arrivals::new(plan.subscribers)).collect(),
            known: Known::new(plan.payloads.len()),
            knocked: None,
            by_rate: 0,
            board,
            plan,
        }
    }

    fn publisher_of(&self, stamp: &[u8]) -> Option<usize> {
        self.plan.payloads.iter().position(|payload| payload.stamp == stamp)
    }

    /// The publisher of a message that is the one due of it: the usual case, seen at a glance.
    fn due_of(&self, id: usize, kind: Kind, bytes: &[u8], is_compressed: bool) -> Option<usize> {
        let subscriber = &self.subscribers[id];
        if is_compressed {
            let sequences = subscriber.sequences.iter().enumerate();
            let mut due = sequences.map(|(publisher, sequence)| (publisher, sequence.next));
            return due.find_map(|(publisher, next)| {
                self.known.is(publisher, next, bytes).then_some(publisher)
            });
        }
        let (number, rest) = bytes.split_first_chunk::<DIGITS>()?;
        let publisher = self.plan.payloads.iter().position(|payload| {
            let rest = rest.strip_prefix(payload.stamp.as_slice());
            kind == payload.kind && rest == Some(payload.filler.as_slice())
        })?;
        let next = subscriber.sequences[publisher].next;
        let is_sent = next < self.board.publishers[publisher].count();
        (is_sent && *number == digits(next as u32)).then_some(publisher)
    }

    /// Takes a piece of a message. At its end, publisher and number if it is the one that was
    /// due; whatever else it is has been counted.
    fn take(
        &mut self,
        core: &mut Core,
        id: usize,
        kind: Kind,
        bytes: &[u8],
        ending: Ending,
    ) -> Result<Option<(usize, u64)>, End> {
        let subscriber = &mut self.subscribers[id];
        let is_whole = ending.is_last && subscriber.arriving.is_new();
        if is_whole
            && subscriber.has_joined
            && let Some(publisher) = self.due_of(id, kind, bytes, ending.is_compressed)
        {
            let next = &mut self.subscribers[id].sequences[publisher].next;
            let number = *next;
            *next += 1;
            self.arrivals[publisher].add(number..number + 1);
            return Ok(Some((publisher, number)));
        }
        let subscriber = &mut self.subscribers[id];
        let head = match self.checker.take(&mut subscriber.arriving, kind, bytes, ending) {
            Ok(head) => head,
            // Greetings may be as long as they like.
            Err(_) if !subscriber.has_joined => {
                subscriber.arriving = Arriving::default();
                None
            }
            Err(violation) => return Err(End::Violation(violation.into())),
        };
        if !ending.is_last {
            return Ok(None);
        }
        let stamp_len = self.plan.payloads[0].stamp.len();
        let found =
            head.and_then(|head| Some((self.publisher_of(head.stamp(stamp_len))?, head.number)));
        if !self.subscribers[id].has_joined {
            if let Some((publisher, number)) = found {
                self.join(id, publisher, number.into());
            }
            return Ok(None);
        }
        let taken = self.judge(core, id, found);
        if let (true, true, Some((publisher, number))) = (is_whole, ending.is_compressed, taken) {
            self.known.keep(publisher, number, bytes);
        }
        Ok(taken)
    }

    /// The first message of a subscriber, which has missed nothing that was meant for it. One that
    /// was not published begins nothing: what is counted would grow with a number of the server's.
    fn join(&mut self, id: usize, publisher: usize, number: u64) {
        if number >= self.board.publishers[publisher].count() {
            return;
        }
        let subscriber = &mut self.subscribers[id];
        subscriber.has_joined = true;
        subscriber.sequences[publisher].next = number + 1;
        self.arrivals[publisher].add(0..number + 1);
        self.board.joined.fetch_add(1, Relaxed);
    }

    /// Counts a message that may be the one that was due, and may be not.
    fn judge(
        &mut self,
        core: &mut Core,
        id: usize,
        found: Option<(usize, u32)>,
    ) -> Option<(usize, u64)> {
        let board = &self.board.publishers;
        let sequences = &mut self.subscribers[id].sequences;
        let (publisher, taken, due) = match found {
            Some((publisher, number)) => {
                let sequence = &mut sequences[publisher];
                let due = sequence.next;
                (publisher, sequence.take(number, u32::BITS, board[publisher].count()), due)
            }
            None => {
                // It stands for one that is due, so that the others are judged for themselves.
                let late =
                    sequences.iter().zip(board).position(|(it, sent)| it.next < sent.count());
                let publisher = late.unwrap_or(0);
                let due = sequences[publisher].next;
                sequences[publisher].next += u64::from(late.is_some());
                (publisher, Taken::Unknown, due)
            }
        };
        let next = sequences[publisher].next;
        self.arrivals[publisher].add(due..next);
        let faults = &mut core.tally.faults;
        let what = match taken {
            Taken::InOrder => return Some((publisher, due)),
            Taken::Early(missing) => {
                faults.lost += missing;
                format!("did not get message {due} of publisher {publisher}")
            }
            Taken::Late => {
                faults.lost -= 1;
                faults.order += 1;
                format!("got a message of publisher {publisher} late, while {due} was due")
            }
            Taken::Again => {
                faults.order += 1;
                format!("got a message of publisher {publisher} twice, while {due} was due")
            }
            Taken::Unknown => {
                faults.content += 1;
                "got something that was not published".into()
            }
        };
        core.tally.blame(|| format!("subscriber {id} {what}"));
        None
    }

    fn read(&mut self, core: &mut Core, id: usize, mut bytes: &[u8], now: u64) -> Result<(), End> {
        let is_counted = core.phase(now) == Phase::Measured;
        // Messages that were published at the same time are counted at once.
        let (mut run, mut run_time) = (0, 0);
        loop {
            let subscriber = &mut self.subscribers[id];
            let piece = match subscriber.peer.reader.next(&mut bytes) {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(violation) => return Err(End::Violation(violation.into())),
            };
            let Piece::Data { kind, is_compressed, bytes, is_last } = piece else {
                subscriber.peer.control(core, id, piece)?;
                continue;
            };
            if subscriber.peer.is_leaving() {
                continue;
            }
            let ending = Ending { is_compressed, is_last };
            let Some((publisher, number)) = self.take(core, id, kind, bytes, ending)? else {
                continue;
            };
            let time = self.board.publishers[publisher].time(number);
            if is_counted {
                if time != run_time && run > 0 {
                    core.tally.count(run, now.saturating_sub(run_time));
                    run = 0;
                }
                run_time = time;
                run += 1;
            }
        }
        if run > 0 {
            core.tally.count(run, now.saturating_sub(run_time));
        }
        Ok(())
    }

    /// What a publisher receives is ignored.
    fn read_publisher(&mut self, core: &mut Core, id: usize, mut bytes: &[u8]) -> Result<(), End> {
        let (peer, _) = &mut self.publishers[id - self.plan.subscribers];
        loop {
            match peer.reader.next(&mut bytes) {
                Ok(Some(Piece::Data { .. })) => {}
                Ok(Some(piece)) => peer.control(core, id, piece)?,
                Ok(None) => return Ok(()),
                Err(violation) => return Err(End::Violation(violation.into())),
            }
        }
    }

    /// Publishes so many messages, in one write if they are not many.
    fn publish(&mut self, core: &mut Core, publisher: usize, count: u64) {
        let id = self.plan.subscribers + publisher;
        let published = &self.board.publishers[publisher];
        let in_flight = published.count().saturating_sub(self.board.done(publisher));
        let mut left = count.min(MOST_IN_FLIGHT.saturating_sub(in_flight));
        if !core.is_open(id) {
            return;
        }
        while left > 0 {
            let template = &mut self.publishers[publisher].1;
            let count = left.min(template.burst() as u64);
            let (first, now) = (published.count() as u32, core.shared.now());
            published.add(count, now);
            if core.phase(now) == Phase::Measured {
                core.tally.published += count;
            }
            if let Err(end) = core.send(id, template.frames(first, count as usize)) {
                core.end(id);
                blame(core, id, end);
                return;
            }
            left -= count;
        }
    }

    /// Publishes now and then until everybody has had something; says when it is due again.
    fn knock(&mut self, core: &mut Core, now: u64) -> Option<Duration> {
        let everybody = self.plan.all_subscribers + self.publishers.len();
        let joined = self.board.joined.load(Relaxed);
        if self.board.open.load(Relaxed) < everybody || joined == self.plan.all_subscribers {
            return None;
        }
        let (first, last) = *self.knocked.get_or_insert((now, 0));
        if now - first > self.plan.patience.as_micros() as u64 {
            let missing = self.plan.all_subscribers - joined;
            core.fail(format!(
                "{missing} of {} subscribers have heard nothing of what was published; does the \
                 server relay it as it is from the publisher's URL to theirs?",
                self.plan.all_subscribers
            ));
        } else if now - last >= KNOCK_MICROS {
            self.knocked = Some((first, now));
            self.publish(core, 0, 1);
        }
        None
    }

    fn publish_what_is_due(&mut self, core: &mut Core, now: u64) -> Option<Duration> {
        let publishers = self.publishers.len() as u64;
        match self.plan.pace {
            Pace::InFlight(most) => {
                for publisher in 0..self.publishers.len() {
                    let sent = self.board.publishers[publisher].count();
                    let in_flight = sent.saturating_sub(self.board.done(publisher));
                    self.publish(core, publisher, most.saturating_sub(in_flight));
                }
                None
            }
            Pace::PerSecond(rate) => {
                let elapsed = now - core.window.start;
                let due = elapsed * rate / 1_000_000 + 1;
                let before = self.by_rate;
                self.by_rate = due.max(before);
                for publisher in 0..publishers {
                    // Of the numbers up to `due`, every so many is this publisher's.
                    let share = |until: u64| (until + publishers - 1 - publisher) / publishers;
                    self.publish(core, publisher as usize, share(self.by_rate) - share(before));
                }
                let next = self.by_rate * 1_000_000 / rate;
                Some(Duration::from_micros(next.saturating_sub(elapsed)))
            }
        }
    }

    /// Tells the other threads what everybody here has.
    fn note(&self, core: &Core) {
        for (publisher, arrivals) in self.arrivals.iter().enumerate() {
            if self.plan.subscribers > 0 {
                let done = if arrivals.is_deserted() { u64::MAX } else { arrivals.done };
                self.board.note(core.thread, publisher, done, &core.shared);
            }
        }
    }

    /// Deliveries that have not come.
    fn outstanding(&self) -> u64 {
        let missing = |subscriber: &Subscriber| {
            let sequences = subscriber.sequences.iter().zip(&self.board.publishers);
            sequences.map(|(it, sent)| sent.count().saturating_sub(it.next)).sum::<u64>()
        };
        self.subscribers.iter().filter(|it| it.is_open).map(missing).sum()
    }
}

impl Load for BroadcastLoad {
    fn begin(&mut self, core: &mut Core) {
        for id in 0..self.plan.subscribers {
            self.subscribers.push(Subscriber {
                peer: Peer::new(self.plan.is_compressed),
                arriving: Arriving::default(),
                sequences: self.plan.payloads.iter().map(|_| Sequence::default()).collect(),
                has_joined: false,
                is_open: false,
            });
            core.want(id, 0);
        }
        for publisher in 0..self.publishers.len() {
            core.want(self.plan.subscribers + publisher, self.plan.publish_target);
        }
    }

    fn is_ready(&self, core: &Core) -> bool {
        core.is_settled() && self.board.joined.load(Relaxed) == self.plan.all_subscribers
    }

    fn opened(&mut self, _core: &mut Core, id: usize, _now: u64) -> Result<(), End> {
        if let Some(subscriber) = self.subscribers.get_mut(id) {
            subscriber.is_open = true;
        }
        self.board.open.fetch_add(1, Relaxed);
        Ok(())
    }

    fn received(&mut self, core: &mut Core, id: usize, bytes: &[u8], now: u64) -> Result<(), End> {
        match id < self.plan.subscribers {
            true => self.read(core, id, bytes, now),
            false => self.read_publisher(core, id, bytes),
        }
    }

    fn ended(&mut self, core: &mut Core, id: usize, end: End, _now: u64) {
        if let Some(subscriber) = self.subscribers.get_mut(id) {
            subscriber.is_open = false;
            for (sequence, arrivals) in subscriber.sequences.iter().zip(&mut self.arrivals) {
                arrivals.end(sequence.next);
            }
            if !std::mem::replace(&mut subscriber.has_joined, true) {
                self.board.joined.fetch_add(1, Relaxed);
            }
        }
        blame(core, id, end);
    }

    fn turn(&mut self, core: &mut Core, now: u64) -> Option<Duration> {
        self.note(core);
        if self.publishers.is_empty() {
            return None;
        }
        match core.phase(now) {
            Phase::Opening => self.knock(core, now),
            Phase::Warming | Phase::Measured => self.publish_what_is_due(core, now),
            Phase::Draining => None,
        }
    }

    fn is_done(&self, _core: &Core) -> bool {
        let mut both = self.arrivals.iter().zip(&self.board.publishers);
        both.all(|(arrivals, sent)| arrivals.is_deserted() || arrivals.done >= sent.count())
            || self.plan.subscribers == 0
    }

    fn give_up(&mut self, core: &mut Core) {
        let lost = self.outstanding();
        core.tally.faults.lost += lost;
        core.tally.blame(|| format!("{lost} deliveries did not come"));
    }

    fn farewell(&mut self, core: &mut Core) -> u64 {
        let subscribers = self.subscribers.iter_mut().map(|subscriber| &mut subscriber.peer);
        let publishers = self.publishers.iter_mut().map(|(peer, _)| peer);
        for (id, peer) in subscribers.chain(publishers).enumerate() {
            if core.is_open(id) && peer.leave(core, id).is_err() {
                core.end(id);
            }
        }
        FAREWELL_MICROS
    }
}
