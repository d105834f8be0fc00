//! Which bytes make up names and values in a head.
//!
//! Source: RFC 9110 5.6.2 (token) and 5.5 (field values).

/// True for a byte of a token.
pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || b"!#$%&'*+.^_`|~".contains(&byte)
}

/// True for a token: at least one byte, and only those allowed.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().copied().all(is_token_byte)
}

/// True for a byte that may stand in a line of a received head: no control character but TAB;
/// bytes above ASCII are for the fields that allow them.
pub(crate) fn is_text_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// How many bytes of text `bytes` begins with.
///
/// Eight at a time: every byte of every head comes by here.
pub(crate) fn text_run(bytes: &[u8]) -> usize {
    let mut run = 0;
    loop {
        let word = bytes[run..].first_chunk();
        let step = match word.map(|word| u64::from_le_bytes(*word)) {
            Some(word) => no_text(word).trailing_zeros() as usize / 8,
            None => return run + slow_text_run(&bytes[run..]),
        };
        run += step;
        // A control character, which may be a TAB.
        if step < 8 {
            if bytes[run] != b'\t' {
                return run;
            }
            run += 1;
        }
    }
}

fn slow_text_run(bytes: &[u8]) -> usize {
    bytes.iter().position(|&byte| !is_text_byte(byte)).unwrap_or(bytes.len())
}

/// Marks the top bit of the lowest byte of a word that is a control character, TAB included; what
/// it marks above that means nothing, and no mark means that there is none.
fn no_text(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    const TOPS: u64 = ONES << 7;
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & TOPS;
    below(word, 0x20) | below(word ^ (ONES * 0x7f), 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_run_of_text_ends_where_the_bytes_say(
            bytes in proptest::collection::vec(
                prop_oneof![4 => any::<u8>(), 12 => b' '..=b'~', 1 => Just(b'\t'), 1 => Just(0x7f)],
                0..40,
            )
        ) {
            prop_assert_eq!(text_run(&bytes), slow_text_run(&bytes));
        }
    }

    #[test]
    fn every_byte_ends_a_run_or_not_at_every_place() {
        for byte in 0..=255 {
            for place in 0..20 {
                let mut bytes = [b'a'; 20];
                bytes[place] = byte;
                assert_eq!(text_run(&bytes), slow_text_run(&bytes), "{byte} at {place}");
            }
        }
    }

    #[test]
    fn a_token_has_no_separators() {
        assert!(is_token(b"Sec-WebSocket-Key") && is_token(b"!#$%&'*+-.^_`|~09"));
        for bad in [&b""[..], b"a b", b"a:", b"a\r", b"a,b", b"\xc3\xa4", b"(", b"a\0"] {
            assert!(!is_token(bad), "{bad:?}");
        }
    }

    #[test]
    fn control_characters_are_no_text() {
        assert!(
            (0..=255).filter(|&byte| !is_text_byte(byte)).eq((0..9).chain(10..32).chain([127]))
        );
    }
}
