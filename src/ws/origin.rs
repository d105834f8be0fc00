//! Which web pages may open a WebSocket here.
//!
//! A browser sends the page's origin with every handshake and lets any page connect anywhere, so
//! the server is the one who has to look (cross-site WebSocket hijacking).

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::http::refusal::Refusal;
use crate::http::request::RequestHead;

/// The rule for the `Origin` header of a handshake.
///
/// A handshake without `Origin` does not come from a web page and is allowed, unless that is
/// [required](Origins::and_required). The origin `null` (a sandboxed frame, a file) is only allowed
/// by [`Origins::any`].
///
/// Cheap to clone.
///
/// # Source
/// RFC 6455 10.2; the patterns are those of Channels' `OriginValidator`.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    rule: Rule,
    /// A handshake without `Origin` is refused.
    is_required: bool,
}

#[derive(Clone, Debug, Default)]
enum Rule {
    #[default]
    SameHost,
    Listed {
        patterns: Arc<[Pattern]>,
        and_same_host: bool,
    },
    Any,
}

/// One allowed origin.
#[derive(Clone, Debug)]
struct Pattern {
    /// `None` allows every scheme.
    scheme: Option<String>,
    host: String,
    /// True if subdomains of the host are meant as well.
    is_suffix: bool,
    /// `None` allows the scheme's default port, or every port if there is no scheme.
    port: Option<u16>,
}

impl Origins {
    /// The page must come from the host and port the handshake is sent to. The default.
    pub fn same_host() -> Self {
        Self::new(Rule::SameHost)
    }

    /// Every page of the world may connect: right for public data, wrong where cookies count.
    pub fn any() -> Self {
        Self::new(Rule::Any)
    }

    /// The page must come from one of these origins or from the same host.
    ///
    /// # Units
    /// `https://example.com`, `https://example.com:8443`, `example.com` (any scheme and port),
    /// `.example.com` (the host and its subdomains), or a scheme with either; `*` for every origin,
    /// which is [`any`](Self::any).
    ///
    /// # Errors
    /// `Config`: an entry is none of these, with the entry.
    ///
    /// # Source
    /// The patterns of Channels' `OriginValidator`, for which the same host has to be listed too.
    pub fn list<S: AsRef<str>>(entries: impl IntoIterator<Item = S>) -> Result<Self> {
        Self::of_entries(entries, true)
    }

    /// The page must come from one of these origins; the same host is not meant by itself. For a
    /// server whose own pages are not to connect, or whose name a proxy does not pass on.
    ///
    /// # Units
    /// As [`list`](Self::list).
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn only<S: AsRef<str>>(entries: impl IntoIterator<Item = S>) -> Result<Self> {
        Self::of_entries(entries, false)
    }

    /// Refuses handshakes without `Origin` too, so that web pages are let in and nothing else. That
    /// keeps programs out which do not know better; one that does can name any origin.
    ///
    /// # Source
    /// Channels' `OriginValidator`, unless it allows `*`.
    #[must_use]
    pub fn and_required(mut self) -> Self {
        self.is_required = true;
        self
    }

    fn new(rule: Rule) -> Self {
        Self { rule, is_required: false }
    }

    fn of_entries<S: AsRef<str>>(
        entries: impl IntoIterator<Item = S>,
        and_same_host: bool,
    ) -> Result<Self> {
        let mut patterns = Vec::new();
        let mut is_any = false;
        for entry in entries {
            match entry.as_ref() {
                "*" => is_any = true,
                entry => patterns.push(Pattern::parse(entry)?),
            }
        }
        let listed = Rule::Listed { patterns: patterns.into(), and_same_host };
        Ok(Self::new(if is_any { Rule::Any } else { listed }))
    }

    /// Refuses a handshake whose page may not connect.
    pub(crate) fn check(&self, head: &RequestHead, site: Site<'_>) -> Result<(), Refusal> {
        if head.headers().count("origin") == 0 {
            return match self.is_required {
                true => Err(Refusal::foreign("Only web pages may connect here.")),
                false => Ok(()),
            };
        }
        if matches!(self.rule, Rule::Any) || self.knows_page(head, site) {
            return Ok(());
        }
        Err(Refusal::foreign("Pages of this origin may not connect here."))
    }

    /// True if the request names the page it comes from, and that is of the same host or listed.
    ///
    /// [`Origins::any`] knows no more pages than [`Origins::same_host`]: that everybody may connect
    /// does not say that everybody may act.
    pub(crate) fn knows_page(&self, head: &RequestHead, site: Site<'_>) -> bool {
        if head.headers().count("origin") > 1 {
            return false;
        }
        let Some(origin) = head.header("origin").and_then(Origin::parse) else { return false };
        match &self.rule {
            Rule::Listed { patterns, and_same_host } => {
                patterns.iter().any(|pattern| pattern.allows(&origin))
                    || *and_same_host && origin.is_of(site)
            }
            Rule::SameHost | Rule::Any => origin.is_of(site),
        }
    }
}

/// What a request is for, as far as that is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site<'a> {
    /// Host and port, as the client named them.
    pub(crate) host: &'a str,
    /// The client is known to have come by TLS.
    pub(crate) is_tls: bool,
}

/// A parsed origin: scheme, host and port.
#[derive(Debug, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        let (host, port) = split_port(authority)?;
        let origin = Self { scheme: scheme.to_ascii_lowercase(), host, port };
        is_scheme.then_some(origin)
    }

    fn port(&self) -> Option<u16> {
        self.port.or_else(|| default_port(&self.scheme))
    }

    /// True if the request is for the same host and port.
    ///
    /// A host without a port means the default port of the page's own scheme: behind a proxy that
    /// ends TLS, this server may not know it better. Where it is known to be TLS, a page that was
    /// loaded without has no business there: anybody on its way can have written it.
    fn is_of(&self, site: Site<'_>) -> bool {
        let Some((name, port)) = split_port(site.host) else { return false };
        let port = port.or_else(|| default_port(&self.scheme));
        let is_safe = !site.is_tls || matches!(self.scheme.as_str(), "https" | "wss");
        is_safe && name == self.host && port == self.port()
    }
}

impl Pattern {
    fn parse(entry: &str) -> Result<Self> {
        let wrong = || {
            let text = format!(
                "{entry:?} is not an origin; write https://example.com, example.com or .example.com"
            );
            Error::new(ErrorKind::Config, text)
        };
        let (scheme, authority) = match entry.split_once("://") {
            Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
            None => (None, entry),
        };
        let (authority, is_suffix) = match authority.strip_prefix('.') {
            Some(rest) => (rest, true),
            None => (authority, false),
        };
        let (host, port) = split_port(authority).ok_or_else(wrong)?;
        if scheme.as_deref().is_some_and(|scheme| default_port(scheme).is_none()) {
            return Err(wrong());
        }
        Ok(Self { scheme, host, is_suffix, port })
    }

    fn allows(&self, origin: &Origin) -> bool {
        let host = origin.host == self.host
            || (self.is_suffix
                && origin.host.strip_suffix(&self.host).is_some_and(|rest| rest.ends_with('.')));
        let scheme = self.scheme.as_ref().is_none_or(|scheme| *scheme == origin.scheme);
        let port = match (self.port, &self.scheme) {
            (Some(port), _) => origin.port() == Some(port),
            (None, Some(scheme)) => origin.port() == default_port(scheme),
            (None, None) => true,
        };
        host && scheme && port
    }
}

/// Host in lower case and port of an authority; `None` if it is malformed.
fn split_port(authority: &str) -> Option<(String, Option<u16>)> {
    if !crate::http::host::is_valid(authority.as_bytes()) {
        return None;
    }
    let host_end = authority.rfind(']').map_or(0, |end| end + 1);
    let (host, port) = match authority[host_end..].rfind(':') {
        Some(colon) => (&authority[..host_end + colon], &authority[host_end + colon + 1..]),
        None => (authority, ""),
    };
    let port = if port.is_empty() { None } else { Some(port.parse().ok()?) };
    Some((host.to_ascii_lowercase(), port))
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::http::parse::HeadParser;

    fn allows(origins: &Origins, host: &str, origin: &str) -> bool {
        let bytes = format!("GET / HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\n\r\n");
        let parsed = HeadParser::default().parse(bytes.as_bytes(), &Config::default());
        let head = parsed.unwrap().unwrap().0;
        origins.check(&head, Site { host: head.host(), is_tls: false }).is_ok()
    }

    #[test]
    fn a_page_without_tls_is_not_of_a_host_with_tls() {
        let origin = |text| Origin::parse(text).unwrap();
        let site = Site { host: "a.example", is_tls: true };
        assert!(origin("https://a.example").is_of(site));
        assert!(!origin("http://a.example").is_of(site));
        assert!(!origin("http://a.example:443").is_of(site));
        assert!(origin("http://a.example").is_of(Site { is_tls: false, ..site }));
    }

    #[test]
    fn the_same_host_is_compared_as_host_and_port() {
        let same = Origins::same_host();
        for (host, origin) in [
            ("a.example", "http://a.example"),
            ("a.example", "https://a.example"),
            ("A.example:80", "http://a.EXAMPLE"),
            ("a.example:8000", "http://a.example:8000"),
            ("[::1]:8000", "http://[::1]:8000"),
        ] {
            assert!(allows(&same, host, origin), "{origin} at {host}");
        }
        for (host, origin) in [
            ("a.example", "http://a.example.evil.example"),
            ("a.example", "http://evil-a.example"),
            ("a.example:8000", "http://a.example"),
            ("a.example", "https://a.example:8443"),
            ("a.example", "null"),
            ("a.example", "a.example"),
            ("a.example", "http://a.example/path"),
            ("a.example", "http://user@a.example"),
        ] {
            assert!(!allows(&same, host, origin), "{origin} at {host}");
        }
    }

    #[test]
    fn a_list_knows_schemes_ports_and_subdomains() {
        let list = Origins::list(["https://a.example", "b.example", ".c.example"]).unwrap();
        for origin in [
            "https://a.example",
            "http://b.example:81",
            "https://x.y.c.example",
            "http://c.example",
            "http://here:80",
        ] {
            assert!(allows(&list, "here", origin), "{origin}");
        }
        for origin in [
            "http://a.example",
            "https://a.example:444",
            "https://xc.example",
            "http://x.b.example",
            "null",
        ] {
            assert!(!allows(&list, "here", origin), "{origin}");
        }
    }

    #[test]
    fn a_bad_entry_is_named() {
        for entry in ["", "https://", "a b", "ftp://a", "https://a/b"] {
            let error = Origins::list([entry]).unwrap_err();
            assert!(error.to_string().contains(&format!("{entry:?}")), "{error}");
        }
    }

    #[test]
    fn a_star_is_every_origin() {
        let origins = Origins::list(["a.example", "*"]).unwrap();
        assert!(allows(&origins, "here", "https://elsewhere.example"));
    }

    #[test]
    fn the_same_host_need_not_be_meant() {
        let only = Origins::only(["https://a.example"]).unwrap();
        assert!(allows(&only, "here", "https://a.example"));
        assert!(!allows(&only, "here", "http://here") && !allows(&only, "here", "null"));
    }

    #[test]
    fn any_allows_even_null() {
        assert!(allows(&Origins::any(), "a.example", "null"));
    }
}
