//! Listening with TLS.

use std::path::PathBuf;

use crate::settings::form::{CLIENT_AUTH, FILE, PORT};
use crate::settings::setting::{Many, One, Preset, declare};
use crate::settings::values::ClientCertificates;

declare! {
    /// Listening with TLS.
    Tls in "TLS";

    /// Certificate of the server with those that vouch for it, a PEM file: --port speaks TLS then;
    /// may be repeated, each with its key, and clients get the one for the name they ask for
    ssl_certfile: Many<PathBuf> = FILE, Preset::words("no TLS", "server.pem"), WithTls;

    /// Key of the certificate that stands at the same place, a PEM file without a passphrase
    ssl_keyfile: Many<PathBuf> = FILE, Preset::words("none", "server.key"), WithTls;

    /// Port that speaks TLS, if --port is to go on without
    ssl_port: One<u16> = PORT, Preset::words("--port speaks TLS", "8443"), Restart;

    /// Certificates that vouch for clients, a PEM file
    ssl_ca_certs: One<PathBuf> = FILE, Preset::words("clients are asked for none", "ca.pem"), WithTls;

    /// Whether clients have to show a certificate: none, optional or required
    ssl_client_auth: One<ClientCertificates> =
        CLIENT_AUTH, Preset::words("required with --ssl-ca-certs, else none", "required"), WithTls;
}

impl Tls {
    /// True if the server is to speak TLS.
    pub(crate) fn is_wanted(&self) -> bool {
        self.ssl_certfile.as_ref().is_some_and(|files| !files.is_empty())
    }
}
