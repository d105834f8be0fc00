//! Limits and times of one connection: those of its beginning, until a request comes after others
//! were given to the server.
//!
//! An HTTP connection may wait for hours between two requests. The request that comes then, and the
//! WebSocket that may come of it, are to have what is in force at that moment. That request is the
//! last one of its connection, so this happens once.

use std::ops::Deref;
use std::sync::Arc;

use once_cell::race::OnceBox;

use crate::config::Config;

/// Reads as a [`Config`].
#[derive(Debug)]
pub(crate) struct OwnConfig {
    first: Arc<Config>,
    last: OnceBox<Arc<Config>>,
}

impl OwnConfig {
    pub(crate) fn new(config: Arc<Config>) -> Self {
        Self { first: config, last: OnceBox::new() }
    }

    /// True if these are the same limits and times, and not only equal ones.
    pub(crate) fn is(&self, config: &Arc<Config>) -> bool {
        Arc::ptr_eq(self.last.get().unwrap_or(&self.first), config)
    }

    /// Takes others over; only the first time does something.
    pub(super) fn renew(&self, config: Arc<Config>) {
        // An error says that it has happened before.
        let _ = self.last.set(Box::new(config));
    }
}

impl Deref for OwnConfig {
    type Target = Config;

    fn deref(&self) -> &Config {
        self.last.get().unwrap_or(&self.first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_force_changes_once() {
        let config = |bytes| Arc::new(Config::default().with_message_bytes(bytes));
        let (first, second) = (config(1), config(2));
        let own = OwnConfig::new(Arc::clone(&first));
        assert!(own.is(&first) && !own.is(&config(1)) && own.message_bytes() == 1);
        own.renew(Arc::clone(&second));
        assert!(own.is(&second) && !own.is(&first) && own.message_bytes() == 2);
        own.renew(first);
        assert!(own.is(&second));
    }
}
