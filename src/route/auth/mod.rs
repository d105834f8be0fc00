//! Who may come in: asked of every request before its handler runs, and so before the 101.
//!
//! In reading order: [`rule`] says who is asked and what follows from the answer, [`verdict`] what
//! can be answered. The others answer: [`trusted`] by the word of a proxy, and behind the feature
//! `auth` [`basic`] by password, [`jwt`] by token, [`backend`] by asking the application's own
//! server. [`group_signer`] is about groups and not about people.

#[cfg(feature = "auth")]
mod aside;
#[cfg(feature = "auth")]
mod backend;
#[cfg(feature = "auth")]
mod basic;
#[cfg(feature = "auth")]
mod cache;
#[cfg(feature = "auth")]
mod claims;
#[cfg(feature = "auth")]
mod der;
#[cfg(feature = "auth")]
mod group_signer;
#[cfg(not(feature = "auth"))]
#[path = "no_group_signer.rs"]
mod group_signer;
#[cfg(feature = "auth")]
mod jwks;
#[cfg(feature = "auth")]
mod jwt;
#[cfg(feature = "auth")]
mod keys;
#[cfg(feature = "auth")]
mod members;
#[cfg(feature = "auth")]
mod password;
#[cfg(feature = "auth")]
mod realm;
mod rule;
#[cfg(feature = "auth")]
mod secret_file;
#[cfg(feature = "auth")]
mod token;
mod trusted;
#[cfg(feature = "auth")]
mod turns;
mod verdict;

#[cfg(feature = "auth")]
pub use backend::BackendAuth;
#[cfg(feature = "auth")]
pub use basic::BasicAuth;
#[cfg(all(feature = "auth", any(test, feature = "internals")))]
pub(crate) use basic::read_basic;
#[cfg(feature = "auth")]
pub use group_signer::GroupSigner;
#[cfg(not(feature = "auth"))]
pub(crate) use group_signer::GroupSigner;
#[cfg(feature = "auth")]
pub use jwt::Jwt;
pub use rule::Auth;
pub(crate) use rule::OPEN;
#[cfg(feature = "auth")]
pub use token::TokenSource;
pub use trusted::TrustedHeader;
pub use verdict::{Authenticator, Denial, Verdict};
