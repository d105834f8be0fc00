//! What a test waits for, and the errors that say what became of it.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind};
use crate::ws::{Closed, Message};

/// Most characters of a text and most bytes that an error shows.
const SHOWN: usize = 200;

/// Something that is waited for.
#[derive(Debug)]
pub(super) struct Due {
    what: Cow<'static, str>,
    start: Instant,
    pub(super) deadline: Deadline,
}

impl Due {
    pub(super) fn within(time: Duration, what: impl Into<Cow<'static, str>>) -> Self {
        let deadline = Deadline::after(time);
        Self { what: what.into(), start: Instant::now(), deadline }
    }

    /// `Protocol`: something else came.
    pub(super) fn instead(&self, came: &str) -> Error {
        let (what, time) = (&self.what, self.start.elapsed());
        Error::new(ErrorKind::Protocol, format!("{what} was due, {came} came after {time:.1?}"))
    }

    /// `Timeout`: nothing came.
    pub(super) fn late(&self) -> Error {
        let (what, time) = (&self.what, self.start.elapsed());
        Error::new(ErrorKind::Timeout, format!("{what} was due, nothing came within {time:.1?}"))
    }

    /// `Closed`: the end came.
    pub(super) fn closed(&self, closed: &Closed) -> Error {
        let (what, time) = (&self.what, self.start.elapsed());
        let text =
            format!("{what} was due, but the connection was {closed}, seen after {time:.1?}");
        Error::new(ErrorKind::Closed, text)
    }
}

/// A message for a person to read, cut if it is long.
pub(super) fn shown(message: &Message) -> String {
    match message {
        Message::Text(text) if text.chars().nth(SHOWN).is_some() => {
            let start: String = text.chars().take(SHOWN).collect();
            format!("text of {} bytes {start:?}..", text.len())
        }
        Message::Text(text) => format!("text {:?}", text.as_str()),
        Message::Binary(bytes) if bytes.len() > SHOWN => {
            format!("binary of {} bytes {:02x?}..", bytes.len(), &bytes[..SHOWN])
        }
        Message::Binary(bytes) => format!("binary {:02x?}", &bytes[..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_shown_with_its_kind_and_not_without_end() {
        assert_eq!(shown(&Message::from("")), r#"text """#);
        assert_eq!(shown(&Message::from(b"\x01\xff")), "binary [01, ff]");
        let long = shown(&Message::from("ä".repeat(1000)));
        assert!(long.starts_with("text of 2000 bytes \"ä") && long.chars().count() < 250, "{long}");
        let long = shown(&Message::from(vec![7; 1000]));
        assert!(long.starts_with("binary of 1000 bytes [07, ") && long.len() < 1000, "{long}");
    }
}
