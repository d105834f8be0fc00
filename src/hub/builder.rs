//! How a hub is put together.

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::conn::overflow::Overflow;
use crate::hub::core::Core;
use crate::hub::handle::Hub;
use crate::hub::history::Store;
use crate::hub::policy::Policies;
use crate::hub::presence::{Announce, PresenceChange, Presences};
use crate::hub::registry::Registry;
use crate::ws::Message;

/// How long a user may be without a connection before it counts as gone.
const PRESENCE_GRACE: Duration = Duration::from_secs(2);

/// Most relays by default: more help only where groups have thousands of members.
const MOST_RELAYS: usize = 4;

/// How the channels of facilities store by default: ws4redis keeps the last message, for an hour.
const HISTORY: Store = Store { keep: 1, expire: Duration::from_secs(3600) };

/// Collects the settings of a hub; made by [`Hub::builder`].
#[derive(Clone)]
pub struct HubBuilder {
    policies: Policies,
    relays: usize,
    grace: Duration,
    announce: Option<Announce>,
    history: Store,
}

impl Default for HubBuilder {
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self {
            policies: Policies::default(),
            relays: cores.clamp(2, MOST_RELAYS),
            grace: PRESENCE_GRACE,
            announce: None,
            history: HISTORY,
        }
    }
}

impl HubBuilder {
    /// What happens to members that do not keep up. Default: [`Overflow::Disconnect`].
    #[must_use]
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.policies.default = overflow;
        self
    }

    /// The same for some groups: a name, or the beginning of names before a final `*`
    /// (`prices/*`). The first that fits counts. Channels of facilities are named as in ws4redis:
    /// `broadcast:news`, `user:anna:news`.
    ///
    /// # Source
    /// Channels' `channel_capacity` with its patterns.
    #[must_use]
    pub fn overflow_for(mut self, pattern: &str, overflow: Overflow) -> Self {
        self.policies.add(pattern, overflow);
        self
    }

    /// How many threads carry messages to members, from 1 to 256. Default: one per core, but not
    /// fewer than 2 and not more than 4. They start with the first message.
    #[must_use]
    pub fn relays(mut self, number: usize) -> Self {
        self.relays = number.clamp(1, 256);
        self
    }

    /// How long a user may be without a connection before it counts as gone. Default 2 s.
    #[must_use]
    pub fn presence_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Tells the members of a group when a user comes or goes, with the message that `announce`
    /// makes of it; `None` tells nothing.
    ///
    /// The messages go out in the order of [`PresenceChange::sequence`]. `announce` runs on a
    /// thread of the hub's own, without any lock, and holds up the other announcements while it
    /// runs. An announcement is sent without waiting for any client; one that the hub's threads do
    /// not take within 10 s is given up and logged.
    #[must_use]
    pub fn announce(
        mut self,
        announce: impl Fn(&PresenceChange) -> Option<Message> + Send + Sync + 'static,
    ) -> Self {
        self.announce = Some(Arc::new(announce));
        self
    }

    /// How many messages of each channel of a facility are kept for those who come later, and for
    /// how long, unless a [`Publisher`](crate::Publisher) says otherwise. Default: 1, for an hour;
    /// 0 stores nothing.
    ///
    /// # Source
    /// ws4redis' setting `WS4REDIS_EXPIRE`; it kept one message.
    #[must_use]
    pub fn history(mut self, keep: usize, expire: Duration) -> Self {
        self.history = Store { keep, expire };
        self
    }

    /// Makes the hub.
    ///
    /// # Blocking
    /// Never.
    pub fn build(self) -> Hub {
        let presences = Presences::new(self.grace, self.announce);
        let registry = Registry::new(self.policies, Arc::clone(&presences));
        Hub::new_with(Core::new(registry, presences, self.history, self.relays))
    }
}

impl fmt::Debug for HubBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubBuilder")
            .field("policies", &self.policies)
            .field("relays", &self.relays)
            .field("presence_grace", &self.grace)
            .finish_non_exhaustive()
    }
}
