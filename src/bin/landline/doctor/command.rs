//! The command: one look after the other, each told as soon as it is known.

use std::io::{self, Write as _};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::process::ExitCode;
use std::time::SystemTime;

use landline::HostCeiling;

use crate::doctor::args::DoctorArgs;
use crate::doctor::finding::{Finding, Grade, Report};
use crate::doctor::line::Line;
use crate::doctor::{certificates, host, ports, served};
use crate::exit::{Exit, Failure};
use crate::ready::Ready;
use crate::settings::Stated;
use crate::trust::Trust;

/// Looks at everything.
///
/// # Blocking
/// For a moment; with a URL until the time of `--idle` has passed.
pub(crate) fn run(args: &DoctorArgs) -> ExitCode {
    let mut doctor = Doctor { report: Report::default(), is_silent: args.json };
    // As a start would, so that the numbers are those of a server.
    let raised = landline::raise_descriptor_limit();
    let ceiling = HostCeiling::now();
    let ready = settings(args, &mut doctor);
    let wish = ready.as_ref().and_then(|ready| ready.settings.config.max_connections());
    host::capacity(&ceiling, wish).into_iter().for_each(|finding| doctor.tell(finding));
    if let Err(error) = raised {
        doctor.tell(Finding::warning("open files", error.chain(), "start it with a higher limit"));
    }
    host::backlog().into_iter().for_each(|finding| doctor.tell(finding));
    if let Some(ready) = ready {
        look_at_ports(&ready, &mut doctor);
        let certificates = ready.secure.iter().flat_map(|secure| secure.tls.certificates());
        let now = SystemTime::now();
        certificates.for_each(|certificate| {
            let file = certificate.file().display().to_string();
            let (from, until) = (certificate.not_before(), certificate.not_after());
            doctor.tell(certificates::judge(&file, certificate.names(), (from, until), now));
        });
    }
    if let Some(url) = &args.url {
        let mut url = url.clone();
        if url.path == "/" {
            url.path = served::PATH.into();
        }
        let trust = Trust { file: args.ca_file.clone(), is_blind: false };
        Line { url: &url, trust: &trust, idle: args.idle }.examine(|finding| doctor.tell(finding));
    }
    doctor.end(ceiling.connections())
}

/// Who tells what is found.
struct Doctor {
    report: Report,
    is_silent: bool,
}

impl Doctor {
    fn tell(&mut self, finding: Finding) {
        if !self.is_silent {
            print(&finding.lines());
        }
        self.report.add(finding);
    }

    fn end(self, connections: usize) -> ExitCode {
        match self.is_silent {
            true => print(&format!("{:#}\n", self.report.json(connections))),
            false => print(&format!("\n{}\n", self.report.summary())),
        }
        match self.report.worst() {
            Grade::Problem => Exit::Config.into(),
            Grade::Ok | Grade::Warning => Exit::Ok.into(),
        }
    }
}

/// Reads the settings as a start would; `None` if no server could start with them.
fn settings(args: &DoctorArgs, doctor: &mut Doctor) -> Option<Ready> {
    let prepared = Stated::gather(&args.flags).and_then(|stated| {
        let ready = Ready::prepare(&stated)?;
        Ok((stated, ready))
    });
    let about = "settings";
    match prepared {
        Ok((stated, ready)) => {
            let text = match &stated.file {
                Some(file) => format!("a server can start with {}", file.display()),
                None => "a server can start; no settings file is named (--config)".into(),
            };
            doctor.tell(Finding::ok(about, text));
            Some(ready)
        }
        Err(failure) => {
            for text in failure.texts() {
                let advice =
                    "no server starts like this; \"landline check\" is quicker to ask again";
                doctor.tell(Finding::problem(about, text.clone(), advice));
            }
            None
        }
    }
}

fn look_at_ports(ready: &Ready, doctor: &mut Doctor) {
    let settings = &ready.settings;
    let ports = [Some(settings.port), settings.ssl_port].into_iter().flatten();
    for (host, port) in settings.hosts.iter().flat_map(|host| ports.clone().map(move |p| (host, p)))
    {
        let is_tls = ready.secure.is_some() && port == settings.ssl_port.unwrap_or(settings.port);
        match host.with_port(port).to_socket_addrs() {
            Ok(addresses) => {
                let addresses: Vec<SocketAddr> = addresses.collect();
                addresses.into_iter().for_each(|address| doctor.tell(ports::look(address, is_tls)));
            }
            Err(error) => {
                let failure = Failure::io(Exit::Config, &format!("{host} has no address"), &error);
                let text = failure.texts().join("; ");
                doctor.tell(Finding::problem("settings", text, "set host to an address"));
            }
        }
    }
}

fn print(text: &str) {
    // Where nobody listens, the code still tells.
    let _ = io::stdout().write_all(text.as_bytes());
}
