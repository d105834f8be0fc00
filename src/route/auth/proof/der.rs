//! As much of DER and PEM as public keys need.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

/// Values that stand one behind the other.
pub(super) struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The content of the next value, if it has this tag.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let [found, first, rest @ ..] = self.0 else { return None };
        if *found != tag {
            return None;
        }
        let (length, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            0x81 => (usize::from(*rest.first()?), &rest[1..]),
            0x82 => (usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?])), &rest[2..]),
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(content)
    }

    /// The next value as a sequence.
    pub(super) fn sequence(&mut self) -> Option<Self> {
        self.take(SEQUENCE).map(Self)
    }

    /// The next value as the content of an object identifier.
    pub(super) fn oid(&mut self) -> Option<&'a [u8]> {
        self.take(OID)
    }

    /// The next value as whole bytes of bits.
    pub(super) fn bits(&mut self) -> Option<&'a [u8]> {
        match self.take(BIT_STRING)? {
            [0, bits @ ..] => Some(bits),
            _ => None,
        }
    }

    /// The next value as a number that is not negative, without zeros before it.
    pub(super) fn number(&mut self) -> Option<&'a [u8]> {
        let bytes = self.take(INTEGER)?;
        if bytes.first()? & 0x80 != 0 {
            return None;
        }
        Some(without_zeros(bytes))
    }
}

/// A number in bytes without zeros before it.
pub(super) fn without_zeros(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    &bytes[start..]
}

/// The blocks of a PEM file: their labels and what they hold; `None` if one is malformed.
///
/// # Source
/// RFC 7468
pub(super) fn pem_blocks(text: &str) -> Option<Vec<(&str, Vec<u8>)>> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some((_, block)) = rest.split_once("-----BEGIN ") {
        let (label, block) = block.split_once("-----")?;
        let (body, after) = block.split_once("-----END ")?;
        rest = after.strip_prefix(label)?.strip_prefix("-----")?;
        let digits: String = body.chars().filter(|letter| !letter.is_ascii_whitespace()).collect();
        blocks.push((label, STANDARD.decode(digits).ok()?));
    }
    Some(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_taken_by_their_tag() {
        let bytes = [0x30, 0x07, 0x02, 0x02, 0x00, 0x81, 0x03, 0x01, 0x00];
        let mut sequence = Der::new(&bytes).sequence().unwrap();
        assert!(sequence.bits().is_none());
        assert_eq!(sequence.number(), Some(&[0x81][..]));
        assert_eq!(sequence.bits(), Some(&[][..]));
        assert!(sequence.number().is_none());
        for broken in [&[0x30][..], &[0x30, 5, 1], &[0x30, 0x82, 1], &[0x30, 0x84, 0, 0, 0, 0]] {
            assert!(Der::new(broken).sequence().is_none(), "{broken:?}");
        }
        assert!(Der::new(&[0x02, 0x01, 0xff]).number().is_none(), "negative");
    }

    #[test]
    fn blocks_are_found_between_their_lines() {
        let text = "# mine\n-----BEGIN A B-----\nAQID\nBA==\n-----END A B-----\n\
                    -----BEGIN C-----\r\nAA==\r\n-----END C-----";
        let blocks = pem_blocks(text).unwrap();
        assert_eq!(blocks, [("A B", vec![1, 2, 3, 4]), ("C", vec![0])]);
        assert_eq!(pem_blocks("nothing"), Some(Vec::new()));
        for broken in ["-----BEGIN A-----\nAQ==", "-----BEGIN A-----\n!\n-----END A-----"] {
            assert_eq!(pem_blocks(broken), None, "{broken}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut der = Der::new(&bytes);
            while der.sequence().is_some() || der.number().is_some() || der.bits().is_some() {}
            prop_assert!(pem_blocks(&String::from_utf8_lossy(&bytes)).is_none_or(|all| all.len() < 9));
        }
    }
}
