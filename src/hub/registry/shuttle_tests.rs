//! Memberships under many schedules: connections that join, leave and end, publishers, a watcher.

use std::sync::Weak;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use shuttle::rand::{Rng, thread_rng};
use shuttle::thread::{JoinHandle, spawn};

use super::*;
use crate::config::Config;
use crate::conn::connection::{Connection, Shared};
use crate::conn::groups::NoGroups;
use crate::hub::member::Member;
use crate::hub::room::Draft;
use crate::hub::watch::{MemberEvent, Watcher};
use crate::net::stream::Stream;
use crate::sync::model::{explore, one_of};

const ROOMS: [&str; 2] = ["one", "other"];

/// What the threads of one schedule share.
struct Scene {
    registry: Registry,
    /// The numbers that were handed to the relays, by room; a name may have several in turn.
    published: Mutex<Vec<(Arc<Room>, u64)>>,
}

#[test]
fn memberships_end_once_and_no_message_passes_a_member_by() {
    explore(3000, Duration::from_secs(10), run);
}

fn run() {
    let presences = Presences::new(Duration::ZERO, None);
    let registry = Registry::new(Policies::default(), presences);
    let scene = Arc::new(Scene { registry, published: Mutex::default() });
    // Without a watcher a room is retired whenever the last member leaves.
    let watched = if thread_rng().r#gen() { &ROOMS[..] } else { &[] };
    let watches: Vec<_> = watched.iter().map(|name| scene.watch(name)).collect();
    let connections: Vec<_> = [1, 2].map(|id| scene.connection(id)).into();
    let publisher = scene.thread(|scene| (0..4).for_each(|_| drop(scene.publish(one_of(ROOMS)))));
    let mut threads: Vec<JoinHandle<()>> = vec![publisher];
    for conn in &connections {
        let id = conn.id();
        threads.push(scene.thread(move |scene| scene.wander(id)));
        // The end comes from anywhere, and more than once: the keeper, a relay, the own thread.
        for _ in 0..2 {
            threads.push(scene.thread(move |scene| scene.registry.end(id)));
        }
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    scene.check_end();
    watches.into_iter().for_each(|(room, number, events)| {
        check_events(&events);
        room.end_watch(number);
        scene.registry.tidy(&room);
    });
    assert_eq!(scene.registry.rooms(), 0, "nobody is left, so no room is");
}

type Events = crossbeam_channel::Receiver<MemberEvent>;

impl Scene {
    fn thread(self: &Arc<Self>, work: impl FnOnce(&Self) + Send + 'static) -> JoinHandle<()> {
        let scene = Arc::clone(self);
        spawn(move || work(&scene))
    }

    fn connection(&self, id: u64) -> Arc<Connection> {
        let flags = SocketFlags::CLOEXEC;
        let pair = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
        let stream = Arc::new(Stream::new(pair.0, ([127, 0, 0, 1], 1).into()));
        let shared = Shared::new(Config::default(), Weak::<NoGroups>::new()).unwrap();
        let conn = Arc::new(Connection::new(id, stream, Arc::new(shared)));
        self.registry.open(Recipient::new(&conn));
        conn
    }

    fn watch(&self, name: &str) -> (Arc<Room>, u64, Events) {
        let room = self.registry.room(&GroupName::new(name).unwrap());
        let start = |number| {
            let (watcher, events) = Watcher::new(number);
            (watcher, (number, events))
        };
        let (members, (number, events)) = room.watch(start).expect("nobody has retired it");
        assert!(members.is_empty());
        (room, number, events)
    }

    /// Publishes, and returns the members it goes to.
    fn publish(&self, name: &'static str) -> Vec<u64> {
        let draft = Draft { encoded: Encoded::new("x".into()), except: None, store: None };
        let mut to = Vec::new();
        let Some(room) = self.registry.existing(&GroupName::new(name).unwrap()) else { return to };
        room.publish(&draft, 2, |sequence, snapshot, members| {
            let all = snapshot.iter().flat_map(|shard| shard.iter());
            to = all.map(|member| member.recipient.id()).collect();
            assert_eq!(to.len(), members, "everybody once");
            self.published.lock().push((Arc::clone(&room), sequence));
        });
        to
    }

    /// Joins and leaves, and is meant by every message between the two.
    fn wander(&self, id: u64) {
        for _ in 0..3 {
            let name = one_of(ROOMS);
            let group = GroupName::new(name).unwrap();
            let join = Join::default().user("anna");
            if self.registry.join(id, &group, join, |_, _, _, _| ()).is_err() {
                assert!(self.registry.find(id).is_none(), "only the end refuses");
                return;
            }
            let is_meant = self.publish(name).contains(&id);
            assert!(is_meant || self.registry.find(id).is_none(), "a member was passed by");
            if thread_rng().r#gen() && self.registry.leave(id, &group) {
                assert!(!self.publish(name).contains(&id), "it has left");
            }
        }
    }

    fn check_end(&self) {
        assert_eq!(self.registry.connections(), 0);
        assert_eq!(self.registry.everybody.len(), 0);
        let presences = &self.registry.presences;
        for name in ROOMS {
            let group = GroupName::new(name).unwrap();
            assert_eq!(self.registry.existing(&group).map_or(0, |room| room.len()), 0);
            assert_eq!(presences.connections(&group, "anna"), 0, "the user is in no room");
        }
        let published = self.published.lock();
        for (at, (room, number)) in published.iter().enumerate() {
            let before = published[..at].iter().rev().find(|(other, _)| Arc::ptr_eq(other, room));
            assert_eq!(*number, before.map_or(1, |(_, number)| number + 1), "their order");
        }
    }
}

/// A connection joins, leaves, joins again, and has left in the end.
fn check_events(events: &Events) {
    let mut present: Vec<u64> = Vec::new();
    for event in events.try_iter() {
        match event {
            MemberEvent::Joined(member) => {
                assert!(!present.contains(&member.conn_id()), "joined twice");
                present.push(member.conn_id());
            }
            MemberEvent::Left(member) => {
                assert!(present.contains(&member.conn_id()), "left twice");
                present.retain(|id| *id != Member::conn_id(&member));
            }
            MemberEvent::Missed => panic!("so few events"),
        }
    }
    assert!(present.is_empty(), "{present:?} never left");
}
