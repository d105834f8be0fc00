//! What a setting may be: hosts, seconds, sizes, and their readers.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use landline::{Networks, ProxyHeaders, Rate};
use log::LevelFilter;

/// Where to listen, without the port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Address(IpAddr),
    Name(String),
}

impl Host {
    /// The address with its port, as it stands in a URL.
    pub(crate) fn with_port(&self, port: u16) -> String {
        match self {
            Self::Address(IpAddr::V6(address)) => format!("[{address}]:{port}"),
            other => format!("{other}:{port}"),
        }
    }

    /// True if other machines can reach it, as far as the address tells.
    pub(crate) fn is_public(&self) -> bool {
        match self {
            Self::Address(address) => !address.is_loopback(),
            Self::Name(name) => name != "localhost",
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Reads an IP address, with or without brackets, or a host name.
pub(crate) fn host(text: &str) -> Result<Host, String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse() {
        return Ok(Host::Address(address));
    }
    if text.contains("://") {
        return Err("give the address alone, without a scheme".into());
    }
    if let Some((_, port)) = text.rsplit_once(':')
        && port.parse::<u16>().is_ok()
    {
        return Err(format!("give the port by itself: --port {port}"));
    }
    let is_name = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_name && !is_number {
        return Ok(Host::Name(text.to_owned()));
    }
    Err("not an IP address and not a host name".into())
}

/// Reads the name of a host as it stands in requests, without scheme and port.
pub(crate) fn host_name(text: &str) -> Result<String, String> {
    let has_port = text.contains(':') && !text.ends_with(']');
    if text.is_empty() || has_port || text.contains(['/', ' ']) {
        return Err("give the name alone, without scheme and port, such as example.com".into());
    }
    Ok(text.to_owned())
}

/// A text that is never shown, not in a log and not in an error.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Takes any text: an error of this parser would be printed with the text, so what is wrong with
/// it is found where it is used.
pub(crate) fn secret(text: &str) -> Result<Secret, String> {
    Ok(Secret(text.to_owned()))
}

/// uvicorn's names of the levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogLevel {
    Off,
    Critical,
    Error,
    Warning,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    const ALL: [Self; 7] = [
        Self::Off,
        Self::Critical,
        Self::Error,
        Self::Warning,
        Self::Info,
        Self::Debug,
        Self::Trace,
    ];

    pub(crate) fn filter(self) -> LevelFilter {
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

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{self:?}").to_ascii_lowercase())
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// An object of JSON for each.
    Json,
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// Reads the name of a format.
pub(crate) fn log_format(text: &str) -> Result<LogFormat, String> {
    let formats = [LogFormat::Text, LogFormat::Json];
    let found = formats.into_iter().find(|format| text.eq_ignore_ascii_case(&format.to_string()));
    found.ok_or_else(|| "possible values: text, json".into())
}

/// Who may read and write a file, as for chmod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileMode(pub(crate) u32);

impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

/// Reads octal digits.
pub(crate) fn file_mode(text: &str) -> Result<FileMode, String> {
    let is_octal = text.len() <= 5 && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    let mode = is_octal.then(|| u32::from_str_radix(text, 8).ok()).flatten();
    let mode = mode.filter(|mode| *mode <= 0o777 && *mode & 0o600 == 0o600);
    mode.map(FileMode).ok_or_else(|| "octal digits as for chmod, such as 0660 or 0666".into())
}

/// Whether clients have to show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientCertificates {
    None,
    Optional,
    Required,
}

pub(crate) fn client_certificates(text: &str) -> Result<ClientCertificates, String> {
    match text.to_ascii_lowercase().as_str() {
        "none" => Ok(ClientCertificates::None),
        "optional" => Ok(ClientCertificates::Optional),
        "required" => Ok(ClientCertificates::Required),
        _ => Err("possible values: none, optional, required".into()),
    }
}

/// Reads the name of a level, in any case.
pub(crate) fn log_level(text: &str) -> Result<LogLevel, String> {
    let wanted = text.to_ascii_lowercase();
    let wanted = if wanted == "warn" { "warning" } else { &wanted };
    let found = LogLevel::ALL.into_iter().find(|level| level.to_string() == wanted);
    found.ok_or_else(|| {
        let names = LogLevel::ALL.map(|level| level.to_string());
        format!("possible values: {}", names.join(", "))
    })
}

/// Takes any text.
pub(crate) fn text(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

/// Takes any path but none.
pub(crate) fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("give a path".into()) } else { Ok(text.into()) }
}

/// Reads yes or no.
pub(crate) fn switch(text: &str) -> Result<bool, String> {
    match &*text.to_ascii_lowercase() {
        "true" | "1" | "yes" | "y" | "on" | "t" => Ok(true),
        "false" | "0" | "no" | "n" | "off" | "f" => Ok(false),
        _ => Err("give true or false".into()),
    }
}

/// Takes the path of an address, or the begin of one.
pub(crate) fn path_begin(text: &str) -> Result<String, String> {
    if text.starts_with('/') { Ok(text.to_owned()) } else { Err("give a path from / on".into()) }
}

/// Reads the code of a close frame that an application may send.
pub(crate) fn close_code(text: &str) -> Result<u16, String> {
    let code = text.parse().ok().filter(|code| (3000..=4999).contains(code) || *code == 1008);
    code.ok_or_else(|| "give a number from 4000 to 4999 (or 3000 to 3999, or 1008)".into())
}

/// Reads a port.
pub(crate) fn port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| "give a number from 0 to 65535".into())
}

/// Reads seconds, with fractions.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.parse::<f64>().ok();
    let time = number.and_then(|number| Duration::try_from_secs_f64(number).ok());
    time.ok_or_else(|| "give seconds as a number from 0 up, such as 20 or 0.5".into())
}

/// Reads a size or count from 1 up.
pub(crate) fn size(text: &str) -> Result<usize, String> {
    let number = text.parse::<usize>().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "give a whole number from 1 up".into())
}

/// Reads a size from 0 up.
pub(crate) fn size_or_zero(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "give a whole number from 0 up".into())
}

/// Reads how much may come in a second, and how much at once: `100` or `100:500`.
pub(crate) fn rate(text: &str) -> Result<Rate, String> {
    let wrong = || "give a whole number from 1 up, or two: 100:500 for bursts of 500".to_owned();
    let number =
        |text: &str| text.parse::<u64>().ok().filter(|number| *number > 0).ok_or_else(wrong);
    match text.split_once(':') {
        None => Ok(Rate::per_second(number(text)?)),
        Some((each, burst)) => Ok(Rate::per_second(number(each)?).with_burst(number(burst)?)),
    }
}

/// Reads an address or a network; kept as text, to be made one list with the others.
pub(crate) fn network(text: &str) -> Result<String, String> {
    Networks::list([text]).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

/// The names of the header fields that proxies write.
const PROXY_HEADERS: [(&str, ProxyHeaders); 3] = [
    ("x-forwarded", ProxyHeaders::XForwarded),
    ("x-forwarded-with-host", ProxyHeaders::XForwardedWithHost),
    ("forwarded", ProxyHeaders::Forwarded),
];

/// Reads which header fields proxies write.
pub(crate) fn proxy_headers(text: &str) -> Result<ProxyHeaders, String> {
    let found = PROXY_HEADERS.iter().find(|(name, _)| text.eq_ignore_ascii_case(name));
    found.map(|(_, headers)| *headers).ok_or_else(|| {
        format!("possible values: {}", PROXY_HEADERS.map(|(name, _)| name).join(", "))
    })
}

/// Reads a level of compression.
pub(crate) fn level(text: &str) -> Result<u8, String> {
    let number = text.parse().ok().filter(|level| (1..=9).contains(level));
    number.ok_or_else(|| "give a whole number from 1 to 9".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_addresses_or_names() {
        assert_eq!(host("::1").unwrap().with_port(80), "[::1]:80");
        assert_eq!(host("[::1]").unwrap(), host("::1").unwrap());
        assert_eq!(host("127.0.0.1").unwrap().with_port(0), "127.0.0.1:0");
        assert_eq!(host("my-host.example").unwrap().with_port(1), "my-host.example:1");
        for wrong in ["", "999.1.1.1", "a b", "http://a", "a:80", "1.2.3", "a/b"] {
            assert!(host(wrong).is_err(), "{wrong}");
        }
        assert!(host("127.0.0.1:9000").unwrap_err().contains("--port 9000"));
    }

    #[test]
    fn only_loopback_is_private() {
        for (text, is_public) in [
            ("127.0.0.1", false),
            ("::1", false),
            ("localhost", false),
            ("0.0.0.0", true),
            ("::", true),
            ("a.example", true),
        ] {
            assert_eq!(host(text).unwrap().is_public(), is_public, "{text}");
        }
    }

    #[test]
    fn seconds_may_be_fractions_and_nothing_odd() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(seconds("0"), Ok(Duration::ZERO));
        for wrong in ["", "-1", "nan", "inf", "20s", "1e400"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_start_at_one() {
        assert_eq!(size("1"), Ok(1));
        for wrong in ["", "0", "-1", "1.5", "1k", "99999999999999999999999"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_may_start_at_zero_and_levels_end_at_nine() {
        assert_eq!((size_or_zero("0"), size_or_zero("1024")), (Ok(0), Ok(1024)));
        assert_eq!((level("1"), level("9")), (Ok(1), Ok(9)));
        for wrong in ["", "-1", "1.5", "1k"] {
            assert!(size_or_zero(wrong).is_err() && level(wrong).is_err(), "{wrong}");
        }
        assert!(level("0").is_err() && level("10").is_err());
    }

    #[test]
    fn rates_may_have_a_burst() {
        assert_eq!(rate("100"), Ok(Rate::per_second(100)));
        assert_eq!(rate("100:500"), Ok(Rate::per_second(100).with_burst(500)));
        for wrong in ["", "0", "1:0", ":", "1:", "-1", "1.5", "100/s", "1:2:3"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn proxies_are_networks_with_known_headers() {
        assert_eq!(network("10.0.0.0/8").as_deref(), Ok("10.0.0.0/8"));
        assert!(network("10.0.0.1/8").unwrap_err().contains("10.0.0.0/8"));
        assert_eq!(proxy_headers("Forwarded"), Ok(ProxyHeaders::Forwarded));
        assert!(proxy_headers("via").unwrap_err().contains("x-forwarded-with-host"));
    }

    #[test]
    fn levels_and_switches_have_several_spellings() {
        assert_eq!(log_level("WARN"), Ok(LogLevel::Warning));
        assert!(log_level("loud").unwrap_err().contains("off, critical, error, warning"));
        for level in LogLevel::ALL {
            assert_eq!(log_level(&level.to_string()), Ok(level));
        }
        assert_eq!((switch("Yes"), switch("0")), (Ok(true), Ok(false)));
        assert!(switch("maybe").is_err() && path("").is_err());
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert!(!format!("{:?}", secret("hush")).contains("hush"));
    }

    #[test]
    fn host_names_have_no_port() {
        for right in ["example.com", ".example.com", "*", "[::1]"] {
            assert_eq!(host_name(right).as_deref(), Ok(right));
        }
        for wrong in ["", "example.com:80", "http://example.com", "a b"] {
            assert!(host_name(wrong).is_err(), "{wrong}");
        }
    }
}
