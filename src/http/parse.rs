//! Turns received bytes into a request head, or refuses them.

use super::refusal::Refusal;
use super::request::RequestHead;
use crate::config::Config;

/// Finds the end of a head in a growing buffer.
#[derive(Debug, Default)]
pub(crate) struct HeadParser {}

impl HeadParser {
    /// Parses the head at the start of `buffer`.
    pub(crate) fn parse(
        &mut self,
        buffer: &[u8],
        config: &Config,
    ) -> Result<Option<(RequestHead, usize)>, Refusal> {
        let _ = (buffer, config);
        todo!()
    }

    /// True if a head has begun.
    pub(crate) fn started(&self, buffer: &[u8]) -> bool {
        let _ = buffer;
        todo!()
    }
}
