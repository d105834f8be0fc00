//! `landline`: the library's server with a demo, ready to start.

mod args;
mod banner;
mod bench;
mod chat;
mod demo;
mod exit;
mod listen;
mod logging;
mod names;
mod pages;
mod publish;
mod settings;
mod signals;
mod values;

use std::process::ExitCode;

use landline::Server;

use args::Asked;
use exit::{Exit, Failure};
use listen::listen;
use pages::Pages;
use settings::Settings;

fn main() -> ExitCode {
    let end = match args::read() {
        Ok(Asked::Serve(said)) => Settings::new(*said).map_err(Failure::from).and_then(serve),
        Ok(Asked::Bench(asked)) => return bench::run(*asked),
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
    let publishing = settings.publishing.clone();
    let builder = publishing.routes(demo::routes(Server::builder(), pages));
    let server = listen(builder, settings)?;
    signals::watch(server.handle())?;
    log::info!("publishing by HTTP: {}", publishing.words());
    banner::print(&server, &publishing);
    Ok(server.run()?)
}
