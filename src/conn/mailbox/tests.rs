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

fn lane(overflow: Overflow) -> Arc<Lane> {
    Arc::new(Lane::new(overflow, Arc::default()))
}

/// Pushes messages with these numbers and the same text; tells what became of each.
fn push_text(mailbox: &Mailbox, lane: &Arc<Lane>, numbers: &[u64], text: &str) -> Vec<Fate> {
    let mut fates = vec![Fate::Gone; numbers.len()];
    let messages = numbers.iter().map(|sequence| message(*sequence, text));
    let delivered = mailbox.push(lane, true, messages, &mut fates);
    assert_eq!(delivered.is_full, !delivered.was_closed && mailbox.is_full());
    fates
}

fn push(mailbox: &Mailbox, lane: &Arc<Lane>, numbers: &[u64]) -> Vec<Fate> {
    push_text(mailbox, lane, numbers, "x")
}

fn dropped(lane: &Lane) -> u64 {
    assert_eq!(lane.counters.abandoned.load(Ordering::Relaxed), 0);
    lane.counters.dropped.load(Ordering::Relaxed)
}

impl Mailbox {
    fn is_full(&self) -> bool {
        self.is_over(&self.state.lock())
    }

    fn bytes(&self) -> usize {
        self.state.lock().bytes
    }
}

fn drain(mailbox: &Mailbox) -> Vec<u64> {
    std::iter::from_fn(|| mailbox.pop()).map(|message| message.sequence()).collect()
}

#[test]
fn disconnect_takes_nothing_more_when_it_is_full_and_counts_it() {
    let mailbox = mailbox(2, 10_000);
    let lane = lane(Overflow::Disconnect);
    assert_eq!(push(&mailbox, &lane, &[1]), [Fate::Queued]);
    assert_eq!(push(&mailbox, &lane, &[2]), [Fate::Queued]);
    assert!(mailbox.is_full());
    assert_eq!(mailbox.pop().unwrap().sequence(), 1);
    let fates = push(&mailbox, &lane, &[3, 4, 5]);
    assert_eq!(fates, [Fate::Dropped; 3], "the member is closed");
    assert_eq!((mailbox.len(), mailbox.lost(), dropped(&lane)), (0, 4, 4));
    assert_eq!(push(&mailbox, &lane, &[6]), [Fate::Gone]);
}

#[test]
fn drop_oldest_drops_of_its_own_group_only() {
    let mailbox = mailbox(3, 10_000);
    let (other, lane) = (lane(Overflow::Disconnect), lane(Overflow::DropOldest));
    push(&mailbox, &other, &[10]);
    assert_eq!(push(&mailbox, &lane, &[20, 21]), [Fate::Queued; 2]);
    let fates = push(&mailbox, &lane, &[22, 23, 24]);
    assert_eq!(fates, [Fate::Dropped, Fate::Queued, Fate::Queued]);
    assert_eq!((mailbox.lost(), dropped(&lane), dropped(&other)), (3, 3, 0));
    assert_eq!(drain(&mailbox), [10, 23, 24]);
}

#[test]
fn drop_oldest_keeps_the_newest_even_among_others() {
    let mailbox = mailbox(2, 10_000);
    let (other, lane) = (lane(Overflow::Disconnect), lane(Overflow::DropOldest));
    push(&mailbox, &other, &[10, 11]);
    assert_eq!(push(&mailbox, &lane, &[20, 21]), [Fate::Dropped, Fate::Queued]);
    assert_eq!(drain(&mailbox), [10, 11, 21]);
}

#[test]
fn drop_oldest_makes_room_in_bytes() {
    let mailbox = mailbox(100, 400);
    let lane = lane(Overflow::DropOldest);
    push_text(&mailbox, &lane, &[1, 2, 3, 4], &"x".repeat(36));
    assert_eq!(dropped(&lane), 0);
    push_text(&mailbox, &lane, &[5], &"x".repeat(200));
    assert_eq!(dropped(&lane), 3);
    push_text(&mailbox, &lane, &[6], &"x".repeat(5_000));
    assert_eq!((drain(&mailbox), dropped(&lane)), (vec![6], 5));
    assert_eq!(mailbox.bytes(), 0);
}

#[test]
fn latest_keeps_one_of_a_group_in_its_place() {
    let mailbox = mailbox(2, 10_000);
    let (first, second) = (lane(Overflow::Latest), lane(Overflow::Latest));
    assert_eq!(push(&mailbox, &first, &[10]), [Fate::Queued]);
    push(&mailbox, &second, &[20]);
    assert_eq!(push(&mailbox, &first, &[11, 12]), [Fate::Dropped, Fate::Queued]);
    assert_eq!(push_text(&mailbox, &first, &[13], "longer"), [Fate::Queued]);
    assert_eq!((dropped(&first), mailbox.lost(), mailbox.len()), (3, 3, 2));
    assert_eq!(drain(&mailbox), [13, 20]);
    assert_eq!(mailbox.bytes(), 0);
}

#[test]
fn one_message_is_always_taken() {
    let mailbox = mailbox(1, 10);
    let fates = push_text(&mailbox, &lane(Overflow::Disconnect), &[1], &"x".repeat(1000));
    assert_eq!(fates, [Fate::Queued]);
    assert!(mailbox.is_full());
}

#[test]
fn block_takes_more_and_the_publisher_waits_for_room() {
    let mailbox = mailbox(1, 10_000);
    let lane = lane(Overflow::Block(PATIENCE));
    assert_eq!(push(&mailbox, &lane, &[1, 2]), [Fate::Queued, Fate::Queued]);
    assert!(!mailbox.wait_for_room(Deadline::after(Duration::ZERO)));
    thread::scope(|scope| {
        let publisher = scope.spawn(|| mailbox.wait_for_room(Deadline::after(PATIENCE)));
        assert_eq!(drain(&mailbox), [1, 2]);
        assert!(publisher.join().unwrap());
    });
    assert_eq!((mailbox.lost(), dropped(&lane)), (0, 0));
    push(&mailbox, &lane, &[3]);
    assert!(mailbox.give_up() && !mailbox.give_up());
    assert_eq!((mailbox.lost(), dropped(&lane)), (1, 1));
}

#[test]
fn a_closed_mailbox_is_empty_takes_nothing_and_lets_publishers_go() {
    let mailbox = mailbox(1, 10_000);
    let lane = lane(Overflow::Disconnect);
    push(&mailbox, &lane, &[1]);
    thread::scope(|scope| {
        let publisher = scope.spawn(|| mailbox.wait_for_room(Deadline::NEVER));
        mailbox.close();
        assert!(publisher.join().unwrap());
    });
    assert!(mailbox.is_empty());
    assert_eq!(push(&mailbox, &lane, &[2]), [Fate::Gone]);
    assert_eq!((mailbox.lost(), lane.counters.abandoned.load(Ordering::Relaxed)), (1, 1));
    assert!(mailbox.stand_by(|waker| Ok(waker.is_none())).unwrap());
}

#[test]
fn nobody_is_woken_who_does_not_wait() {
    let mailbox = mailbox(100, 100_000);
    let lane = lane(Overflow::Disconnect);
    push(&mailbox, &lane, &[1]);
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
            push(&mailbox, &lane, &[2]);
            assert!(is_woken(PATIENCE), "a push while the handler waits wakes it");
            waker.clear();
            push(&mailbox, &lane, &[3]);
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
    let lanes: Vec<_> = (0..PUSHERS).map(|_| lane(Overflow::Disconnect)).collect();
    thread::scope(|scope| {
        for (lane, seed) in lanes.iter().zip(1..) {
            let mailbox = &mailbox;
            scope.spawn(move || {
                let mut dice: u64 = seed;
                for sequence in 1..=EACH {
                    mailbox.push(lane, true, [message(sequence, "x")], &mut [Fate::Gone]);
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
            let due = &mut next[lanes.iter().position(|lane| letter.is_of(lane)).unwrap()];
            assert_eq!(letter.message.sequence(), *due);
            *due += 1;
            taken += 1;
        }
    });
    assert!(waits.load(Ordering::Relaxed) > 0);
}

#[test]
fn what_no_publisher_waits_for_is_taken_up_to_twice_the_limit() {
    let mailbox = mailbox(2, 10_000);
    let lane = lane(Overflow::Block(PATIENCE));
    let push = |is_awaited| {
        let mut fate = [Fate::Gone];
        mailbox.push(&lane, is_awaited, [message(1, "x")], &mut fate);
        fate[0]
    };
    assert_eq!([push(true), push(true), push(true)], [Fate::Queued; 3]);
    assert_eq!([push(false), push(false)], [Fate::Queued, Fate::Dropped], "it is closed");
    assert_eq!((mailbox.lost(), dropped(&lane)), (5, 5));
}
