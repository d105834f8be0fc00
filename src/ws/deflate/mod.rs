//! permessage-deflate (RFC 7692) as values: what is offered, agreed, deflated and inflated.
//!
//! ```text
//! Sec-WebSocket-Extensions ─► offer ─► agreement ─► the answer's line
//!                                          ├──► inflation (the decoder's) ◄── inflaters ─┐
//!                                          └──► dialect, compressor ◄── compressors ─── pools
//! ```

pub(crate) mod agreement;
pub(crate) mod compressor;
pub(crate) mod inflater;
pub(crate) mod inflation;
pub(crate) mod offer;
pub(crate) mod pools;
