//! What certificates say: whose they are, and until when.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

/// The certificate by which a client has shown who it is, checked against the file of
/// [`TlsSettings::client_certificates`](crate::TlsSettings::client_certificates).
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    der: Box<[u8]>,
    subject: String,
    common_name: Option<String>,
}

impl ClientCertificate {
    pub(crate) fn new(der: &[u8]) -> Self {
        let parsed = X509Certificate::from_der(der).ok().map(|(_, certificate)| certificate);
        let subject = parsed.as_ref().map(|certificate| certificate.subject());
        let common_name = subject.and_then(|subject| subject.iter_common_name().next());
        Self {
            subject: subject.map(ToString::to_string).unwrap_or_default(),
            common_name: common_name.and_then(|name| Some(name.as_str().ok()?.to_owned())),
            der: der.into(),
        }
    }

    /// The whole certificate.
    ///
    /// # Units
    /// DER (X.690), as it was sent.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The subject: `CN=till-7, O=Example`; may hold any text that the issuer let pass.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The subject's common name: `till-7`.
    pub fn common_name(&self) -> Option<&str> {
        self.common_name.as_deref()
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientCertificate({:?})", self.subject)
    }
}

/// A certificate of this server, as far as an operator has to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerCertificate {
    file: PathBuf,
    names: Vec<String>,
    not_before: SystemTime,
    not_after: SystemTime,
}

impl ServerCertificate {
    /// Reads what a certificate says; `None` if it is none.
    pub(super) fn read(file: &Path, der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let validity = certificate.validity();
        Some(Self {
            file: file.to_owned(),
            names: names(&certificate),
            not_before: moment(validity.not_before),
            not_after: moment(validity.not_after),
        })
    }

    /// The file that it was read from.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The names that it is valid for, in lower case: `example.com`, `*.example.com`, `192.0.2.1`.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The moment from which it is valid.
    pub fn not_before(&self) -> SystemTime {
        self.not_before
    }

    /// The moment until which it is valid.
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }
}

/// The subject's alternative names; clients look at no others (RFC 9525 2).
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(alternatives)) = certificate.subject_alternative_name() else { return Vec::new() };
    let names = alternatives.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            GeneralName::IPAddress(bytes) => ip(bytes),
            _ => None,
        })
        .collect()
}

fn ip(bytes: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(bytes).map(|bytes| std::net::IpAddr::from(bytes).to_string());
    let v6 = || <[u8; 16]>::try_from(bytes).map(|bytes| std::net::IpAddr::from(bytes).to_string());
    v4.or_else(|_| v6()).ok()
}

/// A time before 1970 is as far in the past as matters.
fn moment(time: ASN1Time) -> SystemTime {
    let seconds = u64::try_from(time.timestamp()).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}
