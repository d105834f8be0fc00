//! What proves who somebody is: [`basic`] a password, [`jwt`] a token, [`backend`] the word of the
//! application's own server. [`group_signer`] proves what somebody may join.
//!
//! Behind the feature `auth`, with all that it needs: keys, cryptography, a client, threads to ask
//! on ([`aside`]).

mod aside;
mod backend;
mod basic;
mod cache;
mod claims;
mod der;
mod group_signer;
mod jwks;
mod jwt;
mod keys;
mod members;
mod password;
mod realm;
mod secret_file;
mod token;
mod turns;

pub use backend::BackendAuth;
pub use basic::BasicAuth;
#[cfg(any(test, feature = "internals"))]
pub(crate) use basic::read_basic;
pub use group_signer::GroupSigner;
pub use jwt::Jwt;
pub use token::TokenSource;
