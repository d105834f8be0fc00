//! The lines of a chunked body: sizes with their extensions, and trailers.
//!
//! Byte by byte and with nothing kept but a number, so a line may arrive in any pieces and
//! costs no memory. Extensions and trailers are checked and dropped. The grammar is kept to the
//! letter because whoever is lenient here reads another end of the body than the proxy before
//! him.
//!
//! Source: RFC 9112 7.1.

use super::refusal::Refusal;
use super::token::{is_text_byte, is_token_byte};

/// Most hexadecimal digits of a size: exactly what fits into 64 bits, leading zeros included.
const MAX_DIGITS: u8 = 16;

/// Most bytes between the size and the end of its line.
const MAX_EXTENSION_BYTES: u16 = 256;

/// `chunk-size [ chunk-ext ] CRLF`.
#[derive(Debug, Default)]
pub(super) struct SizeLine {
    size: u64,
    digits: u8,
    extension_bytes: u16,
    place: Place,
}

/// Where in a size line the next byte belongs.
///
/// ```text
/// Size ─;─► Name ─=─► Value ── token ──► Token ─┐
///   ▲ blanks  │          └──── " ──► Quoted ────┤     Blank: blanks that only `;`
///   Blank ◄───┴──────── ; ◄─────────────────────┘     (after a name also `=`) may end
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Place {
    #[default]
    Size,
    /// Blanks after size or value.
    Blank,
    /// Before a name.
    NameStart,
    Name,
    /// Blanks after a name.
    NameBlank,
    /// Before a value.
    ValueStart,
    Token,
    Quoted,
    Escaped,
    /// After the closing quote.
    ValueEnd,
    LineFeed,
}

impl SizeLine {
    /// Takes the next byte: the size of the chunk once the line is complete.
    pub(super) fn take(&mut self, byte: u8) -> Result<Option<u64>, Refusal> {
        if self.place == Place::Size && byte.is_ascii_hexdigit() {
            return self.take_digit(byte);
        }
        if self.place == Place::LineFeed {
            return if byte == b'\n' { Ok(Some(self.size)) } else { Err(malformed()) };
        }
        self.extension_bytes += 1;
        if self.digits == 0 || self.extension_bytes > MAX_EXTENSION_BYTES {
            return Err(malformed());
        }
        self.place = after(self.place, byte).ok_or_else(malformed)?;
        Ok(None)
    }

    fn take_digit(&mut self, byte: u8) -> Result<Option<u64>, Refusal> {
        let digit = char::from(byte).to_digit(16).ok_or_else(malformed)?;
        if self.digits == MAX_DIGITS {
            return Err(malformed());
        }
        self.digits += 1;
        self.size = self.size << 4 | u64::from(digit);
        Ok(None)
    }
}

/// The place after a byte of an extension; `None` if the byte may not stand there.
fn after(place: Place, byte: u8) -> Option<Place> {
    use Place::*;
    match (place, byte) {
        (Size | Name | Token | ValueEnd, b'\r') => Some(LineFeed),
        (Size | Name | NameBlank | Token | ValueEnd | Blank, b';') => Some(NameStart),
        (Size | Token | ValueEnd | Blank, b' ' | b'\t') => Some(Blank),
        (NameStart | ValueStart, b' ' | b'\t') => Some(place),
        (Name | NameBlank, b' ' | b'\t') => Some(NameBlank),
        (Name | NameBlank, b'=') => Some(ValueStart),
        (NameStart | Name, byte) if is_token_byte(byte) => Some(Name),
        (ValueStart | Token, byte) if is_token_byte(byte) => Some(Token),
        (ValueStart, b'"') => Some(Quoted),
        (Quoted, b'"') => Some(ValueEnd),
        (Quoted, b'\\') => Some(Escaped),
        (Quoted | Escaped, byte) if is_text_byte(byte) => Some(Quoted),
        _ => None,
    }
}

/// The lines after the last chunk, up to and with the empty one.
#[derive(Debug)]
pub(super) struct Trailers {
    bytes_left: usize,
    place: TrailerPlace,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum TrailerPlace {
    LineStart,
    Name,
    Value,
    LineFeed,
    /// The line feed of the empty line.
    LastLineFeed,
}

impl Trailers {
    /// Starts the trailers, which may have this many bytes.
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { bytes_left: max_bytes, place: TrailerPlace::LineStart }
    }

    /// Takes the next byte: true if it was the last.
    pub(super) fn take(&mut self, byte: u8) -> Result<bool, Refusal> {
        use TrailerPlace::*;
        self.bytes_left = self.bytes_left.checked_sub(1).ok_or_else(Refusal::head_too_long)?;
        self.place = match (self.place, byte) {
            (LastLineFeed, b'\n') => return Ok(true),
            (LineStart, b'\r') => LastLineFeed,
            (LineStart | Name, byte) if is_token_byte(byte) => Name,
            (Name, b':') => Value,
            (Value, b'\r') => LineFeed,
            (Value, byte) if is_text_byte(byte) => Value,
            (LineFeed, b'\n') => LineStart,
            _ => return Err(Refusal::bad_request("A trailer line is malformed.")),
        };
        Ok(false)
    }
}

fn malformed() -> Refusal {
    Refusal::bad_request("A chunk of the request body is malformed.")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size and how many bytes were taken, or the status.
    fn size(line: &[u8]) -> Result<Option<(u64, usize)>, u16> {
        let mut state = SizeLine::default();
        for (index, &byte) in line.iter().enumerate() {
            if let Some(size) = state.take(byte).map_err(|refusal| refusal.status())? {
                return Ok(Some((size, index + 1)));
            }
        }
        Ok(None)
    }

    fn is_whole(line: &str, expected: u64) {
        assert_eq!(size(line.as_bytes()), Ok(Some((expected, line.len()))), "{line:?}");
    }

    #[test]
    fn sizes_are_hexadecimal() {
        is_whole("0\r\n", 0);
        is_whole("1aF\r\n", 0x1af);
        is_whole("0000000000000005\r\n", 5);
        is_whole("ffffffffffffffff\r\n", u64::MAX);
    }

    #[test]
    fn odd_sizes_are_refused() {
        let bad = [
            "\r\n",
            "g\r\n",
            "+5\r\n",
            "-5\r\n",
            "0x5\r\n",
            " 5\r\n",
            "5 \r\n",
            "5\t\r\n",
            "5\n",
            "5\r5",
            "5\r\r\n",
            "5 5\r\n",
            "5,5\r\n",
            "5_0\r\n",
            ";a\r\n",
            "10000000000000000\r\n",
            "00000000000000005\r\n",
            "\u{664}\r\n",
            "5\0\r\n",
        ];
        for line in bad {
            assert_eq!(size(line.as_bytes()), Err(400), "{line:?}");
        }
    }

    #[test]
    fn extensions_are_taken_and_dropped() {
        for extension in [
            ";a",
            ";a=b",
            ";a=\"b\"",
            " ;a",
            "; a",
            ";a =b",
            ";a= b",
            ";a \t= \"b\" ; c",
            ";a;b;c=d",
            ";a=\"\"",
            ";a=\";=,\\\"\\\\ \t\"",
            ";a=\"\u{fc}\"",
        ] {
            is_whole(&format!("5{extension}\r\n"), 5);
        }
    }

    #[test]
    fn malformed_extensions_are_refused() {
        for extension in [
            ";",
            ";=b",
            ";a=",
            ";a=\"",
            ";a=\"b\"c",
            ";a b",
            ";a ",
            ";a=b ",
            ";a=\"b\" ",
            ";;",
            ";a,",
            ";a=(b)",
            ";a=\"\0\"",
            ";a=\"\r\n\"",
            ";a=\"\n\"",
            ";a\n",
            "; \r\n5;a",
            ";a=\"\\\r\n\"",
            ";a=b=c",
            " a",
        ] {
            assert_eq!(size(format!("5{extension}\r\n").as_bytes()), Err(400), "{extension:?}");
        }
    }

    #[test]
    fn extensions_are_bounded() {
        // The semicolon and the CR count.
        is_whole(&format!("5;{}\r\n", "a".repeat(254)), 5);
        assert_eq!(size(format!("5;{}\r\n", "a".repeat(255)).as_bytes()), Err(400));
        assert_eq!(size(format!("5;a=\"{}", "a".repeat(255)).as_bytes()), Err(400));
    }

    /// How many bytes were taken as trailers, or the status.
    fn trailers(text: &str, max_bytes: usize) -> Result<Option<usize>, u16> {
        let mut state = Trailers::new(max_bytes);
        for (index, byte) in text.bytes().enumerate() {
            if state.take(byte).map_err(|refusal| refusal.status())? {
                return Ok(Some(index + 1));
            }
        }
        Ok(None)
    }

    #[test]
    fn trailers_end_with_an_empty_line() {
        for text in ["\r\n", "A: b\r\n\r\n", "A:\r\nB: \u{fc}\tc:\r\n\r\n"] {
            assert_eq!(trailers(&format!("{text}GET /"), 100), Ok(Some(text.len())), "{text:?}");
        }
        assert_eq!(trailers("A: b\r\n", 100), Ok(None));
    }

    #[test]
    fn malformed_trailers_are_refused() {
        for text in
            ["\n", "\r\r", "A\r\n", "A : b", " A: b", "A: b\n", "A: b\rc", "A: b\r\n c", ":"]
        {
            assert_eq!(trailers(text, 100), Err(400), "{text:?}");
        }
        assert_eq!(trailers("A: \0", 100), Err(400));
        assert_eq!(trailers("GET / HTTP/1.1\r\n", 100), Err(400));
    }

    #[test]
    fn trailers_are_bounded() {
        assert_eq!(trailers("A: b\r\n\r\n", 8), Ok(Some(8)));
        assert_eq!(trailers("A: b\r\n\r\n", 7), Err(431));
    }
}
