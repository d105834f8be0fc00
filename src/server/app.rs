//! What every connection of a server needs to know.

use std::sync::Arc;

use crate::conn::connection::Shared;
use crate::conn::keeper::Keeper;
use crate::route::request::Surroundings;
use crate::route::router::Router;
use crate::server::counts::HttpCounts;
use crate::server::serve::Arrival;
use crate::server::spare::SpareThreads;
use crate::server::stats::Stats;
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
    pub(crate) spares: Arc<SpareThreads<Box<Arrival>>>,
}

impl App {
    /// What the next request can reach.
    pub(crate) fn surroundings(&self) -> Arc<Surroundings> {
        Arc::clone(&self.surroundings.lock())
    }
}
