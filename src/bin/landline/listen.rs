//! From settings and routes to a server that listens.

use landline::{Builder, Server};

use crate::activated;
use crate::exit::Failure;
use crate::settings::Settings;

/// Binds every address, or takes the sockets that a service manager hands over instead.
///
/// # Errors
/// An address that cannot be bound; a door that would be open to strangers there.
pub(crate) fn listen(mut builder: Builder, settings: Settings) -> Result<Server, Failure> {
    if let Some(names) = settings.allowed_hosts {
        builder = builder.allowed_hosts(names);
    }
    let builder = builder.config(settings.config).origins(settings.origins);
    let (builder, proxies) = (settings.proxies.set_up(builder), &settings.proxies);
    let handed = activated::take()?;
    if !handed.is_empty() {
        let count = handed.len();
        log::info!("listening on {count} sockets handed over; host and port are not used");
        let server = handed.into_iter().try_fold(builder.build()?, |server, socket| {
            Ok::<_, Failure>(proxies.guard(server.bind_listener(socket)?))
        })?;
        settings.doors.check_bound(&server.local_addrs())?;
        return Ok(server);
    }
    let mut addresses = settings.hosts.iter().map(|host| host.with_port(settings.port));
    // Proof: settings put the default host into an empty list.
    let first = addresses.next().expect("settings name a host or take the default");
    let server = proxies.guard(builder.bind(first)?);
    let server = addresses.try_fold(server, |server, address| {
        Ok::<_, Failure>(proxies.guard(server.bind(address)?))
    })?;
    for host in settings.hosts.iter().filter(|host| host.is_public()) {
        log::info!("other machines can reach {host}; the demo echoes and chats for all of them");
    }
    settings.doors.check_bound(&server.local_addrs())?;
    Ok(server)
}
