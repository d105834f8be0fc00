//! From settings to a server that runs until a signal ends it.

use landline::Server;

use crate::admin::probes;
use crate::exit::Failure;
use crate::listen::listen;
use crate::ready::Ready;
use crate::reload::Reloader;
use crate::settings::{Flags, Stated};
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
    let Ready { settings, pages, login, secure } = Ready::prepare(&stated)?;
    logging::start(settings.log_level, settings.log_format, settings.access_log);
    if let Err(error) = landline::raise_descriptor_limit() {
        log::warn!("{}", error.chain());
    }
    check::warnings(&stated).iter().for_each(|warning| log::warn!("{warning}"));
    let (publishing, files) = (settings.publishing.clone(), pages.files.clone());
    let (admin, doors, copies) = (settings.admin.clone(), settings.doors.clone(), pages.clone());
    // Before the routes of the demo, whose last one takes whatever is below /ws/.
    let builder = probes(admin.beside(Server::builder()));
    let builder = publishing.routes(demo::routes(builder, pages));
    let tls = secure.as_ref().map(|secure| &secure.tls);
    let server = listen(login.guard(builder), settings, tls)?;
    let page = admin.start(&server, copies, &doors)?;
    let (handle, addresses) = (server.handle(), server.local_addrs());
    let flags = flags.clone();
    let mut reloader = Reloader {
        flags,
        running: stated,
        handle,
        addresses,
        publishing: publishing.clone(),
        admin,
        secure,
        files,
    };
    signals::watch(server.handle(), move || reloader.reload())?;
    log::info!("publishing by HTTP: {}", publishing.words());
    watchdog::start(server.handle())?;
    banner::print(&server, &publishing, page.as_deref());
    notify::ready(SERVING);
    Ok(server.run()?)
}
