//! From settings and routes to a server that listens.

use landline::{Builder, Server};

use crate::exit::Failure;
use crate::settings::Settings;

/// Binds every address.
///
/// # Errors
/// An address that cannot be bound; a door that would be open to strangers there.
pub(crate) fn listen(mut builder: Builder, settings: Settings) -> Result<Server, Failure> {
    if let Some(names) = settings.allowed_hosts {
        builder = builder.allowed_hosts(names);
    }
    let builder = builder.config(settings.config).origins(settings.origins);
    let (builder, proxies) = (settings.proxies.set_up(builder), &settings.proxies);
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
