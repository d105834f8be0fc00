//! HTTP/1.1 as values: bytes in, bytes out. No socket, no thread, and no clock but the `Date`
//! of a response.
//!
//! In reading order: a [`parse::HeadParser`] turns received bytes into a
//! [`request::RequestHead`] or a [`refusal::Refusal`]; a [`body::BodyDecoder`] takes the body
//! out of its framing; a [`Response`] is put into bytes by [`encode::encode`].

pub(crate) mod body;
mod chunk;
pub(crate) mod cidr;
#[cfg(feature = "testing")]
pub(crate) mod client;
pub(crate) mod cookie;
pub(crate) mod date;
pub(crate) mod encode;
pub(crate) mod forwarded;
pub(crate) mod framing;
mod headers;
pub(crate) mod host;
mod method;
pub(crate) mod parse;
pub(crate) mod query;
pub(crate) mod refusal;
pub(crate) mod request;
mod response;
pub(crate) mod target;
mod template;
pub(crate) mod token;

pub use cidr::Networks;
pub use cookie::Cookie;
pub use forwarded::ProxyHeaders;
pub use headers::Headers;
pub use method::Method;
pub use response::Response;
pub use template::Templates;
