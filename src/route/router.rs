//! From a path to its handler.

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::http::refusal::Refusal;
use crate::route::handler::Handler;
use crate::route::pattern::{Params, Pattern};

/// The routes of a server, in the order they were added: the first match counts.
#[derive(Default)]
pub(crate) struct Router {
    routes: Vec<Route>,
    accepts_all: bool,
}

/// One route.
pub(crate) struct Route {
    pattern: Pattern,
    /// The pattern as it was written.
    name: Arc<str>,
    handler: Box<dyn Handler>,
}

impl Router {
    /// Adds a route.
    ///
    /// # Errors
    /// `Config`: the pattern is wrong, or matches just what an earlier one matches.
    pub(crate) fn add(&mut self, source: &str, handler: Box<dyn Handler>) -> Result<()> {
        let pattern = Pattern::parse(source)?;
        if let Some(other) = self.routes.iter().find(|route| route.pattern.same_shape(&pattern)) {
            let text = format!(
                "route {source:?} can never match: {:?} comes first",
                other.pattern.source()
            );
            return Err(Error::new(ErrorKind::Config, text));
        }
        self.routes.push(Route { pattern, name: source.into(), handler });
        Ok(())
    }

    /// Lets every route accept WebSocket handshakes.
    pub(crate) fn accept_all(&mut self, accepts: bool) {
        self.accepts_all = accepts;
    }

    /// The route for a path, with its parameters.
    pub(crate) fn find(&self, path: &str) -> Result<(&Route, Params), Refusal> {
        let mut routes = self.routes.iter();
        let found = routes.find_map(|route| Some((route, route.pattern.matches(path)?)));
        found.ok_or_else(Refusal::not_found)
    }

    /// True if a handshake on this route is wanted.
    pub(crate) fn accepts_websocket(&self, route: &Route) -> bool {
        self.accepts_all || route.handler.speaks_websocket()
    }
}

impl Route {
    /// The pattern, as it was written.
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn handler(&self) -> &dyn Handler {
        &*self.handler
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.routes.iter().map(|route| route.pattern.source())).finish()
    }
}
