//! What becomes of pushed messages, policy by policy, and that no wake-up is lost.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

fn mailbox(messages: usize, bytes: usize) -> Mailbox {
    let config = Config::default().with_group_inbox_messages(messages).with_inbox_bytes(bytes);
    Mailbox::new(&config).unwrap()
}

fn message(sequence: u64, text: &str) -> GroupMessage {
    GroupMessage { group: "g".into(), sequence, message: Message::from(text) }
}

fn push(mailbox: &Mailbox, tag: u64, sequence: u64, overflow: Overflow) -> Fate {
    mailbox.push(tag, message(sequence, "x"), overflow)
}

const QUEUED: Fate = Fate::Queued { displaced: 0 };
const DISPLACED: Fate = Fate::Queued { displaced: 1 };

fn drain(mailbox: &Mailbox) -> Vec<u64> {
    std::iter::from_fn(|| mailbox.pop()).map(|message| message.sequence()).collect()
}

#[test]
fn disconnect_refuses_what_does_not_fit_and_counts_it() {
    let mailbox = mailbox(2, 10_000);
    assert_eq!(push(&mailbox, 1, 1, Overflow::Disconnect), QUEUED);
    assert_eq!(push(&mailbox, 1, 2, Overflow::Disconnect), QUEUED);
    assert!(mailbox.is_full());
    assert_eq!(push(&mailbox, 1, 3, Overflow::Disconnect), Fate::Overflowed);
    assert_eq!((mailbox.len(), mailbox.lost()), (2, 1));
    assert_eq!(drain(&mailbox), [1, 2]);
    assert!(!mailbox.is_full());
}

#[test]
fn drop_oldest_drops_of_its_own_group_only() {
    let mailbox = mailbox(3, 10_000);
    push(&mailbox, 1, 10, Overflow::Disconnect);
    push(&mailbox, 2, 20, Overflow::DropOldest);
    push(&mailbox, 2, 21, Overflow::DropOldest);
    assert_eq!(push(&mailbox, 2, 22, Overflow::DropOldest), DISPLACED);
    assert_eq!(push(&mailbox, 2, 23, Overflow::DropOldest), DISPLACED);
    assert_eq!(mailbox.lost(), 2);
    assert_eq!(drain(&mailbox), [10, 22, 23]);
}

#[test]
fn drop_oldest_keeps_the_newest_even_among_others() {
    let mailbox = mailbox(2, 10_000);
    push(&mailbox, 1, 10, Overflow::Disconnect);
    push(&mailbox, 1, 11, Overflow::Disconnect);
    assert_eq!(push(&mailbox, 2, 20, Overflow::DropOldest), QUEUED);
    assert_eq!(push(&mailbox, 2, 21, Overflow::DropOldest), DISPLACED);
    assert_eq!(drain(&mailbox), [10, 11, 21]);
}

#[test]
fn drop_oldest_makes_room_in_bytes() {
    let mailbox = mailbox(100, 400);
    let small = "x".repeat(36);
    for sequence in 1..=4 {
        assert_eq!(mailbox.push(1, message(sequence, &small), Overflow::DropOldest), QUEUED);
    }
    let large = "x".repeat(200);
    let fate = mailbox.push(1, message(5, &large), Overflow::DropOldest);
    assert_eq!(fate, Fate::Queued { displaced: 3 });
    let huge = "x".repeat(5_000);
    let fate = mailbox.push(1, message(6, &huge), Overflow::DropOldest);
    assert_eq!(fate, Fate::Queued { displaced: 2 });
    assert_eq!((drain(&mailbox), mailbox.lost()), (vec![6], 5));
    assert_eq!(mailbox.state.lock().bytes, 0);
}

#[test]
fn latest_keeps_one_of_a_group_in_its_place() {
    let mailbox = mailbox(2, 10_000);
    assert_eq!(push(&mailbox, 1, 10, Overflow::Latest), QUEUED);
    push(&mailbox, 2, 20, Overflow::Latest);
    assert_eq!(push(&mailbox, 1, 11, Overflow::Latest), DISPLACED);
    let fate = mailbox.push(1, message(12, "longer"), Overflow::Latest);
    assert_eq!((fate, mailbox.lost(), mailbox.len()), (DISPLACED, 2, 2));
    assert_eq!(drain(&mailbox), [12, 20]);
    assert_eq!(mailbox.state.lock().bytes, 0);
}

#[test]
fn one_message_is_always_taken() {
    let mailbox = mailbox(1, 10);
    let large = message(1, &"x".repeat(1000));
    assert_eq!(mailbox.push(1, large, Overflow::Disconnect), QUEUED);
    assert!(mailbox.is_full());
}

#[test]
fn block_takes_more_and_the_publisher_waits_for_room() {
    let mailbox = mailbox(1, 10_000);
    let block = Overflow::Block(PATIENCE);
    assert_eq!(push(&mailbox, 1, 1, block), QUEUED);
    assert_eq!(push(&mailbox, 1, 2, block), QUEUED);
    assert_eq!(mailbox.wait_for_room(Deadline::after(Duration::ZERO)), Room::Full);
    thread::scope(|scope| {
        let publisher = scope.spawn(|| mailbox.wait_for_room(Deadline::after(PATIENCE)));
        assert_eq!(drain(&mailbox), [1, 2]);
        assert_eq!(publisher.join().unwrap(), Room::Free);
    });
    assert_eq!(mailbox.lost(), 0);
}

#[test]
fn a_closed_mailbox_is_empty_takes_nothing_and_lets_publishers_go() {
    let mailbox = mailbox(1, 10_000);
    push(&mailbox, 1, 1, Overflow::Disconnect);
    thread::scope(|scope| {
        let publisher = scope.spawn(|| mailbox.wait_for_room(Deadline::NEVER));
        mailbox.close();
        assert_eq!(publisher.join().unwrap(), Room::Gone);
    });
    assert!(mailbox.is_empty());
    assert_eq!(push(&mailbox, 1, 2, Overflow::Latest), Fate::Gone);
    assert!(mailbox.stand_by(|waker| Ok(waker.is_none())).unwrap());
}

#[test]
fn nobody_is_woken_who_does_not_wait() {
    let mailbox = mailbox(100, 100_000);
    push(&mailbox, 1, 1, Overflow::Disconnect);
    let waker = mailbox.state.lock().waker.clone().unwrap();
    let is_woken = |time| {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let time = Timespec::try_from(time).unwrap();
        poll(&mut [PollFd::new(&*waker, PollFlags::IN)], Some(&time)).unwrap() > 0
    };
    assert!(!is_woken(Duration::ZERO));
    assert!(!mailbox.stand_by(|_| unreachable!("something is there")).unwrap());
    drain(&mailbox);
    mailbox
        .stand_by(|_| {
            push(&mailbox, 1, 2, Overflow::Disconnect);
            assert!(is_woken(PATIENCE), "a push while the handler waits wakes it");
            waker.clear();
            push(&mailbox, 1, 3, Overflow::Disconnect);
            assert!(!is_woken(Duration::ZERO), "and the next need not");
            Ok(false)
        })
        .unwrap();
}

/// Threads push at random moments; the reader waits for the waker alone, so one lost wake-up is a
/// wait without end.
#[test]
fn no_wake_up_is_lost() {
    const PUSHERS: u64 = 4;
    const EACH: u64 = 20_000;
    let mailbox = mailbox(usize::MAX, usize::MAX);
    let waits = AtomicUsize::new(0);
    thread::scope(|scope| {
        for tag in 0..PUSHERS {
            let mailbox = &mailbox;
            scope.spawn(move || {
                let mut dice = tag + 1;
                for sequence in 1..=EACH {
                    push(mailbox, tag, sequence, Overflow::Disconnect);
                    dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    for _ in 0..(dice >> 56) {
                        std::hint::spin_loop();
                    }
                }
            });
        }
        let mut next = [1; PUSHERS as usize];
        let mut taken = 0;
        while taken < PUSHERS * EACH {
            let Some(letter) = mailbox.state.lock().queue.pop_front() else {
                mailbox
                    .stand_by(|waker| {
                        use rustix::event::{PollFd, PollFlags, Timespec, poll};
                        waits.fetch_add(1, Ordering::Relaxed);
                        let time = Timespec::try_from(PATIENCE).unwrap();
                        let waker = waker.unwrap();
                        let woken = poll(&mut [PollFd::new(waker, PollFlags::IN)], Some(&time));
                        assert!(woken.unwrap() > 0, "woken after {taken} messages");
                        waker.clear();
                        Ok(false)
                    })
                    .unwrap();
                continue;
            };
            let due = &mut next[letter.tag as usize];
            assert_eq!(letter.message.sequence(), *due);
            *due += 1;
            taken += 1;
        }
    });
    assert!(waits.load(Ordering::Relaxed) > 0);
}
