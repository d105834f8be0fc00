//! Who may come in: asked of every request before its handler runs, and so before the 101.
//!
//! In reading order: [`rule`] says who is asked and what follows from the answer, [`verdict`] what
//! can be answered. The others answer: [`trusted`] by the word of a proxy, and behind the feature
//! `auth` what stands in `proof`, by password, by token, or by asking the application's own server.

#[cfg(not(feature = "auth"))]
mod no_group_signer;
#[cfg(feature = "auth")]
mod proof;
mod rule;
mod trusted;
mod verdict;

#[cfg(not(feature = "auth"))]
pub(crate) use no_group_signer::GroupSigner;
#[cfg(all(feature = "auth", any(test, feature = "internals")))]
pub(crate) use proof::read_basic;
#[cfg(feature = "auth")]
pub use proof::{BackendAuth, BasicAuth, GroupSigner, Jwt, TokenSource};
pub use rule::Auth;
pub(crate) use rule::OPEN;
pub use trusted::TrustedHeader;
pub use verdict::{Authenticator, Denial, Verdict};
