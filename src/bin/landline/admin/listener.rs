//! Where the page is: on a listener of its own, beside the demo behind the key, or nowhere.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::thread;

use landline::{Builder, Config, Handle, Probe, Server, Templates};

use super::access::Access;
use super::{Admin, routes};
use crate::doors::Doors;
use crate::exit::{Exit, Failure};
use crate::pages::Pages;
use crate::settings::Said;
use crate::settings::defaults::HOST;
use crate::settings::values::{Host, Secret};

/// Shortest and longest key in bytes.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 16..=1024;

/// Connections of the page's own listener: operators, Prometheus, a load balancer.
const CONNECTIONS: usize = 64;

/// Where the page is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Nowhere,
    /// On the server's own addresses, behind the key.
    Beside,
    /// On an address of its own.
    Own(Host, u16),
}

/// The page, before and after it is listened for.
#[derive(Clone)]
pub(crate) struct AdminPage {
    place: Place,
    admin: Arc<Admin>,
    /// The listener of its own, once it listens.
    own: Arc<OnceLock<Handle>>,
}

impl AdminPage {
    /// Decides where the page is, and who sees it.
    ///
    /// # Errors
    /// The key is too short or too long, or cannot stand in a header.
    pub(crate) fn new(said: &Said) -> Result<Self, Failure> {
        let (admin, key) = (&said.admin, said.admin.admin_key.clone());
        if let Some(key) = &key {
            check_key(key)?;
        }
        let place = match (&admin.admin_host, admin.admin_port, &key) {
            (host, Some(port), _) => Place::Own(host.clone().unwrap_or(HOST), port),
            (Some(host), None, _) => Place::Own(host.clone(), 0),
            (None, None, Some(_)) => Place::Beside,
            (None, None, None) => Place::Nowhere,
        };
        let is_own = matches!(place, Place::Own(..));
        let admin = Admin::new(Access::new(key, is_own));
        Ok(Self { place, admin, own: Arc::default() })
    }

    /// Takes over the key of another one, and other templates.
    pub(crate) fn reload(&self, from: &Self, templates: &Templates) {
        self.admin.access.reload(&from.admin.access);
        if let Some(own) = self.own.get() {
            own.reload_templates(templates.clone());
        }
    }

    /// Adds the page to the server itself, if that is its place.
    pub(crate) fn beside(&self, builder: Builder) -> Builder {
        match self.place {
            Place::Beside => routes(builder, &self.admin),
            Place::Nowhere | Place::Own(..) => builder,
        }
    }

    /// Begins to look at the server, and listens if the page has a listener of its own; returns
    /// where the page is.
    ///
    /// # Errors
    /// An address that cannot be bound, or that strangers can reach without a key.
    pub(crate) fn start(
        &self,
        server: &Server,
        pages: Pages,
        doors: &Doors,
    ) -> Result<Option<String>, Failure> {
        let address = match &self.place {
            Place::Nowhere => return Ok(None),
            Place::Beside => server.local_addrs().first().copied(),
            Place::Own(host, port) => {
                Some(self.listen(server, &host.with_port(*port), pages, doors)?)
            }
        };
        self.admin.look_at(server.handle()).map_err(|error| failed(&error))?;
        Ok(address.map(|address| format!("http://{address}/admin/")))
    }

    fn listen(
        &self,
        server: &Server,
        address: &str,
        pages: Pages,
        doors: &Doors,
    ) -> Result<SocketAddr, Failure> {
        let handle = server.handle();
        // So that nobody alone can keep the others out.
        let config = Config::default()
            .with_max_connections(Some(CONNECTIONS))
            .with_max_connections_per_address(Some(CONNECTIONS / 2));
        let builder = Server::builder().config(config).templates(pages.templates);
        let builder = pages.files.serve(routes(builder, &self.admin));
        let builder = builder.route("/healthz", Probe::alive().of(&handle));
        let own = builder.route("/readyz", Probe::ready().of(&handle)).bind(address)?;
        let addresses = own.local_addrs();
        // It listens once.
        let _ = self.own.set(own.handle());
        doors.check_admin_bound(&addresses)?;
        let run = move || {
            if let Err(error) = own.run() {
                log::error!("the admin page has ended: {}", error.chain());
            }
        };
        thread::Builder::new().name("admin".into()).spawn(run).map_err(|error| failed(&error))?;
        // Proof: what was bound has an address.
        Ok(*addresses.first().expect("a listener has an address"))
    }
}

impl std::fmt::Debug for AdminPage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AdminPage({:?})", self.place)
    }
}

fn failed(error: &std::io::Error) -> Failure {
    Failure::io(Exit::Io, "cannot start the admin page", error)
}

fn check_key(key: &Secret) -> Result<(), Failure> {
    let text = key.text();
    if KEY_BYTES.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    let (least, most) = KEY_BYTES.into_inner();
    let text = format!(
        "an admin key has {least} to {most} visible ASCII characters without blanks, this one has \
         not; landline init makes one up"
    );
    Err(Failure::new(Exit::Config, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Layer, Source};

    fn page(said: &[(&'static str, &str)]) -> Result<AdminPage, Failure> {
        let mut layer = Layer::default();
        for (key, text) in said {
            layer.say(key, vec![(*text).to_owned()], Source::Flag);
        }
        AdminPage::new(&Said::read(&layer).unwrap())
    }

    const KEY: (&str, &str) = ("admin_key", "0123456789abcdef");

    #[test]
    fn a_key_alone_puts_the_page_beside_the_demo() {
        let place = |said: &[(&'static str, &str)]| page(said).unwrap().place;
        assert_eq!(place(&[]), Place::Nowhere);
        assert_eq!(place(&[KEY]), Place::Beside);
        assert_eq!(place(&[KEY, ("admin_port", "9000")]), Place::Own(HOST, 9000));
        assert_eq!(place(&[("admin_host", "127.0.0.1")]), Place::Own(HOST, 0));
    }

    #[test]
    fn a_key_is_long_enough_and_is_not_shown() {
        for wrong in ["short", "0123456789abcde é", "0123456789 abcdef"] {
            let failure = page(&[("admin_key", wrong)]).unwrap_err();
            assert!(!failure.texts()[0].contains(wrong), "{:?}", failure.texts());
        }
        assert!(!format!("{:?}", page(&[KEY]).unwrap()).contains(KEY.1));
    }
}
