//! The threads that carry messages to members.
//!
//! A relay takes up to 32 messages or 64 KiB from its channel, joins those of one group that go to
//! the same members into one piece, and hands it to each member with one call that never waits.
//! It calls nothing of the application, and what the application may have hidden in a payload or a
//! logger does not end it; so it always comes back for more.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::conn::mailbox::GroupMessage;
use crate::conn::recipient::{Delivered, Fate};
use crate::error::{Error, ErrorKind, Result};
use crate::hub::budget::Permit;
use crate::hub::delivery::{Counts, Progress};
use crate::hub::member::Membership;
use crate::hub::room::{Room, Shard};
use crate::hub::wire::{Buffers, Wires};
use crate::ws::encoded::Encoded;

/// Most messages that are carried at a time.
const MAX_MESSAGES: usize = 32;

/// Bytes after which no further message is added to those that are carried at a time.
const MAX_BYTES: usize = 64 * 1024;

/// A message on its way, shared by the relays that carry it.
#[derive(Debug)]
pub(crate) struct Publication {
    pub(crate) room: Arc<Room>,
    pub(crate) sequence: u64,
    pub(crate) encoded: Encoded,
    /// The connection that is left out.
    pub(crate) except: Option<u64>,
    /// Messages to its member that come later may not overtake it, whatever their group.
    pub(crate) is_barrier: bool,
    pub(crate) progress: Arc<Progress>,
    /// Given back when the last relay has let go.
    pub(crate) permit: Option<Permit>,
    /// As well; its publisher has waited for members that are full, as the group's policy says.
    pub(crate) window: Option<Permit>,
}

impl Drop for Publication {
    /// Whatever has become of a relay, nobody waits for it for ever.
    fn drop(&mut self) {
        let missed = self.progress.settle();
        self.room.lane.count(|counters| &counters.gone, missed as u64);
    }
}

impl Publication {
    /// A stored message on its way to a member that has just joined.
    pub(crate) fn stored(room: &Arc<Room>, encoded: &Encoded, sequence: u64) -> Self {
        Self {
            room: Arc::clone(room),
            sequence,
            encoded: encoded.clone(),
            except: None,
            is_barrier: false,
            progress: Progress::new(1, 1),
            permit: None,
            window: None,
        }
    }

    /// True if publishers bound what waits for the members of a group with `Overflow::Block`.
    pub(crate) fn is_awaited(&self) -> bool {
        self.window.is_some()
    }

    /// Takes note of memory that a further form of the message took.
    pub(crate) fn note_made(&self, bytes: usize) {
        if let Some(permit) = &self.permit {
            permit.grow(bytes);
        }
    }

    /// As a handler gets it.
    fn to_letter(&self) -> GroupMessage {
        GroupMessage {
            group: Arc::clone(self.room.name().text()),
            sequence: self.sequence,
            message: self.encoded.message().clone(),
        }
    }
}

/// One relay's part of a publication.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) publication: Arc<Publication>,
    pub(crate) members: Shard,
}

/// Called with a connection that was closed because it is too slow.
pub(crate) type OnClosed = Arc<dyn Fn(u64) + Send + Sync>;

/// The running relays; they end when this is dropped and their channels are empty.
#[derive(Debug)]
pub(crate) struct Relays {
    /// Not bounded by themselves, so that a room's lock is never held while a channel is full: the
    /// budget bounds what is published, and a join adds at most the group's stored messages.
    channels: Vec<Sender<Job>>,
}

impl Relays {
    /// Starts so many threads.
    ///
    /// # Errors
    /// `Relay`: the operating system gives no thread.
    pub(crate) fn start(number: usize, on_closed: &OnClosed) -> Result<Self> {
        let mut channels = Vec::with_capacity(number);
        for index in 0..number {
            let (sender, jobs) = unbounded();
            let relay = Relay::new(jobs, Arc::clone(on_closed));
            let thread = thread::Builder::new().name(format!("relay-{index}"));
            thread.spawn(move || relay.run()).map_err(|error| {
                Error::new(ErrorKind::Relay, "cannot start a relay").with_source(error)
            })?;
            channels.push(sender);
        }
        Ok(Self { channels })
    }

    /// Hands a job to a relay; never waits.
    pub(crate) fn give(&self, relay: usize, job: Job) {
        // A relay ends only after its channel's last sender.
        let _ = self.channels[relay].send(job);
    }
}

/// So many members of one relay are served in longer than it takes to let others go first.
const WORTH_A_YIELD: usize = 64;

/// Messages of one group that go to the same members and are treated alike.
struct Run {
    members: Shard,
    publications: Vec<Arc<Publication>>,
}

struct Relay {
    jobs: Receiver<Job>,
    on_closed: OnClosed,
    buffers: Buffers,
}

impl Relay {
    fn new(jobs: Receiver<Job>, on_closed: OnClosed) -> Self {
        Self { jobs, on_closed, buffers: Buffers::new() }
    }

    fn run(mut self) {
        while let Ok(first) = self.jobs.recv() {
            for run in self.collect(first) {
                if catch_unwind(AssertUnwindSafe(|| self.carry(run))).is_err() {
                    log::error!("a relay panicked: members may have missed a message");
                }
            }
        }
    }

    /// Takes what waits, as far as it is carried at a time, and sorts it by group.
    fn collect(&self, first: Job) -> Vec<Run> {
        let mut bytes = first.publication.encoded.frame().len();
        if first.members.len() >= WORTH_A_YIELD {
            // The message has just woken this thread, perhaps on its publisher's own core. What
            // the publisher has ready goes with it if it gets its turn now, for half the calls.
            thread::yield_now();
        }
        let mut runs = Runs::default();
        runs.add(first);
        for _ in 1..MAX_MESSAGES {
            if bytes >= MAX_BYTES {
                break;
            }
            let Ok(job) = self.jobs.try_recv() else { break };
            bytes += job.publication.encoded.frame().len();
            runs.add(job);
        }
        runs.runs
    }

    /// Delivers a run to each of its members.
    fn carry(&mut self, run: Run) {
        let mut buffers = std::mem::take(&mut self.buffers);
        let room = &run.publications[0].room;
        let all = run.publications.iter().map(Arc::as_ref).collect();
        let mut wires = Wires::new(all, &mut buffers);
        let excepted: Vec<u64> =
            run.publications.iter().filter_map(|publication| publication.except).collect();
        let mut tally = Tally::new(run.publications.len());
        let mut fates = vec![Fate::Gone; run.publications.len()];
        for member in &*run.members {
            if member.join.is_inbox || excepted.contains(&member.recipient.id()) {
                self.carry_some(&run, member, &mut tally);
                continue;
            }
            if !member.is_live() {
                tally.gone += 1;
                continue;
            }
            let parcel = wires.parcel(&member.recipient);
            let delivered = member.recipient.deliver(&parcel, &mut fates);
            tally.add_all(&fates);
            self.follow_up(room, member, delivered);
        }
        drop(wires);
        tally.finish(&run);
        self.buffers = buffers;
    }

    /// Delivers to a member that is not meant by every message of the run, or takes them otherwise.
    fn carry_some(&self, run: &Run, member: &Arc<Membership>, tally: &mut Tally) {
        let id = member.recipient.id();
        let meant = |publication: &&Arc<Publication>| publication.except != Some(id);
        let places: Vec<usize> =
            (0..run.publications.len()).filter(|place| meant(&&run.publications[*place])).collect();
        if places.is_empty() {
            return;
        }
        let room = &run.publications[0].room;
        let mut fates = vec![Fate::Gone; places.len()];
        let meant = places.iter().map(|place| &*run.publications[*place]);
        let delivered = if !member.is_live() {
            Delivered::default()
        } else if member.join.is_inbox {
            let letters = meant.map(Publication::to_letter);
            let is_awaited = run.publications[0].is_awaited();
            member.recipient.deliver_to_handler(&room.lane, is_awaited, letters, &mut fates)
        } else {
            let (recipient, mut buffers) = (&member.recipient, Buffers::new());
            let mut wires = Wires::new(meant.collect(), &mut buffers);
            recipient.deliver(&wires.parcel(recipient), &mut fates)
        };
        for (place, fate) in places.iter().zip(&fates) {
            tally.each[*place].add(*fate, 1);
        }
        self.follow_up(room, member, delivered);
    }

    /// What a delivery means for the group.
    fn follow_up(&self, room: &Arc<Room>, member: &Arc<Membership>, delivered: Delivered) {
        if delivered.was_closed {
            room.lane.count(|counters| &counters.disconnected, 1);
            (self.on_closed)(member.recipient.id());
        } else if delivered.is_full && room.window.is_some() {
            room.note_full(member);
        }
    }
}

/// Jobs sorted by group, in an order in which no member sees the messages of a group, or those
/// before and after a barrier, in another order than they were published.
#[derive(Default)]
struct Runs {
    runs: Vec<Run>,
    /// The runs before this one are not added to any more.
    barrier: usize,
}

impl Runs {
    fn add(&mut self, job: Job) {
        let Job { publication, members } = job;
        let is_barrier = publication.is_barrier;
        let open = self.runs[self.barrier..].iter_mut().rev();
        let mut of_group =
            open.filter(|run| Arc::ptr_eq(&run.publications[0].room, &publication.room));
        let newest = of_group.next().filter(|run| {
            let is_awaited = run.publications[0].is_awaited();
            Arc::ptr_eq(&run.members, &members) && is_awaited == publication.is_awaited()
        });
        match newest {
            Some(run) if !is_barrier => run.publications.push(publication),
            _ => self.runs.push(Run { members, publications: vec![publication] }),
        }
        if is_barrier {
            self.barrier = self.runs.len();
        }
    }
}

/// Counts what became of each message of a run.
struct Tally {
    each: Vec<Counts>,
    /// Members that have all of them.
    all_written: usize,
    /// Members that were gone.
    gone: usize,
}

impl Tally {
    fn new(messages: usize) -> Self {
        Self { each: vec![Counts::default(); messages], all_written: 0, gone: 0 }
    }

    fn add_all(&mut self, fates: &[Fate]) {
        if fates.iter().all(|fate| *fate == Fate::Written) {
            self.all_written += 1;
            return;
        }
        for (counts, fate) in self.each.iter_mut().zip(fates) {
            counts.add(*fate, 1);
        }
    }

    fn finish(self, run: &Run) {
        let now = Instant::now();
        // Members of one relay have numbers that are alike, those of two have not.
        let key = run.members.first().map_or(0, |member| member.recipient.id());
        for (publication, mut counts) in run.publications.iter().zip(self.each) {
            counts.written += self.all_written;
            counts.gone += self.gone;
            // What is queued or dropped was counted with it.
            let lane = &publication.room.lane;
            lane.count(|counters| &counters.written, counts.written as u64);
            lane.count(|counters| &counters.gone, counts.gone as u64);
            let time = now.saturating_duration_since(publication.progress.since());
            lane.totals.latency.observe(key, time);
            publication.progress.finish_relay(counts);
        }
    }
}

#[cfg(any(test, feature = "internals"))]
pub(crate) mod batch;
#[cfg(test)]
mod tests;
