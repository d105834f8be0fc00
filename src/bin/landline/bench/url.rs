//! The address of the server under load, as it stands on the command line.

use std::net::{SocketAddr, ToSocketAddrs};

/// What is spoken there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Ws,
    Http,
}

impl Scheme {
    /// Without TLS, and with it.
    fn names(self) -> [&'static str; 2] {
        match self {
            Self::Ws => ["ws", "wss"],
            Self::Http => ["http", "https"],
        }
    }
}

/// A URL that can be asked for; only its name is not looked up yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    /// As it was written.
    pub(crate) text: String,
    /// Without brackets.
    pub(crate) host: String,
    port: u16,
    pub(crate) is_tls: bool,
    /// Host and port as they stand in a request.
    pub(crate) authority: String,
    /// Path and query.
    pub(crate) path: String,
}

impl Url {
    /// Looks the host's name up.
    ///
    /// # Blocking
    /// Until the resolver answers or gives up.
    ///
    /// # Errors
    /// A sentence: the name is unknown.
    pub(crate) fn resolve(&self) -> Result<Vec<SocketAddr>, String> {
        let found = (self.host.as_str(), self.port).to_socket_addrs();
        let unknown = |why: String| {
            format!("cannot find the host {:?} ({why}); is its name spelt right?", self.host)
        };
        let addresses: Vec<SocketAddr> =
            found.map_err(|error| unknown(error.to_string()))?.collect();
        if addresses.is_empty() { Err(unknown("it has no address".into())) } else { Ok(addresses) }
    }
}

/// Reads a URL of a WebSocket.
pub(crate) fn ws_url(text: &str) -> Result<Url, String> {
    url(text, Scheme::Ws)
}

/// Reads a URL of plain HTTP, with TLS or without.
pub(crate) fn http_url(text: &str) -> Result<Url, String> {
    url(text, Scheme::Http)
}

/// Reads a URL of either.
pub(crate) fn any_url(text: &str) -> Result<Url, String> {
    let (name, rest) = text.split_once("://").unwrap_or_default();
    let is = |schemes: [&str; 2]| schemes.iter().any(|scheme| name.eq_ignore_ascii_case(scheme));
    if is(["ws", "http"]) || is(["wss", "https"]) {
        let url = parts(text, rest, is(["wss", "https"]));
        return url.and_then(|url| url.ok_or_else(|| "there is no host in it".into()));
    }
    Err("give a URL such as wss://live.example.com/".into())
}

fn url(text: &str, scheme: Scheme) -> Result<Url, String> {
    let wanted = format!("give a URL such as {}://127.0.0.1:8000/echo", scheme.names()[0]);
    let (name, rest) = text.split_once("://").ok_or(&wanted)?;
    let [plain, secure] = scheme.names();
    let is_tls = name.eq_ignore_ascii_case(secure);
    if !is_tls && !name.eq_ignore_ascii_case(plain) {
        return Err(wanted);
    }
    parts(text, rest, is_tls)?.ok_or(wanted)
}

/// Takes apart what stands behind the scheme; `None` if there is no host.
fn parts(text: &str, rest: &str, is_tls: bool) -> Result<Option<Url>, String> {
    if rest.contains('#') || !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("a URL has no spaces, no # and only ASCII; write others as %20".into());
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let port = if is_tls { "443" } else { "80" };
    let Some((host, port)) = host_and_port(authority, port) else { return Ok(None) };
    let (text, authority) = (text.to_owned(), authority.to_owned());
    Ok(Some(Url { text, host, port, is_tls, authority, path }))
}

fn host_and_port(authority: &str, usual: &'static str) -> Option<(String, u16)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            let port = if rest.is_empty() { usual } else { rest.strip_prefix(':')? };
            (host, port)
        }
        None => authority.rsplit_once(':').unwrap_or((authority, usual)),
    };
    let is_host = !host.is_empty() && !host.contains('@');
    let port = port.parse().ok().filter(|port| *port > 0)?;
    is_host.then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_host_port_and_path() {
        for (text, host, port, path) in [
            ("ws://127.0.0.1:8000/echo?x=1", "127.0.0.1", 8000, "/echo?x=1"),
            ("WS://a.example", "a.example", 80, "/"),
            ("ws://[::1]:9/x", "::1", 9, "/x"),
            ("ws://[::1]", "::1", 80, "/"),
            ("ws://a?x", "a", 80, "/?x"),
            ("WSS://a", "a", 443, "/"),
            ("wss://[::1]:9/x", "::1", 9, "/x"),
        ] {
            let url = ws_url(text).unwrap();
            assert_eq!((url.host.as_str(), url.port, url.path.as_str()), (host, port, path));
            assert_eq!(url.is_tls, text[..3].eq_ignore_ascii_case("wss"));
        }
        assert_eq!(http_url("http://a:1/").unwrap().authority, "a:1");
        assert!(http_url("https://a").unwrap().is_tls);
    }

    #[test]
    fn any_url_has_the_port_of_its_scheme() {
        for (text, port, is_tls) in [
            ("wss://a.example/doctor/", 443, true),
            ("HTTPS://a.example:8443", 8443, true),
            ("ws://[::1]/", 80, false),
            ("http://a", 80, false),
        ] {
            let url = any_url(text).unwrap();
            assert_eq!((url.port, url.is_tls), (port, is_tls), "{text}");
        }
        for wrong in ["", "a", "ftp://a", "wss://", "wss://u@a", "wss://a b"] {
            assert!(any_url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_url_is_told() {
        for wrong in
            ["", "a:1", "http://a", "ws://", "ws://a:x", "ws://a:0", "ws://u@a", "ws://a b"]
        {
            assert!(ws_url(wrong).is_err(), "{wrong}");
        }
        assert!(http_url("ws://a").unwrap_err().contains("http://"));
    }
}
