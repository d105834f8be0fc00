//! From settings and routes to a server that listens.

use landline::{Builder, Server, Tls};

use crate::activated::{self, Handed};
use crate::exit::Failure;
use crate::settings::Settings;

/// Binds every address, or takes the sockets that a service manager hands over instead.
///
/// # Errors
/// An address that cannot be bound; a door that would be open to strangers there.
pub(crate) fn listen(
    mut builder: Builder,
    settings: Settings,
    tls: Option<&Tls>,
) -> Result<Server, Failure> {
    if let Some(names) = settings.allowed_hosts.clone() {
        builder = builder.allowed_hosts(names);
    }
    let builder = builder.config(settings.config.clone()).origins(settings.origins.clone());
    let builder = settings.proxies.set_up(builder);
    let handed = activated::take()?;
    let server = match handed.is_empty() {
        true => bind(builder.build()?, &settings, tls)?,
        false => take_over(builder.build()?, handed, &settings, tls)?,
    };
    settings.doors.check_bound(&server.local_addrs())?;
    Ok(server)
}

/// Binds what the settings name.
fn bind(mut server: Server, settings: &Settings, tls: Option<&Tls>) -> Result<Server, Failure> {
    let proxies = &settings.proxies;
    for host in &settings.hosts {
        let address = host.with_port(settings.port);
        let bound = match tls {
            Some(tls) if settings.ssl_port.is_none() => server.bind_tls(address, tls)?,
            _ => server.bind(address)?,
        };
        server = proxies.guard(bound);
        if let (Some(tls), Some(port)) = (tls, settings.ssl_port) {
            server = proxies.guard(server.bind_tls(host.with_port(port), tls)?);
        }
    }
    if let Some((path, mode)) = &settings.uds {
        server = server.bind_unix(path, mode.0)?;
    }
    for host in settings.hosts.iter().filter(|host| host.is_public()) {
        log::info!("other machines can reach {host}; the demo echoes and chats for all of them");
    }
    Ok(server)
}

/// Listens on what was handed over. With TLS a socket of TCP speaks it as one of ours would: all of
/// them do or, if there is a port for it, that one.
fn take_over(
    mut server: Server,
    handed: Vec<Handed>,
    settings: &Settings,
    tls: Option<&Tls>,
) -> Result<Server, Failure> {
    let count = handed.len();
    log::info!("listening on {count} sockets handed over; host, port and uds are not used");
    for Handed { socket, port } in handed {
        let is_tls = port.is_some() && settings.ssl_port.is_none_or(|tls| port == Some(tls));
        let bound = match tls {
            Some(tls) if is_tls => server.bind_tls_listener(socket, tls)?,
            _ => server.bind_listener(socket)?,
        };
        server = match port {
            Some(_) => settings.proxies.guard(bound),
            None => bound,
        };
    }
    Ok(server)
}
