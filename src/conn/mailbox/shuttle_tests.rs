//! A handler that waits, and publishers that push and wait, under many schedules.

use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use shuttle::rand::{Rng, thread_rng};
use shuttle::thread::{JoinHandle, spawn, yield_now};

use super::*;
use crate::sync::model::explore;

const MOST: Duration = Duration::from_secs(10);
const PUBLISHERS: usize = 2;
const EACH: u64 = 3;

fn mailbox(messages: usize) -> Arc<Mailbox> {
    Arc::new(Mailbox::new(&Config::default().with_group_inbox_messages(messages)).unwrap())
}

/// A publisher of one group; with `Block` it waits for room before each message, without end.
fn publisher(mailbox: &Arc<Mailbox>, overflow: Overflow) -> JoinHandle<()> {
    let mailbox = Arc::clone(mailbox);
    let lane = Arc::new(Lane::new(overflow, Arc::default()));
    spawn(move || {
        for sequence in 1..=EACH {
            if matches!(overflow, Overflow::Block(_)) {
                assert!(mailbox.wait_for_room(Deadline::NEVER));
            }
            let message = GroupMessage { group: "g".into(), sequence, message: "x".into() };
            mailbox.push(&lane, true, [message], &mut [Fate::Gone]);
        }
    })
}

/// Waits for the waker as the handler does in `poll`: one that nobody uses turns in circles for
/// ever, which the model finds. A few times the socket comes first, and a wake-up stays.
fn wait(waker: Option<&Waker>, socket: &mut u32) -> io::Result<bool> {
    let Some(waker) = waker else { return Ok(true) };
    let now = Timespec::try_from(Duration::ZERO).unwrap();
    while poll(&mut [PollFd::new(waker, PollFlags::IN)], Some(&now)).unwrap() == 0 {
        if *socket > 0 && thread_rng().r#gen() {
            *socket -= 1;
            return Ok(true);
        }
        yield_now();
    }
    waker.clear();
    Ok(false)
}

#[test]
fn no_wake_up_is_lost_and_no_publisher_waits_for_ever() {
    for messages in [1, 2, 100] {
        explore(1000, MOST, move || {
            let mailbox = mailbox(messages);
            let block = Overflow::Block(Duration::MAX);
            let publishers = [(); PUBLISHERS].map(|()| publisher(&mailbox, block));
            let (mut taken, mut socket) = (0, 3);
            while taken < PUBLISHERS as u64 * EACH {
                match mailbox.pop() {
                    Some(_) => taken += 1,
                    None => drop(mailbox.stand_by(|waker| wait(waker, &mut socket)).unwrap()),
                }
            }
            publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
            assert_eq!((mailbox.len(), mailbox.lost()), (0, 0));
        });
    }
}

#[test]
fn the_end_lets_everybody_go_and_every_message_is_counted() {
    explore(1000, MOST, || {
        let mailbox = mailbox(1);
        let policies = [Overflow::Block(Duration::MAX), Overflow::DropOldest];
        let publishers = policies.map(|policy| publisher(&mailbox, policy));
        let handler = {
            let mailbox = Arc::clone(&mailbox);
            spawn(move || {
                let taken = u64::from(mailbox.pop().is_some());
                mailbox.close();
                taken
            })
        };
        publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
        let taken = handler.join().unwrap();
        assert!(mailbox.is_empty() && mailbox.pop().is_none());
        assert!(taken + mailbox.lost() <= policies.len() as u64 * EACH);
        let is_readable = mailbox.stand_by(|waker| wait(waker, &mut 0)).unwrap();
        assert!(is_readable, "nothing but the socket is waited for");
    });
}

#[test]
fn room_that_a_smaller_message_makes_wakes_who_waits_for_it() {
    explore(1000, MOST, || {
        let mailbox = Arc::new(Mailbox::new(&Config::default().with_inbox_bytes(1000)).unwrap());
        let latest = Arc::new(Lane::new(Overflow::Latest, Arc::default()));
        let push = |text: String| {
            let message = GroupMessage { group: "g".into(), sequence: 1, message: text.into() };
            mailbox.push(&latest, true, [message], &mut [Fate::Gone])
        };
        assert!(push("x".repeat(2000)).is_full);
        let block = publisher(&mailbox, Overflow::Block(Duration::MAX));
        assert!(!push("x".into()).is_full);
        block.join().unwrap();
    });
}
