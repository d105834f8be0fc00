//! Whose certificates the clients in this program believe: the doctor's, and those of the load.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// Where Linux distributions keep the certificates of authorities.
const BUNDLES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
];

/// Whose certificates are believed: those that the host believes, and one more file.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    pub(crate) file: Option<PathBuf>,
    /// Whatever is shown is believed.
    pub(crate) is_blind: bool,
}

impl Trust {
    /// What a client of such trust needs, which speaks HTTP/1.1.
    ///
    /// # Errors
    /// A sentence: a file cannot be read, or nobody would be believed.
    pub(crate) fn config(&self) -> Result<ClientConfig, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS cannot be used: {error}"))?;
        let config = match self.is_blind {
            true => {
                let verifier = Arc::new(AnyCertificate(provider));
                config.dangerous().with_custom_certificate_verifier(verifier)
            }
            false => config.with_root_certificates(self.roots()?),
        };
        let mut config = config.with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    fn roots(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        let bundle = BUNDLES.iter().map(Path::new).find(|path| path.exists());
        for path in bundle.into_iter().chain(self.file.as_deref()) {
            let failed = |why: &dyn std::fmt::Display| {
                format!("cannot read the certificates in {}: {why}", path.display())
            };
            let found = CertificateDer::pem_file_iter(path).map_err(|error| failed(&error))?;
            for certificate in found {
                let certificate = certificate.map_err(|error| failed(&error))?;
                // A bundle may hold some that are no authority's by the rules of today.
                let _ = roots.add(certificate);
            }
        }
        match roots.is_empty() {
            true => Err("this host knows no authorities; name one with --ca-file".into()),
            false => Ok(roots),
        }
    }
}

/// The name by which a server's certificate is checked.
///
/// # Errors
/// A sentence: no certificate can have it.
pub(crate) fn server_name(host: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(host.to_owned())
        .map_err(|_| format!("{host:?} is no name that a certificate can have"))
}

/// Believes every certificate; that the server has its key is still checked.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
