//! What a server's TLS is made of, and the settings in force, which can be swapped.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};

use crate::error::{Error, ErrorKind, Result};
use crate::net::tls::certificate::ServerCertificate;
use crate::net::tls::files::{read_pair, read_roots};
use crate::net::tls::names::ByName;
use crate::sync::Mutex;

/// Whether a client has to show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientAuth {
    /// A client may; one that does not is served as well, and handlers see that it has not. A
    /// certificate that is shown must be right.
    Optional,
    /// A client without a certificate is not served.
    Required,
}

/// The files that a server's TLS is made of; nothing is read before [`Tls::load`].
///
/// # Example
/// ```no_run
/// use landline::{ClientAuth, Server, Tls, TlsSettings};
///
/// # fn main() -> landline::Result<()> {
/// let settings = TlsSettings::new("example.pem", "example.key")
///     .certificate("intranet.pem", "intranet.key")
///     .client_certificates("clients.pem", ClientAuth::Optional);
/// let tls = Tls::load(settings)?;
/// let server = Server::builder().bind_tls("0.0.0.0:443", &tls)?.bind("127.0.0.1:8000")?;
/// // Later, on any thread, when the files have changed:
/// tls.reload()?;
/// # drop(server);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// Chain and key, at least one pair.
    pairs: Vec<(PathBuf, PathBuf)>,
    clients: Option<(PathBuf, ClientAuth)>,
}

impl TlsSettings {
    /// A certificate and its key.
    ///
    /// # Units
    /// PEM files: the certificate with those that vouch for it behind it, and a key for ECDSA
    /// (P-256, P-384), Ed25519 or RSA in PKCS#8, PKCS#1 or SEC1.
    pub fn new(chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self { pairs: vec![(chain.into(), key.into())], clients: None }
    }

    /// Adds a certificate for further names. A client gets the one for the name that it asks for
    /// (SNI), and the first if none is for that name or it asks for none.
    #[must_use]
    pub fn certificate(mut self, chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.pairs.push((chain.into(), key.into()));
        self
    }

    /// Asks clients for a certificate that one of those in the PEM file `authorities` vouches for;
    /// see [`Request::client_certificate`](crate::Request::client_certificate). Sessions are not
    /// resumed then, so that each is checked.
    #[must_use]
    pub fn client_certificates(
        mut self,
        authorities: impl Into<PathBuf>,
        auth: ClientAuth,
    ) -> Self {
        self.clients = Some((authorities.into(), auth));
        self
    }

    /// Reads the files.
    fn load(&self) -> Result<Loaded> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|error| unusable("TLS 1.2 and 1.3 cannot be set up", error))?;
        let builder = match &self.clients {
            None => builder.with_no_client_auth(),
            Some((file, auth)) => {
                let roots = Arc::new(read_roots(file)?);
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
                let verifier = match auth {
                    ClientAuth::Optional => verifier.allow_unauthenticated(),
                    ClientAuth::Required => verifier,
                };
                let verifier = verifier.build().map_err(|error| {
                    unusable(&format!("{} cannot vouch for clients", file.display()), error)
                })?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let (mut certificates, mut by_name) = (Vec::new(), Vec::new());
        for (chain, key) in &self.pairs {
            let (certificate, pair) = read_pair(chain, key, &provider)?;
            by_name.push((certificate.names().to_vec(), pair));
            certificates.push(certificate);
        }
        let mut config = builder.with_cert_resolver(Arc::new(ByName::new(by_name)));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        if self.clients.is_some() {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        } else {
            // New with each load: who has a ticket of the old settings shakes hands anew.
            config.ticketer = ring::Ticketer::new()
                .map_err(|error| unusable("keys for sessions cannot be made", error))?;
            config.send_tls13_tickets = 1;
        }
        Ok(Loaded { config: Arc::new(config), certificates })
    }
}

/// What was read from the files.
struct Loaded {
    config: Arc<ServerConfig>,
    certificates: Vec<ServerCertificate>,
}

/// The TLS settings in force, for the listeners that they are given to; cheap to clone, and all
/// clones are the same.
///
/// TLS 1.2 and 1.3, in both the suites of `rustls`; ALPN `http/1.1`. The handshake is made on the
/// thread of the connection and has as much time as a request head
/// ([`head_timeout`](crate::Config::head_timeout)).
#[derive(Clone)]
pub struct Tls {
    in_force: Arc<Mutex<InForce>>,
}

struct InForce {
    settings: TlsSettings,
    loaded: Loaded,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Blocking
    /// For the files.
    ///
    /// # Errors
    /// `Config`: a file cannot be read or is not what it should be, a key does not belong to its
    /// certificate, or a certificate has expired; the text names the file and says why.
    pub fn load(settings: TlsSettings) -> Result<Self> {
        let loaded = settings.load()?;
        Ok(Self { in_force: Arc::new(Mutex::new(InForce { settings, loaded })) })
    }

    /// Reads the files again. Handshakes that begin from now on get what is in them; connections
    /// that are open live on as they are.
    ///
    /// # Blocking
    /// For the files.
    ///
    /// # Errors
    /// As [`load`](Self::load): what was in force stays in force.
    pub fn reload(&self) -> Result<()> {
        let settings = self.in_force.lock().settings.clone();
        self.reload_with(settings)
    }

    /// As [`reload`](Self::reload), with other files.
    ///
    /// # Blocking
    /// For the files.
    ///
    /// # Errors
    /// As [`load`](Self::load): what was in force stays in force.
    pub fn reload_with(&self, settings: TlsSettings) -> Result<()> {
        let loaded = settings.load()?;
        *self.in_force.lock() = InForce { settings, loaded };
        Ok(())
    }

    /// The certificates in force, in the order of the settings.
    pub fn certificates(&self) -> Vec<ServerCertificate> {
        self.in_force.lock().loaded.certificates.clone()
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.in_force.lock().loaded.config)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.in_force.lock().settings).finish()
    }
}

fn unusable(text: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::Config, text.to_owned()).with_source(error)
}
