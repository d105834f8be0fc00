//! The settings of a run: each from the first layer that names it, else the default.
//!
//! The order is flag, environment variable, default. The first two arrive as one [`ServeArgs`],
//! because the parser of the command line reads both; a config file is to become another value of
//! that type, which gives what the first leaves out. Limits and times have their defaults in
//! [`landline::Config`], the others here.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use landline::{Config, Deflate, Origins, Result};
use log::LevelFilter;

use crate::args::{LogLevel, ServeArgs};
use crate::publish::Publishing;
use crate::values::Host;

const HOST: Host = Host::Address(IpAddr::V4(Ipv4Addr::LOCALHOST));
const PORT: u16 = 8000;
const LOG_LEVEL: LogLevel = LogLevel::Info;

/// The word for every origin.
const ANY: &str = "any";

/// Everything the binary needs to know before it starts.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) hosts: Vec<Host>,
    pub(crate) port: u16,
    pub(crate) config: Config,
    pub(crate) origins: Origins,
    /// `None` leaves the library's rule: loopback names on a loopback address, else every name.
    pub(crate) allowed_hosts: Option<Vec<String>>,
    pub(crate) publishing: Publishing,
    pub(crate) templates: Option<PathBuf>,
    pub(crate) log_level: LevelFilter,
    pub(crate) access_log: bool,
}

impl Settings {
    /// Fills in what was not said.
    ///
    /// # Errors
    /// `Config`: a value that only the library can judge, an origin or the publish key, is wrong.
    pub(crate) fn new(said: ServeArgs) -> Result<Self> {
        let config = config(&said);
        let hosts = if said.host.is_empty() { vec![HOST] } else { said.host };
        Ok(Self {
            config,
            origins: origins(&said.origin)?,
            publishing: Publishing::new(said.publish_key.as_ref(), &hosts)?,
            hosts,
            port: said.port.unwrap_or(PORT),
            allowed_hosts: (!said.allowed_host.is_empty()).then_some(said.allowed_host),
            templates: said.templates,
            log_level: said.log_level.unwrap_or(LOG_LEVEL).filter(),
            access_log: !said.no_access_log,
        })
    }
}

/// The default of a setting in words for the help; `None` for those that are off or unset.
pub(crate) fn default_text(id: &str) -> Option<String> {
    let config = Config::default();
    let seconds = |time: Duration| time.as_secs_f64().to_string();
    let seconds_or_off = |time: Option<Duration>| time.map_or("0".into(), seconds);
    Some(match id {
        "host" => HOST.to_string(),
        "port" => PORT.to_string(),
        "ws_max_size" => config.message_bytes().to_string(),
        "held_bytes" => config.held_bytes().to_string(),
        "ws_ping_interval" => seconds_or_off(config.ping_interval()),
        "ws_ping_timeout" => seconds_or_off(config.ping_timeout()),
        "ws_per_message_deflate" => config.compression().is_some().to_string(),
        "ws_deflate_level" => Deflate::new().level().to_string(),
        "ws_deflate_threshold" => Deflate::new().threshold_bytes().to_string(),
        "origin" => "the server's own pages only".into(),
        "publish_key" => "none: open on loopback addresses, closed on others".into(),
        "allowed_host" => "any, but on loopback addresses only its own names".into(),
        "limit_concurrency" => "what this host can hold".into(),
        "limit_per_address" => "no limit, as is right behind a proxy".into(),
        "max_body_size" => config.body_bytes().to_string(),
        "timeout_keep_alive" => seconds(config.keep_alive()),
        "timeout_send" => seconds(config.send_timeout()),
        "timeout_graceful_shutdown" => seconds(config.shutdown_grace()),
        "log_level" => format!("{LOG_LEVEL:?}").to_lowercase(),
        _ => return None,
    })
}

fn config(said: &ServeArgs) -> Config {
    let default = Config::default();
    let zero_is_off = |said: Option<Duration>, default: Option<Duration>| match said {
        Some(time) => (!time.is_zero()).then_some(time),
        None => default,
    };
    let interval = zero_is_off(said.ws_ping_interval, default.ping_interval());
    let timeout = zero_is_off(said.ws_ping_timeout, default.ping_timeout());
    let message_bytes = said.ws_max_size.unwrap_or(default.message_bytes());
    let held_bytes = said.held_bytes.unwrap_or(default.held_bytes());
    let body_bytes = said.max_body_size.unwrap_or(default.body_bytes());
    let keep_alive = said.timeout_keep_alive.unwrap_or(default.keep_alive());
    let send_timeout = said.timeout_send.unwrap_or(default.send_timeout());
    let grace = said.timeout_graceful_shutdown.unwrap_or(default.shutdown_grace());
    default
        .with_compression(compression(said))
        .with_ping_interval(interval)
        .with_ping_timeout(timeout)
        .with_message_bytes(message_bytes)
        .with_held_bytes(held_bytes)
        .with_body_bytes(body_bytes)
        .with_keep_alive(keep_alive)
        .with_send_timeout(send_timeout)
        .with_shutdown_grace(grace)
        .with_max_connections(said.limit_concurrency)
        .with_max_connections_per_address(said.limit_per_address)
}

fn compression(said: &ServeArgs) -> Option<Deflate> {
    let default = Config::default().compression();
    let is_on = said.ws_per_message_deflate.unwrap_or(default.is_some());
    let deflate = default.unwrap_or_default();
    let level = said.ws_deflate_level.unwrap_or(deflate.level());
    let threshold = said.ws_deflate_threshold.unwrap_or(deflate.threshold_bytes());
    is_on.then_some(deflate.with_level(level).with_threshold_bytes(threshold))
}

fn origins(entries: &[String]) -> Result<Origins> {
    match entries {
        [] => Ok(Origins::same_host()),
        entries if entries.iter().any(|entry| entry == ANY) => Ok(Origins::any()),
        entries => Origins::list(entries),
    }
}

impl LogLevel {
    fn filter(self) -> LevelFilter {
        match self {
            Self::Off => LevelFilter::Off,
            // The log of this program knows nothing worse than an error.
            Self::Critical | Self::Error => LevelFilter::Error,
            Self::Warning => LevelFilter::Warn,
            Self::Info => LevelFilter::Info,
            Self::Debug => LevelFilter::Debug,
            Self::Trace => LevelFilter::Trace,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_has_the_default() {
        let settings = Settings::new(ServeArgs::default()).unwrap();
        assert_eq!((settings.hosts, settings.port), (vec![HOST], PORT));
        assert_eq!(settings.config.keep_alive(), Config::default().keep_alive());
        assert_eq!(settings.config.ping_interval(), Config::default().ping_interval());
        assert!(settings.access_log && settings.allowed_hosts.is_none());
    }

    #[test]
    fn zero_turns_pings_off() {
        let zero = Some(Duration::ZERO);
        let said =
            ServeArgs { ws_ping_interval: zero, ws_ping_timeout: zero, ..ServeArgs::default() };
        let config = Settings::new(said).unwrap().config;
        assert_eq!((config.ping_interval(), config.ping_timeout()), (None, None));
    }

    #[test]
    fn zero_holds_nothing_back() {
        let held = |said| Settings::new(said).unwrap().config.held_bytes();
        assert_eq!(held(ServeArgs::default()), Config::default().held_bytes());
        assert_eq!(held(ServeArgs { held_bytes: Some(0), ..ServeArgs::default() }), 0);
    }

    #[test]
    fn compression_is_on_until_it_is_turned_off() {
        let compression = |said| Settings::new(said).unwrap().config.compression();
        assert_eq!(compression(ServeArgs::default()), Some(Deflate::new()));
        let said = ServeArgs { ws_deflate_level: Some(6), ..ServeArgs::default() };
        let expected = Deflate::new().with_level(6);
        assert_eq!(compression(said.clone()), Some(expected));
        let said = ServeArgs { ws_deflate_threshold: Some(0), ..said };
        assert_eq!(compression(said.clone()), Some(expected.with_threshold_bytes(0)));
        assert_eq!(compression(ServeArgs { ws_per_message_deflate: Some(false), ..said }), None);
    }

    #[test]
    fn a_wrong_origin_is_an_error() {
        let said = ServeArgs { origin: vec!["ftp://a".into()], ..ServeArgs::default() };
        assert!(Settings::new(said).is_err());
    }
}
