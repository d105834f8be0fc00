//! TLS as the settings say it, and `landline tls`, which makes certificates for an intranet.

pub(crate) mod host;
pub(crate) mod init;
mod issue;
pub(crate) mod secure;
