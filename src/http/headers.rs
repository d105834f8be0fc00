//! The header fields of a received request head.
//!
//! A WebSocket keeps its request for hours, so the fields lie in one block without gaps: names
//! and values follow each other, and eight bytes per field say where each ends.

use std::fmt;

/// The header fields of a request, in the order of their arrival.
///
/// Names are compared without regard to case. A value whose bytes are not UTF-8 counts as a
/// field but cannot be read as text.
pub struct Headers {
    /// `name value name value ...` without separators.
    text: Box<[u8]>,
    ends: Box<[Ends]>,
}

/// Where a field's name and value end in the text; the name starts where the last value ended.
#[derive(Clone, Copy)]
struct Ends {
    name: u32,
    value: u32,
}

impl Headers {
    /// Copies the fields of a head, which must be shorter than 4 GiB (the parser sees to that).
    pub(crate) fn from_fields<'a, I>(fields: I) -> Self
    where
        I: Iterator<Item = (&'a str, &'a [u8])> + Clone,
    {
        let sizes = fields.clone().map(|(name, value)| name.len() + value.len());
        let mut text = Vec::with_capacity(sizes.sum());
        let mut ends = Vec::with_capacity(fields.clone().count());
        for (field, value) in fields {
            text.extend_from_slice(field.as_bytes());
            let name = text.len() as u32;
            text.extend_from_slice(value);
            ends.push(Ends { name, value: text.len() as u32 });
        }
        Self { text: text.into_boxed_slice(), ends: ends.into_boxed_slice() }
    }

    /// The first value of a field, or `None` if it is absent or not UTF-8.
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.raw(name).next()?;
        str::from_utf8(value).ok()
    }

    /// Every value of a field that is UTF-8, in the order of arrival.
    pub fn get_all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.raw(name).filter_map(|value| str::from_utf8(value).ok())
    }

    /// Every field whose value is UTF-8, as name and value, in the order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let texts = |(name, value)| Some((str::from_utf8(name).ok()?, str::from_utf8(value).ok()?));
        self.fields().filter_map(texts)
    }

    /// How many lines carry this field, those that are not UTF-8 included.
    pub fn count(&self, name: &str) -> usize {
        self.raw(name).count()
    }

    /// True if the field, read as a comma-separated list over all its lines, has this token.
    ///
    /// # Example
    /// A request with `Connection: keep-alive, Upgrade` has the token `upgrade`.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.raw(name)
            .flat_map(|value| value.split(|&byte| byte == b','))
            .any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    }

    /// Every value of a field as bytes.
    pub(crate) fn raw<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.fields()
            .filter(move |(field, _)| field.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }

    /// Every field; names are tokens, hence ASCII.
    fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut start = 0;
        self.ends.iter().map(move |ends| {
            let (name_end, value_end) = (ends.name as usize, ends.value as usize);
            let name = &self.text[start..name_end];
            start = value_end;
            (name, &self.text[name_end..value_end])
        })
    }
}

/// Shows the names only: values may be secrets and may hold bytes that do harm in a terminal.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.fields().map(|(name, _)| String::from_utf8_lossy(name)))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&str, &[u8])]) -> Headers {
        Headers::from_fields(fields.iter().copied())
    }

    #[test]
    fn the_first_value_is_found_whatever_the_case() {
        let headers = headers(&[("Host", b"a"), ("X-One", b"1"), ("x-one", b"2"), ("E", b"")]);
        assert_eq!(headers.get("HOST"), Some("a"));
        assert_eq!(headers.get("X-ONE"), Some("1"));
        assert_eq!(headers.get("e"), Some(""));
        assert_eq!(headers.get("Hos"), None);
        assert_eq!(headers.get_all("x-One").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(headers.iter().last(), Some(("E", "")));
    }

    #[test]
    fn a_value_that_is_not_utf8_is_counted_but_not_shown() {
        let headers = headers(&[("A", b"\xff"), ("A", b"2")]);
        assert_eq!(headers.get("a"), None);
        assert_eq!(headers.count("a"), 2);
        assert_eq!(headers.get_all("a").collect::<Vec<_>>(), ["2"]);
        assert_eq!(headers.iter().count(), 1);
    }

    #[test]
    fn a_token_is_found_on_any_line_of_the_list() {
        let headers = headers(&[("Connection", b"foo ,\tUpgrade"), ("connection", b"close")]);
        assert!(headers.has_token("connection", "upgrade"));
        assert!(headers.has_token("Connection", "close"));
        assert!(!headers.has_token("Connection", "up"));
        assert!(!headers.has_token("Upgrade", "upgrade"));
    }

    #[test]
    fn debug_does_not_show_values() {
        let shown = format!("{:?}", headers(&[("Authorization", b"secret")]));
        assert_eq!(shown, r#"["Authorization"]"#);
    }
}
