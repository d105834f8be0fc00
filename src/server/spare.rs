//! Threads whose connection has ended, and who wait a while for the next.
//!
//! To start and to end a thread costs the kernel several times what a short connection costs it
//! otherwise. A spare thread holds nothing of its last connection but the stack it has touched, so
//! there are only so many, and none waits for long.
//!
//! ```text
//! spawn ──► serve ──next──► waits ──hand──► serves the next
//!                             └── too long, or too many, or dismissed ──► ends
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::sync::{Condvar, Mutex};

/// Most threads that wait.
const MOST: usize = 64;

/// How long one waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// Threads that wait for work.
#[derive(Debug)]
pub(crate) struct SpareThreads<T> {
    waiting: Mutex<Waiting<T>>,
}

/// Those who wait; who came last is taken first, so that those who are too many end.
#[derive(Debug)]
struct Waiting<T> {
    seats: Vec<Arc<Seat<T>>>,
    is_dismissed: bool,
}

/// Where one thread waits.
#[derive(Debug)]
pub(crate) struct Seat<T> {
    given: Mutex<Given<T>>,
    woken: Condvar,
}

/// What a waiting thread was given.
#[derive(Debug)]
enum Given<T> {
    Nothing,
    Work(T),
    Leave,
}

impl<T> Default for Seat<T> {
    fn default() -> Self {
        Self { given: Mutex::new(Given::Nothing), woken: Condvar::new() }
    }
}

impl<T> Seat<T> {
    fn give(&self, given: Given<T>) {
        *self.given.lock() = given;
        self.woken.notify_one();
    }

    /// What was given; `Nothing` if that is still so at the deadline.
    fn take(&self, deadline: Option<Instant>) -> Given<T> {
        let mut given = self.given.lock();
        while matches!(*given, Given::Nothing) {
            match deadline {
                Some(deadline) if self.woken.wait_until(&mut given, deadline).timed_out() => break,
                Some(_) => {}
                None => self.woken.wait(&mut given),
            }
        }
        std::mem::replace(&mut *given, Given::Nothing)
    }
}

impl<T> Default for SpareThreads<T> {
    fn default() -> Self {
        Self { waiting: Mutex::new(Waiting { seats: Vec::new(), is_dismissed: false }) }
    }
}

impl<T> SpareThreads<T> {
    /// Gives work to a thread that waits, or back if there is none.
    ///
    /// # Blocking
    /// Never.
    pub(crate) fn hand(&self, work: T) -> Result<(), T> {
        let Some(seat) = self.waiting.lock().seats.pop() else { return Err(work) };
        // Who is no longer on the list waits until this is there.
        seat.give(Given::Work(work));
        Ok(())
    }

    /// Waits for the next work; `None` if the thread is to end.
    ///
    /// # Blocking
    /// Until there is work, it has been too long or all are dismissed.
    pub(crate) fn next(&self, seat: &Arc<Seat<T>>) -> Option<T> {
        {
            let mut waiting = self.waiting.lock();
            if waiting.is_dismissed || waiting.seats.len() >= MOST {
                return None;
            }
            waiting.seats.push(Arc::clone(seat));
        }
        let mut given = seat.take(Some(Instant::now() + PATIENCE));
        if matches!(given, Given::Nothing) {
            if self.stands_up(seat) {
                return None;
            }
            // Somebody has chosen this thread just now.
            given = seat.take(None);
        }
        match given {
            Given::Work(work) => Some(work),
            Given::Nothing | Given::Leave => None,
        }
    }

    /// Takes a seat off the list; false if somebody else has.
    fn stands_up(&self, seat: &Arc<Seat<T>>) -> bool {
        let mut waiting = self.waiting.lock();
        let at = waiting.seats.iter().position(|other| Arc::ptr_eq(other, seat));
        at.map(|at| waiting.seats.remove(at)).is_some()
    }

    /// Ends those who wait and whoever would.
    ///
    /// # Blocking
    /// Never: they end soon, not by now.
    pub(crate) fn dismiss(&self) {
        let mut waiting = self.waiting.lock();
        waiting.is_dismissed = true;
        let seats = std::mem::take(&mut waiting.seats);
        drop(waiting);
        for seat in seats {
            seat.give(Given::Leave);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn waiting(spares: &SpareThreads<u32>) -> usize {
        spares.waiting.lock().seats.len()
    }

    /// Waits until so many wait.
    fn until_waiting(spares: &SpareThreads<u32>, count: usize) {
        while waiting(spares) != count {
            thread::yield_now();
        }
    }

    #[test]
    fn without_a_spare_thread_work_comes_back() {
        assert_eq!(SpareThreads::default().hand(7), Err(7));
    }

    #[test]
    fn work_goes_to_who_waits_and_again() {
        let spares = SpareThreads::default();
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let seat = Arc::default();
                std::iter::from_fn(|| spares.next(&seat)).collect::<Vec<u32>>()
            });
            for work in 0..3 {
                until_waiting(&spares, 1);
                assert_eq!(spares.hand(work), Ok(()));
            }
            until_waiting(&spares, 1);
            spares.dismiss();
            assert_eq!(thread.join().unwrap(), [0, 1, 2]);
        });
        assert_eq!(spares.hand(9), Err(9));
    }

    #[test]
    fn who_is_one_too_many_ends_and_so_do_all_when_dismissed() {
        let spares = SpareThreads::default();
        thread::scope(|scope| {
            for _ in 0..MOST {
                scope.spawn(|| assert_eq!(spares.next(&Arc::default()), None));
            }
            until_waiting(&spares, MOST);
            assert_eq!(spares.next(&Arc::default()), None);
            spares.dismiss();
            assert_eq!(spares.next(&Arc::default()), None);
        });
    }
}

#[cfg(all(test, shuttle))]
mod shuttle_tests {
    use shuttle::thread::spawn;

    use super::*;
    use crate::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use crate::sync::model::explore;

    /// Threads give up waiting at any moment; nothing that was handed over is lost, and nobody
    /// waits for ever.
    #[test]
    fn no_work_is_lost() {
        explore(3000, Duration::from_secs(10), || {
            let (spares, done) = (Arc::new(SpareThreads::default()), Arc::new(AtomicUsize::new(0)));
            let threads = [(); 3].map(|()| {
                let (spares, done) = (Arc::clone(&spares), Arc::clone(&done));
                spawn(move || {
                    let seat = Arc::default();
                    while let Some(work) = spares.next(&seat) {
                        done.fetch_add(work, SeqCst);
                    }
                })
            });
            let mut handed = 0;
            for work in 1..=4 {
                match spares.hand(work) {
                    Ok(()) => handed += work,
                    Err(back) => assert_eq!(back, work),
                }
            }
            spares.dismiss();
            threads.map(|thread| thread.join().unwrap());
            assert_eq!(done.load(SeqCst), handed);
        });
    }
}
