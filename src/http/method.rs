//! The request method, by the names of RFC 9110 9.
//!
//! Methods are case-sensitive: `get` is not [`Method::Get`] but an unknown method.

pub use tiny_http::Method;
