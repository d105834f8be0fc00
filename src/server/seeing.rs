//! What a `Handle` shows of its server, and what can be done to its connections.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::conn::connection::Connection;
use crate::conn::dismissals::Who;
use crate::conn::trace::Mark;
use crate::conn::{ClosedConnection, ConnectionInfo, TraceEvent};
use crate::deadline::Deadline;
use crate::error::Result;
use crate::route::Probe;
use crate::route::probe::{Pulse, Sight};
use crate::server::app::App;
use crate::server::metrics::Metrics;
use crate::server::run::Handle;
use crate::ws::close::CloseFrame;

/// How often the clock of a keeper that was woken is looked at.
const GLANCE: Duration = Duration::from_millis(2);

impl Handle {
    /// Everything that is counted of the server.
    ///
    /// # Blocking
    /// Never for a peer. It looks at every open WebSocket: about a millisecond for each 10,000.
    pub fn metrics(&self) -> Metrics {
        Metrics::read(&self.app)
    }

    /// The open WebSockets, in the order of their numbers.
    ///
    /// # Blocking
    /// Never for a peer.
    pub fn connections_now(&self) -> Vec<ConnectionInfo> {
        let all = self.app.shared.roll.connections();
        all.iter().filter_map(|conn| self.info(conn)).collect()
    }

    /// One open WebSocket, and the last 64 events of it; `None` if there is none of that number.
    ///
    /// # Blocking
    /// Never for a peer.
    pub fn connection(&self, id: u64) -> Option<(ConnectionInfo, Vec<TraceEvent>)> {
        let conn = self.app.shared.roll.find(id)?;
        let info = self.info(&conn)?;
        Some((info, conn.events()))
    }

    fn info(&self, conn: &Connection) -> Option<ConnectionInfo> {
        let groups = self.app.surroundings().hub.groups_of(conn.id());
        Some(ConnectionInfo { groups, ..conn.info()? })
    }

    /// The last 1,000 WebSockets that have ended, the last one first.
    ///
    /// # Blocking
    /// Never.
    pub fn closed_connections(&self) -> Vec<Arc<ClosedConnection>> {
        self.app.shared.roll.closed()
    }

    /// Begins the closing handshake of a WebSocket; false if there is none of that number, or it is
    /// closing already.
    ///
    /// # Blocking
    /// Never. The client has [`close_timeout`](crate::Config::close_timeout) to answer.
    ///
    /// # Units
    /// As [`WebSocket::close`](crate::WebSocket::close).
    ///
    /// # Errors
    /// As [`WebSocket::close`](crate::WebSocket::close); nothing was sent.
    pub fn close_connection(&self, id: u64, code: u16, reason: &str) -> Result<bool> {
        let frame = CloseFrame::new(code, reason)?;
        let Some(conn) = self.app.shared.roll.find(id) else { return Ok(false) };
        if conn.is_ending() {
            return Ok(false);
        }
        conn.note(Mark::Operator, 0);
        conn.close(frame);
        Ok(true)
    }

    /// Begins the closing handshake of every WebSocket of a user, and returns how many were open: for
    /// somebody who has logged out everywhere, or may not come in any more.
    ///
    /// Handshakes of the user that are in work are closed as soon as they are answered, and what
    /// [`BackendAuth`](crate::BackendAuth) has kept of its answers is not used again. Who comes back
    /// after that is asked who it is like anybody else: take the credentials away first, then call
    /// this. A token stays good until it expires.
    ///
    /// # Blocking
    /// Never for a peer. It looks at every open WebSocket: about a millisecond for each 10,000.
    ///
    /// # Units
    /// `name`: as [`Identity::name`](crate::Identity::name) of who comes in; `code` and `reason` as
    /// of [`WebSocket::close`](crate::WebSocket::close), 4401
    /// ([`close_code::TOKEN_EXPIRED`](crate::close_code::TOKEN_EXPIRED)) for instance.
    ///
    /// # Errors
    /// As [`WebSocket::close`](crate::WebSocket::close); nothing was sent.
    ///
    /// # Example
    /// ```
    /// use landline::{Handle, Result, close_code};
    ///
    /// fn bar(server: &Handle, user: &str) -> Result<()> {
    ///     let closed = server.close_user(user, close_code::POLICY, "barred")?;
    ///     println!("{user} had {closed} WebSockets open");
    ///     Ok(())
    /// }
    /// # let _ = bar;
    /// ```
    pub fn close_user(&self, name: &str, code: u16, reason: &str) -> Result<usize> {
        let frame = CloseFrame::new(code, reason)?;
        let shared = &self.app.shared;
        shared.dismissals.add(Who::User(name.into()), frame.clone());
        let all = shared.roll.connections();
        Ok(dismiss(all.into_iter().filter(|conn| conn.is_of(name)), &frame))
    }

    /// As [`close_user`](Self::close_user), of one session only: of somebody who has logged out in
    /// one browser and perhaps not in another.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Units
    /// `key`: as [`Identity::session_key`](crate::Identity::session_key) of who comes in; the others
    /// as there.
    ///
    /// # Errors
    /// As [`WebSocket::close`](crate::WebSocket::close); nothing was sent.
    pub fn close_session(&self, key: &str, code: u16, reason: &str) -> Result<usize> {
        let frame = CloseFrame::new(code, reason)?;
        let shared = &self.app.shared;
        let session = shared.dismissals.hash(key);
        shared.dismissals.add(Who::Session(session), frame.clone());
        let ids = shared.dismissals.of_session(session);
        Ok(dismiss(ids.into_iter().filter_map(|id| shared.roll.find(id)), &frame))
    }

    /// True if a message passes through every relay of the hub and back, and the keeper ticks: what
    /// [`Probe::alive`] says.
    ///
    /// # Blocking
    /// Until both are known, each at most for `time`.
    pub fn is_alive(&self, time: Duration) -> bool {
        let pulse = self.app.pulse(time);
        pulse.hub.is_some() && pulse.keeper
    }

    /// Why nothing new should be sent to this server: `draining`, `stopping` or `full`; `None` if it
    /// should.
    /// What [`Probe::ready`] says.
    ///
    /// # Blocking
    /// Never.
    pub fn reluctance(&self) -> Option<&'static str> {
        Sight::reluctance(&*self.app)
    }
}

/// Closes those that are not closing already, and counts them.
fn dismiss(conns: impl Iterator<Item = Arc<Connection>>, frame: &CloseFrame) -> usize {
    let open = conns.filter(|conn| !conn.is_ending());
    open.map(|conn| {
        conn.note(Mark::Operator, 0);
        conn.close(frame.clone());
    })
    .count()
}

impl Probe {
    /// The same question about another server of this process: for probes on a listener of their
    /// own.
    #[must_use]
    pub fn of(self, handle: &Handle) -> Self {
        self.look_at(Arc::clone(&handle.app) as Arc<dyn Sight>)
    }
}

impl Sight for App {
    fn pulse(&self, time: Duration) -> Pulse {
        let keeper = self.keeper_ticks(Deadline::after(time));
        Pulse { keeper, hub: self.surroundings().hub.core.pass_through(Deadline::after(time)) }
    }

    fn reluctance(&self) -> Option<&'static str> {
        if self.stats.is_stopping() {
            return Some("stopping");
        }
        if self.stats.is_draining() {
            return Some("draining");
        }
        (self.stats.open() >= self.stats.limit()).then_some("full")
    }

    fn figures(&self) -> String {
        Metrics::read(self).to_prometheus()
    }
}

impl App {
    /// True if the keeper moves its clock. It sleeps while there is nobody to look after, so it is
    /// woken.
    ///
    /// # Blocking
    /// Until it does or the deadline has passed.
    fn keeper_ticks(&self, deadline: Deadline) -> bool {
        let clock = &self.shared.clock;
        let before = clock.coarse();
        while clock.coarse() <= before {
            if deadline.is_past() {
                return false;
            }
            self.shared.poller.wake();
            thread::sleep(GLANCE);
        }
        true
    }
}
