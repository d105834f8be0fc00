//! The three commands.

use std::fs;
use std::io::{self, Write as _};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use landline::Config;

use crate::exit::{Exit, Failure};
use crate::ready::Ready;
use crate::service::args::{InstallArgs, ServiceArgs, ServiceCommand, UninstallArgs};
use crate::service::install::{Wanted, check_host, has_socket, install, uninstall};
use crate::service::status;
use crate::settings::Settings;
use crate::settings::Stated;

/// Code of a service that is there and does not run, and of one that is not there, as systemctl has
/// them (LSB).
const NOT_RUNNING: u8 = 3;
const NOT_INSTALLED: u8 = 4;

/// Where systemd shows that it runs.
const RUNNING: &str = "/run/systemd/system";

/// Does what was asked.
pub(crate) fn run(asked: ServiceArgs) -> ExitCode {
    let end = match asked.command {
        ServiceCommand::Install(args) => do_install(args),
        ServiceCommand::Uninstall(args) => do_uninstall(&args),
        ServiceCommand::Status => show_status(),
    };
    end.unwrap_or_else(|failure| failure.report().into())
}

fn do_install(args: InstallArgs) -> Result<ExitCode, Failure> {
    let is_shown = args.dry_run || args.destdir.is_some();
    if !is_shown {
        check_host()?;
        check_systemd()?;
    }
    let plan = install(&wanted(&args)?)?;
    let mut out = io::stdout().lock();
    match args.destdir {
        Some(root) => plan.stage(&root, &mut out)?,
        // Whoever does not listen is not told.
        None if args.dry_run => drop(out.write_all(plan.text().as_bytes())),
        None => plan.carry_out(&mut out)?,
    }
    Ok(Exit::Ok.into())
}

fn do_uninstall(args: &UninstallArgs) -> Result<ExitCode, Failure> {
    let plan = uninstall(&args.config, args.purge);
    let mut out = io::stdout().lock();
    if args.dry_run {
        drop(out.write_all(plan.text().as_bytes()));
    } else {
        check_host()?;
        check_systemd()?;
        plan.carry_out(&mut out)?;
    }
    Ok(Exit::Ok.into())
}

fn show_status() -> Result<ExitCode, Failure> {
    check_systemd()?;
    let status = status::ask()?;
    let _ = io::stdout().write_all(status.text().as_bytes());
    Ok(match (status.is_installed(), status.is_running()) {
        (false, _) => NOT_INSTALLED.into(),
        (true, false) => NOT_RUNNING.into(),
        (true, true) => Exit::Ok.into(),
    })
}

fn check_systemd() -> Result<(), Failure> {
    if Path::new(RUNNING).exists() {
        return Ok(());
    }
    let text = "systemd does not run here; \"landline service install --dry-run\" shows what an \
                installation would do, and docs/DEPLOY.md how the server is run without systemd";
    Err(Failure::new(Exit::Io, text))
}

/// Finds out what the plan depends on.
fn wanted(args: &InstallArgs) -> Result<Wanted, Failure> {
    let failed = |error| Failure::io(Exit::Io, "cannot tell where this program is", &error);
    let program = std::env::current_exe().map_err(failed)?;
    let settings = absolute(&args.config)?;
    let has_settings = settings.exists();
    // Not the variables of whoever installs: the service does not have them.
    let stated = if has_settings { Stated::of_file(&settings)? } else { Stated::default() };
    let Ready { settings: read, .. } = Ready::prepare(&stated)?;
    let bound = addresses(&read)?;
    let mut addresses: Vec<String> = bound.iter().map(SocketAddr::to_string).collect();
    addresses.extend(read.uds.iter().map(|(path, _)| path.display().to_string()));
    let maps = fs::read_to_string("/proc/sys/vm/max_map_count").ok();
    Ok(Wanted {
        program,
        settings,
        has_settings,
        stop: Config::longest_stop(&read.config),
        connections: read.config.max_connections().map(|most| most as u64),
        has_low_port: bound.iter().any(|address| (1..1024).contains(&address.port())),
        addresses,
        with_socket: args.socket,
        has_socket: has_socket(),
        start: !args.no_start,
        maps: maps.and_then(|text| text.trim().parse().ok()),
    })
}

fn addresses(settings: &Settings) -> Result<Vec<SocketAddr>, Failure> {
    let mut addresses = Vec::new();
    for host in &settings.hosts {
        for port in [Some(settings.port), settings.ssl_port].into_iter().flatten() {
            let found = host.with_port(port).to_socket_addrs().map_err(|error| {
                Failure::io(Exit::Config, &format!("{host} is no address to listen on"), &error)
            });
            addresses.extend(found?);
        }
    }
    Ok(addresses)
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| {
        Failure::io(Exit::Config, &format!("{} is no path", path.display()), &error)
    })
}
