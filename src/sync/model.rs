//! shuttle's locks and atomics behind parking_lot's face, and how a model is run.
//!
//! A model is a test whose threads are shuttle's (`shuttle::thread::spawn`): they run one at a
//! time, and every lock, atomic and condition variable of [`crate::sync`] is a place where another
//! may be let on. Run them all with
//!
//! ```text
//! RUSTFLAGS="--cfg shuttle" cargo test --lib --target-dir target/shuttle shuttle_
//! ```
//!
//! so the path of a model's test holds `shuttle_`. Outside of a model these types panic.
//!
//! # What a model may do
//! System calls that do not wait are fine. Nothing may really block: one waiting thread stops them
//! all. `std::thread` and channels that block are therefore out, and a loop that waits for another
//! thread has to call `shuttle::thread::yield_now`.
//!
//! # Time
//! Instants are real, but what waits for one does not wait for the clock. A deadline less than
//! [`SOON`] away may pass at any moment, as the schedule has it; one further away never passes, so
//! that a thread that nobody wakes is found as a deadlock.
//!
//! # Not covered
//! Atomics are all sequentially consistent here, whatever their ordering says.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::sync;

pub(crate) use shuttle::sync::atomic;

/// A deadline further away than this never passes.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// Steps of one schedule after which its threads count as turning in circles.
const MAX_STEPS: usize = 100_000;

/// Enough for code that was not optimised, and for the text of its panic.
const STACK_BYTES: usize = 256 * 1024;

/// Runs a model under `schedules` random schedules, then under as many with few changes of thread,
/// each half for no longer than `most`.
///
/// The failing schedule is printed; `shuttle::replay` takes it. `SHUTTLE_RANDOM_SEED` fixes the
/// schedules.
pub(crate) fn explore<F>(schedules: usize, most: Duration, model: F)
where
    F: Fn() + Clone + Send + Sync + 'static,
{
    run(RandomScheduler::new(schedules), most, model.clone());
    run(PctScheduler::new(3, schedules), most, model);
}

fn run(
    scheduler: impl Scheduler + 'static,
    most: Duration,
    model: impl Fn() + Send + Sync + 'static,
) {
    let mut config = shuttle::Config::new();
    config.stack_size = STACK_BYTES;
    config.max_steps = shuttle::MaxSteps::FailAfter(MAX_STEPS);
    config.max_time = Some(most);
    config.silence_warnings = true;
    let start = Instant::now();
    let count = shuttle::Runner::new(scheduler, config).run(model);
    println!("{count} schedules in {:?}", start.elapsed());
    assert!(count > 0);
}

/// True if the schedule has the deadline pass now.
fn passes(deadline: Instant) -> bool {
    deadline.saturating_duration_since(Instant::now()) < SOON && thread_rng().r#gen::<bool>()
}

/// `parking_lot::Mutex`.
pub(crate) struct Mutex<T: ?Sized>(sync::Mutex<T>);

/// `parking_lot::MutexGuard`.
pub(crate) struct MutexGuard<'a, T: ?Sized> {
    /// `None` only within a wait.
    inner: Option<sync::MutexGuard<'a, T>>,
    mutex: &'a Mutex<T>,
}

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(sync::Mutex::new(value))
    }
}

impl<T: ?Sized> Mutex<T> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        // As with parking_lot, a panic poisons nothing.
        let inner = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        MutexGuard { inner: Some(inner), mutex: self }
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let inner = match self.0.try_lock() {
            Ok(inner) => inner,
            Err(std::sync::TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(std::sync::TryLockError::WouldBlock) => return None,
        };
        Some(MutexGuard { inner: Some(inner), mutex: self })
    }

    pub(crate) fn try_lock_until(&self, deadline: Instant) -> Option<MutexGuard<'_, T>> {
        if passes(deadline) { self.try_lock() } else { Some(self.lock()) }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.inner.as_ref().expect("not within a wait")
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.inner.as_mut().expect("not within a wait")
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// `parking_lot::Condvar`.
#[derive(Debug, Default)]
pub(crate) struct Condvar(sync::Condvar);

/// `parking_lot::WaitTimeoutResult`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    pub(crate) fn timed_out(self) -> bool {
        self.0
    }
}

impl Condvar {
    pub(crate) const fn new() -> Self {
        Self(sync::Condvar::new())
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let inner = guard.inner.take().expect("not within a wait");
        let inner = self.0.wait(inner).unwrap_or_else(|poisoned| poisoned.into_inner());
        guard.inner = Some(inner);
    }

    pub(crate) fn wait_until<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        deadline: Instant,
    ) -> WaitTimeoutResult {
        if !passes(deadline) {
            self.wait(guard);
            return WaitTimeoutResult(false);
        }
        // Whatever the others do between the two, notifying included, happened in time to pass.
        guard.inner = None;
        shuttle::thread::yield_now();
        guard.inner = guard.mutex.lock().inner.take();
        WaitTimeoutResult(true)
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

#[cfg(test)]
mod shuttle_tests {
    use super::*;
    use std::sync::Arc;

    const FAR: Duration = Duration::from_secs(3600);
    const MOST: Duration = Duration::from_secs(5);

    fn waiter(time: Duration) -> (Arc<(Mutex<bool>, Condvar)>, shuttle::thread::JoinHandle<bool>) {
        let shared = Arc::new((Mutex::new(false), Condvar::new()));
        let (theirs, deadline) = (Arc::clone(&shared), Instant::now() + time);
        let thread = shuttle::thread::spawn(move || {
            let mut is_set = theirs.0.lock();
            while !*is_set {
                if theirs.1.wait_until(&mut is_set, deadline).timed_out() {
                    return *is_set;
                }
            }
            true
        });
        (shared, thread)
    }

    #[test]
    fn a_far_deadline_never_passes() {
        explore(200, MOST, || {
            let (shared, thread) = waiter(FAR);
            *shared.0.lock() = true;
            shared.1.notify_all();
            assert!(thread.join().unwrap());
        });
    }

    #[test]
    #[should_panic(expected = "deadlock")]
    fn a_thread_that_nobody_wakes_is_found() {
        explore(200, MOST, || {
            let (shared, thread) = waiter(FAR);
            *shared.0.lock() = true;
            let _ = thread.join();
        });
    }

    #[test]
    fn a_near_deadline_passes_or_not() {
        static OUTCOMES: [std::sync::atomic::AtomicBool; 2] =
            [const { std::sync::atomic::AtomicBool::new(false) }; 2];
        let seen = || OUTCOMES.each_ref().map(|seen| seen.load(atomic::Ordering::Relaxed));
        explore(200, MOST, || {
            let (shared, thread) = waiter(Duration::from_secs(1));
            *shared.0.lock() = true;
            shared.1.notify_all();
            let outcome = thread.join().unwrap();
            OUTCOMES[usize::from(outcome)].store(true, atomic::Ordering::Relaxed);
        });
        assert_eq!(seen(), [true, true], "given up, and woken in time");
    }

    #[test]
    fn a_lock_is_tried_until_its_deadline() {
        explore(200, MOST, || {
            let mutex = Arc::new(Mutex::new(0));
            let theirs = Arc::clone(&mutex);
            let thread = shuttle::thread::spawn(move || {
                *theirs.try_lock_until(Instant::now() + FAR).expect("it never gives up") += 1;
                theirs.try_lock_until(Instant::now()).is_some()
            });
            let mut mine = mutex.lock();
            *mine += 1;
            shuttle::thread::yield_now();
            drop(mine);
            let _ = thread.join().unwrap();
            assert_eq!(*mutex.lock(), 2);
        });
    }

    #[test]
    fn one_notification_wakes_one() {
        explore(200, MOST, || {
            let (shared, one) = waiter(FAR);
            let theirs = Arc::clone(&shared);
            let other = shuttle::thread::spawn(move || {
                let mut is_set = theirs.0.lock();
                while !*is_set {
                    theirs.1.wait(&mut is_set);
                }
            });
            *shared.0.lock() = true;
            shared.1.notify_one();
            shared.1.notify_one();
            assert!(one.join().unwrap());
            other.join().unwrap();
        });
    }
}
