//! Publishing by HTTP: who may, and its routes.
//!
//! Open to the programs of this machine while the server listens on loopback addresses only; as
//! soon as other machines can reach it, or a key is given, who publishes needs the key.

use std::net::SocketAddr;

use landline::{Builder, PublishApi, Result};

use crate::exit::{Exit, Failure};
use crate::values::{Host, Secret};

/// The flag, and the variable beside it.
const HOW: &str = "start the server with --publish-key (or LANDLINE_PUBLISH_KEY)";

/// Who may publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    ThisMachine,
    WithTheKey,
    Nobody,
}

/// The guarded routes.
#[derive(Clone, Debug)]
pub(crate) struct Publishing {
    who: Who,
    api: PublishApi,
}

impl Publishing {
    /// Decides who may publish.
    ///
    /// # Errors
    /// `Config`: the key is too short, or cannot stand in a header.
    pub(crate) fn new(key: Option<&Secret>, hosts: &[Host]) -> Result<Self> {
        let (who, api) = match key {
            Some(key) => (Who::WithTheKey, PublishApi::with_key(key.text())?),
            None if hosts.iter().any(Host::is_public) => {
                let reason = format!(
                    "Other machines can reach this server, so publishing needs a key: {HOW}."
                );
                (Who::Nobody, PublishApi::closed(reason))
            }
            None => (Who::ThisMachine, PublishApi::open()),
        };
        Ok(Self { who, api })
    }

    /// Adds the routes.
    pub(crate) fn routes(&self, builder: Builder) -> Builder {
        builder.route("/api/publish", self.api.clone()).route("/send/", self.api.by_get())
    }

    /// Who may publish, in words for log and banner.
    pub(crate) fn words(&self) -> &'static str {
        match self.who {
            Who::ThisMachine => "open to programs of this machine",
            Who::WithTheKey => "with the key",
            Who::Nobody => "closed, since other machines can reach it; open it with --publish-key",
        }
    }

    /// Makes sure that what is open to this machine is not open to others: a name may stand for
    /// any address.
    ///
    /// # Errors
    /// An address that is not of loopback, while publishing is open.
    pub(crate) fn check(&self, addresses: &[SocketAddr]) -> Result<(), Failure> {
        let public = addresses.iter().find(|address| !address.ip().is_loopback());
        match public {
            Some(address) if self.who == Who::ThisMachine => {
                let text = format!(
                    "other machines can reach {address}, so publishing needs a key: {HOW}, or \
                     listen on 127.0.0.1"
                );
                Err(Failure::new(Exit::Config, text))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::{host, secret};

    fn who(key: Option<&str>, hosts: &[&str]) -> Who {
        let key = key.map(|key| secret(key).unwrap());
        let hosts: Vec<Host> = hosts.iter().map(|text| host(text).unwrap()).collect();
        Publishing::new(key.as_ref(), &hosts).unwrap().who
    }

    #[test]
    fn it_is_open_on_loopback_alone() {
        assert_eq!(who(None, &["127.0.0.1", "::1", "localhost"]), Who::ThisMachine);
        for public in ["0.0.0.0", "::", "192.0.2.1", "a.example"] {
            assert_eq!(who(None, &["127.0.0.1", public]), Who::Nobody, "{public}");
        }
        let key = Some("0123456789abcdef");
        assert_eq!(who(key, &["127.0.0.1"]), Who::WithTheKey);
        assert_eq!(who(key, &["0.0.0.0"]), Who::WithTheKey);
    }

    #[test]
    fn what_is_open_is_not_open_to_others() {
        let open = Publishing::new(None, &[host("localhost").unwrap()]).unwrap();
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert!(open.check(&[address("127.0.0.1:80"), address("[::1]:80")]).is_ok());
        assert!(open.check(&[address("127.0.0.1:80"), address("192.0.2.1:80")]).is_err());
        let closed = Publishing::new(None, &[host("0.0.0.0").unwrap()]).unwrap();
        assert!(closed.check(&[address("0.0.0.0:80")]).is_ok());
    }
}
