//! Names of groups: any UTF-8, bounded, without control characters.

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};

/// Longest name of a group in bytes.
pub(crate) const MAX_NAME_BYTES: usize = 255;

/// Which kind of group a name belongs to; the kinds never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Space {
    /// The one group of all connections.
    Everybody,
    /// Groups of the application.
    Group,
    /// Channels of facilities, see `Publisher`.
    Channel,
}

/// The valid name of a group; cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct GroupName {
    space: Space,
    text: Arc<str>,
}

impl GroupName {
    /// Checks a name of a group of the application.
    ///
    /// # Errors
    /// `Limit`: too long. `Protocol`: empty, or with control characters.
    pub(crate) fn new(text: &str) -> Result<Self> {
        Self::within(Space::Group, text)
    }

    /// The name of the group of all connections, which no text stands for.
    pub(crate) fn everybody() -> Self {
        Self { space: Space::Everybody, text: "everybody".into() }
    }

    pub(crate) fn within(space: Space, text: &str) -> Result<Self> {
        if text.len() > MAX_NAME_BYTES {
            let text = format!(
                "a group's name has {} bytes, over the limit of {MAX_NAME_BYTES}",
                text.len()
            );
            return Err(Error::new(ErrorKind::Limit, text));
        }
        if text.is_empty() {
            return Err(Error::new(ErrorKind::Protocol, "a group's name is empty"));
        }
        if text.chars().any(char::is_control) {
            let text = format!("the group name {text:?} has control characters");
            return Err(Error::new(ErrorKind::Protocol, text));
        }
        Ok(Self { space, text: text.into() })
    }

    pub(crate) fn space(&self) -> Space {
        self.space
    }

    pub(crate) fn text(&self) -> &Arc<str> {
        &self.text
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_utf8_is_a_name_up_to_the_limit() {
        for right in ["a", "房间", "room 1", "../etc", "<script>", "🦀", &"x".repeat(255)] {
            assert_eq!(&**GroupName::new(right).unwrap().text(), right);
        }
    }

    #[test]
    fn empty_long_and_controlled_names_are_refused() {
        let kind = |text: &str| GroupName::new(text).unwrap_err().kind();
        assert_eq!(kind(""), ErrorKind::Protocol);
        assert_eq!(kind("a\nb"), ErrorKind::Protocol);
        assert_eq!(kind("a\u{85}b"), ErrorKind::Protocol);
        assert_eq!(kind(&"x".repeat(256)), ErrorKind::Limit);
    }

    #[test]
    fn the_same_text_in_two_spaces_is_two_names() {
        let channel = GroupName::within(Space::Channel, "broadcast:x").unwrap();
        assert_ne!(GroupName::new("broadcast:x").unwrap(), channel);
    }
}
