//! Which certificate a client gets: by the name that it asks for, else the first.

use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// A server's certificates in the order in which they were named.
#[derive(Debug)]
pub(super) struct ByName {
    /// At least one.
    certificates: Vec<(Vec<String>, Arc<CertifiedKey>)>,
}

impl ByName {
    /// Takes certificates, at least one, each with its names in lower case.
    pub(super) fn new(certificates: Vec<(Vec<String>, Arc<CertifiedKey>)>) -> Self {
        Self { certificates }
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let wanted = hello.server_name().map(str::to_ascii_lowercase);
        let named = |names: &[String]| {
            wanted.as_deref().is_some_and(|wanted| names.iter().any(|name| matches(name, wanted)))
        };
        // A name may have a certificate for each kind of key.
        let is_usable =
            |key: &CertifiedKey| key.key.choose_scheme(hello.signature_schemes()).is_some();
        let by_name = || self.certificates.iter().filter(|(names, _)| named(names));
        let mut choices = by_name().chain(&self.certificates);
        let chosen = choices.find(|(_, key)| is_usable(key));
        chosen.or_else(|| by_name().chain(&self.certificates).next()).map(|(_, key)| key.clone())
    }
}

/// A `*` stands for one label (RFC 9525 6.3).
fn matches(name: &str, wanted: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(rest) => wanted
            .split_once('.')
            .is_some_and(|(label, domain)| !label.is_empty() && domain == rest),
        None => name == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_one_label() {
        assert!(matches("*.example.com", "a.example.com"));
        assert!(matches("example.com", "example.com"));
        for wanted in ["example.com", "a.b.example.com", ".example.com", "a.example.org"] {
            assert!(!matches("*.example.com", wanted), "{wanted}");
        }
        assert!(!matches("a.example.com", "b.example.com"));
    }
}
