//! Certificates of the tests' own, in files of a directory that goes with them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use landline::{Tls, TlsSettings};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SignatureAlgorithm,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

/// A directory of one test, removed when dropped.
pub(crate) struct Directory {
    path: PathBuf,
}

impl Directory {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("landline-tls-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).expect("a directory");
        Self { path }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.file(name);
        std::fs::write(&path, text).expect("a file");
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// An authority that vouches for the certificates of a test.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
    der: CertificateDer<'static>,
}

/// A certificate and its key.
pub(crate) struct Pair {
    pub(crate) chain: String,
    pub(crate) key: String,
    pub(crate) der: CertificateDer<'static>,
    key_der: Vec<u8>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Self { issuer: Issuer::new(params, key), pem, der }
    }

    /// A certificate for these names, which it is valid for in these years.
    pub(crate) fn vouch_between(&self, names: &[&str], years: (i32, i32)) -> Pair {
        self.vouch_for(names, years, &KeyPair::generate().expect("a key"))
    }

    /// A certificate for a key of this kind.
    pub(crate) fn vouch_by(&self, names: &[&str], kind: &'static SignatureAlgorithm) -> Pair {
        let key = KeyPair::generate_for(kind).expect("a key");
        self.vouch_for(names, (2020, 2999), &key)
    }

    fn vouch_for(&self, names: &[&str], years: (i32, i32), key: &KeyPair) -> Pair {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names.clone()).expect("names");
        params.distinguished_name.push(DnType::CommonName, names[0].clone());
        params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
        let certificate = params.signed_by(key, &self.issuer).expect("a certificate");
        Pair {
            chain: certificate.pem(),
            key: key.serialize_pem(),
            der: certificate.der().clone(),
            key_der: key.serialize_der(),
        }
    }

    pub(crate) fn vouch(&self, names: &[&str]) -> Pair {
        self.vouch_between(names, (2020, 2999))
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).expect("a root");
        roots
    }

    /// Settings of a client that trusts this authority.
    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        self.client_with(rustls::ALL_VERSIONS, None)
    }

    /// Settings of a client that speaks these versions and shows a certificate.
    pub(crate) fn client_with(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        shown: Option<&Pair>,
    ) -> Arc<ClientConfig> {
        Arc::new(self.client_by(rustls::crypto::ring::default_provider(), versions, shown))
    }

    /// Settings of a client that uses this cryptography.
    pub(crate) fn client_of(&self, provider: CryptoProvider) -> ClientConfig {
        self.client_by(provider, rustls::ALL_VERSIONS, None)
    }

    fn client_by(
        &self,
        provider: CryptoProvider,
        versions: &[&'static SupportedProtocolVersion],
        shown: Option<&Pair>,
    ) -> ClientConfig {
        let builder = ClientConfig::builder_with_provider(Arc::new(provider));
        let builder = builder.with_protocol_versions(versions).expect("versions");
        let builder = builder.with_root_certificates(self.roots());
        let mut config = match shown {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let key = PrivateKeyDer::try_from(pair.key_der.clone()).expect("a key");
                builder.with_client_auth_cert(vec![pair.der.clone()], key).expect("a pair")
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config
    }
}

impl Pair {
    /// Writes both files.
    pub(crate) fn write(&self, directory: &Directory, name: &str) -> (PathBuf, PathBuf) {
        let chain = directory.write(&format!("{name}.pem"), &self.chain);
        let key = directory.write(&format!("{name}.key"), &self.key);
        private(&key);
        (chain, key)
    }

    /// The settings of a server with this certificate.
    pub(crate) fn settings(&self, directory: &Directory, name: &str) -> TlsSettings {
        let (chain, key) = self.write(directory, name);
        TlsSettings::new(chain, key)
    }
}

fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("a mode");
}

/// A server's settings and what its clients trust.
pub(crate) fn usual() -> (Directory, Tls, Arc<ClientConfig>) {
    let (directory, authority) = (Directory::new(), Authority::new("tests"));
    let settings = authority.vouch(&["localhost"]).settings(&directory, "server");
    (directory, Tls::load(settings).expect("good files"), authority.client())
}
