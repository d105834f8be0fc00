//! How the values of a setting are written: their word in the help, their type in a settings file,
//! and who reads them.

use std::path::PathBuf;
use std::time::Duration;

use landline::{ProxyHeaders, Rate};

use crate::settings::values::{
    ClientCertificates, FileMode, Host, LogFormat, LogLevel, Secret, client_certificates,
    close_code, file_mode, host, host_name, level, log_format, log_level, network, path,
    path_begin, port, proxy_headers, rate, seconds, secret, size, size_or_zero, switch, text,
};

/// The type of a value in a settings file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// A text; a relative path counts from the directory of the file.
    Path,
    /// A whole number.
    Whole,
    /// A whole number or one with a fraction.
    Number,
    /// `true` or `false`.
    Switch,
}

/// How values of type `T` are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form<T> {
    /// What stands for the value in the help.
    pub(crate) word: &'static str,
    pub(crate) kind: Kind,
    /// Reads a text, or says in words what to give instead.
    pub(crate) read: fn(&str) -> Result<T, String>,
    /// It is never shown; then the reader takes any text, for errors would show it.
    pub(crate) is_secret: bool,
    /// "landline init" makes one up.
    pub(crate) is_fresh: bool,
    /// The flag alone means true.
    pub(crate) stands_alone: bool,
}

impl<T> Form<T> {
    pub(crate) const fn new(
        word: &'static str,
        kind: Kind,
        read: fn(&str) -> Result<T, String>,
    ) -> Self {
        Self { word, kind, read, is_secret: false, is_fresh: false, stands_alone: false }
    }
}

pub(crate) const TEXT: Form<String> = Form::new("TEXT", Kind::Text, text);
pub(crate) const HOST: Form<Host> = Form::new("HOST", Kind::Text, host);
pub(crate) const HOST_NAME: Form<String> = Form::new("NAME", Kind::Text, host_name);
pub(crate) const ORIGIN: Form<String> = Form { word: "ORIGIN", ..TEXT };
pub(crate) const PORT: Form<u16> = Form::new("PORT", Kind::Whole, port);
pub(crate) const BYTES: Form<usize> = Form::new("BYTES", Kind::Whole, size);
pub(crate) const BYTES_OR_ZERO: Form<usize> = Form::new("BYTES", Kind::Whole, size_or_zero);
pub(crate) const COUNT: Form<usize> = Form::new("N", Kind::Whole, size);
pub(crate) const RATE: Form<Rate> = Form::new("N[:BURST]", Kind::Text, rate);
pub(crate) const NETWORK: Form<String> = Form::new("NETWORK", Kind::Text, network);
pub(crate) const PROXY_HEADERS: Form<ProxyHeaders> =
    Form::new("x-forwarded|x-forwarded-with-host|forwarded", Kind::Text, proxy_headers);
pub(crate) const LEVEL: Form<u8> = Form::new("N", Kind::Whole, level);
pub(crate) const SECONDS: Form<Duration> = Form::new("SECONDS", Kind::Number, seconds);
pub(crate) const MODE: Form<FileMode> = Form::new("MODE", Kind::Text, file_mode);
pub(crate) const CLIENT_AUTH: Form<ClientCertificates> =
    Form::new("none|optional|required", Kind::Text, client_certificates);
pub(crate) const DIRECTORY: Form<PathBuf> = Form::new("DIR", Kind::Path, path);
pub(crate) const FILE: Form<PathBuf> = Form::new("FILE", Kind::Path, path);
pub(crate) const URL: Form<String> = Form { word: "URL", ..TEXT };
pub(crate) const PATH_BEGIN: Form<String> = Form::new("PATH", Kind::Text, path_begin);
pub(crate) const CLOSE_CODE: Form<u16> = Form::new("CODE", Kind::Whole, close_code);
pub(crate) const LOG_FORMAT: Form<LogFormat> = Form::new("text|json", Kind::Text, log_format);
pub(crate) const LOG_LEVEL: Form<LogLevel> = Form::new("LEVEL", Kind::Text, log_level);
/// A secret that guards a door of ours, so that any will do as long as nobody else knows it. For one
/// that others give out, take `is_fresh: false`.
pub(crate) const KEY: Form<Secret> =
    Form { is_secret: true, is_fresh: true, ..Form::new("KEY", Kind::Text, secret) };
/// A flag that takes `true` or `false`.
pub(crate) const SWITCH: Form<bool> = Form::new("true|false", Kind::Switch, switch);
/// A flag that stands alone; with `=false` it takes back what another layer says.
pub(crate) const FLAG: Form<bool> = Form { stands_alone: true, ..SWITCH };
