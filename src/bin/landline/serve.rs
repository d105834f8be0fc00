//! From settings to a server that runs until a signal ends it.

use landline::Server;

use crate::exit::Failure;
use crate::listen::listen;
use crate::ready::Ready;
use crate::reload::Reloader;
use crate::said::{Flags, Stated};
use crate::{banner, check, demo, logging, notify, signals, watchdog};

/// What a service manager shows.
const SERVING: &str = "serving";

/// Gathers the settings and serves.
///
/// # Blocking
/// Until a signal ends it.
///
/// # Errors
/// Why it cannot start.
pub(crate) fn serve(flags: &Flags) -> Result<(), Failure> {
    let stated = Stated::gather(flags)?;
    let Ready { settings, pages, login } = Ready::prepare(&stated)?;
    logging::start(settings.log_level, settings.access_log);
    if let Err(error) = landline::raise_descriptor_limit() {
        log::warn!("{}", error.chain());
    }
    check::warnings(&stated).iter().for_each(|warning| log::warn!("{warning}"));
    let (publishing, files) = (settings.publishing.clone(), pages.files.clone());
    let builder = publishing.routes(demo::routes(Server::builder(), pages));
    let server = listen(login.guard(builder), settings)?;
    let (handle, addresses) = (server.handle(), server.local_addrs());
    let flags = flags.clone();
    let mut reloader = Reloader {
        flags,
        running: stated,
        handle,
        addresses,
        publishing: publishing.clone(),
        files,
    };
    signals::watch(server.handle(), move || reloader.reload())?;
    log::info!("publishing by HTTP: {}", publishing.words());
    watchdog::start(server.handle())?;
    banner::print(&server, &publishing);
    notify::ready(SERVING);
    Ok(server.run()?)
}
