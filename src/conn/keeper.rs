//! The one thread for time, stuck writes and busy handlers.
//!
//! Ten times a second, and whenever a watched socket is ready, the keeper does for connections
//! what their own threads cannot do while they block or are busy:
//!
//! | it sees | it does |
//! |---|---|
//! | an HTTP client that takes no answer in time | cuts |
//! | an HTTP connection without a request for too long | ends receiving |
//! | queued bytes and a writable socket | sends them |
//! | queued bytes that do not move | closes 1013, cuts |
//! | silence | pings; after more silence closes 1011, cuts |
//! | replies held back by a handler that has turned slow | sends them |
//! | a handler away for a tick | reads into the inbox, answers pings, notices the end |
//! | a closing handshake that takes too long | cuts |
//! | a token that has expired | closes 4401, or as the application says |
//! | a server that stops | says 1001 to each in its turn, or cuts all |
//!
//! It never blocks on a connection: it only tries locks, and sends and receives without waiting.
//! What it calls of the application, the owners of sent payloads and the logger, may panic: that
//! costs what it was just doing for one connection.

use std::collections::HashMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::conn::connection::{Connection, Shared};
use crate::conn::drain::{Chance, Order, Schedule, obey};
use crate::conn::hold::Rounds;
use crate::conn::record::{Idle, Phase, millis};
use crate::conn::story::words;
use crate::conn::trace::Mark;
use crate::net::poll::{Interest, Ready};
use crate::net::stream::Stream;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use crate::ws::Side;
use crate::ws::close::close_code;
use crate::ws::encoded::FrameKind;

/// How often every connection is looked at.
const TICK: Duration = Duration::from_millis(100);

/// How often connections that hold replies back are looked at, while there are any: what is held at
/// two looks is sent.
const HOLD_LOOK_MILLIS: u64 = 2;

/// How often compressors and inflaters that nobody needs are freed.
const SHRINK_TICKS: u32 = 100;

/// How often the flight recorder notes what went through a connection.
const TRACE_TICKS: u64 = 10;

/// How long a refused client may take to read its answer.
const LINGER: Duration = Duration::from_secs(2);

/// Most refused clients that are waited for at a time.
const MAX_LINGERING: usize = 256;

/// The handle of the keeper's thread.
#[derive(Debug)]
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    mail: Arc<Mail>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What other threads leave for the keeper.
#[derive(Debug)]
struct Mail {
    arrivals: Mutex<Vec<Arc<Connection>>>,
    refused: Mutex<Vec<(Arc<Stream>, u64)>>,
    order: AtomicU8,
    is_asleep: AtomicBool,
    is_dismissed: AtomicBool,
}

impl Mail {
    fn new() -> Self {
        Self {
            arrivals: Mutex::new(Vec::new()),
            refused: Mutex::new(Vec::new()),
            order: AtomicU8::new(Order::Run as u8),
            is_asleep: AtomicBool::new(false),
            is_dismissed: AtomicBool::new(false),
        }
    }
}

impl Keeper {
    /// Starts the thread.
    pub(crate) fn start(shared: Arc<Shared>) -> io::Result<Self> {
        let mail = Arc::new(Mail::new());
        let work = Work::new(Arc::clone(&shared), Arc::clone(&mail));
        let thread = thread::Builder::new().name("keeper".into()).spawn(move || work.run())?;
        Ok(Self { shared, mail, thread: Mutex::new(Some(thread)) })
    }

    /// Takes a new connection into care until its socket is released.
    pub(crate) fn add(&self, conn: Arc<Connection>) {
        self.mail.arrivals.lock().push(conn);
        self.wake_if_asleep();
    }

    /// Takes a client that was refused and lets it read its answer before the socket closes.
    pub(crate) fn linger(&self, stream: Arc<Stream>) {
        let until = self.shared.clock.after(LINGER);
        let mut refused = self.mail.refused.lock();
        if refused.len() < MAX_LINGERING {
            refused.push((stream, until));
        }
        drop(refused);
        self.wake_if_asleep();
    }

    /// Changes what is wanted of all connections, present and coming.
    pub(crate) fn give_order(&self, order: Order) {
        self.mail.order.fetch_max(order as u8, Ordering::SeqCst);
        self.shared.poller.wake();
    }

    /// Ends the thread.
    pub(crate) fn dismiss(&self) {
        self.mail.is_dismissed.store(true, Ordering::SeqCst);
        self.shared.poller.wake();
        if let Some(thread) = self.thread.lock().take() {
            // What panics there is caught there.
            let _ = thread.join();
        }
    }

    fn wake_if_asleep(&self) {
        if self.mail.is_asleep.swap(false, Ordering::SeqCst) {
            self.shared.clock.advance();
            self.shared.poller.wake();
        }
    }
}

/// A connection with what only the keeper knows of it.
struct Entry {
    conn: Arc<Connection>,
    /// When it was pinged and has not shown life since; zero if not.
    pinged_at: u64,
}

struct Work {
    shared: Arc<Shared>,
    mail: Arc<Mail>,
    entries: HashMap<u64, Entry>,
    /// The order that was obeyed last.
    order: Order,
    /// Who is told next, once the order is to drain.
    drain: Schedule,
    next_tick: u64,
    last_tick: u64,
    /// The tick before the last.
    away_before: u64,
    /// To those who hold replies back.
    rounds: Rounds,
    /// When the next of them is due; zero while nobody holds.
    next_look: u64,
    ticks_to_shrink: u32,
    /// Whose turn it is to have its traffic noted.
    turn: u64,
}

impl Work {
    fn new(shared: Arc<Shared>, mail: Arc<Mail>) -> Self {
        Self {
            shared,
            mail,
            entries: HashMap::new(),
            order: Order::Run,
            drain: Schedule::default(),
            next_tick: 0,
            last_tick: 0,
            away_before: 0,
            rounds: Rounds::default(),
            next_look: 0,
            ticks_to_shrink: SHRINK_TICKS,
            turn: 0,
        }
    }

    fn run(mut self) {
        let mut ready = Vec::new();
        while !self.mail.is_dismissed.load(Ordering::SeqCst) {
            let time = self.time_to_wait();
            if let Err(error) = self.shared.poller.wait(time, &mut ready) {
                log::error!("keeper: cannot wait for events: {error}");
                thread::sleep(TICK);
            }
            self.welcome();
            self.look_up();
            for ready in ready.drain(..) {
                guarded(|| self.serve(ready));
                // Sockets that keep this thread busy must not hold up the time of the others.
                self.look_up();
            }
        }
    }

    /// Moves the clock, and looks at every connection if a tick or a new order is due.
    fn look_up(&mut self) {
        let now = self.shared.clock.advance();
        if now >= self.next_look {
            self.look_at_holders();
        }
        let order = Order::from(self.mail.order.load(Ordering::SeqCst));
        if now >= self.next_tick {
            self.away_before = std::mem::replace(&mut self.last_tick, now);
            self.next_tick = now + millis(TICK);
        } else if order == self.order {
            self.drain_due(now);
            return;
        }
        // A new order does not wait for the next tick: a short grace is over by then.
        if order == Order::Drain && self.order == Order::Run {
            let ids: Vec<_> = self.entries.keys().copied().collect();
            let span = millis(self.shared.config().drain_span(ids.len()));
            self.drain = Schedule::new(ids, now, span, Chance::new());
        }
        self.order = order;
        self.drain_due(now);
        self.tick(now);
    }

    /// Until the next tick, or without end while there is nobody to look after.
    fn time_to_wait(&self) -> Option<Duration> {
        if self.entries.is_empty() {
            self.mail.is_asleep.store(true, Ordering::SeqCst);
            let nobody = self.mail.arrivals.lock().is_empty();
            if nobody && self.mail.refused.lock().is_empty() {
                return None;
            }
            self.mail.is_asleep.store(false, Ordering::SeqCst);
        }
        let look = if self.next_look == 0 { self.next_tick } else { self.next_look };
        let next = look.min(self.next_tick).min(self.drain.next_at().unwrap_or(u64::MAX));
        Some(Duration::from_millis(next.saturating_sub(self.shared.clock.now())))
    }

    /// Sends what was held back at the last look already, and finds out whom to look at next.
    fn look_at_holders(&mut self) {
        if !self.rounds.begin(&self.shared.holders) {
            return;
        }
        // Who holds may have arrived since the mail was taken, and says so only once.
        self.welcome();
        let entries = &self.entries;
        let is_due = self.rounds.make(&self.shared.holders, |id, seen| {
            let entry = entries.get(&id)?;
            guarded(|| entry.conn.look_at_hold(seen)).flatten()
        });
        // Counted from the end of this one, so that however many hold leave time for the rest.
        self.next_look = if is_due { self.shared.clock.now() + HOLD_LOOK_MILLIS } else { 0 };
    }

    fn welcome(&mut self) {
        for conn in self.mail.arrivals.lock().drain(..) {
            self.entries.insert(conn.id(), Entry { conn, pinged_at: 0 });
        }
    }

    /// Acts for one socket that became ready.
    fn serve(&mut self, ready: Ready) {
        let Some(entry) = self.entries.get(&ready.token) else { return };
        let conn = &entry.conn;
        let Some(stream) = conn.stream() else { return };
        conn.watch_fired(&stream, Interest { read: ready.read, write: ready.write });
        if ready.write {
            conn.flush();
        }
        // A handler that is just answering a message is left alone: the close behind it must not
        // overtake the answer.
        if ready.read && is_away(conn, self.away_before) {
            read_for(conn, &stream);
        }
    }

    fn tick(&mut self, now: u64) {
        self.let_linger(now);
        self.ticks_to_shrink -= 1;
        if self.ticks_to_shrink == 0 {
            self.ticks_to_shrink = SHRINK_TICKS;
            self.shared.pools.shrink();
        }
        Arc::clone(&self.shared).expiries.close_due(|id| {
            self.welcome();
            self.entries.get(&id).map(|entry| Arc::clone(&entry.conn))
        });
        self.turn = (self.turn + 1) % TRACE_TICKS;
        let (order, away_before, turn) = (self.order, self.away_before, self.turn);
        let is_for_all = match order {
            Order::Run => false,
            Order::Drain => self.drain.is_over(now),
            Order::Cut => true,
        };
        self.entries.retain(|_, entry| {
            let Some(stream) = entry.conn.stream() else { return false };
            guarded(|| match entry.conn.record.phase() {
                Phase::Idle | Phase::Busy => look_at_http(&entry.conn, &stream, now),
                Phase::WebSocket => entry.look_at_websocket(&stream, now, away_before),
            });
            if entry.conn.id() % TRACE_TICKS == turn {
                entry.conn.look_at_traffic();
            }
            if is_for_all {
                guarded(|| obey(&entry.conn, &stream, order));
            }
            true
        });
        if self.entries.is_empty() {
            self.entries.shrink_to(64);
        }
    }

    /// Tells those whose turn in a spread drain has come.
    fn drain_due(&mut self, now: u64) {
        while let Some(id) = self.drain.take_due(now) {
            let Some(entry) = self.entries.get(&id) else { continue };
            let Some(stream) = entry.conn.stream() else { continue };
            guarded(|| obey(&entry.conn, &stream, self.order));
        }
    }

    /// Reads and drops what refused clients still send, so that closing does not reset the
    /// connection before they have read why.
    fn let_linger(&self, now: u64) {
        self.mail.refused.lock().retain(|(stream, until)| stream.drop_words() && now < *until);
    }
}

/// Does something for one connection; `None` if code of the application panicked. That is not
/// logged: the panic's hook has told of it, and the logger may be what panics.
pub(super) fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

fn look_at_http(conn: &Connection, stream: &Stream, now: u64) {
    if conn.record.take_expired(now) {
        stream.cut();
    }
    let config = &conn.config;
    let patience = |idle| match idle {
        Idle::First => config.head_timeout(),
        Idle::Next => config.keep_alive(),
    };
    if conn.record.take_idle(now, patience, || has_bytes(stream)) {
        // What comes before this is still received, and answered.
        stream.shutdown_read();
    }
}

/// True if a connection that waits for a request has been sent something that its thread has not
/// taken yet: the host is short of time, and the rest of the request may be on its way.
fn has_bytes(stream: &Stream) -> bool {
    stream.waiting_bytes() > 0
}

impl Entry {
    fn look_at_websocket(&mut self, stream: &Stream, now: u64, away_before: u64) {
        let (record, config) = (&self.conn.record, &self.conn.config);
        let close_by = record.close_by();
        if close_by != 0 && now >= close_by {
            record.set_close_by(0);
            // The peer had its time to read our close frame. A reset, because a peer that only
            // sends would otherwise wait for room for a minute.
            self.conn.cut(Side::Server, "closing took too long");
            return;
        }
        let stuck_since = record.stuck_since();
        let is_stuck =
            |since: u64| since != 0 && now >= since.saturating_add(millis(config.send_timeout()));
        if is_stuck(stuck_since) {
            // If this thread itself was held up, the socket may be writable by now.
            self.conn.flush();
            if !is_stuck(record.stuck_since()) {
                return;
            }
            record.set_stuck_since(0);
            self.conn.give_up_slow();
            return;
        }
        self.conclude(now, away_before);
        if is_away(&self.conn, away_before) && !is_read_awaited(&self.conn) {
            read_for(&self.conn, stream);
        }
        self.keep_alive(stream, now);
    }

    /// Lets an end take effect that has waited for its handler: because the handler is away with
    /// nothing left to take, because we close anyway, or because it took too long.
    fn conclude(&self, now: u64, away_before: u64) {
        let ending_by = self.conn.record.ending_by();
        if ending_by == 0 {
            return;
        }
        // Locked means that the handler is there and will see to it.
        let Some(mut receive) = self.conn.receive.try_lock() else { return };
        let is_left = receive.waiting_messages() == 0 && is_away(&self.conn, away_before);
        if is_left || now >= ending_by || self.conn.outbox.is_closing() {
            receive.conclude(&self.conn);
        }
    }

    /// Pings the silent and gives up the dead.
    ///
    /// Silence counts only while somebody reads: a paused connection is not blamed.
    fn keep_alive(&mut self, stream: &Stream, now: u64) {
        let conn = &self.conn;
        let Some(interval) = conn.config.ping_interval() else { return };
        if conn.record.is_paused() || conn.record.ending_by() != 0 {
            conn.record.mark_life(now);
            self.pinged_at = 0;
            return;
        }
        let life = conn.record.last_life();
        if self.pinged_at == 0 || life >= self.pinged_at {
            self.pinged_at = 0;
            if now.saturating_sub(life) >= millis(interval) && !conn.outbox.is_closing() {
                conn.note(Mark::PingSent, 1);
                conn.send_control(FrameKind::Ping, b"");
                self.pinged_at = now;
            }
            return;
        }
        let Some(timeout) = conn.config.ping_timeout() else {
            // Nobody is given up, so the next ping may be due.
            if now.saturating_sub(self.pinged_at) >= millis(interval) {
                self.pinged_at = 0;
            }
            return;
        };
        if now.saturating_sub(self.pinged_at) < millis(timeout) {
            return;
        }
        // Bytes that wait are life that was not read yet: this thread may run before the one
        // that reads, above all when the whole process was held up.
        if stream.waiting_bytes() > 0 || conn.outbox.is_closing() {
            return;
        }
        log::info!("conn-{}: no life since it was pinged", conn.id());
        conn.give_up(close_code::INTERNAL, words::KEEPALIVE);
    }
}

/// True if the handler left its socket before the last but one tick.
///
/// Counted in ticks and not in time, because a tick may be late: a handler that has only just
/// left is never taken for one that is away.
fn is_away(conn: &Connection, before: u64) -> bool {
    let since = conn.record.away_since();
    since != 0 && since < before
}

/// True if the keeper is called as soon as there is something to decode. The socket says nothing
/// of what was received and not decoded, or decrypted and not taken.
fn is_read_awaited(conn: &Connection) -> bool {
    let has_unread = || conn.receive.try_lock().is_some_and(|receive| receive.has_unread());
    conn.is_read_watched() && !has_unread()
}

/// Reads for a handler that is away, then asks to be called when there is more.
fn read_for(conn: &Arc<Connection>, stream: &Stream) {
    // Locked means that the handler, or somebody asking for it, reads by itself.
    let Some(mut receive) = conn.receive.try_lock() else { return };
    if receive.is_full(conn) {
        if !conn.record.is_paused() {
            conn.note(Mark::Paused, 0);
        }
        conn.record.set_paused(true);
        return;
    }
    // One read a turn: whoever sends much comes again when the others have had theirs.
    receive.fill_for_keeper(conn);
    // What waits on this side of the socket is looked at with the next tick.
    if !receive.has_ended() && !receive.has_unread() {
        conn.watch_read(stream);
    }
    if receive.is_over() && receive.waiting_messages() == 0 {
        receive.conclude(conn);
    }
}

#[cfg(test)]
#[path = "keeper/tests.rs"]
mod tests;
