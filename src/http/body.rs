//! Takes a request body out of its framing.

use super::framing::Framing;
use super::refusal::Refusal;
use crate::config::Config;

/// Takes a request body out of its framing.
#[derive(Debug)]
pub(crate) struct BodyDecoder {}

impl BodyDecoder {
    /// Starts a body.
    pub(crate) fn new(framing: Framing, config: &Config) -> Result<Self, Refusal> {
        let _ = (framing, config);
        todo!()
    }

    /// Decodes `input` into `out`: how much was consumed and whether the body is complete.
    pub(crate) fn decode(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(usize, bool), Refusal> {
        let _ = (input, out);
        todo!()
    }
}
