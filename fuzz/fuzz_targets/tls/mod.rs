//! A certificate of our own, for a server and its client.

use std::sync::{Arc, LazyLock};

use landline::{Tls, TlsSettings};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

/// The server's settings, and what its clients trust.
pub(crate) static BOTH: LazyLock<(Tls, Arc<ClientConfig>)> = LazyLock::new(|| {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let directory = std::env::temp_dir().join(format!("landline-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let (chain, key) = (directory.join("chain.pem"), directory.join("key.pem"));
    std::fs::write(&chain, pair.cert.pem()).expect("written");
    std::fs::write(&key, pair.signing_key.serialize_pem()).expect("written");
    let tls = Tls::load(TlsSettings::new(chain, key)).expect("a certificate and its key");
    let _ = std::fs::remove_dir_all(&directory);
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(pair.cert.der().to_vec())).expect("a root");
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    (tls, Arc::new(config))
});
