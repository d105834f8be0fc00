//! What can be changed while a server runs.
//!
//! A value that requests need stands in [`Surroundings`], or behind it in an `Arc` of its own. A
//! reload makes a copy with the new value and puts it in the place of the old one, under a lock
//! that a connection takes once for each request and never for a message. So whoever has begun ends
//! with what it began with, nobody sees half a change, and the old value goes with its last user.
//!
//! To make something reloadable: keep it there, read it from `request.surroundings()` or from
//! `App::surroundings`, and add a method here. What a thread that waits holds (a listener, the
//! limits of [`Stats`](super::stats::Stats)) has an own place that is swapped or an atomic.

use std::sync::Arc;

use crate::config::Config;
use crate::http::{Networks, ProxyHeaders, Templates};
use crate::route::Auth;
#[cfg(feature = "auth")]
use crate::route::GroupSigner;
use crate::route::hosts::Hosts;
use crate::route::proxies::Proxies;
use crate::route::request::Surroundings;
use crate::server::builder::admitted;
use crate::server::run::Handle;
use crate::ws::Origins;

impl Handle {
    /// Gives the server other limits and times.
    ///
    /// They hold for every request that comes from now on, and for a WebSocket that begins with one.
    /// A WebSocket that is open keeps its own; an HTTP connection that was open before ends with its
    /// next answer. The most open
    /// connections count at once, for the next that comes: who is in stays in. The same limits and
    /// times once more change nothing.
    ///
    /// # Blocking
    /// Never.
    pub fn reload_config(&self, config: Config) {
        let limit = admitted(config.max_connections());
        self.app.stats.reload(limit, &config, self.app.shared.clock.now());
        if *self.app.shared.config() == config {
            return;
        }
        let config = Arc::new(config);
        self.app.shared.reload_config(Arc::clone(&config));
        self.change(|surroundings| surroundings.config = config);
    }

    /// Gives the requests to come other templates.
    ///
    /// # Blocking
    /// Never.
    pub fn reload_templates(&self, templates: Templates) {
        self.change(|surroundings| surroundings.templates = templates);
    }

    /// Changes which web pages may open a WebSocket; those that are open stay open.
    ///
    /// # Blocking
    /// Never.
    pub fn reload_origins(&self, origins: Origins) {
        self.change(|surroundings| surroundings.origins = origins);
    }

    /// Changes the host names that the server answers to, as
    /// [`Builder::allowed_hosts`](crate::Builder::allowed_hosts) sets them; `None` goes back to
    /// the default that is described there.
    ///
    /// # Blocking
    /// Never.
    pub fn reload_allowed_hosts(&self, names: Option<Vec<String>>) {
        let hosts = names.map_or_else(Hosts::default, Hosts::listed);
        self.change(|surroundings| surroundings.hosts = hosts);
    }

    /// Changes which proxies are trusted and which of their header fields are read, for connections
    /// and requests to come: see [`Builder::trusted_proxies`](crate::Builder::trusted_proxies) and
    /// [`Builder::proxy_headers`](crate::Builder::proxy_headers).
    ///
    /// # Blocking
    /// Never.
    pub fn reload_proxies(&self, trusted: Networks, headers: ProxyHeaders) {
        self.change(|surroundings| surroundings.proxies = Proxies { trusted, headers });
    }

    /// Changes who may come in on routes that do not say so themselves; `None` for everybody. It
    /// counts for the next request of every connection; a WebSocket that is open stays so.
    ///
    /// Keys and users in files are read again by `reload` of who uses them.
    ///
    /// # Blocking
    /// Never.
    pub fn reload_auth(&self, auth: Option<Auth>) {
        self.change(|surroundings| surroundings.auth = auth);
    }

    /// Changes the key for signed names of groups; `None` understands none any more.
    ///
    /// # Blocking
    /// Never.
    #[cfg(feature = "auth")]
    pub fn reload_group_signer(&self, signer: Option<GroupSigner>) {
        self.change(|surroundings| surroundings.group_signer = signer);
    }

    /// Puts changed surroundings in the place of those that requests have taken so far.
    fn change(&self, change: impl FnOnce(&mut Surroundings)) {
        let mut current = self.app.surroundings.lock();
        let mut surroundings = Surroundings::clone(&current);
        change(&mut surroundings);
        let old = std::mem::replace(&mut *current, Arc::new(surroundings));
        drop(current);
        // What only the old ones held, templates with code of the application, goes without a lock.
        drop(old);
    }
}
