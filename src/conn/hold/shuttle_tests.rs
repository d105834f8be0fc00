//! What is held under many schedules of two handlers, and a keeper that sleeps until it is woken:
//! no hold is forgotten.

use std::sync::{Arc, Weak};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use shuttle::rand::{Rng, thread_rng};
use shuttle::thread::{spawn, yield_now};

use super::*;
use crate::config::Config;
use crate::conn::connection::Shared;
use crate::conn::groups::NoGroups;
use crate::conn::outbox::Patience;
use crate::net::stream::Received;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::model::{explore, one_of};
use crate::ws::Message;
use crate::ws::close::CloseFrame;

const MESSAGES_EACH: u8 = 4;

#[test]
fn the_keeper_alone_sends_all_that_is_held_and_rests_when_nothing_is() {
    explore(4000, Duration::from_secs(10), run);
}

fn run() {
    let shared = Arc::new(Shared::new(Config::default(), Weak::<NoGroups>::new()).unwrap());
    let (conns, peers): (Vec<_>, Vec<_>) = [0, 1].map(|id| open(id, &shared)).into_iter().unzip();
    let is_over = Arc::new(AtomicBool::new(false));
    let keeper = {
        let (conns, is_over) = (conns.clone(), Arc::clone(&is_over));
        spawn(move || keep(&shared, &conns, &is_over))
    };
    let handlers: Vec<_> = conns.into_iter().map(|conn| spawn(move || handle(&conn))).collect();
    for (peer, handler) in peers.iter().zip(handlers) {
        let due = handler.join().unwrap();
        let mut received = Vec::new();
        while received.len() < due.len() {
            let mut piece = Vec::with_capacity(100);
            match peer.recv_into(&mut piece, Blocking::Never).unwrap() {
                Received::Bytes(_) => received.extend(piece),
                Received::Nothing => yield_now(),
                Received::End => break,
            }
        }
        assert_eq!(received, due);
    }
    is_over.store(true, Ordering::SeqCst);
    keeper.join().unwrap();
}

fn open(id: u64, shared: &Arc<Shared>) -> (Arc<Connection>, Stream) {
    let flags = SocketFlags::CLOEXEC;
    let pair = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
    let [stream, peer] = [pair.0, pair.1].map(|fd| Stream::new(fd, ([127, 0, 0, 1], 1).into()));
    let stream = Arc::new(stream);
    let conn = Arc::new(Connection::new(id, Arc::clone(&stream), Arc::clone(shared)));
    conn.open_outbox(stream, Vec::new());
    conn.flush();
    (conn, peer)
}

/// Sends replies that may be held back, and maybe ends; returns the bytes that are due.
fn handle(conn: &Connection) -> Vec<u8> {
    let mut due = Vec::new();
    for number in 0..MESSAGES_EACH {
        conn.record.set_more(thread_rng().gen_bool(0.8));
        conn.send_message(Message::from(vec![number]), Patience::Reply).unwrap();
        due.extend([0x82, 1, number]);
    }
    match one_of([0, 1, 2]) {
        0 => conn.end_hold(),
        1 => {
            conn.close(CloseFrame::of_server(1000, ""));
            conn.release();
            due.extend([0x88, 2, 0x03, 0xe8]);
        }
        _ => {}
    }
    due
}

/// Does the keeper's part, which makes its rounds or sleeps until it is woken.
fn keep(shared: &Shared, conns: &[Arc<Connection>], is_over: &AtomicBool) {
    let (mut rounds, mut is_due) = (Rounds::default(), false);
    while !is_over.load(Ordering::SeqCst) {
        if is_due || shared.poller.was_woken() {
            is_due = rounds.begin(&shared.holders)
                && rounds.make(&shared.holders, |id, seen| {
                    let conn = &conns[id as usize];
                    conn.stream().and_then(|_| conn.look_at_hold(seen))
                });
        }
        yield_now();
    }
}
