//! `landline check`: reads everything as a start would, and says what it finds.

use std::fs;
use std::net::ToSocketAddrs as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use crate::exit::{Exit, Failure};
use crate::ready::Ready;
use crate::settings::{Flags, Setting, Source, Stated, all};

/// Others than owner and group may read.
const FOR_ALL: u32 = 0o004;

/// Others than owner and group may do something.
const FOR_ANYTHING_BY_ALL: u32 = 0o007;

/// Checks the settings and prints what it finds; nothing is bound and nothing changed.
///
/// # Blocking
/// Reads files, and resolves the names to listen on.
pub(crate) fn check(flags: &Flags) -> Exit {
    match findings(flags) {
        Ok(stated) => {
            for warning in warnings(&stated) {
                println(&format!("warning: {warning}"));
            }
            let file = match &stated.file {
                Some(file) => file.display().to_string(),
                None => "no settings file".into(),
            };
            let given = all().filter(|setting| stated.layer.has(setting.key)).count();
            println(&format!("{file}: a server can start with this (settings given: {given})"));
            Exit::Ok
        }
        Err(failure) => {
            failure.report();
            Exit::Config
        }
    }
}

fn findings(flags: &Flags) -> Result<Stated, Failure> {
    let stated = Stated::gather(flags)?;
    let ready = Ready::prepare(&stated)?;
    let settings = ready.settings;
    let mut addresses = Vec::new();
    for host in &settings.hosts {
        let found = host.with_port(settings.port).to_socket_addrs().map_err(|error| {
            Failure::io(Exit::Config, &format!("{host} is no address to listen on"), &error)
        });
        addresses.extend(found.map_err(|failure| failure.set_by(&stated, "host"))?);
    }
    settings.doors.check_bound(&addresses)?;
    Ok(stated)
}

/// What is no mistake and yet not as it should be.
pub(crate) fn warnings(stated: &Stated) -> Vec<String> {
    let readable = readable_secrets(stated).into_iter().chain(readable_keys(stated));
    readable.chain(unknown_variables()).collect()
}

/// Secrets in a settings file that every user of the machine can read.
fn readable_secrets(stated: &Stated) -> Option<String> {
    let path = stated.file.as_ref()?;
    let mode = fs::metadata(path).ok()?.permissions().mode();
    let stands_there = |setting: &Setting| {
        setting.is_secret && matches!(stated.layer.source(setting.key), Some(Source::File(_)))
    };
    let secret = all().find(|setting| stands_there(setting)).filter(|_| mode & FOR_ALL != 0)?;
    let (path, key) = (path.display(), secret.key);
    Some(format!("every user of this machine can read {key} in {path}: chmod o-r {path}"))
}

/// Keys that every user of the machine can read or change: when they are loaded there is no log yet.
fn readable_keys(stated: &Stated) -> Vec<String> {
    let files = stated.said.tls.ssl_keyfile.iter().flatten();
    let is_exposed = |file: &&PathBuf| {
        fs::metadata(file).is_ok_and(|found| found.permissions().mode() & FOR_ANYTHING_BY_ALL != 0)
    };
    files
        .filter(is_exposed)
        .map(|file| {
            let file = file.display();
            format!("every user of this machine can read or change the key {file}: chmod o= {file}")
        })
        .collect()
}

/// Variables that look like a setting with a slip of the pen. Others that begin alike may be meant
/// for something else: Kubernetes makes some from a service's name.
fn unknown_variables() -> Vec<String> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let ours = names.filter(|name| name.starts_with("LANDLINE_") && name != "LANDLINE_CONFIG");
    ours.filter_map(|name| {
        let is_known = all().any(|setting| setting.variable() == name);
        let alike = all().find(|setting| is_slip(&setting.variable(), &name))?;
        let meant = alike.variable();
        (!is_known).then(|| format!("{name} is no setting; did you mean {meant}?"))
    })
    .collect()
}

fn is_slip(known: &str, name: &str) -> bool {
    strsim::osa_distance(known, name) <= 2
}

fn println(line: &str) {
    use std::io::Write as _;
    // Where nobody listens, the code still tells.
    let _ = writeln!(std::io::stdout(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_told_from_other_names() {
        assert!(is_slip("LANDLINE_PORT", "LANDLINE_PROT"));
        assert!(is_slip("LANDLINE_WS_MAX_SIZE", "LANDLINE_WS_MAXSIZE"));
        assert!(!is_slip("LANDLINE_PORT", "LANDLINE_PORT_80_TCP"));
        assert!(!is_slip("LANDLINE_HOST", "LANDLINE_SERVICE_HOST"));
    }
}
