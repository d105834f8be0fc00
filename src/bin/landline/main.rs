//! `landline`: the library's server with a demo, ready to start.

mod activated;
mod admin;
mod args;
mod banner;
mod bench;
mod chat;
mod check;
mod demo;
mod doctor;
mod doors;
mod exit;
mod init;
mod listen;
mod logging;
mod login;
mod names;
mod notify;
mod pages;
mod passwd;
mod proxies;
mod publish;
mod ready;
mod reload;
mod serve;
mod service;
mod settings;
mod show;
mod sign;
mod signals;
mod tls;
mod trust;
mod watchdog;
mod whole_file;

use std::process::ExitCode;

use args::Asked;
use exit::Exit;

fn main() -> ExitCode {
    let end = match args::read() {
        Ok(Asked::Serve(flags)) => serve::serve(&flags),
        Ok(Asked::Init(path, words)) => init::init(&path, words),
        Ok(Asked::Check(flags)) => return check::check(&flags).into(),
        Ok(Asked::Config(flags, form)) => show::show(&flags, form),
        Ok(Asked::Doctor(asked)) => return doctor::run(&asked),
        Ok(Asked::Service(asked)) => return service::run(asked),
        Ok(Asked::Tls(asked)) => tls::init::run(&asked),
        Ok(Asked::Passwd(user)) => passwd::passwd(&user),
        Ok(Asked::Sign(asked)) => sign::sign(&asked),
        Ok(Asked::Bench(asked)) => return bench::run(*asked),
        Err(exit) => return exit.into(),
    };
    let Err(failure) = end else { return Exit::Ok.into() };
    failure.report().into()
}
