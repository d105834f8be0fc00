//! Publishing by HTTP: who may, and its routes.
//!
//! Open to the programs of this machine while the server listens on loopback addresses only; as
//! soon as other machines can reach it, or a key is given, who publishes needs the key, unless it is
//! said aloud that nobody does (see `doors`).

use std::sync::{Arc, Mutex, PoisonError};

use landline::{Builder, PublishApi, Request, Result};

use crate::doors::others_are_meant;
use crate::settings::Said;

/// The flag, and the variable beside it.
const HOW: &str = "start the server with --publish-key (or LANDLINE_PUBLISH_KEY)";

/// What proxies add to a request.
const FORWARDED: [&str; 5] =
    ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"];

/// Who may publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    ThisMachine,
    WithTheKey,
    Nobody,
    Everybody,
}

/// The guarded routes.
#[derive(Clone, Debug)]
pub(crate) struct Publishing {
    /// Shared by all clones, as the access of the API is.
    who: Arc<Mutex<Who>>,
    api: PublishApi,
}

impl Publishing {
    /// Decides who may publish.
    ///
    /// # Errors
    /// `Config`: the key is too short, or cannot stand in a header.
    pub(crate) fn new(said: &Said) -> Result<Self> {
        let (who, api) = match &said.access.publish_key {
            Some(key) => (Who::WithTheKey, PublishApi::with_key(key.text())?),
            None if said.insecure.insecure_publish_without_key == Some(true) => {
                (Who::Everybody, PublishApi::open())
            }
            None if others_are_meant(said) => {
                let reason =
                    format!("Others can reach this server, so publishing needs a key: {HOW}.");
                (Who::Nobody, PublishApi::closed(reason))
            }
            None => (Who::ThisMachine, PublishApi::open()),
        };
        let who = Arc::new(Mutex::new(who));
        let rule = Arc::clone(&who);
        let api = api.allow(move |request, _| of(&rule) != Who::ThisMachine || is_direct(request));
        Ok(Self { who, api })
    }

    /// Takes over from another one who may publish, for the requests to come.
    pub(crate) fn reload(&self, from: &Self) {
        *self.who.lock().unwrap_or_else(PoisonError::into_inner) = from.who();
        self.api.reload_access(&from.api);
    }

    fn who(&self) -> Who {
        of(&self.who)
    }

    /// Adds the routes.
    pub(crate) fn routes(&self, builder: Builder) -> Builder {
        builder.route("/api/publish", self.api.clone()).route("/send/", self.api.by_get())
    }

    /// Who may publish, in words for log and banner.
    pub(crate) fn words(&self) -> &'static str {
        match self.who() {
            Who::ThisMachine => "open to programs of this machine",
            Who::WithTheKey => "with the key",
            Who::Nobody => "closed, since other machines can reach it; open it with --publish-key",
            Who::Everybody => "OPEN TO EVERYBODY, as --insecure-publish-without-key says",
        }
    }
}

fn of(who: &Mutex<Who>) -> Who {
    *who.lock().unwrap_or_else(PoisonError::into_inner)
}

/// True if a program of this machine asks for itself: what comes through a proxy of this machine may
/// come from anywhere.
fn is_direct(request: &Request) -> bool {
    let client = request.client();
    // A Unix socket has no address.
    let is_here = client.is_loopback() || client.is_unspecified();
    is_here && FORWARDED.iter().all(|name| request.headers().count(name) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Layer, Source};

    fn publishing(said: &[(&'static str, &str)]) -> Publishing {
        let mut layer = Layer::default();
        for (key, text) in said {
            let texts = text.split(',').map(str::to_owned).collect();
            layer.say(key, texts, Source::Flag);
        }
        Publishing::new(&Said::read(&layer).unwrap()).unwrap()
    }

    const KEY: (&str, &str) = ("publish_key", "0123456789abcdef");

    #[test]
    fn it_is_open_on_loopback_alone() {
        let who = |said: &[(&'static str, &str)]| publishing(said).who();
        assert_eq!(who(&[]), Who::ThisMachine);
        assert_eq!(who(&[("host", "127.0.0.1,::1,localhost")]), Who::ThisMachine);
        for public in ["0.0.0.0", "::", "192.0.2.1", "a.example", "127.0.0.1,::"] {
            assert_eq!(who(&[("host", public)]), Who::Nobody, "{public}");
            assert_eq!(who(&[("host", public), KEY]), Who::WithTheKey);
            let aloud = ("insecure_publish_without_key", "true");
            assert_eq!(who(&[("host", public), aloud]), Who::Everybody);
        }
        assert_eq!(who(&[("allowed_host", "a.example")]), Who::Nobody, "a proxy is in front");
        assert_eq!(who(&[KEY]), Who::WithTheKey);
    }

    #[test]
    fn a_reload_reaches_every_clone() {
        let first = publishing(&[]);
        let clone = first.clone();
        first.reload(&publishing(&[KEY]));
        assert_eq!(clone.who(), Who::WithTheKey);
    }
}
