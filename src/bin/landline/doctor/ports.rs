//! Whether the server could listen where its settings say.

use std::io::ErrorKind as Cause;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use landline::Server;

use crate::bench::url::{Url, any_url};
use crate::doctor::finding::Finding;
use crate::doctor::wire::{Came, Wire};
use crate::trust::Trust;

/// How long a server may take to say what it is.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tries to listen on an address, and lets go of it again.
pub(crate) fn look(address: SocketAddr, is_tls: bool) -> Finding {
    let about = format!("port {}", address.port());
    let Err(error) = Server::builder().bind(address) else {
        return Finding::ok(about, format!("{address} is free"));
    };
    let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref());
    match cause.map(std::io::Error::kind) {
        Some(Cause::AddrInUse) if !is_tls && is_landline(address) => {
            Finding::ok(about, format!("a running Landline listens on {address}"))
        }
        Some(Cause::AddrInUse) if is_tls => Finding::warning(
            about,
            format!("a server listens on {address}; with TLS it cannot be told which"),
            format!("if it is not this one: \"ss -ltnp 'sport = :{}'\"", address.port()),
        ),
        Some(Cause::AddrInUse) => Finding::problem(
            about,
            format!("another program listens on {address}"),
            format!("\"ss -ltnp 'sport = :{}'\" says which; stop it, or set port", address.port()),
        ),
        Some(Cause::PermissionDenied) => Finding::warning(
            about,
            format!("{address} needs privileges that you do not have here"),
            "\"landline service install\" gives the service what it needs for it",
        ),
        _ => Finding::problem(
            about,
            error.to_string() + &cause.map(|cause| format!(": {cause}")).unwrap_or_default(),
            "set host to an address of this machine",
        ),
    }
}

/// Asks a server how it is, as only this one answers.
fn is_landline(address: SocketAddr) -> bool {
    let mut address = address;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    any_url(&format!("http://{address}/healthz")).is_ok_and(|url| ask(&url).unwrap_or(false))
}

fn ask(url: &Url) -> Result<bool, String> {
    let mut wire = Wire::open(url, &Trust::default())?;
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        url.path, url.authority
    );
    wire.send(request.as_bytes()).map_err(|error| error.to_string())?;
    let (mut answer, deadline) = (Vec::new(), Instant::now() + PATIENCE);
    while let Ok(Came::Bytes) = wire.receive(&mut answer, deadline) {}
    Ok(String::from_utf8_lossy(&answer).contains("\"alive\":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_free_or_taken_by_us_or_by_another() {
        let other = Server::builder().bind("127.0.0.1:0").unwrap();
        let address = other.local_addrs()[0];
        drop(other);
        let lines = look(address, false).lines();
        assert!(lines.starts_with("ok ") && lines.contains(" is free"), "{lines}");
    }
}
