//! One question of several at once, under many schedules: it is asked once at a time, everybody
//! hears the answer, and nothing is left of the search.

use std::sync::Arc;
use std::time::{Duration, Instant};

use shuttle::thread::{spawn, yield_now};

use super::*;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::model::{explore, one_of};

const ASKERS: usize = 3;
const LONG: Duration = Duration::from_secs(600);

#[test]
fn a_question_is_asked_once_at_a_time() {
    explore(4000, Duration::from_secs(5), run);
}

fn run() {
    let keep = one_of([Duration::ZERO, LONG]);
    let answers = Arc::new(Answers::new(4));
    let (calls, at_once) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let askers: Vec<_> = (0..ASKERS)
        .map(|_| {
            let (answers, calls, at_once) =
                (Arc::clone(&answers), Arc::clone(&calls), Arc::clone(&at_once));
            spawn(move || {
                let value = answers.get(&Key::default(), Instant::now() + LONG, || {
                    assert_eq!(at_once.fetch_add(1, Ordering::SeqCst), 0);
                    calls.fetch_add(1, Ordering::SeqCst);
                    yield_now();
                    at_once.fetch_sub(1, Ordering::SeqCst);
                    Found { value: 7, keep, is_good: true }
                });
                assert_eq!(value, Some(7));
            })
        })
        .collect();
    for asker in askers {
        asker.join().unwrap();
    }
    let most = if keep.is_zero() { ASKERS } else { 1 };
    assert!((1..=most).contains(&calls.load(Ordering::SeqCst)));
    assert!(answers.state.lock().flights.is_empty());
}
