//! What every connection of a server needs to know.

use std::sync::Arc;

use crate::route::auth::Auth;
use crate::sync::Mutex;

use crate::conn::connection::Shared;
use crate::conn::keeper::Keeper;
use crate::route::hosts::Hosts;
use crate::route::request::Surroundings;
use crate::route::router::Router;
use crate::server::serve::Arrival;
use crate::server::spare::SpareThreads;
use crate::server::stats::Stats;

/// The application and the machinery around it, shared by all threads of a server.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) router: Router,
    pub(crate) hosts: Hosts,
    /// Who may come in where a route does not say, see `Handle::reload_auth`.
    pub(crate) auth: Mutex<Option<Arc<Auth>>>,
    /// What requests can reach.
    pub(crate) surroundings: Arc<Surroundings>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) keeper: Keeper,
    pub(crate) stats: Arc<Stats>,
    pub(crate) spares: Arc<SpareThreads<Box<Arrival>>>,
}
