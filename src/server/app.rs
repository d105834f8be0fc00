//! What every connection of a server needs to know.

use std::net::IpAddr;
use std::sync::Arc;

use crate::conn::RefusalReason;
use crate::conn::connection::Shared;
use crate::conn::keeper::Keeper;
use crate::route::request::Surroundings;
use crate::route::router::Router;
use crate::server::complaints::Complaints;
use crate::server::counts::HttpCounts;
use crate::server::stats::Stats;
use crate::server::threads::Threads;
use crate::sync::Mutex;

/// The application and the machinery around it, shared by all threads of a server.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) router: Router,
    /// What requests can reach; a reload puts another one here.
    pub(crate) surroundings: Mutex<Arc<Surroundings>>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) keeper: Keeper,
    pub(crate) stats: Arc<Stats>,
    pub(crate) counts: HttpCounts,
    pub(crate) threads: Arc<Threads>,
    /// Of clients that are turned away.
    pub(crate) complaints: Complaints,
}

impl App {
    /// Counts a client that is turned away, and complains.
    pub(crate) fn note_refusal(&self, reason: RefusalReason, peer: IpAddr) {
        self.shared.refusals.count(reason);
        self.complaints.say(reason, || match reason {
            RefusalReason::Full => {
                format!("full with {} connections; answering 503", self.stats.limit())
            }
            RefusalReason::AddressFull => format!("{peer} has too many connections; answering 503"),
            RefusalReason::TooFast => "new connections come too fast; answering 503".to_owned(),
            RefusalReason::AddressTooFast => {
                format!("new connections of {peer} come too fast; refusing some")
            }
            RefusalReason::Silent => {
                "too many connections have sent no request yet; answering 503 to the oldest".into()
            }
            other => format!("{peer} is turned away: {}", other.as_str()),
        });
    }

    /// What the next request can reach.
    pub(crate) fn surroundings(&self) -> Arc<Surroundings> {
        Arc::clone(&self.surroundings.lock())
    }
}
