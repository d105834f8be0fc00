//! The command line: which command, and its flags. The settings among the flags are declared in
//! `settings`.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::bench::BenchArgs;
use crate::doctor::args::DoctorArgs;
use crate::exit::Exit;
use crate::init::{DEFAULT_FILE, Words};
use crate::service::args::ServiceArgs;
use crate::settings::Flags;
use crate::show::Form;
use crate::sign::SignArgs;
use crate::tls::init::TlsArgs;

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
    serve: Box<Flags>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the demo until a signal ends it (this is the default)
    #[command(max_term_width = 100, args_override_self = true, after_help = epilogue())]
    Serve(Box<Flags>),
    /// Write a settings file to begin with: every setting with its default, and fresh secrets
    #[command(max_term_width = 100)]
    Init {
        /// The file to write; it must not be there yet
        #[arg(value_name = "FILE", default_value = DEFAULT_FILE)]
        file: PathBuf,
        /// Say nothing when it went well, for scripts
        #[arg(long)]
        quiet: bool,
    },
    /// Read the settings as a start would, and say what is wrong with them (exit code 0 or 1)
    #[command(max_term_width = 100, args_override_self = true)]
    Check(Box<Flags>),
    /// Show the settings in force, and where each comes from
    #[command(max_term_width = 100, args_override_self = true)]
    Config {
        /// As JSON, for programs
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        flags: Box<Flags>,
    },
    /// Look at this host, the settings and the way through a proxy, and say what to do
    #[command(max_term_width = 100, args_override_self = true)]
    Doctor(Box<DoctorArgs>),
    /// Read a password, and print the line of the user for --auth-basic-file
    #[command(max_term_width = 100)]
    Passwd {
        /// The name of the user
        #[arg(value_name = "USER")]
        user: String,
    },
    /// Sign what the server then knows as its own: names of private groups
    #[command(max_term_width = 100)]
    Sign(SignArgs),
    /// Certificates for an intranet, where no public authority helps
    #[command(max_term_width = 100)]
    Tls(TlsArgs),
    /// Install the server as a service of this host, under systemd
    #[command(max_term_width = 100)]
    Service(ServiceArgs),
    /// Load a WebSocket server, check what comes back, and say what it costs
    #[command(max_term_width = 100)]
    Bench(Box<BenchArgs>),
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Asked {
    Serve(Box<Flags>),
    Init(PathBuf, Words),
    Check(Box<Flags>),
    Config(Box<Flags>, Form),
    Doctor(Box<DoctorArgs>),
    Tls(TlsArgs),
    Service(ServiceArgs),
    Passwd(String),
    Sign(SignArgs),
    Bench(Box<BenchArgs>),
}

/// Reads the command line; help, version and wrong usage end here.
///
/// # Errors
/// The code to exit with; the text has been printed.
pub(crate) fn read() -> Result<Asked, Exit> {
    let parsed = CommandLine::try_parse().map(|line| match line.command {
        Some(Command::Serve(serve)) => Asked::Serve(serve),
        Some(Command::Init { file, quiet }) => {
            Asked::Init(file, if quiet { Words::None } else { Words::All })
        }
        Some(Command::Check(flags)) => Asked::Check(flags),
        Some(Command::Config { json, flags }) => {
            Asked::Config(flags, if json { Form::Json } else { Form::Table })
        }
        Some(Command::Doctor(asked)) => Asked::Doctor(asked),
        Some(Command::Tls(asked)) => Asked::Tls(asked),
        Some(Command::Service(asked)) => Asked::Service(asked),
        Some(Command::Passwd { user }) => Asked::Passwd(user),
        Some(Command::Sign(asked)) => Asked::Sign(asked),
        Some(Command::Bench(bench)) => Asked::Bench(bench),
        None => Asked::Serve(line.serve),
    });
    parsed.map_err(|error| {
        // Where nobody listens, the code still tells.
        let _ = error.print();
        if error.use_stderr() { Exit::Usage } else { Exit::Ok }
    })
}

fn epilogue() -> String {
    format!(
        "\
Examples:
  landline                                  the demo on http://127.0.0.1:8000/
  landline --port 0                         on a free port, which is printed
  landline --host 0.0.0.0 --port 80         for the whole network
  landline --templates ./pages              with your own pages
  landline init                             writes landline.toml, with every setting
  landline --config landline.toml           settings from a file
  landline check --config landline.toml     reads everything as a start would, and says what is wrong
  landline config                           the values in force, and where each comes from
  LANDLINE_PORT=9000 landline serve         settings from the environment
  landline doctor                           how many connections this host holds, and more
  landline passwd anna >> users.txt         a user for --auth-basic-file users.txt
  landline sign group board --for 3600      a signed name of a private group, with the key in force
  landline service install --dry-run        what would make it a service of this host
  landline bench echo ws://127.0.0.1:8000/echo    how much a running server does, see
                                            landline bench --help

Settings: a flag goes before its environment variable, that before the settings file, and that
before the default. The key in the file is the flag's name with _ for -: --ws-max-size is
ws_max_size. A relative path in the file counts from the file's directory.
Times are seconds, with fractions if you like: 0.5.

Signals: Ctrl+C (SIGINT) or SIGTERM stops the server: WebSockets are closed with 1001, and
connections get the time of --timeout-graceful-shutdown to end. With --drain-delay and --drain-time
it first lets a load balancer notice, and then closes them one after the other. A second signal
ends it at once.
SIGHUP reads the settings again, and files that they name: all of it or, if something is wrong,
nothing. The log says what has changed, and what needs a restart.

Exit codes:
{}",
        Exit::table()
    )
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::settings::find;

    #[test]
    fn the_grammar_is_sound() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn every_page_is_named_in_the_help() {
        let help = find("templates").expect("the setting").help();
        let words: Vec<_> = help.split([' ', ',', '(', ')']).collect();
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
            assert_eq!(serve.layer.texts("port").unwrap(), ["1"]);
        }
    }
}
