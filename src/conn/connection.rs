//! One connection as everybody who holds it sees it: its thread, the keeper, senders.
//!
//! # Locks
//! `receive` (held by a waiting handler while it blocks in `recv`; others only ever try it), then
//! the outbox's send lock, then `watch`. `stream` is taken alone; the mailbox has a lock of its own,
//! under which no other is taken. See `docs/ARCHITECTURE.md`.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::thread;

use once_cell::race::OnceBox;

use crate::config::Config;
use crate::conn::buffers::Buffers;
use crate::conn::dismissals::Dismissals;
use crate::conn::expiry::Expiries;
use crate::conn::groups::Groups;
use crate::conn::hold::Holders;
use crate::conn::mailbox::Mailbox;
use crate::conn::outbox::Outbox;
use crate::conn::own_config::OwnConfig;
use crate::conn::receive::Receive;
use crate::conn::record::{Clock, Phase, Record};
use crate::conn::refusals::Refusals;
use crate::conn::roll::Roll;
use crate::conn::story::Story;
use crate::conn::traffic::Heard;
use crate::error::{Error, ErrorKind, Result};
use crate::histogram::Histogram;
use crate::net::peer::Peer;
use crate::net::poll::{Interest, Poller};
use crate::net::stream::Stream;
use crate::sync::Mutex;
use crate::sync::atomic::AtomicU64;
use crate::ws::deflate::pools::Pools;

/// Compressors, and inflaters, that are kept for the next message.
const SPARE_PER_CORE: usize = 2;

/// What all connections of a server share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// For requests and connections to come; a WebSocket that is open keeps what it began with.
    config: Mutex<Arc<Config>>,
    pub(crate) clock: Clock,
    pub(crate) poller: Poller,
    /// Large read buffers.
    pub(crate) buffers: Buffers,
    /// The connections that hold replies back.
    pub(crate) holders: Holders,
    /// The connections that may stay open until a certain moment.
    pub(crate) expiries: Expiries,
    /// Who was told to go, and the connections of sessions.
    pub(crate) dismissals: Dismissals,
    /// Compressors and inflaters between two messages.
    pub(crate) pools: Arc<Pools>,
    /// Held by the server: a forgotten `Sender` or `Member` keeps a connection's record, and must
    /// not keep a hub with its threads and messages.
    groups: Weak<dyn Groups>,
    /// Connections given up because the client stopped reading.
    pub(crate) slow_clients: AtomicU64,
    /// Connections closed because the client went on sending faster than it may.
    pub(crate) fast_clients: AtomicU64,
    /// Clients that were turned away.
    pub(crate) refusals: Refusals,
    /// Who is connected, and who was.
    pub(crate) roll: Roll,
    /// How long handlers are away with a message; one of each connection and second.
    pub(crate) handler_times: Histogram,
}

impl Shared {
    pub(crate) fn new(
        config: impl Into<Arc<Config>>,
        groups: Weak<dyn Groups>,
    ) -> io::Result<Self> {
        let (clock, poller) = (Clock::new(), Poller::new()?);
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            config: Mutex::new(config.into()),
            clock,
            poller,
            groups,
            buffers: Buffers::new(),
            holders: Holders::default(),
            expiries: Expiries::default(),
            dismissals: Dismissals::default(),
            pools: Arc::new(Pools::new(SPARE_PER_CORE * cores)),
            slow_clients: AtomicU64::new(0),
            fast_clients: AtomicU64::new(0),
            refusals: Refusals::default(),
            roll: Roll::default(),
            handler_times: Histogram::default(),
        })
    }

    /// Limits and times of a connection that begins now.
    pub(crate) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.lock())
    }

    /// Gives connections to come other limits and times.
    pub(crate) fn reload_config(&self, config: Arc<Config>) {
        *self.config.lock() = config;
    }

    /// The hub; `None` once neither a server nor the application has it.
    pub(crate) fn groups(&self) -> Option<Arc<dyn Groups>> {
        self.groups.upgrade()
    }
}

/// One connection, from its acceptance to its end.
#[derive(Debug)]
pub(crate) struct Connection {
    id: u64,
    peer: Peer,
    /// The address that a PROXY header names; most have none.
    proxied: OnceBox<SocketAddr>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) config: OwnConfig,
    pub(crate) record: Record,
    pub(crate) receive: Mutex<Receive>,
    /// What came in, written with the receive half's lock held.
    pub(crate) heard: Heard,
    pub(crate) outbox: Outbox,
    /// Group messages for the handler; made at the first use, since it costs a descriptor.
    mailbox: OnceBox<Mailbox>,
    /// For those who end the connection from outside; gone once it is over, so that a forgotten
    /// `Sender` holds no descriptor.
    stream: Mutex<Option<Arc<Stream>>>,
    watch: Mutex<Watch>,
    /// What is told of a WebSocket; taken last.
    pub(super) story: Mutex<Option<Box<Story>>>,
}

/// What the poller was asked to watch.
#[derive(Debug, Default)]
struct Watch {
    known: bool,
    interest: Interest,
}

impl Connection {
    pub(crate) fn new(id: u64, stream: Arc<Stream>, shared: Arc<Shared>) -> Self {
        let config = shared.config();
        Self {
            id,
            peer: stream.peer(),
            proxied: OnceBox::new(),
            record: Record::new(),
            receive: Mutex::new(Receive::new(&config)),
            outbox: Outbox::new(),
            mailbox: OnceBox::new(),
            stream: Mutex::new(Some(stream)),
            watch: Mutex::new(Watch::default()),
            heard: Heard::default(),
            story: Mutex::new(None),
            config: OwnConfig::new(config),
            shared,
        }
    }

    /// Takes over limits and times that the server was given after the connection began; before
    /// there is a WebSocket.
    pub(crate) fn renew_config(&self, config: Arc<Config>) {
        *self.receive.lock() = Receive::new(&config);
        self.config.renew(config);
    }

    /// The number that stands in every log line and in the system's name for the thread.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// The other end, or for whom a proxy says that the connection is.
    pub(crate) fn peer(&self) -> Peer {
        self.proxied.get().map_or(self.peer, |client| Peer::from(*client))
    }

    /// Takes note of whom a PROXY header names; the first counts.
    pub(crate) fn set_peer(&self, client: SocketAddr) {
        let _ = self.proxied.set(Box::new(client));
    }

    /// The socket, until the connection is over.
    pub(crate) fn stream(&self) -> Option<Arc<Stream>> {
        self.stream.lock().clone()
    }

    /// The inbox for group messages, made if there is none yet.
    ///
    /// # Errors
    /// `Io`: there is no descriptor for it. `Closed`: the connection is over.
    pub(crate) fn open_mailbox(&self) -> Result<&Mailbox> {
        if let Some(mailbox) = self.mailbox.get() {
            return Ok(mailbox);
        }
        if self.stream().is_none() {
            return Err(Error::new(ErrorKind::Closed, "the connection is over"));
        }
        let mailbox = Mailbox::new(&self.config).map_err(|error| {
            Error::new(ErrorKind::Io, "cannot make an inbox for group messages").with_source(error)
        })?;
        // If two threads make one, the second is dropped again.
        Ok(self.mailbox.get_or_init(|| Box::new(mailbox)))
    }

    /// The inbox for group messages, if it is in use.
    pub(crate) fn mailbox(&self) -> Option<&Mailbox> {
        self.mailbox.get()
    }

    /// No handler is left to take group messages.
    pub(crate) fn close_mailbox(&self) {
        if let Some(mailbox) = self.mailbox() {
            mailbox.close();
        }
    }

    /// Lets go of the socket everywhere; the descriptor closes with its last user.
    pub(crate) fn release(&self) {
        if self.record.phase() == Phase::WebSocket {
            self.leave_groups();
            self.shared.expiries.remove(self.id);
            self.shared.dismissals.leave(self.id);
        }
        self.close_mailbox();
        self.receive.lock().release();
        self.outbox.release();
        self.stream.lock().take();
        // Nothing is counted any more.
        if self.has_story() {
            self.shared.roll.close(self);
        }
    }

    /// Ends what the connection has in the hub; again, it does nothing.
    pub(super) fn leave_groups(&self) {
        if let Some(groups) = self.shared.groups() {
            groups.ended(self.id);
        }
    }

    /// True while a handler blocks in `recv` and whoever wants to read must not wait for it.
    pub(crate) fn is_waiting(&self) -> bool {
        self.record.is_waiting()
    }

    /// Has the keeper called when the socket can be read.
    pub(crate) fn watch_read(&self, stream: &Stream) {
        self.watch(stream, |interest| interest.read = true);
    }

    /// Has the keeper called when the socket can be written.
    pub(crate) fn watch_write(&self, stream: &Stream) {
        self.watch(stream, |interest| interest.write = true);
    }

    /// True if the keeper will be called for reading.
    pub(crate) fn is_read_watched(&self) -> bool {
        self.watch.lock().interest.read
    }

    /// Takes note that the poller fired and watches nothing any more; what was not ready is
    /// armed again.
    pub(crate) fn watch_fired(&self, stream: &Stream, fired: Interest) {
        let mut watch = self.watch.lock();
        watch.interest.read &= !fired.read;
        watch.interest.write &= !fired.write;
        if watch.interest != Interest::default() {
            self.arm(stream, &mut watch);
        }
    }

    fn watch(&self, stream: &Stream, add: impl FnOnce(&mut Interest)) {
        let mut watch = self.watch.lock();
        let before = watch.interest;
        add(&mut watch.interest);
        if watch.interest != before {
            self.arm(stream, &mut watch);
        }
    }

    fn arm(&self, stream: &Stream, watch: &mut Watch) {
        match self.shared.poller.arm(stream, self.id, watch.interest, watch.known) {
            Ok(()) => watch.known = true,
            Err(error) => {
                // Without readiness the keeper's tick still ends what is stuck.
                watch.interest = Interest::default();
                log::error!("conn-{}: cannot watch the socket: {error}", self.id);
            }
        }
    }
}
