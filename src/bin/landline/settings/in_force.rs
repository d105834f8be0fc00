//! The settings of a run: what was said, and the defaults for the rest.
//!
//! Limits and times have their defaults in [`landline::Config`], the others in `defaults`.

use std::path::PathBuf;
use std::time::Duration;

use landline::{Config, Deflate, Error, Origins};
use log::LevelFilter;

use crate::admin::AdminPage;
use crate::doors::Doors;
use crate::exit::Failure;
use crate::proxies::Proxies;
use crate::publish::Publishing;
use crate::settings::defaults;
use crate::settings::values::{FileMode, Host, LogFormat};
use crate::settings::{Limits, Said, Stated, WebSocket};

/// The word for every origin, and that of Channels.
const ANY: [&str; 2] = ["any", "*"];

/// Everything the binary needs to know before it starts.
#[derive(Debug)]
pub(crate) struct Settings {
    /// None where the server listens on a Unix socket alone.
    pub(crate) hosts: Vec<Host>,
    pub(crate) port: u16,
    /// The port for TLS, if the other one goes on without.
    pub(crate) ssl_port: Option<u16>,
    /// A Unix socket, and who may connect.
    pub(crate) uds: Option<(PathBuf, FileMode)>,
    pub(crate) config: Config,
    pub(crate) origins: Origins,
    /// `None` leaves the library's rule: loopback names on a loopback address, else every name.
    pub(crate) allowed_hosts: Option<Vec<String>>,
    pub(crate) publishing: Publishing,
    pub(crate) proxies: Proxies,
    pub(crate) doors: Doors,
    pub(crate) admin: AdminPage,
    pub(crate) log_level: LevelFilter,
    pub(crate) log_format: LogFormat,
    pub(crate) access_log: bool,
}

impl Settings {
    /// Fills in what was not said.
    ///
    /// # Errors
    /// A value that only the library can judge, an origin or the publish key, is wrong; the text
    /// says where it stands. A door is open to strangers.
    pub(crate) fn new(stated: &Stated) -> Result<Self, Failure> {
        let said = stated.said.clone();
        // What is wrong, and where it was said.
        let blame = |key| move |error: Error| Failure::from(error).set_by(stated, key);
        let config = config(&said);
        let publishing = Publishing::new(&said).map_err(blame("publish_key"))?;
        let proxies = Proxies::new(&said).map_err(blame("forwarded_allow_ips"))?;
        let admin = AdminPage::new(&said).map_err(|failure| failure.set_by(stated, "admin_key"))?;
        let doors = Doors::of(&said);
        doors.check_said(&said)?;
        let listening = said.listening;
        let hosts = listening.host.filter(|hosts| !hosts.is_empty());
        let has_port = listening.port.is_some() || said.tls.ssl_port.is_some();
        let hosts = match hosts {
            Some(hosts) => hosts,
            None if listening.uds.is_some() && !has_port => Vec::new(),
            None => vec![defaults::HOST],
        };
        let mode = listening.uds_mode.unwrap_or(defaults::UDS_MODE);
        Ok(Self {
            config,
            origins: origins(&said.access.origin.unwrap_or_default()).map_err(blame("origin"))?,
            publishing,
            proxies,
            doors,
            hosts,
            port: listening.port.unwrap_or(defaults::PORT),
            ssl_port: said.tls.ssl_port,
            uds: listening.uds.map(|path| (path, mode)),
            allowed_hosts: said.access.allowed_host.filter(|names| !names.is_empty()),
            admin,
            log_format: said.log.log_format.unwrap_or(defaults::LOG_FORMAT),
            log_level: said.log.log_level.unwrap_or(defaults::LOG_LEVEL).filter(),
            access_log: !said.log.no_access_log.unwrap_or(false),
        })
    }
}

fn config(said: &Said) -> Config {
    let default = Config::default();
    let (websocket, limits) = (&said.websocket, &said.limits);
    let zero_is_off = |said: Option<Duration>, default: Option<Duration>| match said {
        Some(time) => (!time.is_zero()).then_some(time),
        None => default,
    };
    let interval = zero_is_off(websocket.ws_ping_interval, default.ping_interval());
    let timeout = zero_is_off(websocket.ws_ping_timeout, default.ping_timeout());
    let message_bytes = websocket.ws_max_size.unwrap_or(default.message_bytes());
    let held_bytes = websocket.held_bytes.unwrap_or(default.held_bytes());
    let body_bytes = limits.max_body_size.unwrap_or(default.body_bytes());
    let keep_alive = limits.timeout_keep_alive.unwrap_or(default.keep_alive());
    let send_timeout = limits.timeout_send.unwrap_or(default.send_timeout());
    let grace = limits.timeout_graceful_shutdown.unwrap_or(default.shutdown_grace());
    let default = rates(default, websocket, limits);
    let drain_delay = limits.drain_delay.unwrap_or(default.drain_delay());
    let drain_time = limits.drain_time.or(default.drain_time());
    default
        .with_compression(compression(&said.websocket))
        .with_ping_interval(interval)
        .with_ping_timeout(timeout)
        .with_message_bytes(message_bytes)
        .with_held_bytes(held_bytes)
        .with_body_bytes(body_bytes)
        .with_keep_alive(keep_alive)
        .with_send_timeout(send_timeout)
        .with_drain_delay(drain_delay)
        .with_drain_time(drain_time)
        .with_shutdown_grace(grace)
        .with_max_connections(limits.limit_concurrency)
        .with_max_connections_per_address(limits.limit_per_address)
}

/// How fast clients may be, and how many of them there may be.
fn rates(default: Config, websocket: &WebSocket, limits: &Limits) -> Config {
    let patience = match websocket.ws_rate_patience {
        Some(time) => (!time.is_zero()).then_some(time),
        None => default.rate_patience(),
    };
    let backlog = limits.backlog.and_then(|backlog| u32::try_from(backlog).ok());
    let backlog = backlog.unwrap_or(default.listen_backlog());
    default
        .with_message_rate(websocket.ws_message_rate)
        .with_byte_rate(websocket.ws_byte_rate)
        .with_rate_patience(patience)
        .with_max_websockets_per_user(limits.limit_per_user)
        .with_max_silent_connections(limits.limit_silent)
        .with_connection_rate(limits.limit_rate)
        .with_connection_rate_per_address(limits.limit_rate_per_address)
        .with_listen_backlog(backlog)
}

fn compression(said: &WebSocket) -> Option<Deflate> {
    let default = Config::default().compression();
    let is_on = said.ws_per_message_deflate.unwrap_or(default.is_some());
    let deflate = default.unwrap_or_default();
    let level = said.ws_deflate_level.unwrap_or(deflate.level());
    let threshold = said.ws_deflate_threshold.unwrap_or(deflate.threshold_bytes());
    is_on.then_some(deflate.with_level(level).with_threshold_bytes(threshold))
}

/// True if this stands for every origin.
pub(crate) fn is_any_origin(entry: &str) -> bool {
    ANY.contains(&entry)
}

fn origins(entries: &[String]) -> landline::Result<Origins> {
    match entries {
        [] => Ok(Origins::same_host()),
        entries if entries.iter().any(|entry| is_any_origin(entry)) => Ok(Origins::any()),
        entries => Origins::list(entries),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Layer, Source};

    /// The settings that these flags give.
    fn settings(said: &[(&'static str, &str)]) -> Result<Settings, Failure> {
        let mut layer = Layer::default();
        for (key, text) in said {
            layer.say(key, vec![(*text).to_owned()], Source::Flag);
        }
        Settings::new(&Stated::new(layer, None)?)
    }

    fn config(said: &[(&'static str, &str)]) -> Config {
        settings(said).unwrap().config
    }

    #[test]
    fn what_is_not_said_has_the_default() {
        let settings = settings(&[]).unwrap();
        assert_eq!((settings.hosts, settings.port), (vec![defaults::HOST], defaults::PORT));
        assert_eq!(settings.config.keep_alive(), Config::default().keep_alive());
        assert_eq!(settings.config.ping_interval(), Config::default().ping_interval());
        assert!(settings.access_log && settings.allowed_hosts.is_none());
    }

    #[test]
    fn zero_turns_pings_off() {
        let config = config(&[("ws_ping_interval", "0"), ("ws_ping_timeout", "0")]);
        assert_eq!((config.ping_interval(), config.ping_timeout()), (None, None));
    }

    #[test]
    fn rates_are_those_that_were_said() {
        let fast = landline::Rate::per_second(50).with_burst(200);
        let all = config(&[
            ("ws_message_rate", "50:200"),
            ("ws_byte_rate", "50:200"),
            ("limit_rate", "50:200"),
            ("limit_rate_per_address", "50:200"),
            ("ws_rate_patience", "0"),
            ("limit_per_user", "3"),
            ("limit_silent", "4"),
            ("backlog", "5"),
        ]);
        let rates = [all.message_rate(), all.byte_rate(), all.connection_rate()];
        assert_eq!(rates, [Some(fast); 3]);
        assert_eq!((all.connection_rate_per_address(), all.rate_patience()), (Some(fast), None));
        assert_eq!((all.max_websockets_per_user(), all.listen_backlog()), (Some(3), 5));
        assert_eq!(all.max_silent_connections(), Some(4));
        assert_eq!(config(&[]).rate_patience(), Config::default().rate_patience());
    }

    #[test]
    fn zero_holds_nothing_back() {
        assert_eq!(config(&[]).held_bytes(), Config::default().held_bytes());
        assert_eq!(config(&[("held_bytes", "0")]).held_bytes(), 0);
    }

    #[test]
    fn compression_is_on_until_it_is_turned_off() {
        assert_eq!(config(&[]).compression(), Some(Deflate::new()));
        let level = ("ws_deflate_level", "6");
        let expected = Deflate::new().with_level(6);
        assert_eq!(config(&[level]).compression(), Some(expected));
        let threshold = ("ws_deflate_threshold", "0");
        let both = config(&[level, threshold]).compression();
        assert_eq!(both, Some(expected.with_threshold_bytes(0)));
        let off = ("ws_per_message_deflate", "false");
        assert_eq!(config(&[level, off]).compression(), None);
    }

    #[test]
    fn a_wrong_origin_is_an_error_with_its_place() {
        let failure = settings(&[("origin", "ftp://a")]).unwrap_err();
        assert!(failure.texts()[0].ends_with("; set by --origin"), "{:?}", failure.texts());
    }
}
