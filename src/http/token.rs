//! Which bytes make up names and values in a head.
//!
//! Source: RFC 9110 5.6.2 (token) and 5.5 (field values).

/// True for a byte of a token.
pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
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

#[cfg(test)]
mod tests {
    use super::*;

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
