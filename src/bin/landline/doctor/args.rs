//! The command line of `landline doctor`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::bench::url::{Url, any_url};
use crate::settings::Flags;
use crate::settings::values::seconds;

#[derive(Args, Debug)]
pub(crate) struct DoctorArgs {
    /// Where clients reach the server, through its proxy: wss://live.example.com/doctor/
    #[arg(long, value_name = "URL", value_parser = any_url, help_heading = "Doctor")]
    pub(crate) url: Option<Url>,

    /// How long a silent connection to --url is watched
    #[arg(long, value_name = "SECONDS", default_value = "70", value_parser = seconds)]
    #[arg(help_heading = "Doctor")]
    pub(crate) idle: Duration,

    /// File with an authority's certificate that is believed besides those of the host
    #[arg(long, value_name = "FILE", help_heading = "Doctor")]
    pub(crate) ca_file: Option<PathBuf>,

    /// As JSON, for programs
    #[arg(long, help_heading = "Doctor")]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) flags: Flags,
}
