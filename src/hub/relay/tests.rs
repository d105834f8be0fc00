//! What a relay does with what waits for it, call by call: the members' sockets keep the borders
//! between two calls.

use std::sync::Weak;

use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, socketpair};

use super::*;
use crate::config::Config;
use crate::conn::connection::{Connection, Shared};
use crate::conn::groups::{Join, NoGroups};
use crate::conn::overflow::Overflow;
use crate::conn::recipient::{Lane, Recipient};
use crate::hub::name::GroupName;
use crate::hub::relay::batch::Batch;
use crate::net::stream::Stream;
use crate::sync::atomic::AtomicUsize;

/// A member of groups, and the other end of its connection.
struct Guest {
    membership: Arc<Membership>,
    peer: rustix::fd::OwnedFd,
}

impl Guest {
    fn new(id: u64) -> Self {
        let (kind, flags) = (SocketType::SEQPACKET, SocketFlags::CLOEXEC);
        let (own, peer) = socketpair(AddressFamily::UNIX, kind, flags, None).unwrap();
        let stream = Arc::new(Stream::new(own, ([127, 0, 0, 1], 1).into()));
        let shared = Shared::new(Config::default(), Weak::<NoGroups>::new()).unwrap();
        let conn = Arc::new(Connection::new(id, Arc::clone(&stream), Arc::new(shared)));
        conn.open_outbox(stream, b"101".to_vec());
        conn.flush();
        let guest =
            Self { membership: Membership::new(Recipient::new(&conn), Join::default()), peer };
        assert_eq!(guest.calls(), [b"101"]);
        guest
    }

    /// What each call to the kernel brought since the last look.
    fn calls(&self) -> Vec<Vec<u8>> {
        let mut calls = Vec::new();
        let mut bytes = vec![0; 256 * 1024];
        while let Ok((count, _)) = rustix::net::recv(&self.peer, &mut bytes, RecvFlags::DONTWAIT) {
            calls.push(bytes[..count].to_vec());
        }
        calls
    }
}

fn room(name: &str) -> Arc<Room> {
    let lane = Lane::new(Overflow::Disconnect, Arc::default());
    Room::new(GroupName::new(name).unwrap(), lane, Arc::new(AtomicUsize::new(0)))
}

fn shard(guests: &[&Guest]) -> Shard {
    guests.iter().map(|guest| Arc::clone(&guest.membership)).collect()
}

fn carry(jobs: impl IntoIterator<Item = Job>) {
    Batch::of(jobs).carry();
}

fn job(room: &Arc<Room>, members: &Shard, text: &str) -> Job {
    let publication = Publication::stored(room, &Encoded::new(text.into()), 1);
    Job { publication: Arc::new(publication), members: Arc::clone(members) }
}

#[test]
fn up_to_32_messages_go_to_each_member_in_one_call() {
    let guests = [Guest::new(1), Guest::new(2), Guest::new(3)];
    let (room, members) = (room("a"), shard(&[&guests[0], &guests[1], &guests[2]]));
    carry((0..40).map(|_| job(&room, &members, "four")));
    for guest in &guests {
        let lengths: Vec<usize> = guest.calls().iter().map(Vec::len).collect();
        assert_eq!(lengths, [32 * 6, 8 * 6]);
    }
}

#[test]
fn a_call_takes_no_further_message_beyond_64_kib() {
    let guest = Guest::new(1);
    let (room, members) = (room("a"), shard(&[&guest]));
    let large = "x".repeat(30 * 1024);
    carry((0..7).map(|_| job(&room, &members, &large)));
    let lengths: Vec<usize> = guest.calls().iter().map(Vec::len).collect();
    let frame = 4 + large.len();
    assert_eq!(lengths, [3 * frame, 3 * frame, frame]);
}

#[test]
fn groups_are_joined_and_nothing_passes_a_message_to_one() {
    let guest = Guest::new(1);
    let (a, b, members) = (room("a"), room("b"), shard(&[&guest]));
    let mut to_one = Publication::stored(&b, &Encoded::new("one".into()), 1);
    to_one.is_barrier = true;
    let to_one = Job { publication: Arc::new(to_one), members: shard(&[&guest]) };
    let texts = [(&a, "a1"), (&b, "b1"), (&a, "a2")].map(|(room, text)| job(room, &members, text));
    carry(texts.into_iter().chain([to_one, job(&a, &members, "a3")]));
    let expected: [&[u8]; 4] =
        [b"\x81\x02a1\x81\x02a2", b"\x81\x02b1", b"\x81\x03one", b"\x81\x02a3"];
    assert_eq!(guest.calls(), expected);
}

#[test]
fn a_change_of_members_falls_between_two_messages() {
    let (stays, comes) = (Guest::new(1), Guest::new(2));
    let (room, before, after) = (room("a"), shard(&[&stays]), shard(&[&stays, &comes]));
    carry([(&before, "1"), (&before, "2"), (&after, "3")].map(|(to, text)| job(&room, to, text)));
    assert_eq!(stays.calls(), [&b"\x81\x011\x81\x012"[..], b"\x81\x013"]);
    assert_eq!(comes.calls(), [b"\x81\x013"]);
}
