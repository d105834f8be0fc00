//! The command line of `landline service`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Where the settings of a service are, unless said otherwise.
const SETTINGS: &str = "/etc/landline/landline.toml";

#[derive(Args, Debug)]
pub(crate) struct ServiceArgs {
    #[command(subcommand)]
    pub(crate) command: ServiceCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ServiceCommand {
    /// Install the service: its user, its settings if there are none, the unit, the kernel's limit
    /// on memory maps; then start it. Again, it updates them
    Install(InstallArgs),
    /// Stop the service and remove what was installed
    Uninstall(UninstallArgs),
    /// Say how the service is; the exit code is 0 while it runs
    Status,
}

#[derive(Args, Debug)]
pub(crate) struct InstallArgs {
    /// Settings file of the service; written with fresh secrets if it is not there
    #[arg(long, value_name = "FILE", default_value = SETTINGS)]
    pub(crate) config: PathBuf,

    /// Have systemd hold the listening sockets: ports below 1024 need no privileges, and no client
    /// is refused while the server restarts
    #[arg(long)]
    pub(crate) socket: bool,

    /// Install without starting
    #[arg(long)]
    pub(crate) no_start: bool,

    /// Show every file and command, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Write the files below this directory and run no command, for images and packages
    #[arg(long, value_name = "DIR", conflicts_with = "dry_run")]
    pub(crate) destdir: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct UninstallArgs {
    /// Settings file of the service
    #[arg(long, value_name = "FILE", default_value = SETTINGS)]
    pub(crate) config: PathBuf,

    /// Remove the settings, with their secrets, the user, and the program in /usr/local/bin as well
    #[arg(long)]
    pub(crate) purge: bool,

    /// Show every file and command, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
