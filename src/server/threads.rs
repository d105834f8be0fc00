//! The threads of connections: a spare one or a new one for each.
//!
//! Agreeing on TLS keys touches three pages of the stack more than anything that comes later, and
//! leaves the allocator's cache of its thread full of what it has freed. So another thread does
//! that first, one that serves nobody, and an idle TLS connection has none of it.
//!
//! ```text
//! accept ──plain────────────────────────► serves ──► waits for the next to serve
//!        └─TLS──► greets: shakes hands ──┘  ▲
//!                   └── no such thread ─────┴─ serves by itself, then ends
//!                   └──► waits for the next to greet
//! ```

use std::io;
use std::sync::Arc;
use std::thread;

use crate::net::thread::rename;
use crate::server::serve::{Arrival, Session, greet, serve};
use crate::server::spare::SpareThreads;
use crate::sync::Mutex;

/// What a thread that serves is given.
#[derive(Debug)]
pub(crate) enum Work {
    /// Everything is still to be done.
    Arrival(Box<Arrival>),
    /// The client is known, and there are keys.
    Greeted(Box<Session>),
}

impl Work {
    fn arrival(&self) -> &Arrival {
        match self {
            Self::Arrival(arrival) => arrival,
            Self::Greeted(session) => &session.arrival,
        }
    }
}

/// The threads that have no connection at the moment.
#[derive(Debug, Default)]
pub(crate) struct Threads {
    serving: Arc<SpareThreads<Work>>,
    greeting: Arc<SpareThreads<Box<Arrival>>>,
}

impl Threads {
    /// Gives a connection its thread.
    ///
    /// # Errors
    /// There is no thread to be had; the connection is dropped.
    pub(crate) fn take_in(self: &Arc<Self>, arrival: Box<Arrival>) -> io::Result<()> {
        let builder = builder(&arrival);
        if arrival.stream.is_secure() {
            let Err(arrival) = self.greeting.hand(arrival) else { return Ok(()) };
            let threads = Arc::clone(self);
            return builder.spawn(move || greet_all(arrival, &threads)).map(drop);
        }
        let Err(work) = self.serving.hand(Work::Arrival(arrival)) else { return Ok(()) };
        let spares = Arc::clone(&self.serving);
        builder.spawn(move || serve_all(work, &spares)).map(drop)
    }

    /// Gives a connection that was greeted to a thread that serves, or back if none is to be had.
    #[inline(never)]
    fn pass_on(&self, work: Work) -> Result<(), Work> {
        let Err(work) = self.serving.hand(work) else { return Ok(()) };
        let (builder, spares) = (builder(work.arrival()), Arc::clone(&self.serving));
        // A thread that cannot be started drops what it was to do, so it is left where it is found.
        let place = Arc::new(Mutex::new(Some(work)));
        let left = Arc::clone(&place);
        let started = builder.spawn(move || {
            // Taken in a step of its own: no lock is held while it is served.
            let work = left.lock().take();
            drop(left);
            if let Some(work) = work {
                serve_all(work, &spares);
            }
        });
        match started {
            Ok(_) => Ok(()),
            Err(_) => place.lock().take().map_or(Ok(()), Err),
        }
    }

    /// Ends those that wait, and whoever would.
    pub(crate) fn dismiss(&self) {
        self.serving.dismiss();
        self.greeting.dismiss();
    }
}

fn builder(arrival: &Arrival) -> thread::Builder {
    let stack_bytes = arrival.app.shared.config().stack_bytes();
    thread::Builder::new().name("conn".into()).stack_size(stack_bytes)
}

/// The life of a thread that serves: one connection after the other.
///
/// Between them it holds nothing of the server but its seat, and of its stack no more than any: one
/// that rendered a template has touched twice as much, which the next connection would have to keep.
#[inline(never)]
fn serve_all(first: Work, spares: &SpareThreads<Work>) {
    let seat = Arc::default();
    let mut next = Some(first);
    while let Some(work) = next {
        call_it(work.arrival().id);
        if !serve(work) {
            return;
        }
        rename(format_args!("spare"));
        next = spares.next(&seat);
    }
}

/// The life of a thread that greets: one handshake after the other.
#[inline(never)]
fn greet_all(first: Box<Arrival>, threads: &Threads) {
    let seat = Arc::default();
    let mut next = Some(first);
    while let Some(arrival) = next {
        call_it(arrival.id);
        if let Some(session) = greet(arrival)
            && let Err(work) = threads.pass_on(Work::Greeted(Box::new(session)))
        {
            serve(work);
            return;
        }
        rename(format_args!("spare"));
        next = threads.greeting.next(&seat);
    }
}

/// Names the thread by its connection.
#[inline(never)]
fn call_it(id: u64) {
    rename(format_args!("conn-{id}"));
}
