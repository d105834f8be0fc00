//! PEM files: certificate chains, keys, and the certificates that vouch for clients.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::error::{Error, ErrorKind, Result};
use crate::file;
use crate::net::tls::certificate::ServerCertificate;

/// The chain of a certificate with its key, checked as far as a server can.
pub(super) fn read_pair(
    chain_file: &Path,
    key_file: &Path,
    provider: &CryptoProvider,
) -> Result<(ServerCertificate, Arc<CertifiedKey>)> {
    let chain = read_certificates(chain_file)?;
    let certificate = ServerCertificate::read(chain_file, &chain[0])
        .ok_or_else(|| wrong(chain_file, "holds no certificate that can be read"))?;
    check_time(&certificate)?;
    let key = read_key(key_file)?;
    let signing = provider.key_provider.load_private_key(key).map_err(|error| {
        wrong(key_file, "holds no key for ECDSA, Ed25519 or RSA of 2048 bits or more")
            .with_source(error)
    })?;
    let pair = CertifiedKey::new(chain, signing);
    pair.keys_match().map_err(|error| {
        let chain_file = chain_file.display();
        let text = format!(
            "does not belong to the certificate in {chain_file}; name the key that this was made with"
        );
        wrong(key_file, &text).with_source(error)
    })?;
    Ok((certificate, Arc::new(pair)))
}

/// The certificates that vouch for clients.
pub(super) fn read_roots(file: &Path) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in read_certificates(file)? {
        roots.add(certificate).map_err(|error| {
            wrong(file, "holds a certificate that cannot vouch for clients").with_source(error)
        })?;
    }
    Ok(roots)
}

/// At least one certificate.
fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let text = read(file)?;
    let certificates = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(wrong(file, "holds no certificate in PEM (-----BEGIN CERTIFICATE-----)")),
    }
}

fn read_key(file: &Path) -> Result<PrivateKeyDer<'static>> {
    let text = read(file)?;
    warn_of_readers(file);
    // What is wrong in it is not told: it is a secret.
    PrivateKeyDer::from_pem_slice(&text).map_err(|_| {
        if text.windows(9).any(|window| window == b"ENCRYPTED") {
            let what = "is encrypted, and nobody is there to be asked for the passphrase; take it \
                        off: openssl pkey -in OLD -out NEW";
            return wrong(file, what);
        }
        wrong(file, "holds no private key in PEM (-----BEGIN PRIVATE KEY-----)")
    })
}

fn warn_of_readers(file: &Path) {
    let mode = fs::metadata(file).map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o007 != 0 {
        let file = file.display();
        log::warn!("every user of this machine can read or change the key {file}: chmod o= {file}");
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    file::read(path).map_err(|error| {
        let text = format!("cannot read {}", path.display());
        Error::new(ErrorKind::Config, text).with_source(error)
    })
}

fn check_time(certificate: &ServerCertificate) -> Result<()> {
    let (now, file) = (SystemTime::now(), certificate.file());
    if let Ok(ago) = now.duration_since(certificate.not_after()) {
        let days = ago.as_secs() / 86_400;
        return Err(wrong(file, &format!("expired {days} days ago; put a new one in its place")));
    }
    if let Ok(time) = certificate.not_before().duration_since(now) {
        let days = time.as_secs() / 86_400;
        let text = format!("becomes valid in {days} days only; is this host's clock right?");
        return Err(wrong(file, &text));
    }
    Ok(())
}

fn wrong(file: &Path, what: &str) -> Error {
    Error::new(ErrorKind::Config, format!("{} {what}", file.display()))
}
