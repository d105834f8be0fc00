//! What waits for a relay, made by hand: for benches and tests.

use std::sync::Arc;

use crossbeam_channel::{Receiver, unbounded};

use crate::conn::overflow::Overflow;
use crate::conn::recipient::Lane;
use crate::hub::name::GroupName;
use crate::hub::relay::{Job, Publication, Relay};
use crate::hub::room::Room;
use crate::sync::atomic::AtomicUsize;
use crate::ws::encoded::Encoded;

/// Jobs that all wait when their relay begins, and none come after them.
#[derive(Debug)]
pub(crate) struct Batch(Receiver<Job>);

impl Batch {
    pub(crate) fn of(jobs: impl IntoIterator<Item = Job>) -> Self {
        let (sender, receiver) = unbounded();
        // Proof: the receiver is here.
        jobs.into_iter().for_each(|job| sender.send(job).expect("a receiver"));
        Self(receiver)
    }

    /// Texts for a group without members: what a relay does before it serves the first.
    pub(crate) fn to_nobody(messages: usize, text: &str) -> Self {
        // Proof: the name is a valid one.
        let name = GroupName::new("all").expect("a name");
        let lane = Lane::new(Overflow::Disconnect, Arc::default());
        let room = Room::new(name, lane, Arc::new(AtomicUsize::new(0)));
        let encoded = Encoded::new(text.into());
        let members = std::iter::empty().collect();
        Self::of((1..=messages as u64).map(|sequence| {
            let publication = Publication::stored(&room, &encoded, sequence);
            Job { publication: Arc::new(publication), members: Arc::clone(&members) }
        }))
    }

    /// Has a relay carry everything, on this thread.
    pub(crate) fn carry(self) {
        Relay::new(self.0, Arc::new(|_| ())).run();
    }
}
