//! The hub behind its handle: publishing, and what connections ask of it.

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use crate::conn::groups::{Groups, Join};
use crate::conn::overflow::Overflow;
use crate::conn::recipient::Recipient;
use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::hub::budget::{Budget, Permit};
use crate::hub::delivery::{Delivery, Progress};
use crate::hub::history::{MAX_STORED_BYTES, Store};
use crate::hub::member::Membership;
use crate::hub::name::GroupName;
use crate::hub::presence::{Presences, Publish};
use crate::hub::registry::Registry;
use crate::hub::relay::{Job, OnClosed, Publication, Relays};
use crate::hub::room::{Draft, Room, Shard, shard_of};
use crate::sync::Mutex;
use crate::sync::atomic::Ordering::Relaxed;
use crate::ws::encoded::Encoded;

/// What may be published and not yet relayed.
const MAX_MESSAGES: usize = 4096;
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// How long a publisher waits for the relays, which never wait for anybody: long enough for a
/// machine that is very busy.
const RELAY_PATIENCE: Duration = Duration::from_secs(10);

/// What all handles of a hub share.
pub(crate) struct Core {
    pub(crate) registry: Registry,
    pub(crate) presences: Arc<Presences>,
    /// How the channels of facilities store, unless a publisher says so.
    pub(crate) history: Store,
    pub(crate) budget: Arc<Budget>,
    /// The last message to nobody, see [`pass_through`](Self::pass_through).
    probe: Mutex<Option<Arc<Progress>>>,
    relay_number: usize,
    /// Started at the first publish: a server without groups has no thread for them.
    relays: OnceLock<Relays>,
    starting: Mutex<()>,
    on_closed: OnClosed,
    own: Weak<Self>,
}

/// Whether a publisher waits for members that are full, where the group's policy says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    AsThePolicySays,
    Never,
}

impl Core {
    pub(crate) fn new(
        registry: Registry,
        presences: Arc<Presences>,
        history: Store,
        relays: usize,
    ) -> Arc<Self> {
        Arc::new_cyclic(|core: &Weak<Self>| {
            let own = Weak::clone(core);
            let core = Weak::clone(core);
            let on_closed: OnClosed = Arc::new(move |conn_id| {
                if let Some(core) = core.upgrade() {
                    core.registry.end(conn_id);
                }
            });
            Self {
                registry,
                presences,
                history,
                budget: Budget::new(MAX_MESSAGES, MAX_BYTES),
                probe: Mutex::new(None),
                relay_number: relays,
                relays: OnceLock::new(),
                starting: Mutex::new(()),
                on_closed,
                own,
            }
        })
    }

    fn relays(&self) -> Result<&Relays> {
        if let Some(relays) = self.relays.get() {
            return Ok(relays);
        }
        let _starting = self.starting.lock();
        if self.relays.get().is_none() {
            let relays = Relays::start(self.relay_number, &self.on_closed)?;
            // Only who holds the lock sets it.
            let _ = self.relays.set(relays);
        }
        self.relays.get().ok_or_else(|| Error::new(ErrorKind::Relay, "the relays have not started"))
    }

    /// Publishes to a group.
    ///
    /// # Blocking
    /// For the relays while too much is on its way, and for full members if the group's policy and
    /// `patience` say so.
    pub(crate) fn publish(
        &self,
        name: &GroupName,
        draft: &Draft,
        patience: Patience,
    ) -> Result<Delivery> {
        loop {
            let room = match draft.store {
                Some(store) => self.room_to_store(name, &draft.encoded, store)?,
                None => match self.registry.existing(name) {
                    Some(room) => room,
                    None => return Ok(Delivery::to_nobody()),
                },
            };
            let outcome = self.publish_in(&room, draft, patience).transpose();
            if let Some(Ok(delivery)) = outcome {
                return Ok(delivery);
            }
            // It is retired, or may have been made for what could not be published.
            self.registry.tidy(&room);
            if let Some(error) = outcome {
                return error;
            }
        }
    }

    /// Publishes to several groups, one after the other.
    ///
    /// # Errors
    /// The groups before the one that failed have it.
    pub(crate) fn publish_all(&self, names: &[GroupName], draft: &Draft) -> Result<Delivery> {
        let publish = |name| self.publish(name, draft, Patience::AsThePolicySays);
        Ok(Delivery::of_all(names.iter().map(publish).collect::<Result<_>>()?))
    }

    /// Publishes in a room; `None` if it is retired.
    pub(crate) fn publish_in(
        &self,
        room: &Arc<Room>,
        draft: &Draft,
        patience: Patience,
    ) -> Result<Option<Delivery>> {
        let relays = self.relays()?;
        let bytes = draft.encoded.frame().len();
        let window = match patience {
            Patience::AsThePolicySays => self.take_turn(room, bytes)?,
            Patience::Never => None,
        };
        // A list of the members may have to be made for it alone.
        let held = bytes + room.len() * size_of::<Arc<Membership>>();
        let permit = self.budget.take(held, Deadline::after(RELAY_PATIENCE));
        let permit = permit.ok_or_else(too_busy)?;
        let mut delivery = None;
        room.publish(draft, self.relay_number, |sequence, snapshot, members| {
            let used = snapshot.iter().filter(|shard| !shard.is_empty()).count();
            let progress = Progress::new(members, used);
            let publication = Arc::new(Publication {
                room: Arc::clone(room),
                sequence,
                encoded: draft.encoded.clone(),
                except: draft.except,
                is_barrier: false,
                progress: Arc::clone(&progress),
                permit: Some(permit),
                window,
            });
            for (relay, members) in snapshot.iter().enumerate() {
                if !members.is_empty() {
                    let (publication, members) = (Arc::clone(&publication), Arc::clone(members));
                    relays.give(relay, Job { publication, members });
                }
            }
            delivery = Some(Delivery::new(progress));
        });
        Ok(delivery)
    }

    /// Publishes to one connection.
    pub(crate) fn send_to(&self, conn_id: u64, encoded: Encoded) -> Result<Delivery> {
        let Some(registered) = self.registry.find(conn_id) else {
            let text = format!("there is no open connection {conn_id}");
            return Err(Error::new(ErrorKind::Closed, text));
        };
        let relays = self.relays()?;
        let deadline = Deadline::after(RELAY_PATIENCE);
        let permit = self.budget.take(encoded.frame().len(), deadline).ok_or_else(too_busy)?;
        let room = &self.registry.everybody;
        room.lane.count(|counters| &counters.published, 1);
        let progress = Progress::new(1, 1);
        let publication = Publication {
            room: Arc::clone(room),
            sequence: 0,
            encoded,
            except: None,
            is_barrier: true,
            progress: Arc::clone(&progress),
            permit: Some(permit),
            window: None,
        };
        let members: Shard = Arc::from([Arc::clone(&registered.membership)]);
        let job = Job { publication: Arc::new(publication), members };
        relays.give(shard_of(conn_id, self.relay_number), job);
        Ok(Delivery::new(progress))
    }

    /// Where publishers wait for members: takes a place in the room's window, waits for the full
    /// members as long as the policy says, and closes those that are full even then.
    ///
    /// The place comes first: so whatever is published before the next publisher looks for full
    /// members fits the window.
    fn take_turn(&self, room: &Arc<Room>, bytes: usize) -> Result<Option<Permit>> {
        let (Overflow::Block(time), Some(window)) = (room.lane.overflow, &room.window) else {
            return Ok(None);
        };
        // Those who have a place wait for members themselves.
        let turn = Deadline::after(time.saturating_add(RELAY_PATIENCE));
        let permit = window.take(bytes, turn).ok_or_else(too_busy)?;
        let deadline = Deadline::after(time);
        while let Some(member) = room.a_full_member() {
            if !member.wait_for_room(deadline) && member.give_up() {
                room.lane.count(|counters| &counters.disconnected, 1);
                (self.on_closed)(member.recipient.id());
            }
            room.forget_full(&member);
        }
        Ok(Some(permit))
    }

    /// Sends a message to nobody through every relay and waits for it; how long it was on its way,
    /// or `None` if the hub does not answer until the deadline.
    ///
    /// # Blocking
    /// Until it is through or the deadline has passed.
    pub(crate) fn pass_through(&self, deadline: Deadline) -> Option<Duration> {
        let instant = deadline.instant()?;
        let relays = self.relays().ok()?;
        if !self.registry.answers_until(instant) {
            return None;
        }
        let mut probe = self.probe.try_lock_until(instant)?;
        let progress = match probe.take().filter(|last| !last.is_done()) {
            // However often somebody asks, one at a time is on its way.
            Some(last) => last,
            None => {
                let progress = Progress::new(0, self.relay_number);
                let publication = Arc::new(Publication {
                    room: Arc::clone(&self.registry.everybody),
                    sequence: 0,
                    encoded: Encoded::new("".into()),
                    except: None,
                    is_barrier: false,
                    progress: Arc::clone(&progress),
                    permit: None,
                    window: None,
                });
                let members: Shard = Arc::from([]);
                for relay in 0..self.relay_number {
                    let (publication, members) = (Arc::clone(&publication), Arc::clone(&members));
                    relays.give(relay, Job { publication, members });
                }
                progress
            }
        };
        *probe = Some(Arc::clone(&progress));
        drop(probe);
        progress.wait_until(deadline)?;
        Some(progress.since().elapsed())
    }

    /// The room of a name, if there is memory to store a message in it.
    fn room_to_store(
        &self,
        name: &GroupName,
        encoded: &Encoded,
        store: Store,
    ) -> Result<Arc<Room>> {
        let room = self.registry.room(name);
        let growth = room.growth(encoded, store);
        let is_over = || self.registry.stored_bytes.load(Relaxed) + growth > MAX_STORED_BYTES;
        if growth == 0 || !is_over() {
            return Ok(room);
        }
        self.registry.sweep();
        if !is_over() {
            return Ok(self.registry.room(name));
        }
        self.registry.tidy(&room);
        let text = format!("the stored messages take {MAX_STORED_BYTES} bytes, which is the limit");
        Err(Error::new(ErrorKind::Limit, text))
    }
}

fn too_busy() -> Error {
    let text = format!("the relays have not caught up within {RELAY_PATIENCE:?}");
    Error::new(ErrorKind::Relay, text)
}

impl Groups for Core {
    fn opened(&self, recipient: Recipient) {
        self.registry.open(recipient);
    }

    fn check(&self, group: &str) -> Result<()> {
        GroupName::new(group).map(drop)
    }

    fn join(&self, conn_id: u64, group: &str, join: Join) -> Result<()> {
        self.join_named(conn_id, &GroupName::new(group)?, join)
    }

    fn leave(&self, conn_id: u64, group: &str) -> bool {
        GroupName::new(group).is_ok_and(|name| self.registry.leave(conn_id, &name))
    }

    fn ended(&self, conn_id: u64) {
        self.registry.end(conn_id);
    }
}

impl Core {
    /// Makes a connection a member; what is stored goes to it first.
    pub(crate) fn join_named(&self, conn_id: u64, name: &GroupName, join: Join) -> Result<()> {
        if join.user.is_some() {
            self.presences.start(|| self.announcer())?;
        }
        let relay = shard_of(conn_id, self.relay_number);
        let mut members: Option<Shard> = None;
        // Called with the room's lock held, so that nothing published later can overtake.
        self.registry.join(conn_id, name, join, |room, member, encoded, sequence| {
            // One set of members, so that the relay joins these messages.
            let members = members.get_or_insert_with(|| Arc::from([Arc::clone(member)]));
            let publication = Arc::new(Publication::stored(room, encoded, sequence));
            if let Some(relays) = self.relays.get() {
                relays.give(relay, Job { publication, members: Arc::clone(members) });
            }
        })
    }
}

impl Core {
    /// Publishes what presence announces, which must not wait for anybody's client.
    fn announcer(&self) -> Publish {
        let core = Weak::clone(&self.own);
        Box::new(move |name, message| {
            let Some(core) = core.upgrade() else { return false };
            let draft = Draft { encoded: Encoded::new(message), except: None, store: None };
            if let Err(error) = core.publish(name, &draft, Patience::Never) {
                log::error!("cannot announce who is in {name}: {}", error.chain());
            }
            true
        })
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.presences.dismiss();
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Core({} connections)", self.registry.connections())
    }
}
