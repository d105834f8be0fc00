//! TLS on blocking threads: `recv` and `send` are called with ciphertext and outside of its lock.
//!
//! ```text
//! settings ─► Tls, the settings in force, swapped by reload
//!                └► session: of one connection, around ─► engine: records, no socket
//! ```

pub(crate) mod certificate;
pub(crate) mod engine;
mod files;
mod names;
pub(crate) mod session;
mod settings;

pub use certificate::{ClientCertificate, ServerCertificate};
pub use settings::{ClientAuth, Tls, TlsSettings};
