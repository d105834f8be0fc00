//! Doors into what needs no socket for benches and fuzz targets, behind the feature `internals`.
//!
//! Not a public API: anything here may change in any version. Each function checks what must hold
//! for every input and panics where it does not.

mod proxied;
#[cfg(feature = "auth")]
mod shown;
#[cfg(feature = "tls")]
mod tls_records;

use std::sync::Arc;

use crate::config::Config;
use crate::http::Response;
use crate::http::encode::{How, encode};
use crate::http::parse::HeadParser;
use crate::http::refusal::Refusal;
use crate::http::request::{RequestHead, Version};
use crate::hub::Batch;
use crate::ws::Message;
use crate::ws::assemble::Assembly;
use crate::ws::close::Violation;
use crate::ws::deflate::inflation::Inflation;
use crate::ws::deflate::pools::Pools;
use crate::ws::encoded::Encoded;
use crate::ws::frame::{Decoder, Event};
use crate::ws::mask;

pub use proxied::{read_forwarded, read_networks, read_proxy_header};
#[cfg(feature = "auth")]
pub use shown::{read_cookies, read_credentials};
#[cfg(feature = "tls")]
pub use tls_records::TlsRecords;

/// Parses bytes as a request head twice, whole and cut in two, and checks that both agree.
///
/// # Panics
/// If the outcome depends on the cut, or what was parsed breaks a promise of its type.
pub fn parse_head(data: &[u8]) {
    let config = Config::default().with_head_bytes(2048).with_head_lines(20);
    let whole = head_outcome(data, data.len(), &config);
    let cut = data.first().map_or(0, |&byte| usize::from(byte) % (data.len() + 1));
    assert_eq!(whole, head_outcome(data, cut, &config), "cut at {cut}");
}

fn head_outcome(data: &[u8], cut: usize, config: &Config) -> Result<Option<usize>, u16> {
    let mut parser = HeadParser::default();
    let parsed: Result<Option<(RequestHead, usize)>, Refusal> =
        match parser.parse(&data[..cut], config) {
            Ok(None) => parser.parse(data, config),
            done => done,
        };
    match parsed {
        Err(refusal) => {
            assert!(refusal.closes(), "a head that was not understood ends the connection");
            Err(refusal.status())
        }
        Ok(None) => Ok(None),
        Ok(Some((head, used))) => {
            assert!(used <= data.len() && used <= config.head_bytes() + 4);
            assert!(head.path() == "*" || head.path().starts_with('/'));
            assert!(!head.path().split('/').any(|segment| segment == ".."));
            assert!(!head.path().contains(|c: char| c.is_control() || c == '\\'));
            Ok(Some(used))
        }
    }
}

/// Decodes bytes as frames twice, whole and byte by byte, and checks that both agree; all that
/// without compression, with it, and with takeover of the context.
///
/// # Panics
/// If the outcome depends on the cut or a message is over its limit.
pub fn decode_frames(data: &[u8]) {
    const LIMIT: usize = 4096;
    let pools = Arc::new(Pools::new(1));
    for has_context_takeover in [None, Some(false), Some(true)] {
        let decoder = || {
            let mut decoder = Decoder::new(LIMIT);
            if let Some(takes_over) = has_context_takeover {
                decoder.inflate_with(Inflation::new(Arc::clone(&pools), takes_over));
            }
            decoder
        };
        let whole = frames_outcome(decoder(), [data]);
        let bytewise = frames_outcome(decoder(), data.chunks(1));
        assert_eq!(whole, bytewise);
        for event in &whole.0 {
            assert!(!matches!(event, Event::Message(message) if message.len() > LIMIT));
        }
    }
}

fn frames_outcome<'a>(
    mut decoder: Decoder,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Event>, Option<Violation>) {
    let mut events = Vec::new();
    for piece in pieces {
        let mut bytes = piece.to_vec();
        let mut input = &mut bytes[..];
        loop {
            while let Some(mut packed) = decoder.pack(&mut input) {
                events.extend(std::iter::from_fn(|| packed.pop()).map(Event::Message));
            }
            match decoder.decode(&mut input) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(violation) => return (events, Some(violation)),
            }
        }
    }
    (events, None)
}

/// Decodes frames in place and returns the number of whole messages; for benches.
///
/// # Panics
/// If the frames break the protocol.
pub fn count_messages(frames: &mut [u8]) -> usize {
    let (mut decoder, mut input, mut messages) = (Decoder::new(usize::MAX), frames, 0);
    // Proof: a bench that sends broken frames is to fail loudly.
    while let Some(event) = decoder.decode(&mut input).expect("the bench sends valid frames") {
        messages += usize::from(matches!(event, Event::Message(_)));
    }
    messages
}

/// Parses one whole head; for benches.
///
/// # Panics
/// If the head is not valid and whole.
pub fn parse_one_head(head: &[u8]) -> usize {
    let parsed = HeadParser::default().parse(head, &Config::default());
    // Proof: a bench that sends a broken head is to fail loudly.
    parsed.expect("a valid head").expect("a whole head").1
}

/// Checks a text that arrives in one piece; for benches.
///
/// # Panics
/// If it is not UTF-8.
pub fn take_text(text: &[u8]) -> Message {
    let mut assembly = Assembly::text();
    // Proof: a bench that sends broken text is to fail loudly.
    assembly.append(text).expect("a bench sends UTF-8");
    // Proof: as above.
    assembly.finish().expect("a bench sends whole characters")
}

/// Removes a mask in place; for benches.
pub fn unmask(data: &mut [u8], mask: [u8; 4]) {
    mask::unmask(data, mask, 0);
}

/// Puts a message into a frame as for a broadcast; returns its length; for benches.
pub fn encode_message(message: Message) -> usize {
    Encoded::new(message).frame().len()
}

/// Appends a response as to HTTP/1.1 with keep-alive; for benches.
///
/// # Panics
/// If printing fails, which memory does not.
pub fn encode_response(response: Response, out: &mut Vec<u8>) {
    let how = How { version: Version::Http11, head_only: false, keep_alive: true };
    // Proof: writing to memory has no errors.
    encode(response, &how, out).expect("memory");
}

/// Messages that wait for a relay; for benches.
#[derive(Debug)]
pub struct RelayBatch(Batch);

impl RelayBatch {
    /// So many texts to a group without members.
    pub fn new(messages: usize, text: &str) -> Self {
        Self(Batch::to_nobody(messages, text))
    }

    /// What a relay does with them before it serves the first member: sorts and joins.
    pub fn carry(self) {
        self.0.carry();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bytes that look like a head more often than chance would have it.
    fn headlike() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just("GET / HTTP/1.1\r\n".to_owned()),
            Just("POST /a%2e%2e/b?x=%ff HTTP/1.0\r\n".to_owned()),
            Just("Host: a\r\n".to_owned()),
            Just("Content-Length: 5\r\n".to_owned()),
            Just("Transfer-Encoding: chunked\r\n".to_owned()),
            Just("\r\n".to_owned()),
            Just("X: ".to_owned()),
            "[ -~\r\n\\x00]{0,20}",
        ];
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat().into_bytes())
    }

    /// Bytes that look like frames more often than chance would have it.
    fn framelike() -> impl Strategy<Value = Vec<u8>> {
        let frame = (any::<u8>(), 0u8..20, any::<[u8; 4]>(), any::<[u8; 20]>()).prop_map(
            |(first, length, mask, payload)| {
                let first = if first & 0x40 == 0 {
                    first & 0x8f
                } else {
                    [0x81, 0x01, 0x80, 0xc1, 0x41, 0xc2][usize::from(first) % 6]
                };
                let payload = &payload[..usize::from(length)];
                [&[first, 0x80 | length][..], &mask, payload].concat()
            },
        );
        proptest::collection::vec(frame, 0..10).prop_map(|frames| frames.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn heads_of_any_bytes_keep_the_promises(data in headlike()) {
            parse_head(&data);
        }

        #[test]
        fn frames_of_any_bytes_keep_the_promises(data in framelike()) {
            decode_frames(&data);
        }

        #[test]
        fn noise_keeps_the_promises(data in proptest::collection::vec(any::<u8>(), 0..400)) {
            parse_head(&data);
            decode_frames(&data);
        }
    }
}
