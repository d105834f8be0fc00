//! `landline`: the library's server with a demo, ready to start.

mod args;
mod banner;
mod chat;
mod demo;
mod exit;
mod logging;
mod pages;
mod settings;
mod signals;
mod values;

use std::process::ExitCode;

use landline::{Builder, Server};

use exit::{Exit, Failure};
use pages::Pages;
use settings::Settings;

fn main() -> ExitCode {
    let end = match args::read() {
        Ok(said) => Settings::new(said).map_err(Failure::from).and_then(serve),
        Err(exit) => return exit.into(),
    };
    let Err(failure) = end else { return Exit::Ok.into() };
    failure.report().into()
}

/// Serves until a signal ends it.
fn serve(settings: Settings) -> Result<(), Failure> {
    logging::start(settings.log_level, settings.access_log);
    if let Err(error) = landline::raise_descriptor_limit() {
        log::warn!("{}", error.chain());
    }
    let pages = Pages::load(settings.templates.as_deref())?;
    let server = listen(demo::routes(Server::builder(), pages), settings)?;
    signals::watch(server.handle())?;
    banner::print(&server);
    Ok(server.run()?)
}

fn listen(mut builder: Builder, settings: Settings) -> Result<Server, Failure> {
    if let Some(names) = settings.allowed_hosts {
        builder = builder.allowed_hosts(names);
    }
    let builder = builder.config(settings.config).origins(settings.origins);
    let mut addresses = settings.hosts.iter().map(|host| host.with_port(settings.port));
    // Proof: settings put the default host into an empty list.
    let first = addresses.next().expect("settings name a host or take the default");
    let server = addresses.try_fold(builder.bind(first)?, Server::bind)?;
    for host in settings.hosts.iter().filter(|host| host.is_public()) {
        log::info!("other machines can reach {host}; the demo echoes and chats, and keeps nothing");
    }
    Ok(server)
}
