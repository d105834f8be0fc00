//! What every connection of a server needs to know.

use std::sync::Arc;

use crate::conn::connection::Shared;
use crate::conn::keeper::Keeper;
use crate::http::Templates;
use crate::hub::Hub;
use crate::route::hosts::Hosts;
use crate::route::router::Router;
use crate::server::stats::Stats;
use crate::ws::Origins;

/// The application and the machinery around it, shared by all threads of a server.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) router: Router,
    pub(crate) templates: Templates,
    pub(crate) origins: Origins,
    pub(crate) hosts: Hosts,
    pub(crate) hub: Hub,
    pub(crate) shared: Arc<Shared>,
    pub(crate) keeper: Keeper,
    pub(crate) stats: Arc<Stats>,
}
