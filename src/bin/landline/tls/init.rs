//! `landline tls init --lan`: certificates for an intranet, where no public authority helps.

use std::fmt::Display;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::exit::{Exit, Failure};
use crate::tls::host;
use crate::tls::issue::{self, Made};

/// Only the owner reads keys.
const SECRET: u32 = 0o600;

/// Certificates are for everybody.
const PUBLIC: u32 = 0o644;

/// What to do with certificates.
#[derive(Debug, Args)]
pub(crate) struct TlsArgs {
    #[command(subcommand)]
    command: TlsCommand,
}

#[derive(Debug, Subcommand)]
enum TlsCommand {
    /// Make a small authority (CA) and a certificate for this server. If DIR has an authority from
    /// before, that one vouches for the new certificate. No file is ever overwritten
    Init(InitArgs),
}

#[derive(Debug, Args)]
struct InitArgs {
    /// For the names and addresses by which an intranet knows this host
    #[arg(long)]
    lan: bool,
    /// Another name or address that clients use; may be repeated
    #[arg(long = "name", value_name = "HOST", required_unless_present = "lan")]
    names: Vec<String>,
    /// Where the files go; made if it is not there
    #[arg(value_name = "DIR", default_value = "tls")]
    directory: PathBuf,
}

/// Does what was asked.
///
/// # Errors
/// A name is none, a file is there already or cannot be written.
pub(crate) fn run(asked: &TlsArgs) -> Result<(), Failure> {
    let TlsCommand::Init(asked) = &asked.command;
    let names = names(asked)?;
    let files = Files { directory: asked.directory.clone() };
    files.check_free()?;
    let authority = match files.authority()? {
        Some(authority) => authority,
        None => {
            let authority = issue::authority(&names).map_err(unmade)?;
            files.make_directory()?;
            files.write("ca.key", &authority.key, SECRET)?;
            files.write("ca.pem", &authority.certificate, PUBLIC)?;
            authority
        }
    };
    let server = issue::server(&names, &authority).map_err(unmade)?;
    files.write("server.key", &server.key, SECRET)?;
    files.write("server.pem", &server.certificate, PUBLIC)?;
    // Where nobody listens, the files are there all the same.
    let _ = io::stdout().write_all(files.next_steps(&names).as_bytes());
    Ok(())
}

/// All names of the certificate, each once, those that were asked for first.
fn names(asked: &InitArgs) -> Result<Vec<String>, Failure> {
    let mut names: Vec<String> = Vec::new();
    let own = if asked.lan { host::names() } else { Vec::new() };
    for name in asked.names.iter().chain(&own) {
        let name = name.to_ascii_lowercase();
        let name = name.trim_matches(['[', ']']).to_owned();
        let is_address = name.parse::<std::net::IpAddr>().is_ok();
        let labels = name.strip_prefix("*.").unwrap_or(&name);
        let is_name = labels.split('.').all(|label| {
            !label.is_empty()
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        });
        if !is_address && !is_name {
            let text = format!("{name:?} is no name or address; write it without scheme and port");
            return Err(Failure::new(Exit::Usage, text));
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

fn unmade(error: impl Display) -> Failure {
    Failure::new(Exit::Config, format!("no certificate can be made: {error}"))
}

/// The files of a directory.
struct Files {
    directory: PathBuf,
}

impl Files {
    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Refuses before anything is written, so that a second run leaves nothing half done.
    fn check_free(&self) -> Result<(), Failure> {
        match ["server.key", "server.pem"].iter().find(|name| self.path(name).exists()) {
            Some(name) => Err(taken(&self.path(name))),
            None => Ok(()),
        }
    }

    /// The authority from before.
    fn authority(&self) -> Result<Option<Made>, Failure> {
        let read = |name: &str| match fs::read_to_string(self.path(name)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => {
                let text = format!("cannot read {}", self.path(name).display());
                Err(Failure::io(Exit::Config, &text, &error))
            }
        };
        match (read("ca.pem")?, read("ca.key")?) {
            (Some(certificate), Some(key)) => Ok(Some(Made { certificate, key })),
            (None, None) => Ok(None),
            _ => {
                let directory = self.directory.display();
                let text = format!(
                    "{directory} has only one of ca.pem and ca.key: bring the other one back, \
                     or take an empty directory"
                );
                Err(Failure::new(Exit::Config, text))
            }
        }
    }

    fn make_directory(&self) -> Result<(), Failure> {
        let made = DirBuilder::new().recursive(true).mode(0o755).create(&self.directory);
        made.map_err(|error| {
            let text = format!("cannot make {}", self.directory.display());
            Failure::io(Exit::Config, &text, &error)
        })
    }

    fn write(&self, name: &str, text: &str, mode: u32) -> Result<(), Failure> {
        let path = self.path(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
        let written = file.and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
        written.map_err(|error| {
            if error.kind() == io::ErrorKind::AlreadyExists {
                return taken(&path);
            }
            Failure::io(Exit::Config, &format!("cannot write {}", path.display()), &error)
        })
    }

    fn next_steps(&self, names: &[String]) -> String {
        let directory = self.directory.display();
        let days = issue::SERVER_DAYS;
        let names = names.join(" ");
        format!(
            "\
Made in {directory}:
  ca.pem      the authority, for every client
  ca.key      its key (mode 0600): whoever has it can pose as any host of your intranet; keep it
              on another machine, a server does not need it
  server.pem  the certificate of this server, for {days} days
  server.key  its key (mode 0600)

The certificate is for: {names}

On each client, trust ca.pem:
  Debian, Ubuntu  cp ca.pem /usr/local/share/ca-certificates/landline.crt; update-ca-certificates
  Fedora, RHEL    cp ca.pem /etc/pki/ca-trust/source/anchors/landline.pem; update-ca-trust
  Windows         certutil -addstore -f ROOT ca.pem
  macOS           security add-trusted-cert -d -k /Library/Keychains/System.keychain ca.pem
  Firefox         Settings, Certificates, View, Authorities, Import

Start with:
  landline --host 0.0.0.0 --port 443 \\
    --ssl-certfile {directory}/server.pem --ssl-keyfile {directory}/server.key

For a new certificate move server.pem and server.key away, run this again, and send the running
server SIGHUP.
"
        )
    }
}

fn taken(path: &Path) -> Failure {
    let text = format!("{} is there already and stays as it is", path.display());
    Failure::new(Exit::Config, text)
}
