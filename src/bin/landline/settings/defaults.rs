//! The defaults of what [`landline::Config`] knows nothing of.

use std::net::{IpAddr, Ipv4Addr};

use crate::settings::values::{FileMode, Host, LogFormat, LogLevel};

pub(crate) const HOST: Host = Host::Address(IpAddr::V4(Ipv4Addr::LOCALHOST));
pub(crate) const PORT: u16 = 8000;
/// Owner and group: a proxy is in the group.
pub(crate) const UDS_MODE: FileMode = FileMode(0o660);
pub(crate) const LOG_LEVEL: LogLevel = LogLevel::Info;
pub(crate) const LOG_FORMAT: LogFormat = LogFormat::Text;
