//! Names and values of a query string or an `application/x-www-form-urlencoded` body.
//!
//! `%XX` and `+` are decoded; a percent sign without two hexadecimal digits stays as it is, as
//! browsers and Django do it. What is not UTF-8 after decoding, or holds a NUL, is refused.
//!
//! Source: WHATWG URL Standard 5.1, except for the refusals.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use super::refusal::Refusal;

/// Most pairs of one query or form. A head or body within its own limit may hold very many tiny
/// pairs, and every look-up walks them.
pub(crate) const MAX_PAIRS: usize = 1000;

/// Most characters of a name that are repeated to who sent it.
const SHOWN: usize = 40;

/// Decoded pairs in the order of their arrival; a name may occur more than once.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    /// `name value name value ...` without separators.
    text: String,
    ends: Vec<Ends>,
}

/// Where a pair's name and value end in the text; the name starts where the last value ended.
#[derive(Clone, Copy, Debug)]
struct Ends {
    name: u32,
    value: u32,
}

impl Pairs {
    /// Decodes `name=value&name=value`; a missing `=` gives an empty value, empty pieces between
    /// `&` are skipped.
    ///
    /// # Errors
    /// 400: not UTF-8, a NUL, more than [`MAX_PAIRS`] pairs, or 4 GiB and more.
    pub(crate) fn parse(encoded: &[u8]) -> Result<Self, Refusal> {
        if u32::try_from(encoded.len()).is_err() {
            return Err(Refusal::body_too_long(u32::MAX.into()));
        }
        // Enough for what is usual, so that nothing is moved: decoding makes nothing longer.
        let mut text = String::with_capacity(encoded.len());
        let mut ends = Vec::with_capacity(usize::from(!encoded.is_empty()));
        for piece in encoded.split(|&byte| byte == b'&').filter(|piece| !piece.is_empty()) {
            if ends.len() == MAX_PAIRS {
                let text = format!("The request has more than {MAX_PAIRS} parameters.");
                return Err(Refusal::bad_request(text));
            }
            let equals = piece.iter().position(|&byte| byte == b'=').unwrap_or(piece.len());
            let start = text.len();
            decode_into(&piece[..equals], &mut text).map_err(|wrong| wrong.of("A name"))?;
            let name = text.len();
            decode_into(piece.get(equals + 1..).unwrap_or_default(), &mut text)
                .map_err(|wrong| wrong.of(&value_of(&text[start..name])))?;
            ends.push(Ends { name: name as u32, value: text.len() as u32 });
        }
        Ok(Self { text, ends })
    }

    /// The first value of a name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.get_all(name).next()
    }

    /// All values of a name.
    pub(crate) fn get_all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.iter().filter(move |pair| pair.0 == name).map(|pair| pair.1)
    }

    /// All pairs as name and value.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut start = 0;
        self.ends.iter().map(move |ends| {
            let (name_end, value_end) = (ends.name as usize, ends.value as usize);
            let pair = (&self.text[start..name_end], &self.text[name_end..value_end]);
            start = value_end;
            pair
        })
    }
}

/// What is wrong with a name or a value.
#[derive(Clone, Copy, Debug)]
struct Wrong(&'static str);

impl Wrong {
    fn of(self, whose: &str) -> Refusal {
        Refusal::bad_request(format!("{whose} among the request's parameters {}.", self.0))
    }
}

/// A value by its name, which is the client's own text.
fn value_of(name: &str) -> String {
    let shown: String = name.chars().take(SHOWN).collect();
    format!("The value of {shown:?}")
}

fn decode_into(encoded: &[u8], text: &mut String) -> Result<(), Wrong> {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'%' | b'+');
    if let (true, Ok(plain)) = (encoded.iter().all(is_plain), str::from_utf8(encoded)) {
        text.push_str(plain);
        return Ok(());
    }
    let spaced = if encoded.contains(&b'+') {
        Cow::Owned(encoded.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect())
    } else {
        Cow::Borrowed(encoded)
    };
    let decoded: Cow<'_, [u8]> = percent_decode(&spaced).into();
    let decoded = str::from_utf8(&decoded).map_err(|_| Wrong("is not UTF-8"))?;
    if decoded.contains('\0') {
        return Err(Wrong("holds a NUL"));
    }
    text.push_str(decoded);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(encoded: &str) -> Vec<(String, String)> {
        let pairs = Pairs::parse(encoded.as_bytes()).unwrap();
        pairs.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn one(encoded: &str) -> (String, String) {
        let all = pairs(encoded);
        assert_eq!(all.len(), 1, "{encoded:?}");
        all[0].clone()
    }

    #[test]
    fn percent_and_plus_are_decoded() {
        assert_eq!(one("a+b=c%20d%2B"), ("a b".into(), "c d+".into()));
        assert_eq!(one("message=%E4%BD%A0%e5%a5%bd"), ("message".into(), "你好".into()));
        assert_eq!(one("a%3Db=c%26d"), ("a=b".into(), "c&d".into()));
        assert_eq!(one("a=b=c"), ("a".into(), "b=c".into()));
    }

    #[test]
    fn a_bad_percent_stays_as_it_is() {
        assert_eq!(one("a=100%").1, "100%");
        assert_eq!(one("a=%zz%4").1, "%zz%4");
        assert_eq!(one("a=%%41").1, "%A");
    }

    #[test]
    fn missing_parts_are_empty() {
        assert_eq!(one("a"), ("a".into(), "".into()));
        assert_eq!(one("&&a=&"), ("a".into(), "".into()));
        assert_eq!(one("=b"), ("".into(), "b".into()));
        assert!(pairs("").is_empty());
    }

    #[test]
    fn the_first_of_a_repeated_name_is_taken() {
        let pairs = Pairs::parse(b"a=1&b=2&a=3").unwrap();
        assert_eq!(pairs.get("a"), Some("1"));
        assert_eq!(pairs.get_all("a").collect::<Vec<_>>(), ["1", "3"]);
        assert_eq!(pairs.get("c"), None);
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        for bad in [&b"a=%ff"[..], b"%c3=1", b"a=%00", b"a=\0", b"a=\xff", b"a=%ed%a0%80"] {
            assert_eq!(Pairs::parse(bad).unwrap_err().status(), 400, "{bad:?}");
        }
    }

    #[test]
    fn a_character_may_not_be_split_between_name_and_value() {
        assert!(Pairs::parse(b"a%e4=%bd%a0").is_err());
    }

    #[test]
    fn the_number_of_pairs_is_limited() {
        assert!(Pairs::parse("a=1&".repeat(MAX_PAIRS).as_bytes()).is_ok());
        assert!(Pairs::parse("a=1&".repeat(MAX_PAIRS + 1).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(pairs) = Pairs::parse(&bytes) {
                prop_assert!(pairs.iter().count() <= bytes.len());
            }
        }

        #[test]
        fn what_was_encoded_comes_back(name in "[^\0]{1,20}", value in "[^\0]{0,20}") {
            let encode = |text: &str| {
                percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
                    .to_string()
            };
            let encoded = format!("{}={}", encode(&name), encode(&value));
            let pairs = Pairs::parse(encoded.as_bytes()).unwrap();
            prop_assert_eq!(pairs.get(&name), Some(value.as_str()));
        }
    }
}
