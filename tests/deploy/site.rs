//! A site: the real binary with the settings of the document, and a certificate.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use crate::client::Visitor;
use crate::document::{block, replace};
use crate::harness::eventually;
use crate::program::{Directory, Program, landline};

/// The name in the document.
pub(crate) const NAME: &str = "live.example.com";

/// The binary behind a proxy, both with the settings of the document.
pub(crate) struct Site {
    pub(crate) directory: Directory,
    pub(crate) certificate: String,
    pub(crate) server: Program,
    proxy: Option<Child>,
    port: u16,
}

impl Site {
    /// Starts the binary with the settings of the document and further arguments.
    pub(crate) fn new(args: &[&str]) -> Self {
        Self::with(&replace(&block("settings"), "port = 8000", "port = 0"), args)
    }

    /// Starts the binary with these settings and further arguments.
    pub(crate) fn with(settings: &str, args: &[&str]) -> Self {
        let directory = Directory::new();
        let certificate = certify(&directory);
        let file = directory.path.join("landline.toml");
        std::fs::write(&file, settings).unwrap();
        let file = file.to_str().expect("a path in UTF-8");
        let server = Program::listening(landline(&[&["serve", "--config", file], args].concat()));
        Self { directory, certificate, server, proxy: None, port: 0 }
    }

    /// Where the binary listens.
    pub(crate) fn behind(&self) -> String {
        self.server.addresses[0].to_string()
    }

    /// The path of a file of this site.
    pub(crate) fn file(&self, name: &str) -> String {
        self.directory.path.join(name).to_str().expect("a path in UTF-8").to_owned()
    }

    /// Writes a configuration, starts the proxy with it and waits until it takes visitors.
    pub(crate) fn start(&mut self, port: u16, text: &str, command: impl FnOnce(&str) -> Command) {
        let file = self.file("proxy.conf");
        std::fs::write(&file, text).unwrap();
        let log = std::fs::File::create(self.file("proxy.log")).unwrap();
        let mut command = command(&file);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        // What Caddy keeps for itself.
        command.env("HOME", self.directory.text()).env("XDG_DATA_HOME", self.directory.text());
        let shown = format!("{:?} starts", command.get_program());
        self.proxy = Some(command.spawn().unwrap_or_else(|error| panic!("{shown}: {error}")));
        self.port = port;
        eventually("the proxy takes visitors", || {
            let ended = self.proxy.as_mut().and_then(|proxy| proxy.try_wait().expect("our child"));
            let log = std::fs::read_to_string(self.file("proxy.log")).unwrap_or_default();
            assert!(ended.is_none(), "the proxy has ended: {log}");
            Visitor::is_met(self.address(), NAME, &self.certificate)
        });
    }

    fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// The port of the proxy.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// A visitor from another address than the proxy's.
    pub(crate) fn visit(&self) -> Visitor {
        Visitor::new(self.address(), NAME, &self.certificate)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(proxy) = &mut self.proxy {
            // Both fail only when it has ended already.
            let _ = proxy.kill();
            let _ = proxy.wait();
        }
    }
}

/// Writes a certificate for the name, and for this machine, with its key, together and apart; the certificate comes back.
pub(crate) fn certify(directory: &Directory) -> String {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned(), "localhost".into()])
        .expect("a certificate");
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    for (name, text) in [
        ("site.pem", &certificate),
        ("site.key", &key),
        ("both.pem", &format!("{certificate}{key}")),
    ] {
        std::fs::write(directory.path.join(name), text).unwrap();
    }
    certificate
}

/// A port that nobody has: proxies cannot say which one they got.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
