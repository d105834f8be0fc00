//! How a server is put together.

use std::fmt;
use std::net::ToSocketAddrs;
use std::sync::{Arc, Weak};

use crate::config::Config;
use crate::conn::connection::Shared;
use crate::conn::groups::Groups;
use crate::conn::keeper::Keeper;
use crate::error::{Error, ErrorKind, Result};
use crate::http::{Networks, ProxyHeaders, Templates};
use crate::hub::Hub;
use crate::net::ceiling::HostCeiling;
use crate::route::auth::GroupSigner;
use crate::route::hosts::Hosts;
use crate::route::probe::{Sight, Sighted};
use crate::route::proxies::Proxies;
use crate::route::request::Surroundings;
use crate::route::router::Router;
use crate::route::{Auth, Handler};
use crate::server::app::App;
use crate::server::complaints::Complaints;
use crate::server::counts::HttpCounts;
use crate::server::run::Server;
use crate::server::stats::Stats;
use crate::server::threads::Threads;
use crate::sync::Mutex;
use crate::ws::Origins;

/// Collects routes and settings; made by [`Server::builder`], ended by [`bind`](Self::bind), the
/// only call that may block or fail.
#[derive(Default)]
pub struct Builder {
    config: Config,
    routes: Vec<(String, Box<dyn Handler>)>,
    templates: Templates,
    origins: Origins,
    hosts: Hosts,
    auth: Option<Auth>,
    group_signer: Option<GroupSigner>,
    accepts_all: bool,
    hub: Hub,
    proxies: Proxies,
}

impl Builder {
    /// Limits and timeouts. Default: [`Config::default`].
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Adds a route; the first one that matches a path serves it.
    ///
    /// # Units
    /// A pattern is literal text with parameters: `<room>` or `<str:room>` (one segment),
    /// `<int:id>` (digits that fit 64 bits), `<slug:name>` (ASCII letters, digits, `-`, `_`),
    /// `<uuid:id>`, `<path:rest>` (the rest, slashes included; last only). A trailing slash is
    /// optional, in the pattern and in the path. A wrong pattern is reported by
    /// [`bind`](Self::bind).
    #[must_use]
    pub fn route(mut self, pattern: impl Into<String>, handler: impl Handler) -> Self {
        self.routes.push((pattern.into(), Box::new(handler)));
        self
    }

    /// The templates for [`Request::render`](crate::Request::render). Default: none.
    #[must_use]
    pub fn templates(mut self, templates: Templates) -> Self {
        self.templates = templates;
        self
    }

    /// Which web pages may open a WebSocket. Default: [`Origins::same_host`].
    #[must_use]
    pub fn origins(mut self, origins: Origins) -> Self {
        self.origins = origins;
        self
    }

    /// Who may come in, on every route that does not say otherwise itself. Default: everybody.
    ///
    /// # Example
    /// ```
    /// use landline::{Server, TrustedHeader, get};
    ///
    /// # fn main() -> landline::Result<()> {
    /// // A proxy on this machine has its users log in, and says who they are.
    /// let proxy = TrustedHeader::new("X-Remote-User", "127.0.0.1, ::1".parse()?)?;
    /// let builder = Server::builder().authenticate(proxy).route("/", get(|_: &_| "welcome"));
    /// # let _ = builder;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn authenticate(mut self, auth: impl Into<Auth>) -> Self {
        self.auth = Some(auth.into());
        self
    }

    /// The key for signed names of groups. Default: none, a signed name is not understood.
    #[cfg(feature = "auth")]
    #[must_use]
    pub fn group_signer(mut self, signer: GroupSigner) -> Self {
        self.group_signer = Some(signer);
        self
    }

    /// The host names this server answers to, besides those of loopback; others get 421.
    ///
    /// Default: every name, but on a loopback address only `localhost`, `*.localhost`,
    /// `127.0.0.0/8` and `[::1]`, so that no foreign page can reach a local server by a name of
    /// its own (DNS rebinding).
    ///
    /// # Units
    /// Names without port; `.example.com` means the name and its subdomains, `*` every name.
    #[must_use]
    pub fn allowed_hosts<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.hosts = Hosts::listed(names.into_iter().map(Into::into));
        self
    }

    /// The proxies in front of this server: what they say about clients is believed, and nobody
    /// else. Default: none.
    ///
    /// By itself this changes nothing but who may use a listener that
    /// [expects the PROXY protocol](Server::expect_proxy_protocol);
    /// [`proxy_headers`](Self::proxy_headers) says what else is read.
    ///
    /// # Source
    /// uvicorn's `--forwarded-allow-ips`
    #[must_use]
    pub fn trusted_proxies(mut self, networks: Networks) -> Self {
        self.proxies.trusted = networks;
        self
    }

    /// Which header fields of [trusted proxies](Self::trusted_proxies) say for whom a request is:
    /// [`Request::client`](crate::Request::client), [`Request::scheme`](crate::Request::scheme)
    /// and [`Request::host`](crate::Request::host) follow them, and limits for each address count
    /// the client that they name. Default: [`ProxyHeaders::Off`].
    ///
    /// # Source
    /// uvicorn's `--proxy-headers`
    #[must_use]
    pub fn proxy_headers(mut self, headers: ProxyHeaders) -> Self {
        self.proxies.headers = headers;
        self
    }

    /// The groups of this server's connections. Default: a hub of its own, with the default
    /// settings. Several servers may share one.
    #[must_use]
    pub fn hub(mut self, hub: Hub) -> Self {
        self.hub = hub;
        self
    }

    /// Lets handlers without a wrapper accept WebSocket handshakes too. Default: false, they
    /// are refused with 400.
    ///
    /// # Source
    /// dwebsocket's setting `WEBSOCKET_ACCEPT_ALL`.
    #[must_use]
    pub fn accept_all(mut self, accepts: bool) -> Self {
        self.accepts_all = accepts;
        self
    }

    /// Checks the routes and listens on the first address; [`Server::bind`] adds more.
    ///
    /// # Blocking
    /// For the resolution of a host name, if one is given.
    ///
    /// # Errors
    /// - `Config`: a route is wrong or can never match; the text names it.
    /// - `Bind`: the address is wrong, in use or not permitted; the text names it.
    /// - `Io`: the operating system refuses what every server needs.
    pub fn bind(self, address: impl ToSocketAddrs + fmt::Debug) -> Result<Server> {
        self.build()?.bind(address)
    }

    /// Checks the routes and makes a server that does not listen yet; see [`Server::bind`] and its
    /// kin.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Errors
    /// - `Config`: a route is wrong or can never match; the text names it.
    /// - `Io`: the operating system refuses what every server needs.
    pub fn build(self) -> Result<Server> {
        let mut router = Router::default();
        for (pattern, handler) in self.routes {
            router.add(&pattern, handler)?;
        }
        router.accept_all(self.accepts_all);
        let limit = admitted(self.config.max_connections());
        let stats = Arc::new(Stats::new(limit, &self.config));
        let failed =
            |error| Error::new(ErrorKind::Io, "cannot start the keeper").with_source(error);
        let config = Arc::new(self.config);
        let groups = Arc::downgrade(&self.hub.core) as Weak<dyn Groups>;
        let surroundings = Surroundings {
            templates: self.templates,
            hub: self.hub,
            origins: self.origins,
            auth: self.auth,
            group_signer: self.group_signer,
            hosts: self.hosts,
            config: Arc::clone(&config),
            proxies: self.proxies,
            users: Arc::default(),
            sighted: Sighted::default(),
        };
        let shared = Arc::new(Shared::new(config, groups).map_err(failed)?);
        let app = App {
            router,
            surroundings: Mutex::new(Arc::new(surroundings)),
            keeper: Keeper::start(Arc::clone(&shared)).map_err(failed)?,
            shared,
            stats,
            counts: HttpCounts::default(),
            threads: Arc::new(Threads::default()),
            complaints: Complaints::default(),
        };
        let app = Arc::new(app);
        app.surroundings().sighted.set(Arc::downgrade(&app) as Weak<dyn Sight>);
        Ok(Server::new(app))
    }
}

/// Most connections to admit: the wish, as far as the process survives it, or what fits.
pub(super) fn admitted(wish: Option<usize>) -> usize {
    let ceiling = HostCeiling::now();
    let Some(wish) = wish else { return ceiling.connections() };
    if let Some(lowest) = ceiling.lowest().filter(|lowest| wish > lowest.connections()) {
        log::warn!(
            "a limit of {wish} connections is more than this host holds: {} for want of {}",
            lowest.connections(),
            lowest.kind()
        );
    }
    wish.min(ceiling.hard())
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let routes: Vec<&str> = self.routes.iter().map(|(pattern, _)| pattern.as_str()).collect();
        f.debug_struct("Builder").field("routes", &routes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_beyond_the_memory_maps_is_cut() {
        assert_eq!(admitted(Some(1)), 1);
        assert_eq!(admitted(Some(usize::MAX)), HostCeiling::now().hard());
    }
}
