//! The command line and the environment, as one layer of settings: what a person said, and
//! nothing else. Defaults live in `settings`.
//!
//! The flags have uvicorn's spelling where they mean the same.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{BoolishValueParser, Resettable};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::bench::BenchArgs;
use crate::exit::{Exit, say};
use crate::settings::default_text;
use crate::values::{
    Host, Secret, host, host_name, level, port, seconds, secret, size, size_or_zero,
};

/// A synchronous WebSocket and HTTP server. Without a command it serves its demo.
#[derive(Debug, Parser)]
#[command(name = "landline", version, args_conflicts_with_subcommands = true)]
#[command(args_override_self = true)]
#[command(max_term_width = 100, disable_help_subcommand = true, after_help = epilogue())]
#[command(override_usage = "landline [serve] [OPTIONS]")]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the demo until a signal ends it (this is the default)
    #[command(max_term_width = 100, args_override_self = true, after_help = epilogue())]
    Serve(ServeArgs),
    /// Load a WebSocket server, check what comes back, and say what it costs
    #[command(max_term_width = 100)]
    Bench(BenchArgs),
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Asked {
    Serve(Box<ServeArgs>),
    Bench(Box<BenchArgs>),
}

/// One layer of settings; what is `None` or empty was not said here.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ServeArgs {
    /// Address or name to listen on; may be repeated, or several with commas
    #[arg(long, env = "LANDLINE_HOST", help_heading = "Listening")]
    #[arg(value_name = "HOST", value_parser = host, value_delimiter = ',')]
    pub(crate) host: Vec<Host>,

    /// Port to listen on; 0 picks a free one for each address
    #[arg(long, env = "LANDLINE_PORT", help_heading = "Listening")]
    #[arg(value_name = "PORT", value_parser = port)]
    pub(crate) port: Option<u16>,

    /// Longest message from a WebSocket client; a longer one closes with 1009
    #[arg(long, env = "LANDLINE_WS_MAX_SIZE", help_heading = "WebSocket")]
    #[arg(value_name = "BYTES", value_parser = size)]
    pub(crate) ws_max_size: Option<usize>,

    /// Most replies that are held back while more messages of the same client wait, to go out with
    /// one write; 0 holds none
    #[arg(long, env = "LANDLINE_HELD_BYTES", help_heading = "WebSocket")]
    #[arg(value_name = "BYTES", value_parser = size_or_zero)]
    pub(crate) held_bytes: Option<usize>,

    /// Silence after which a client is pinged; 0 turns pings off
    #[arg(long, env = "LANDLINE_WS_PING_INTERVAL", help_heading = "WebSocket")]
    #[arg(value_name = "SECONDS", value_parser = seconds)]
    pub(crate) ws_ping_interval: Option<Duration>,

    /// Time for a pinged client to show life, else it is closed with 1011; 0 never gives up
    #[arg(long, env = "LANDLINE_WS_PING_TIMEOUT", help_heading = "WebSocket")]
    #[arg(value_name = "SECONDS", value_parser = seconds)]
    pub(crate) ws_ping_timeout: Option<Duration>,

    /// Whether messages are compressed where the client offers it (permessage-deflate)
    #[arg(long, env = "LANDLINE_WS_PER_MESSAGE_DEFLATE", help_heading = "WebSocket")]
    #[arg(value_name = "true|false", value_parser = BoolishValueParser::new())]
    pub(crate) ws_per_message_deflate: Option<bool>,

    /// How hard messages are compressed, from 1 (fast) to 9 (small)
    #[arg(long, env = "LANDLINE_WS_DEFLATE_LEVEL", help_heading = "WebSocket")]
    #[arg(value_name = "N", value_parser = level)]
    pub(crate) ws_deflate_level: Option<u8>,

    /// Length from which on a message is compressed
    #[arg(long, env = "LANDLINE_WS_DEFLATE_THRESHOLD", help_heading = "WebSocket")]
    #[arg(value_name = "BYTES", value_parser = size_or_zero)]
    pub(crate) ws_deflate_threshold: Option<usize>,

    /// Web page that may open WebSockets besides the server's own: https://example.com,
    /// example.com, .example.com (with subdomains), or "any"; may be repeated
    #[arg(long, env = "LANDLINE_ORIGIN", help_heading = "Access")]
    #[arg(value_name = "ORIGIN", value_delimiter = ',')]
    pub(crate) origin: Vec<String>,

    /// Host name to answer to besides those of loopback: example.com, .example.com, or "*";
    /// may be repeated
    #[arg(long, env = "LANDLINE_ALLOWED_HOST", help_heading = "Access")]
    #[arg(value_name = "NAME", value_parser = host_name, value_delimiter = ',')]
    pub(crate) allowed_host: Vec<String>,

    /// Key that publishing by HTTP needs, 16 characters or more; safer in the environment, where
    /// other users of the machine do not see it
    #[arg(long, env = "LANDLINE_PUBLISH_KEY", help_heading = "Access", hide_env_values = true)]
    #[arg(value_name = "KEY", value_parser = secret)]
    pub(crate) publish_key: Option<Secret>,

    /// Most open connections, WebSockets included; others are answered 503
    #[arg(long, env = "LANDLINE_LIMIT_CONCURRENCY", help_heading = "Limits")]
    #[arg(value_name = "N", value_parser = size)]
    pub(crate) limit_concurrency: Option<usize>,

    /// Most open connections of one client address (one /64 for IPv6); others are answered 503
    #[arg(long, env = "LANDLINE_LIMIT_PER_ADDRESS", help_heading = "Limits")]
    #[arg(value_name = "N", value_parser = size)]
    pub(crate) limit_per_address: Option<usize>,

    /// Longest request body; a longer one is answered 413
    #[arg(long, env = "LANDLINE_MAX_BODY_SIZE", help_heading = "Limits")]
    #[arg(value_name = "BYTES", value_parser = size)]
    pub(crate) max_body_size: Option<usize>,

    /// Time an HTTP connection may stay open between two requests
    #[arg(long, env = "LANDLINE_TIMEOUT_KEEP_ALIVE", help_heading = "Limits")]
    #[arg(value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout_keep_alive: Option<Duration>,

    /// Time for a client to take what is sent to it; one that takes nothing is cut
    #[arg(long, env = "LANDLINE_TIMEOUT_SEND", help_heading = "Limits")]
    #[arg(value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout_send: Option<Duration>,

    /// Time for open connections to end when the server stops
    #[arg(long, env = "LANDLINE_TIMEOUT_GRACEFUL_SHUTDOWN", help_heading = "Limits")]
    #[arg(value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout_graceful_shutdown: Option<Duration>,

    /// Directory whose files replace the built-in pages of the same name (index.html, base.html,
    /// echo.html, echo_once.html, connection.html, rooms.html, chat.html, landline.css, chat.css,
    /// landline.js, line.js, chat.js, ws4redis.js, landline.svg)
    #[arg(long, env = "LANDLINE_TEMPLATES", help_heading = "Pages", value_name = "DIR")]
    pub(crate) templates: Option<PathBuf>,

    /// How much is logged to standard error
    #[arg(long, env = "LANDLINE_LOG_LEVEL", help_heading = "Log", value_name = "LEVEL")]
    #[arg(value_enum, ignore_case = true)]
    pub(crate) log_level: Option<LogLevel>,

    /// Leave out the line for each request and each ended WebSocket
    #[arg(long, env = "LANDLINE_NO_ACCESS_LOG", help_heading = "Log")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(crate) no_access_log: bool,
}

/// uvicorn's names of the levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    Off,
    Critical,
    Error,
    #[value(alias = "warn")]
    Warning,
    Info,
    Debug,
    Trace,
}

/// Reads the command line; help, version and wrong usage end here.
///
/// # Errors
/// The code to exit with; the text has been printed.
pub(crate) fn read() -> Result<Asked, Exit> {
    let parsed = command().try_get_matches().and_then(|found| {
        let line = CommandLine::from_arg_matches(&found)?;
        Ok(match line.command {
            Some(Command::Serve(serve)) => Asked::Serve(Box::new(serve)),
            Some(Command::Bench(bench)) => Asked::Bench(Box::new(bench)),
            None => Asked::Serve(Box::new(line.serve)),
        })
    });
    parsed.map_err(|error| {
        // Where nobody listens, the code still tells.
        let _ = error.print();
        if let Some(name) = blamed_variable(&error) {
            say(&format!("The value comes from the environment variable {name}."));
        }
        if error.use_stderr() { Exit::Usage } else { Exit::Ok }
    })
}

/// The grammar, with defaults and variables in its help.
fn command() -> clap::Command {
    let command = CommandLine::command().next_line_help(true).mut_args(complete);
    command.mut_subcommand("serve", |serve| serve.next_line_help(true).mut_args(complete))
}

/// Adds default and variable to a flag's help, and takes the variable away if it is set to
/// nothing: compose files and unit files write that for "not set". Only a key that is nothing is
/// an error, for whoever sets one wants the door closed.
fn complete(arg: clap::Arg) -> clap::Arg {
    let (Some(name), Some(help)) = (arg.get_env(), arg.get_help()) else { return arg };
    let default = default_text(arg.get_id().as_str());
    let default = default.map(|default| format!("[default: {default}] ")).unwrap_or_default();
    let help = format!("{help}\n{default}[env: {}]", name.to_string_lossy());
    let is_unset = is_blank(name) && arg.get_id() != "publish_key";
    let arg = if is_unset { arg.env(Resettable::Reset) } else { arg.hide_env(true) };
    // A negative number gets the words of its value's parser, not those for an unknown flag.
    let takes_value = arg.get_action().takes_values();
    arg.help(help).allow_negative_numbers(takes_value)
}

fn is_blank(name: &OsStr) -> bool {
    std::env::var_os(name).is_some_and(|value| value.is_empty())
}

/// The variable that a wrong value came from, if it did not stand on the command line.
fn blamed_variable(error: &clap::Error) -> Option<String> {
    const WRONG_VALUE: [ErrorKind; 2] = [ErrorKind::InvalidValue, ErrorKind::ValueValidation];
    if !WRONG_VALUE.contains(&error.kind()) {
        return None;
    }
    let ContextValue::String(shown) = error.get(ContextKind::InvalidArg)? else { return None };
    let flag = shown.split([' ', '=', '[']).next()?;
    let stands_there = |arg: std::ffi::OsString| arg.to_string_lossy().starts_with(flag);
    let name = variable_of(flag);
    let is_set = std::env::var_os(&name).is_some();
    (is_set && !std::env::args_os().any(stands_there)).then_some(name)
}

/// `--ws-max-size` is `LANDLINE_WS_MAX_SIZE`.
fn variable_of(flag: &str) -> String {
    let name = flag.trim_start_matches('-').replace('-', "_").to_ascii_uppercase();
    format!("LANDLINE_{name}")
}

fn epilogue() -> String {
    format!(
        "\
Examples:
  landline                                  the demo on http://127.0.0.1:8000/
  landline --port 0                         on a free port, which is printed
  landline --host 0.0.0.0 --port 80         for the whole network
  landline --templates ./pages              with your own pages
  LANDLINE_PORT=9000 landline serve         settings from the environment
  landline bench echo ws://127.0.0.1:8000/echo    how much a running server does, see
                                            landline bench --help

Settings: a flag goes before its environment variable, and that before the default.
Times are seconds, with fractions if you like: 0.5.

Signals: Ctrl+C (SIGINT) or SIGTERM stops the server: WebSockets are closed with 1001, and
connections get the time of --timeout-graceful-shutdown to end. A second signal ends it at once.

Exit codes:
{}",
        Exit::table()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn every_flag_has_help_and_its_variable() {
        for arg in ServeArgs::augment_args(clap::Command::new("test")).get_arguments() {
            let flag = arg.get_long().expect("a long name");
            assert!(arg.get_help().is_some(), "{flag}");
            assert_eq!(arg.get_env(), Some(OsStr::new(&variable_of(flag))), "{flag}");
        }
    }

    #[test]
    fn every_page_is_named_in_the_help() {
        let command = ServeArgs::augment_args(clap::Command::new("test"));
        let templates = command.get_arguments().find(|arg| arg.get_id() == "templates");
        let help = templates.and_then(|arg| arg.get_help()).expect("a help").to_string();
        let words: Vec<_> = help.split([' ', ',', '(', ')', '\n']).collect();
        for name in crate::pages::names() {
            assert!(words.contains(&name), "{name} is missing in: {help}");
        }
    }

    #[test]
    fn flags_stand_with_and_without_the_command() {
        for line in [&["landline", "--port", "1"][..], &["landline", "serve", "--port", "1"]] {
            let parsed = CommandLine::try_parse_from(line).unwrap();
            let serve = match parsed.command {
                Some(Command::Serve(serve)) => serve,
                _ => parsed.serve,
            };
            assert_eq!(serve.port, Some(1));
        }
    }

    #[test]
    fn of_a_flag_given_twice_the_last_counts_and_lists_add_up() {
        let line = "landline --port 1 --host a,b --port 2 --host c".split(' ');
        let serve = CommandLine::try_parse_from(line).unwrap().serve;
        assert_eq!((serve.port, serve.host.len()), (Some(2), 3));
    }
}
