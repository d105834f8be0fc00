//! What is kept, for how long and how much of it; who waits for whom.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use super::*;

const LONG: Duration = Duration::from_secs(600);

fn key(number: u32) -> Key {
    let mut key = Key::default();
    key[..4].copy_from_slice(&number.to_le_bytes());
    key
}

fn found(value: u32, keep: Duration, is_good: bool) -> Found<u32> {
    Found { value, keep, is_good }
}

/// Asks, and says whether it had to be found.
fn ask(answers: &Answers<u32>, number: u32, answer: Found<u32>) -> (u32, bool) {
    let mut is_found = false;
    let deadline = Instant::now() + LONG;
    let value = answers.get(&key(number), deadline, || {
        is_found = true;
        answer
    });
    (value.unwrap(), is_found)
}

#[test]
fn an_answer_is_found_once_while_it_is_kept() {
    let answers = Answers::new(10);
    for is_good in [true, false] {
        let number = u32::from(is_good);
        assert_eq!(ask(&answers, number, found(5, LONG, is_good)), (5, true));
        assert_eq!(ask(&answers, number, found(6, LONG, is_good)), (5, false));
    }
    assert_eq!(ask(&answers, 7, found(1, Duration::ZERO, true)), (1, true));
    assert_eq!(ask(&answers, 7, found(2, Duration::from_nanos(1), true)), (2, true));
    assert_eq!(ask(&answers, 7, found(3, LONG, true)), (3, true), "it was over");
}

#[test]
fn bad_answers_drive_out_no_good_ones_and_all_are_bounded() {
    let answers = Answers::new(8);
    assert_eq!(ask(&answers, 0, found(1, LONG, true)), (1, true));
    for number in 1..1000 {
        ask(&answers, number, found(0, LONG, false));
    }
    assert_eq!(ask(&answers, 0, found(2, LONG, true)), (1, false));
    for number in 1000..2000 {
        ask(&answers, number, found(0, LONG, true));
    }
    assert_eq!(ask(&answers, 0, found(2, LONG, true)), (2, true), "it made room");
    let state = answers.state.lock();
    for half in [&state.good.young, &state.good.old, &state.bad.young, &state.bad.old] {
        assert!(half.len() <= 4);
    }
    assert!(state.flights.is_empty());
}

#[test]
fn who_asks_the_same_at_once_waits_for_one_answer() {
    const ASKERS: usize = 16;
    let (answers, barrier, calls) = (Answers::new(10), Barrier::new(ASKERS), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..ASKERS {
            scope.spawn(|| {
                barrier.wait();
                let value = answers.get(&key(1), Instant::now() + LONG, || {
                    calls.fetch_add(1, Ordering::SeqCst);
                    found(9, LONG, true)
                });
                assert_eq!(value, Some(9));
            });
        }
    });
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[test]
fn who_waits_gives_up_at_the_deadline_and_others_are_not_held_up() {
    let answers = Answers::new(10);
    let (begun, is_begun) = channel();
    let (finish, may_finish) = channel::<()>();
    thread::scope(|scope| {
        let first = scope.spawn(|| {
            answers.get(&key(1), Instant::now() + LONG, move || {
                begun.send(()).unwrap();
                may_finish.recv().unwrap();
                found(9, LONG, true)
            })
        });
        is_begun.recv().unwrap();
        let late = answers.get(&key(1), Instant::now(), || unreachable!("somebody finds it"));
        assert_eq!(late, None);
        assert_eq!(ask(&answers, 2, found(3, LONG, true)), (3, true));
        finish.send(()).unwrap();
        assert_eq!(first.join().unwrap(), Some(9));
    });
    assert_eq!(ask(&answers, 1, found(0, LONG, true)), (9, false));
}

#[test]
fn a_search_that_panics_is_over_for_all() {
    let answers = Answers::<u32>::new(10);
    let (begun, is_begun) = channel();
    let (finish, may_finish) = channel::<()>();
    thread::scope(|scope| {
        let first = scope.spawn(|| {
            answers.get(&key(1), Instant::now() + LONG, move || {
                begun.send(()).unwrap();
                may_finish.recv().unwrap();
                panic!("on purpose")
            })
        });
        is_begun.recv().unwrap();
        let other =
            scope.spawn(|| answers.get(&key(1), Instant::now() + LONG, || found(1, LONG, true)));
        finish.send(()).unwrap();
        assert!(first.join().is_err());
        // It waited for the first, or came after it.
        assert!(matches!(other.join().unwrap(), None | Some(1)));
    });
    assert!(answers.state.lock().flights.is_empty());
}

#[test]
fn keys_tell_their_parts_apart_and_are_of_one_hasher() {
    let hasher = Hasher::new().unwrap();
    let key = |parts: &[&str]| hasher.key(parts.iter().map(|part| part.as_bytes()));
    assert_eq!(key(&["a", "bc"]), key(&["a", "bc"]));
    assert_ne!(key(&["a", "bc"]), key(&["ab", "c"]));
    assert_ne!(key(&["a"]), key(&["a", ""]));
    assert_ne!(key(&["a"]), Hasher::new().unwrap().key([&b"a"[..]]));
}
