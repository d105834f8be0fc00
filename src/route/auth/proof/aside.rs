//! Work that needs much of the stack or of the time, on a few threads that are there for it.
//!
//! What a thread has touched of its stack stays with it as long as it lives, and a connection may
//! stay idle for hours; memory that it has used and given back stays with it too. So passwords, the
//! signatures that need much room and calls to other servers are for other threads, which all
//! connections use, so many at a time and no more. They end when there was nothing to do for a
//! while.

use std::collections::VecDeque;
use std::fmt;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::turns::Turns;
use crate::error::{Error, ErrorKind, Result};
use crate::sync::{Condvar, Mutex};

const STACK_BYTES: usize = 1024 * 1024;

/// How long a thread waits for something to do.
const IDLE: Duration = Duration::from_secs(10);

/// Threads for one kind of work. They end soon after it is dropped.
pub(super) struct Aside {
    shared: Arc<Shared>,
    /// Whose turn it is to have something done.
    turns: Turns,
}

struct Shared {
    state: Mutex<State>,
    /// Something is to be done, or nothing ever will be.
    called: Condvar,
    most: usize,
}

struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    /// Those of the threads that wait.
    idle: usize,
    is_over: bool,
}

type Job = Box<dyn FnOnce() + Send>;

impl Aside {
    /// Does at most so many things at a time.
    pub(super) fn new(most: usize) -> Self {
        let most = most.max(1);
        let state = State { jobs: VecDeque::new(), threads: 0, idle: 0, is_over: false };
        let shared = Shared { state: Mutex::new(state), called: Condvar::new(), most };
        Self { shared: Arc::new(shared), turns: Turns::new(most) }
    }

    /// As many as there are processors: for work that computes.
    pub(super) fn of_processors() -> Self {
        Self::new(thread::available_parallelism().map_or(1, usize::from))
    }

    /// Has something done for a client and waits for it; a panic goes on here.
    ///
    /// # Blocking
    /// Until it is done; while others have their turn, until the deadline.
    ///
    /// # Errors
    /// `Timeout`: there was no turn. `Io`: there is no thread.
    #[inline(never)]
    pub(super) fn run<T: Send + 'static>(
        &self,
        client: IpAddr,
        deadline: Instant,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let _turn = self.turns.take(client, deadline).ok_or_else(too_late)?;
        let done = Arc::new(Done { outcome: Mutex::new(None), told: Condvar::new() });
        let theirs = Arc::clone(&done);
        // Boxed, so that it does not lie on this stack more than once.
        let work = move || catch_unwind(AssertUnwindSafe(|| Box::new(work())));
        self.shared.give(Box::new(move || theirs.tell(work())))?;
        Ok(*done.wait().unwrap_or_else(|panic| resume_unwind(panic)))
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        self.shared.state.lock().is_over = true;
        self.shared.called.notify_all();
    }
}

impl Shared {
    #[inline(never)]
    fn give(self: &Arc<Self>, job: Job) -> Result<()> {
        let mut state = self.state.lock();
        // A thread that is about to come back takes it, if there are enough of them.
        if state.jobs.len() < state.idle || state.threads >= self.most {
            state.jobs.push_back(job);
            drop(state);
            self.called.notify_one();
            return Ok(());
        }
        state.threads += 1;
        drop(state);
        self.start(job)
    }

    /// Starts a thread that begins with this.
    #[cold]
    #[inline(never)]
    fn start(self: &Arc<Self>, job: Job) -> Result<()> {
        let shared = Arc::clone(self);
        let builder = thread::Builder::new().name("auth".into()).stack_size(STACK_BYTES);
        let started = builder.spawn(move || {
            job();
            shared.serve();
        });
        started.map(drop).map_err(|error| {
            self.state.lock().threads -= 1;
            Error::new(ErrorKind::Io, "cannot start a thread to authenticate").with_source(error)
        })
    }

    /// Does what comes, until nothing has come for a while.
    fn serve(&self) {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                job();
                state = self.state.lock();
                continue;
            }
            state.idle += 1;
            let is_late = self.called.wait_until(&mut state, Instant::now() + IDLE).timed_out();
            state.idle -= 1;
            if state.jobs.is_empty() && (is_late || state.is_over) {
                state.threads -= 1;
                return;
            }
        }
    }
}

fn too_late() -> Error {
    Error::new(ErrorKind::Timeout, "too many wait for their turn")
}

/// Where the outcome is put.
struct Done<T> {
    outcome: Mutex<Option<thread::Result<Box<T>>>>,
    told: Condvar,
}

impl<T> Done<T> {
    fn tell(&self, outcome: thread::Result<Box<T>>) {
        *self.outcome.lock() = Some(outcome);
        self.told.notify_one();
    }

    #[inline(never)]
    fn wait(&self) -> thread::Result<Box<T>> {
        let mut outcome = self.outcome.lock();
        loop {
            if let Some(outcome) = outcome.take() {
                return outcome;
            }
            self.told.wait(&mut outcome);
        }
    }
}

impl fmt::Debug for Aside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Aside({})", self.shared.most)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn what_is_done_comes_back_and_so_does_a_panic() {
        let aside = Aside::new(1);
        assert_eq!(aside.run(HERE, soon(), || 1 + 1).unwrap(), 2);
        let panics =
            catch_unwind(AssertUnwindSafe(|| aside.run(HERE, soon(), || panic!("on purpose"))));
        assert!(panics.is_err());
        assert!(aside.run(HERE, soon(), || thread::current().name() == Some("auth")).unwrap());
        assert_eq!(aside.shared.state.lock().threads, 1, "the thread outlives the panic");
    }

    #[test]
    fn so_many_at_a_time_and_who_waits_too_long_goes() {
        let aside = Aside::new(2);
        let (begun, has_begun) = channel();
        let (go, may_go) = channel::<()>();
        let may_go = Arc::new(Mutex::new(may_go));
        thread::scope(|scope| {
            for _ in 0..2 {
                let (begun, may_go) = (begun.clone(), Arc::clone(&may_go));
                let work = move || {
                    begun.send(()).unwrap();
                    may_go.lock().recv().unwrap();
                };
                scope.spawn(|| aside.run(HERE, soon(), work).unwrap());
            }
            has_begun.recv().unwrap();
            has_begun.recv().unwrap();
            let late = aside.run(HERE, Instant::now(), || ()).unwrap_err();
            assert_eq!(late.kind(), ErrorKind::Timeout);
            go.send(()).unwrap();
            assert_eq!(aside.run(HERE, soon(), || "in turn").unwrap(), "in turn");
            go.send(()).unwrap();
        });
        assert!(aside.shared.state.lock().threads <= 2);
    }

    #[test]
    fn many_are_served_by_few_and_nothing_is_left_behind() {
        let aside = Aside::new(3);
        let shared = Arc::clone(&aside.shared);
        thread::scope(|scope| {
            for number in 0..50 {
                let aside = &aside;
                scope.spawn(move || {
                    assert_eq!(aside.run(HERE, soon(), move || number).unwrap(), number)
                });
            }
        });
        assert!(shared.state.lock().threads <= 3);
        drop(aside);
        while shared.state.lock().threads > 0 {
            thread::yield_now();
        }
    }
}
